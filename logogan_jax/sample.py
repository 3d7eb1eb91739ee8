"""Draw logos from a run: python -m logogan_jax.sample --workdir=runs/quickstart --num=64 --seed=1 --out=DIR."""

import pathlib

import jax
import numpy as np
from absl import flags

from logogan_jax import build, checkpoint, command, images, keys, recipe
from logogan_jax.errors import UserError

CHUNK = 64  # pictures drawn at a time

_WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run to draw from")
_NUM = flags.DEFINE_integer("num", 64, "how many pictures", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "which pictures: the same seed draws the same")
_OUT = flags.DEFINE_string("out", None, "new folder for 00000.png, 00001.png, ... and grid.png")


def sample(workdir, *, num, seed):
    """uint8[num, S, S, C] by the averaged generator of the newest checkpoint in a run's folder, and its step."""
    workdir = pathlib.Path(workdir).expanduser()
    config, _ = recipe.read(workdir)
    if config is None:
        raise UserError(f"--workdir={workdir} holds no run (no config.json): give the folder that training wrote to")
    made = build.model(config)
    checkpoints = checkpoint.Checkpoints(workdir / "checkpoints", config.report.keep, read_only=True)
    step = checkpoints.latest()
    if step is None:
        raise UserError(f"{workdir} has no checkpoint yet: train it, or wait until its first one is written")
    state = checkpoints.restore(step, made.state)
    key = keys.at(jax.random.key(seed), keys.SAMPLE)
    drawn = [made.generate(state, key, np.arange(at, at + CHUNK)) for at in range(0, num, CHUNK)]
    return np.concatenate(jax.device_get(drawn))[:num], step


def write(folder, pixels):
    """Write each picture and one grid of the first hundred into a new folder."""
    folder = pathlib.Path(folder).expanduser()
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"--out={folder} is not empty: choose a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pixels):
        images.write_png(folder / f"{i:05d}.png", picture)
    images.write_sheet(folder / "grid.png", pixels[:100])


def main():
    """The command."""
    pixels, step = sample(_WORKDIR.value, num=_NUM.value, seed=_SEED.value)
    write(_OUT.value, pixels)
    print(f"{len(pixels)} pictures and grid.png of step {step} are in {_OUT.value}")


if __name__ == "__main__":
    command.run(main, required=["workdir", "out"])
