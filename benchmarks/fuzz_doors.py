"""Give every flag of every command odd values, and count how the commands end.

    python benchmarks/fuzz_doors.py [--only=sample,upload] [--share=0.1] [--seed=0] [--jobs=2] [--report=FILE]

The values are empty, zero, negative, huge, a folder, a file, links, `.`, `~`, bytes that are no text, a place that
cannot be written and a name that is too long. All other flags of the command are right. Each command works in a copy of
the same small files, in a process that is forked after the imports. What must not happen: a traceback, a signal, more
than 20 seconds (what takes longer is tried again alone, with three times as much), a status other than 0, 2, 3 or 75,
and a change of a file that the command was given.

Prints a line for each failure and the counts; ends with status 1 if there is a failure.
"""

import argparse
import collections
import contextlib
import http.server
import importlib
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np
from absl import flags
from PIL import Image

LIMIT = 20.0  # seconds
GOOD = (0, 2, 3, 75)
VALUES = {
    "empty": "", "zero": "0", "negative": "-1", "huge": "1000000000000", "folder": "logos", "file": "notes.txt",
    "link": "link", "link to nothing": "gone", "dot": ".", "home": "~", "no text": os.fsdecode(b"\xff\xfe"),
    "unwritable": "/proc/none/x", "device": "/dev/null", "too long": "x" * 300,
}  # fmt: skip
# Of keys of a config, which are typed.
NUMBERS = ("zero", "negative", "huge")
TEXTS = ("empty", "no text", "unwritable")

TINY = (
    "from logogan_jax.config import defaults\n\ndef get_config():\n    config = defaults.get_config()\n"
    "    config.data.update(size=16, dir='shards', held_out=0.0)\n"
    "    config.model = defaults.block(name='dcgan', latent=4, width=2, kernel=4, dropout=0.0)\n"
    "    config.objective = defaults.block(name='gan', critic_updates=1)\n"
    "    config.train.update(steps=1, batch_size=4)\n"
    "    config.report.update(log_every=1, samples_every=1, checkpoint_every=1)\n"
    "    return config\n"
)
RUN = ["--workdir=run"]
# Module: flags that are right. They lead to little work, and where that is much, to a mistake that is noticed late.
COMMANDS = {
    "logogan_jax.main": ["--config=tiny.py", "--workdir=new"],
    "logogan_jax.sample": [*RUN, "--out=new", "--num=1", "--step=newest"],
    "logogan_jax.evaluate": ["--images=logos", "--against=logos", "--size=8", "--num_samples=10", "--step=newest"],
    "logogan_jax.replay": RUN,
    "logogan_jax.benchmark": ["--config=tiny.py", "--config.data.dir=nowhere"],
    "logogan_jax.tune": ["--config=tiny.py", "--workdir=new", "--trials=1"],
    "data_prep.preview_augment": ["--config=tiny.py", "--out=new.png"],
    "data_prep.write_tfrecords": ["--path=logos", "--size=8", "--target_path=new", "--workers=1"],
    "data_prep.beam_tfrecords": ["--path=logos", "--size=8", "--target_path=new"],
    "data_prep.resize_center": ["--path=logos", "--size=8", "--target_path=new"],
    "data_prep.split_grid": ["--filename=sheet.png", "--col=2", "--row=2", "--target_path=new"],
    "data_prep.svg_to_png": ["--path=svg", "--size=8", "--target_path=new"],
    "data_prep.import_arrays": ["--filename=array.npy", "--target_path=new"],
    "data_prep.inspect_data": ["--path=logos", "--size=8", "--report=new"],
    "data_prep.make_logos": ["--source=logos", "--size=8", "--target_path=new"],
    "data_prep.cluster_labels": ["--path=shards", "--clusters=1000", "--target_path=new"],
    "data_prep.upload": ["--path=logos", "--target_path=memory://bucket/logos"],
    "data_prep.download_images": ["--filename=items.csv", "--target_path=new", "--trusted={server}"],
    "data_prep.wiki_spider": ["--filename=new.csv", "--api=http://{server}/api.php", "--contact=a@example.org"],
    "data_prep.search_images": [
        "--keywords", "logo", "--filename=new.csv", "--num=1", "--openverse_api=http://{server}/",
        "--commons_api=http://{server}/api.php", "--contact=a@example.org",
    ],
}  # fmt: skip


