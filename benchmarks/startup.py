"""Measure the seconds from a training command to its first finished step, with empty caches and with full ones.

    python benchmarks/startup.py [--config=configs/quickstart.py] [--warm=3]

Every start is a separate process that does the same as `python -m logogan_jax.main`, and ends when the devices have
finished the first step. The first start is cold: its caches are empty. The next ones are warm: they use the caches that
the first one left. Each start reports where its seconds went, how many programs it compiled or found in the cache, and
how long the compiler took. Writes benchmarks/results/startup-cpu.json.
"""

import time

SCRIPT_BEGAN = time.time()

import argparse  # noqa: E402 - the time before belongs to the interpreter
import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import pathlib  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from typing import Any  # noqa: E402

TARGET = 10.0  # seconds that a warm start may take


class Clock:
    """Seconds by name. Time of a block inside another block only counts for the inner block."""

    def __init__(self):
        self.seconds = {}
        self._inner = []  # for each open block: seconds of the blocks inside it

    @contextlib.contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Count the time of a block under a name."""
        began = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            took = time.perf_counter() - began
            inner = self._inner.pop()
            self.seconds[name] = self.seconds.get(name, 0.0) + took - inner
            if self._inner:
                self._inner[-1] += took

    def wrap(self, owner: Any, attribute: str, name: str) -> None:
        """Count the time of all later calls of a function under a name."""
        function = getattr(owner, attribute)

        def timed(*arguments, **values):
            with self.running(name):
                return function(*arguments, **values)

        setattr(owner, attribute, timed)


def start(config: str, workdir: str, began: float) -> None:
    """Run the training command until its first step is finished, print its times as JSON, and end the process."""
    clock = Clock()
    compiled = {"asked": 0, "found": 0, "compiler_seconds": 0.0}
    with clock.running("imports"):
        from absl import flags

        from logogan_jax import main
    main.define()
    flags.FLAGS(["logogan_jax.main", f"--config={config}", f"--workdir={workdir}"])
    if not flags.FLAGS.config.data.dir:
        with clock.running("imports"):
            from data_prep import make_logos
        clock.wrap(make_logos, "embedded_logos", "data")
    with clock.running("imports"):
        from jax import monitoring

        from logogan_jax.config import build_training
        from logogan_jax.training import step_runner

    def on_event(event: str, **_: str | int) -> None:
        compiled["asked"] += event.endswith("/compile_requests_use_cache")
        compiled["found"] += event.endswith("/cache_hits")

    def on_duration(event: str, duration_secs: float, **_: str | int) -> None:
        compiled["compiler_seconds"] += duration_secs * event.endswith("/backend_compile_duration")

    monitoring.register_event_listener(on_event)
    monitoring.register_event_duration_secs_listener(on_duration)
    clock.wrap(build_training, "open_dataset", "data")
    for source in build_training.sources.SOURCES.values():
        clock.wrap(source, "__init__", "data")
    clock.wrap(build_training, "build_model", "networks and first state")
    clock.wrap(step_runner.StepRunner, "compile", "the step's program")
    clock.wrap(step_runner.StepRunner, "run", "the first step")
    call = step_runner.StepRunner.run

    def first_step(self, *arguments):
        import jax

        with clock.running("the first step"):
            jax.block_until_ready(call(self, *arguments))
        total = time.time() - began
        seconds = {"interpreter": SCRIPT_BEGAN - began, **clock.seconds}
        seconds["everything else"] = total - sum(seconds.values())
        print(json.dumps({"total": total, "seconds": seconds, "programs": compiled}), flush=True)
        os._exit(0)

    step_runner.StepRunner.run = first_step
    main.main()


def measure_start(config: str, cache: str) -> dict[str, Any]:
    """Start the command in a new process with a cache folder, and return what it reports."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, __file__, f"--config={config}", f"--workdir={folder}/run", f"--began={time.time()!r}"]
        root = str(pathlib.Path(__file__).resolve().parent.parent)
        environment = {**os.environ, "LOGOGAN_CACHE": str(cache), "PYTHONPATH": root}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        done = subprocess.run(words, cwd=root, env=environment, stdout=subprocess.PIPE, check=True, encoding="utf-8")
    return json.loads(done.stdout.splitlines()[-1])


def median_start(starts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the start whose total is the median."""
    return sorted(starts, key=lambda result: result["total"])[(len(starts) - 1) // 2]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", default="configs/quickstart.py", help="config to start (default: %(default)s)")
    parser.add_argument("--warm", type=int, default=3, help="warm starts, of which the median is recorded")
    parser.add_argument("--workdir", help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.workdir:
        start(args.config, args.workdir, args.began)
    from record import write_record

    with tempfile.TemporaryDirectory() as cache:
        cold, *warm = [measure_start(args.config, cache) for _ in range(1 + args.warm)]
    record = {
        "cold": cold,
        "warm": median_start(warm),
        "warm_totals": [result["total"] for result in warm],
    }
    write_record("startup-cpu", f"python benchmarks/startup.py --config={args.config}", record)
    print(json.dumps(record, indent=2))
    sys.exit(record["warm"]["total"] > TARGET)


if __name__ == "__main__":
    main()
