"""Seconds from a training command to its first finished step, with nothing kept from before and once more.

    python benchmarks/startup.py [--config=configs/quickstart.py] [--warm=3]

Every start is a process of its own that does what `python -m logogan_jax.main` does, and ends when the devices have
finished the first step. The first one finds empty caches and is cold; then come those that find what it left. Each
tells where its seconds went, how many programs it asked for, how many of them were in the cache, and how
long the compiler took for the others. Writes benchmarks/results/startup-cpu.json.
"""

import time

ENTERED = time.time()

import argparse  # noqa: E402 - what comes before is the interpreter's
import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import pathlib  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402

TARGET = 10.0  # seconds that a warm start may take


class Clock:
    """Seconds by name; what a named piece of work contains is counted under its own name."""

    def __init__(self):
        self.seconds, self._open = {}, []

    @contextlib.contextmanager
    def running(self, name):
        """Count the time of a block."""
        began = time.perf_counter()
        self._open.append(0.0)
        try:
            yield
        finally:
            took = time.perf_counter() - began
            within = self._open.pop()
            self.seconds[name] = self.seconds.get(name, 0.0) + took - within
            if self._open:
                self._open[-1] += took

    def around(self, owner, attribute, name):
        """Count the time of a function from now on."""
        function = getattr(owner, attribute)

        def timed(*arguments, **values):
            with self.running(name):
                return function(*arguments, **values)

        setattr(owner, attribute, timed)


def start(config, workdir, began):
    """Do as logogan_jax.main until the first step is finished, print what it took as a line of JSON, and end."""
    clock, compiled = Clock(), {"asked": 0, "found": 0, "compiler_seconds": 0.0}
    with clock.running("imports"):
        from absl import flags

        from logogan_jax import main
    main.define()
    flags.FLAGS(["logogan_jax.main", f"--config={config}", f"--workdir={workdir}"])
    if not flags.FLAGS.config.data.dir:
        with clock.running("imports"):
            from data_prep import make_logos
        clock.around(make_logos, "embedded_logos", "data")
    with clock.running("imports"):
        from jax import monitoring

        from logogan_jax.config import build_training
        from logogan_jax.training import step_runner

    def heard(event, **_):
        compiled["asked"] += event.endswith("/compile_requests_use_cache")
        compiled["found"] += event.endswith("/cache_hits")

    def lasted(event, seconds, **_):
        compiled["compiler_seconds"] += seconds * event.endswith("/backend_compile_duration")

    monitoring.register_event_listener(heard)
    monitoring.register_event_duration_secs_listener(lasted)
    clock.around(build_training, "shards_of", "data")
    for source in build_training.sources.SOURCES.values():
        clock.around(source, "__init__", "data")
    clock.around(build_training.model, "of", "networks and first state")
    clock.around(step_runner.Dispatch, "_prepare", "the step's program")
    clock.around(step_runner.Dispatch, "__call__", "the first step")
    call = step_runner.Dispatch.__call__

    def first(self, *arguments):
        import jax

        with clock.running("the first step"):
            jax.block_until_ready(call(self, *arguments))
        total, entered = time.time() - began, ENTERED - began
        seconds = {"interpreter": entered, **clock.seconds}
        seconds["everything else"] = total - sum(seconds.values())
        print(json.dumps({"total": total, "seconds": seconds, "programs": compiled}), flush=True)
        os._exit(0)

    step_runner.Dispatch.__call__ = first
    main.main()


def started(config, cache):
    """What one start says of itself, with a cache folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, __file__, f"--config={config}", f"--workdir={folder}/run", f"--began={time.time()!r}"]
        root = str(pathlib.Path(__file__).resolve().parent.parent)
        environment = {**os.environ, "LOGOGAN_CACHE": str(cache), "PYTHONPATH": root}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        done = subprocess.run(words, cwd=root, env=environment, text=True, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def middle(starts):
    """The start of the median total."""
    return sorted(starts, key=lambda each: each["total"])[(len(starts) - 1) // 2]


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/quickstart.py")
    parser.add_argument("--warm", type=int, default=3, help="warm starts, of which the median is recorded")
    parser.add_argument("--workdir", help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.workdir:
        start(args.config, args.workdir, args.began)
    from record import ROOT, stamp

    from logogan_jax.core import files

    with tempfile.TemporaryDirectory() as cache:
        cold, *warm = [started(args.config, cache) for _ in range(1 + args.warm)]
    record = {
        **stamp(f"python benchmarks/startup.py --config={args.config}"),
        "cold": cold,
        "warm": middle(warm),
        "warm_totals": [each["total"] for each in warm],
    }
    files.write_json(ROOT / "benchmarks" / "results" / "startup-cpu.json", record)
    print(json.dumps(record, indent=2))
    sys.exit(record["warm"]["total"] > TARGET)


if __name__ == "__main__":
    main()
