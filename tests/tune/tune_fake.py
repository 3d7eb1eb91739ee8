"""The tuning command with trials that run fake_training.py."""

import sys

from fake_training import __file__ as fake_training

from logogan_jax.core import cli
from logogan_jax.tune import __main__ as tune

if __name__ == "__main__":
    cli.run(lambda: tune.main((sys.executable, fake_training)), tune.define, required=["config"])
