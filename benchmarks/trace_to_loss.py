"""Print the calls that lead from the training command to the loss of an objective, as JSON.

    cd TREE && PYTHONPATH=TREE python benchmarks/trace_to_loss.py SHARDS WORKDIR

TREE is a checkout of this repository, of this commit or of an older one. The command trains the quickstart with tiny
networks on SHARDS, a folder of images at 28 pixels, and stops when JAX traces the loss for the first time. The output
is one list, outermost call first, of the frames in logogan_jax: `[[file, function], ...]`. structure.py counts them.
"""

import functools
import json
import os
import pathlib
import runpy
import sys
import traceback

FLAGS = (
    "--config=configs/quickstart.py", "--config.train.steps=1", "--config.train.batch_size=8",
    "--config.model.width=4", "--config.evaluate.every_images=0",
)  # fmt: skip


def frames_to(loss) -> list[list[str]]:
    """List our frames of the current call stack from the function `main` on, and `loss` itself as the last one."""
    package = pathlib.Path.cwd() / "logogan_jax"
    stack = [(pathlib.Path(frame.filename), frame.name) for frame in traceback.extract_stack()]
    stack.append((pathlib.Path(loss.__code__.co_filename), loss.__name__))
    ours = [[path.relative_to(package).as_posix(), name] for path, name in stack if path.is_relative_to(package)]
    return ours[ours.index(["main.py", "main"]) :]


def reporting(player):
    """Return the player with a loss that prints the calls that lead to it, and ends the process."""

    @functools.wraps(player.loss)
    def loss(nets, batch, keys):
        print(json.dumps(frames_to(player.loss)), flush=True)
        os._exit(0)

    return player._replace(loss=loss)


def main() -> None:
    """Run the training command with the reporting loss."""
    shards, workdir = sys.argv[1:]
    from logogan_jax import objectives

    make = objectives.OBJECTIVES["gan"]

    @functools.wraps(make)  # the config's keys are checked against its parameters
    def gan(**values):
        objective = make(**values)
        return objective._replace(players=tuple(map(reporting, objective.players)))

    objectives.OBJECTIVES["gan"] = gan
    sys.argv = ["logogan_jax.main", *FLAGS, f"--config.data.dir={shards}", f"--workdir={workdir}"]
    runpy.run_module("logogan_jax.main", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
