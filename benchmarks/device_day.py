"""Learn everything that matters about a machine with an accelerator in nine minutes, the most valuable first.

    python benchmarks/device_day.py --out=FOLDER [--minutes=9] [--tiny]

Parts, in this order, each in a process of its own with a time limit of its own:

- `agree`: the first steps of the quickstart and of `wgan56` in float32, on the accelerator and on the CPU: the losses;
- `resume`: a run that is stopped and goes on ends in the state of one that was left alone;
- `benchmark`: steps/s of four configs beside PyTorch where it is installed, and beside the prediction of `plan`;
- `profile`: a trace of some dispatches of `wgan56`;
- `train`: the walkthrough's 56-pixel run with its pictures, as far as the rest of the time allows.

A line of FOLDER/day.jsonl is written after each result, so that a machine that is taken away leaves what was done.
`--tiny` takes small networks and few steps: the script is tried with it on a CPU.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from record import ROOT, parser, stamp
from runs import log_lines, summary

CONFIGS = ("wgan28", "wgan56", "dcgan56", "r3gan56")
TINY = (
    "--config.model.width=4",
    "--config.train.batch_size=8",
    "--config.evaluate.every_images=0",
    "--config.report.samples_every=8",
)
# On Ampere and later GPUs XLA else multiplies float32 in TF32, which has ten bits of precision.
EXACT = {"JAX_DEFAULT_MATMUL_PRECISION": "float32"}
TOLERANCE = 1e-2  # relative difference of a loss after some steps, with sums in another order and kinks in between
GRACE = 10.0  # seconds that a process gets to end after a request to stop
SHARED = 4.0  # times as long as on a device may a command take with --tiny, on a CPU that others use, too


@dataclasses.dataclass(frozen=True)
class Day:
    """What is done: into which folder, until when (as time.monotonic tells it), and whether it is only tried."""

    out: pathlib.Path
    end: float
    tiny: bool

    def flags(self, config: str, *flags: str) -> list[str]:
        """Return the flags that name a config, small where this is only tried."""
        return [f"--config=configs/{config}.py", *(TINY if self.tiny else ()), *flags]

    def left(self) -> float:
        """Return the seconds that are left of the day."""
        return self.end - time.monotonic()


class Late(Exception):
    """A part has used up its time."""


def run(day: Day, seconds: float, module: str, *flags: str, **environment: str) -> None:
    """Run a command of ours until its end; its output is added to FOLDER/log.txt.

    Raises:
        Late: It took longer than `seconds`, with --tiny than SHARED times as long, or than what is left of the day, and
            was asked to stop.
        subprocess.CalledProcessError: It failed.
    """
    words = [sys.executable, "-m", module, *flags]
    seconds *= SHARED if day.tiny else 1
    with open(day.out / "log.txt", "a", encoding="utf-8") as log:
        print("$", *words[1:], file=log, flush=True)
        process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **environment})
        try:
            status = process.wait(max(1.0, min(seconds, day.left())))
        except subprocess.TimeoutExpired:
            stop(process)
            raise Late(f"{module} was stopped after {seconds:.0f} s") from None
    if status:
        raise subprocess.CalledProcessError(status, words)


def stop(process: subprocess.Popen) -> None:
    """Ask a process to stop, which lets a training save its state; kill it where that takes too long."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# ── parts ───────────────────────────────────────────────────────────────────────────────────


def agree(day: Day) -> Iterator[dict[str, Any]]:
    """Compare the losses of the first steps with those of this machine's CPU."""
    steps = 4 if day.tiny else 8
    for config in ("quickstart", "wgan56"):
        found = {}
        for platform in ("", "cpu"):
            workdir = day.out / "agree" / f"{config}-{platform or 'device'}"
            flags = ("--config.train.dtype=float32", f"--config.train.steps={steps}", "--config.report.log_every=1")
            rest = ("--config.evaluate.every_images=0", f"--workdir={workdir}")
            own = {"JAX_PLATFORMS": platform} if platform else {}
            run(day, 90, "logogan_jax.main", *day.flags(config, *flags, *rest), **EXACT, **own)
            lines = log_lines(workdir)
            losses = [name for name in lines[-1] if name.endswith("/loss")]
            found[platform or "device"] = {name: [line[name] for line in lines] for name in losses}
        worst = max(
            abs(a - b) / max(abs(b), 1e-2)
            for name, values in found["cpu"].items()
            for a, b in zip(found["device"][name], values, strict=True)
        )
        yield {"config": config, "losses": found, "largest_relative_difference": worst, "agree": worst < TOLERANCE}


