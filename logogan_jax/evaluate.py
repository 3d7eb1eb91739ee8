"""Measure a run, or a folder of images: python -m logogan_jax.evaluate --workdir=runs/quickstart.

The command is in evaluation.py. Nothing imports this module, because in Python `logogan_jax.evaluate` is a function.
"""

from logogan_jax.evaluation import command

if __name__ == "__main__":
    command()