class Case(NamedTuple):
    """A command line with one odd value."""

    module: str
    flag: str
    value: str  # its name in VALUES
    arguments: list[str]


class Ending(NamedTuple):
    """How a command ended: "ok", or what is wrong."""

    kind: str
    status: int
    seconds: float
    said: str


# ── commands in forked processes ────────────────────────────────────────────────────────────


class Process:
    """A call work() in a forked child in its own process group, in a folder, which ends after `limit` seconds."""

    def __init__(self, work: Callable[[], int | None], folder: pathlib.Path, limit: float):
        self._log = folder.parent / f"{folder.name}.log"
        self._began = time.monotonic()
        self._limit = limit
        self._child = os.fork()
        if self._child == 0:
            os._exit(_in_child(work, folder, self._log))

    def ending(self) -> Ending | None:
        """Return how the child ended, or None while it runs."""
        ended, code = os.waitpid(self._child, os.WNOHANG)
        seconds = time.monotonic() - self._began
        if not ended and seconds < self._limit:
            return None
        if not ended:
            os.killpg(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
        said = self._log.read_text(errors="replace") if self._log.exists() else ""
        status = os.waitstatus_to_exitcode(code) if ended else -signal.SIGKILL
        return Ending(_judge(status, said) if ended else "slow", status, seconds, said)


def _judge(status: int, said: str) -> str:
    if "Traceback" in said:
        return "traceback"
    if status not in GOOD:
        return "status"
    return "ok" if status != 2 or "error: " in (said.strip().splitlines() or [""])[-1] else "no line"


def _in_child(work: Callable[[], int | None], folder: pathlib.Path, log: pathlib.Path) -> int:
    os.setsid()
    os.chdir(folder)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(out, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        return work() or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def run_command(module: str, arguments: Sequence[str]) -> int | None:
    """Run a command in this process, as `python -m` does."""
    sys.argv = [f"{module}.py", *arguments]
    if module == "logogan_jax.tune":
        from logogan_jax.core import cli
        from logogan_jax.tune import __main__ as tune

        # Trials would train: this one says what a trial says whose data are missing.
        fails = (sys.executable, "-c", "raise SystemExit('error: no data')")
        return cli.run(lambda: tune.main(fails), tune.define, required=["config"])
    loaded = importlib.import_module("logogan_jax.benchmark.__main__" if module.endswith("benchmark") else module)
    if module == "data_prep.preview_augment":
        from logogan_jax.core import cli

        return cli.run(loaded.main, loaded.define, required=["config", "out"])
    return loaded.command() if hasattr(loaded, "command") else loaded.main()


# ── what they are given ─────────────────────────────────────────────────────────────────────


def make_files(folder: pathlib.Path, server: str) -> None:
    """Make the small files that every command works on a copy of."""
    from data_prep import write_tfrecords
    from data_prep.pictures.convert import ImageSpec, Item, encode_png

    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)) for _ in range(12)]
    for label in ("a", "b"):
        (folder / "logos" / label).mkdir(parents=True)
    for number, picture in enumerate(pictures):
        picture.save(folder / "logos" / "ab"[number % 2] / f"{number}.png")
    pictures[0].resize((32, 32)).save(folder / "sheet.png")
    np.save(folder / "array.npy", np.stack([np.asarray(picture) for picture in pictures]))
    (folder / "svg").mkdir()
    (folder / "svg" / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9z"/></svg>'
    )
    (folder / "notes.txt").write_text("precious")
    (folder / "tiny.py").write_text(TINY)
    (folder / "items.csv").write_text(f"name,link\na.png,http://{server}/a.png\n")
    (folder / "link").symlink_to("logos")
    (folder / "gone").symlink_to("nowhere")
    items = [Item(f"{number}.png", number % 2, encode_png(picture)) for number, picture in enumerate(pictures)]
    write_tfrecords.write(
        items, folder / "shards", spec=ImageSpec(16), name="tiny", labels=["a", "b"], description="Noise.", workers=0
    )  # fmt: skip
    train = Process(lambda: run_command("logogan_jax.main", ["--config=tiny.py", "--workdir=run"]), folder, 300)
    while (ending := train.ending()) is None:
        time.sleep(0.1)
    if ending.status != 0:
        raise SystemExit(f"the run that is sampled could not be trained: {ending.said}")


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Return the bytes of the files that no command may change: all but what commands write beside a run."""
    written = ("run/evaluation.json", "run/copies.html", "run/.lock")
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    found = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: path.read_bytes() for name, path in found.items() if name not in written}


class Server(http.server.BaseHTTPRequestHandler):
    """Answers everything with 404 and an empty JSON object."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(404)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Yield the HOST:PORT of a Server in another process, because a process with threads should not fork."""
    httpd = http.server.HTTPServer(("127.0.0.1", 0), Server)
    child = os.fork()
    if child == 0:
        httpd.serve_forever()
    try:
        yield f"127.0.0.1:{httpd.server_port}"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


