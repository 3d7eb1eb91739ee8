"""The run of each objective that a CPU finishes in minutes: 28 pixels, narrow networks, the embedded logos."""

import json
import pathlib
import shlex
import subprocess
import sys

from record import ROOT

_NARROW = "--config.model.width=16 --config.train.batch_size=32 --config.train.ema_images=5000"
# About five minutes of training on two cores, and the name by which a reader knows the objective.
RUNS = {
    "dcgan": ("DCGAN", "--config=configs/quickstart.py --config.train.steps=8000"),
    "wgan_gp": (
        "WGAN-GP",
        f"--config=configs/wgan28.py {_NARROW} --config.optimizer.generator.learning_rate=4e-4 "
        "--config.optimizer.critic.learning_rate=4e-4 --config.train.steps=2250 "
        "--config.evaluate.every_images=16000 --config.evaluate.samples=256",
    ),
}


def command(objective, *more):
    """The command line that trains an objective, as words, with flags that go before its own."""
    return ["python", "-m", "logogan_jax.main", *shlex.split(RUNS[objective][1]), *more]


def run(words):
    """Run a command line of `command` -> (status, last line on stderr)."""
    done = subprocess.run([sys.executable, *words[1:]], cwd=ROOT, text=True, capture_output=True)
    return done.returncode, (done.stderr.strip().splitlines() or [""])[-1]


def summary(workdir):
    """The summary.json of a run."""
    return json.loads((pathlib.Path(workdir) / "summary.json").read_text())
