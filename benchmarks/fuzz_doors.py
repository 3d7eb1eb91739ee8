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
import importlib
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of the time of a short run is compiling.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import door_cases
import door_files
import forked

LIMIT = 20.0  # seconds


def run_command(module: str, arguments: Sequence[str]) -> int | None:
    """Run a command in this process, as `python -m` does."""
    sys.argv = [f"{module}.py", *arguments]
    if module == "logogan_jax.tune":
        from logogan_jax.core import cli
        from logogan_jax.tune import __main__ as tune

        # Trials would train: this one says what a trial says whose data are missing.
        fails = (sys.executable, "-c", "raise SystemExit('error: no data')")
        return cli.run(lambda: tune.main(fails), tune.define, required=["config"])
    loaded = door_cases.load(module)
    if module == "data_prep.preview_augment":
        from logogan_jax.core import cli

        return cli.run(loaded.main, loaded.define, required=["config", "out"])
    if module == "logogan_jax.plan":  # whose variables are for a process of its own
        from logogan_jax.core import cli

        return cli.run(loaded.main, loaded.define, required=["config", "target"])
    return loaded.command() if hasattr(loaded, "command") else loaded.main()


class Running:
    """A case that runs in a copy of the files, with which they are compared afterwards."""

    def __init__(self, case: door_cases.Case, number: int, files: pathlib.Path, limit: float):
        self.number = number
        self._folder = files.parent / f"case-{number}"
        shutil.copytree(files, self._folder, symlinks=True)
        self._process = forked.Process(lambda: run_command(case.module, case.arguments), self._folder, limit)

    def ending(self, given: dict[str, bytes]) -> forked.Ending | None:
        """Return how the command ended, or None while it runs; `given` are the files that it was to leave alone."""
        ending = self._process.ending()
        if ending is None:
            return None
        now = door_files.contents(self._folder)
        lost = [name for name, content in given.items() if now.get(name) != content]
        shutil.rmtree(self._folder, ignore_errors=True)
        return ending._replace(kind="lost", said=f"{ending.said}\nchanged: {lost}") if lost else ending


def _train(folder: pathlib.Path) -> None:
    """Train the run that is sampled and measured."""
    train = forked.Process(lambda: run_command("logogan_jax.main", ["--config=tiny.py", "--workdir=run"]), folder, 300)
    while (ending := train.ending()) is None:
        time.sleep(0.1)
    if ending.status != 0:
        raise SystemExit(f"the run that is sampled could not be trained: {ending.said}")


def import_commands(cases: Sequence[door_cases.Case]) -> None:
    """Import what commands import when they run, so that forked ones need not."""
    names = {"logogan_jax.tune.__main__" if case.module.endswith("tune") else case.module for case in cases}
    if any(name.startswith("logogan_jax") for name in names):
        names |= {"logogan_jax.loop", "logogan_jax.tune.scheduler", "data_prep.make_logos"}
    for name in sorted(names):
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
    with tempfile.TemporaryDirectory() as temporary, door_files.serving() as server:
        root = pathlib.Path(temporary)
        (root / "home").mkdir()
        os.environ.update(HOME=str(root / "home"), LOGOGAN_CACHE=str(root / "cache"))
        files = root / "files"
        files.mkdir()
        cases = door_cases.make_cases([name for name in args.only.split(",") if name], server)
        cases = random.Random(args.seed).sample(cases, round(args.share * len(cases)))
        import_commands(cases)
        door_files.make_files(files, server)
        if any(word.endswith("=run") for case in cases for word in case.arguments):
            _train(files)
        endings = _run_all(cases, files, args.jobs)
    _print(cases, endings, args.report)
    sys.exit(any(ending.kind != "ok" for ending in endings))


def _run_all(cases: Sequence[door_cases.Case], files: pathlib.Path, jobs: int) -> list[forked.Ending]:
    """Run all cases, some at a time; then those that were slow again, one at a time."""
    given = door_files.contents(files)
    endings = _run(dict(enumerate(cases)), files, given, jobs, LIMIT)
    slow = {number: cases[number] for number, ending in endings.items() if ending.kind == "slow"}
    for number, ending in _run(slow, files, given, 1, 3 * LIMIT).items():
        endings[number] = ending._replace(kind="hang" if ending.kind == "slow" else ending.kind)
    return [endings[number] for number in range(len(cases))]


def _run(
    cases: dict[int, door_cases.Case], files: pathlib.Path, given: dict[str, bytes], jobs: int, limit: float
) -> dict[int, forked.Ending]:
    """Run numbered cases, and print a line about each that ends badly."""
    waiting = list(cases)[::-1]
    running: list[Running] = []
    endings: dict[int, forked.Ending] = {}
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


def _line(case: door_cases.Case, ending: forked.Ending) -> str:
    last = (ending.said.strip().splitlines() or [""])[-1][:200]
    module = case.module.rpartition(".")[2]
    return (
        f"{ending.kind:9} {module} --{case.flag} {case.value}: status {ending.status}, {ending.seconds:.0f} s: {last}"
    )


def _print(cases: Sequence[door_cases.Case], endings: Sequence[forked.Ending], report: str | None) -> None:
    kinds = collections.Counter(ending.kind for ending in endings)
    statuses = collections.Counter(ending.status for ending in endings)
    slowest = max((ending.seconds for ending in endings), default=0.0)
    print(f"{len(cases)} commands: {dict(kinds)}; statuses {dict(statuses)}; the slowest took {slowest:.0f} s")
    if report:
        failures = [_line(*pair) for pair in zip(cases, endings, strict=True) if pair[1].kind != "ok"]
        content = {"commands": len(cases), "endings": kinds, "statuses": statuses, "failures": failures}
        pathlib.Path(report).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