# ── cases ───────────────────────────────────────────────────────────────────────────────────


class _Parsers(Exception):
    """The parser of a command, thrown from its parse_args."""


def flag_names(module: str) -> list[str]:
    """Return the names of a command's flags, and the keys of its config."""
    loaded = importlib.import_module("logogan_jax.benchmark.__main__" if module.endswith("benchmark") else module)
    if module == "logogan_jax.tune":
        loaded = importlib.import_module("logogan_jax.tune.__main__")
    if not hasattr(loaded, "define"):
        return _argparse_names(loaded.main)
    before = set(flags.FLAGS)
    loaded.define()
    names = sorted(set(flags.FLAGS) - before)
    for name in names:
        delattr(flags.FLAGS, name)
    if module == "logogan_jax.main":
        from logogan_jax.config import defaults
        from logogan_jax.core import nested

        names += [f"config.{key}" for key in nested.flatten(defaults.get_config().to_dict())]
    return names


def _argparse_names(main: Callable[[Sequence[str]], None]) -> list[str]:
    def thrown(parser: argparse.ArgumentParser, *_: object) -> None:
        raise _Parsers([action.option_strings[-1].lstrip("-") for action in parser._actions if action.dest != "help"])

    before = argparse.ArgumentParser.parse_args, argparse.ArgumentParser.parse_known_args
    argparse.ArgumentParser.parse_args = argparse.ArgumentParser.parse_known_args = thrown  # type: ignore
    try:
        main([])
    except _Parsers as found:
        return found.args[0]
    finally:
        argparse.ArgumentParser.parse_args, argparse.ArgumentParser.parse_known_args = before
    raise AssertionError("a command without a parser")


def make_cases(only: Sequence[str], server: str) -> list[Case]:
    """Return every flag of every command with every value."""
    cases = []
    for module, right in COMMANDS.items():
        if only and module.rpartition(".")[2] not in only:
            continue
        right = [word.format(server=server) for word in right]
        cases.append(Case(module, "", "as it is", right))
        for flag in flag_names(module):
            others = [word for word in right if not word.startswith((f"--{flag}=", f"--{flag}"))]
            if flag == "keywords":
                others.remove("logo")
            for value in _values(flag):
                cases.append(Case(module, flag, value, [*others, f"--{flag}={VALUES[value]}"]))
        if module.endswith("evaluate"):  # of a run, too
            for flag in ("workdir", "step", "data", "out", "features"):
                for value in VALUES:
                    words = ["--workdir=run", "--step=newest", "--against=logos", "--num_samples=10"]
                    words = [word for word in words if not word.startswith(f"--{flag}=")]
                    cases.append(Case(module, f"run {flag}", value, [*words, f"--{flag}={VALUES[value]}"]))
    return cases


def _values(flag: str) -> Sequence[str]:
    """Return the names of the values that suit a flag."""
    if not flag.startswith("config."):
        return list(VALUES)
    from logogan_jax.config import defaults
    from logogan_jax.core import nested

    value = nested.flatten(defaults.get_config().to_dict())[flag.removeprefix("config.")]
    return TEXTS if isinstance(value, str) else NUMBERS


