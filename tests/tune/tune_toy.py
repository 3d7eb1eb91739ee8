"""The tuning command with trials that train networks of two layers."""

import sys

from toy_command import __file__ as toy_training

from logogan_jax.core import cli
from logogan_jax.tune import __main__ as tune

if __name__ == "__main__":
    cli.run(lambda: tune.main((sys.executable, toy_training)), tune.define, required=["config"])
