"""Kill a training run at random moments, start it again each time, and compare its end with a run left alone.

    python benchmarks/killed.py [--kills=50]

This is the supervisor that docs/cloud.md describes: it starts the same command again until its status is 0. Each run is
ended with SIGKILL, or every fifth time asked to stop with SIGTERM. The moment is random, between the start of the run
and a little after its first new checkpoint. After `--kills` signals the run may finish. It is a small DCGAN on the
embedded logos with a checkpoint every ten steps.

Writes benchmarks/results/killed-cpu.json: both `state_sha256`, and how each start ended. Ends with status 1 if the two
runs end in different states.
"""

import collections
import pathlib
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import runs
from record import ROOT, parser, write_record

FLAGS = (
    "--config=configs/quickstart.py --config.train.steps=1500 --config.train.batch_size=16 --config.model.width=16 "
    "--config.report.log_every=5 --config.report.checkpoint_every=10 --config.report.samples_every=500 "
    "--config.evaluate.every_images=16000 --config.evaluate.samples=64"
)
IMPORT_SECONDS = 4.0  # from a start, in which nothing but imports happens


def start(workdir: pathlib.Path) -> subprocess.Popen:
    """Start the run, or start it again."""
    words = [sys.executable, "-m", "logogan_jax.main", *shlex.split(FLAGS), f"--workdir={workdir}"]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def newest_checkpoint(workdir: pathlib.Path) -> int:
    """Return the step of the newest complete checkpoint, 0 if there is none."""
    return max((int(path.name) for path in (workdir / "checkpoints").glob("[0-9]*") if path.name.isdigit()), default=0)


def start_and_kill(workdir: pathlib.Path, rng: random.Random, index: int) -> str:
    """Start the run, send it a signal at a random moment, and return in words how it ended."""
    before = newest_checkpoint(workdir)
    process = start(workdir)
    if rng.random() < 0.2:
        time.sleep(rng.uniform(0.0, IMPORT_SECONDS))
    else:
        while newest_checkpoint(workdir) == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 1.0))
    sent = signal.SIGTERM if index % 5 == 4 else signal.SIGKILL
    process.send_signal(sent)
    return f"{sent.name}: status {process.wait()}"


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--kills", type=int, default=50, help="how often the run is ended (default: 50)")
    kills = flags.parse_args().kills
    rng = random.Random(7)
    endings = collections.Counter()
    newest = []
    with tempfile.TemporaryDirectory() as folder:
        alone = pathlib.Path(folder) / "alone"
        killed = pathlib.Path(folder) / "killed"
        assert start(alone).wait() == 0
        for index in range(kills):
            endings[start_and_kill(killed, rng, index)] += 1
            newest.append(newest_checkpoint(killed))
        assert start(killed).wait() == 0
        digests = {path.name: runs.summary(path)["state_sha256"] for path in (alone, killed)}
    record = {
        "run": f"python -m logogan_jax.main {FLAGS}", "state_sha256": digests, "ends": dict(endings),
        "newest_checkpoint_after_each": newest,
    }  # fmt: skip
    write_record("killed-cpu", f"python benchmarks/killed.py --kills={kills}", record)
    same = digests["alone"] == digests["killed"]
    print(f"{'the same state' if same else 'ANOTHER STATE'} after {kills} signals: {dict(endings)}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