def resume(day: Day) -> Iterator[dict[str, Any]]:
    """Compare a run that went on from a checkpoint with one that was left alone."""
    digests = {}
    for name, stops in (("straight", (40,)), ("resumed", (20, 40))):
        for steps in stops:
            flags = ("--config.report.log_every=10", "--config.report.samples_every=20")
            more = ("--config.report.checkpoint_every=20", "--config.evaluate.every_images=0")
            rest = (f"--config.train.steps={steps}", f"--workdir={day.out / 'resume' / name}")
            run(day, 60, "logogan_jax.main", *day.flags("quickstart", *flags, *more, *rest))
        digests[name] = summary(day.out / "resume" / name)["state_sha256"]
    yield {"state_sha256": digests, "exact": digests["straight"] == digests["resumed"]}


def benchmark(day: Day) -> Iterator[dict[str, Any]]:
    """Time the steps of four configs, beside PyTorch where it is there, and beside what is predicted."""
    out = day.out / "benchmark.jsonl"
    peers = () if day.tiny or not shutil.which("nvidia-smi") or not has_torch() else ("--peer=torch",)
    quick = ("--repeats=3", f"--seconds={0.01 if day.tiny else 1}", f"--json={out}")
    for config in CONFIGS:
        run(day, 100, "logogan_jax.benchmark", *day.flags(config, *quick, *peers))
        row = json.loads(out.read_text(encoding="utf-8").splitlines()[-1])
        measured = 1 / row["steps_per_second"]["median"]
        yield {
            "config": config,
            "measured_seconds": measured,
            "predicted_seconds": row["predicted_seconds"],
            "row": row,
        }


def profile(day: Day) -> Iterator[dict[str, Any]]:
    """Trace some dispatches of wgan56."""
    folder = day.out / "profile"
    quick = ("--repeats=3", "--seconds=0.01", f"--profile={folder}")
    run(day, 60, "logogan_jax.benchmark", *day.flags("wgan56", *quick))
    yield {"files": sorted(str(path.relative_to(day.out)) for path in folder.rglob("*") if path.is_file())}


def train(day: Day) -> Iterator[dict[str, Any]]:
    """Train the walkthrough's 56-pixel run with its pictures until its end or the day's."""
    workdir = day.out / "wgan56"
    seconds = max(1.0, day.left() - GRACE - 5)
    flags = ("--config.train.steps=8",) if day.tiny else ()
    cut = False
    try:
        run(day, seconds, "logogan_jax.main", *day.flags("wgan56", *flags, f"--workdir={workdir}"))
    except Late:
        cut = True  # as it should be: the rest of the day is for this
    about = summary(workdir)
    yield {"cut": cut, **{name: about.get(name) for name in ("status", "step", "steps", "seconds", "best")}}


PARTS: dict[str, Callable[[Day], Iterator[dict[str, Any]]]] = {
    "agree": agree,
    "resume": resume,
    "benchmark": benchmark,
    "profile": profile,
    "train": train,
}


def has_torch() -> bool:
    """Return whether this interpreter has PyTorch."""
    return subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode == 0


def do(day: Day, name: str) -> bool:
    """Do a part and write its lines. Returns whether it came to its end without a failure."""
    began = time.monotonic()
    write = lambda **line: append(day.out / "day.jsonl", {"part": name, **line})
    try:
        for result in PARTS[name](day):
            write(**result)
    except (Late, subprocess.CalledProcessError, OSError, ValueError, KeyError) as error:
        write(failed=str(error), seconds=round(time.monotonic() - began, 1))
        return False
    write(done=True, seconds=round(time.monotonic() - began, 1))
    return True


def append(path: pathlib.Path, line: dict[str, Any]) -> None:
    """Add a line of JSON to a file, and have it on the disk before anything else is done."""
    with open(path, "a", encoding="utf-8") as file:
        print(json.dumps(line), file=file, flush=True)
        os.fsync(file.fileno())
    print({key: value for key, value in line.items() if key not in ("losses", "row")}, flush=True)


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--out", required=True, type=pathlib.Path, help="a new folder for everything")
    flags.add_argument("--minutes", type=float, default=9.0, help="after which everything has ended")
    flags.add_argument("--tiny", action="store_true", help="small networks and few steps, to try the script")
    flags.add_argument("--only", default=",".join(PARTS), help="parts, comma-separated (default: all)")
    args = flags.parse_args()
    args.out.mkdir(parents=True)
    day = Day(args.out.absolute(), time.monotonic() + 60 * args.minutes, args.tiny)
    append(day.out / "day.jsonl", {"part": "machine", **stamp(" ".join(["python", "benchmarks/device_day.py"]))})
    results = [do(day, name) for name in args.only.split(",") if day.left() > 0]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
