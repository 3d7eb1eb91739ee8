"""Kill a training run at random moments, start it again each time, and compare its end with a run left alone.

    python benchmarks/killed.py [--kills=50]

The supervisor is the one that docs/cloud.md describes: the same command again, until its status is 0. Each time it is
killed with SIGKILL, or every fifth time asked to stop with SIGTERM, at a moment drawn between its start and a little
after its first new checkpoint; once as many have been sent as were asked for, it is let through. The run is a small
DCGAN on the embedded logos with a checkpoint every ten steps.

Writes benchmarks/results/killed-cpu.json: both `state_sha256`, and how each start ended. Ends with status 1 if the two
runs end in different states.
"""

import argparse
import collections
import pathlib
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import small
from record import ROOT, stamp

from logogan_jax.core import files

RESULTS = ROOT / "benchmarks" / "results" / "killed-cpu.json"
FLAGS = (
    "--config=configs/quickstart.py --config.train.steps=1500 --config.train.batch_size=16 --config.model.width=16 "
    "--config.report.log_every=5 --config.report.checkpoint_every=10 --config.report.samples_every=500 "
    "--config.evaluate.every_images=16000 --config.evaluate.samples=64"
)
SETTLE = 4.0  # seconds from a start in which nothing but imports happens


def start(workdir):
    """The run, started or started again."""
    words = [sys.executable, "-m", "logogan_jax.main", *shlex.split(FLAGS), f"--workdir={workdir}"]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def newest(workdir):
    """Step of the newest whole checkpoint."""
    return max((int(path.name) for path in (workdir / "checkpoints").glob("[0-9]*") if path.name.isdigit()), default=0)


def ended(workdir, chance, number):
    """Start the run, end it at some moment -> how it ended, in words."""
    before, process = newest(workdir), start(workdir)
    if chance.random() < 0.2:
        time.sleep(chance.uniform(0.0, SETTLE))
    else:
        while newest(workdir) == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 1.0))
    by = signal.SIGTERM if number % 5 == 4 else signal.SIGKILL
    process.send_signal(by)
    return f"{by.name}: status {process.wait()}"


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="how often (default: 50)")
    kills, chance, ends = parser.parse_args().kills, random.Random(7), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        alone, killed = pathlib.Path(folder) / "alone", pathlib.Path(folder) / "killed"
        assert start(alone).wait() == 0
        reached = []
        for number in range(kills):
            ends[ended(killed, chance, number)] += 1
            reached.append(newest(killed))
        assert start(killed).wait() == 0
        found = {"alone": small.summary(alone)["state_sha256"], "killed": small.summary(killed)["state_sha256"]}
    record = {
        **stamp(f"python benchmarks/killed.py --kills={kills}"), "run": f"python -m logogan_jax.main {FLAGS}",
        "state_sha256": found, "ends": dict(ends), "newest_checkpoint_after_each": reached,
    }  # fmt: skip
    files.write_json(RESULTS, record)
    same = found["alone"] == found["killed"]
    print(f"{'the same state' if same else 'ANOTHER STATE'} after {kills} ends: {dict(ends)}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