class Running:
    """A case that runs in a copy of the files, with which they are compared afterwards."""

    def __init__(self, case: Case, number: int, files: pathlib.Path, limit: float):
        self.number = number
        self._folder = files.parent / f"case-{number}"
        shutil.copytree(files, self._folder, symlinks=True)
        self._process = Process(lambda: run_command(case.module, case.arguments), self._folder, limit)

    def ending(self, given: dict[str, bytes]) -> Ending | None:
        """Return how the command ended, or None while it runs; `given` are the files that it was to leave alone."""
        ending = self._process.ending()
        if ending is None:
            return None
        now = contents(self._folder)
        lost = [name for name, content in given.items() if now.get(name) != content]
        shutil.rmtree(self._folder, ignore_errors=True)
        return ending._replace(kind="lost", said=f"{ending.said}\nchanged: {lost}") if lost else ending


def import_everything() -> None:
    """Import what commands import when they run, so that forked ones need not."""
    for module in COMMANDS:
        importlib.import_module("logogan_jax.tune.__main__" if module.endswith("tune") else module)
    for name in ("logogan_jax.train", "logogan_jax.tune.scheduler", "tensorflow_datasets", "data_prep.make_logos"):
        importlib.import_module(name)


def main() -> None:
    """Run the cases and count their endings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="commands, separated by commas (default: all)")
    parser.add_argument("--share", type=float, default=1.0, help="share of the cases, drawn at random (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--jobs", type=int, default=1, help="commands at a time")
    parser.add_argument("--report", help="file for the counts and the failures, as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, serving() as server:
        root = pathlib.Path(temporary)
        (root / "home").mkdir()
        os.environ.update(HOME=str(root / "home"), LOGOGAN_CACHE=str(root / "cache"))
        import_everything()
        files = root / "files"
        files.mkdir()
        make_files(files, server)
        cases = make_cases([name for name in args.only.split(",") if name], server)
        cases = random.Random(args.seed).sample(cases, round(args.share * len(cases)))
        endings = _run_all(cases, files, args.jobs)
    _print(cases, endings, args.report)
    sys.exit(any(ending.kind != "ok" for ending in endings))


def _run_all(cases: Sequence[Case], files: pathlib.Path, jobs: int) -> list[Ending]:
    """Run all cases, some at a time; then those that were slow again, one at a time."""
    given = contents(files)
    endings = _run(dict(enumerate(cases)), files, given, jobs, LIMIT)
    slow = {number: cases[number] for number, ending in endings.items() if ending.kind == "slow"}
    for number, ending in _run(slow, files, given, 1, 3 * LIMIT).items():
        endings[number] = ending._replace(kind="hang" if ending.kind == "slow" else ending.kind)
    return [endings[number] for number in range(len(cases))]


def _run(
    cases: dict[int, Case], files: pathlib.Path, given: dict[str, bytes], jobs: int, limit: float
) -> dict[int, Ending]:
    """Run numbered cases, and print a line about each that ends badly."""
    waiting = list(cases)[::-1]
    running: list[Running] = []
    endings: dict[int, Ending] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            number = waiting.pop()
            running.append(Running(cases[number], number, files, limit))
        time.sleep(0.02)
        for process in list(running):
            if ending := process.ending(given):
                running.remove(process)
                endings[process.number] = ending
                if ending.kind != "ok" or not cases[process.number].flag:
                    print(_line(cases[process.number], ending), flush=True)
                if len(endings) % 100 == 0:
                    print(f"{len(endings)} of {len(cases)}", file=sys.stderr, flush=True)
    return endings


def _line(case: Case, ending: Ending) -> str:
    last = (ending.said.strip().splitlines() or [""])[-1][:200]
    module = case.module.rpartition(".")[2]
    return (
        f"{ending.kind:9} {module} --{case.flag} {case.value}: status {ending.status}, {ending.seconds:.0f} s: {last}"
    )


def _print(cases: Sequence[Case], endings: Sequence[Ending], report: str | None) -> None:
    kinds = collections.Counter(ending.kind for ending in endings)
    statuses = collections.Counter(ending.status for ending in endings)
    slowest = max((ending.seconds for ending in endings), default=0.0)
    print(f"{len(cases)} commands: {dict(kinds)}; statuses {dict(statuses)}; the slowest took {slowest:.0f} s")
    if report:
        failures = [_line(*pair) for pair in zip(cases, endings, strict=True) if pair[1].kind != "ok"]
        content = {"commands": len(cases), "endings": kinds, "statuses": statuses, "failures": failures}
        pathlib.Path(report).write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
