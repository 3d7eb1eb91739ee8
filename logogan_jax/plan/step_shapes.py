"""The program that trains a config, made from shapes alone: nothing is computed, and no device need be there."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from ml_collections import ConfigDict

from logogan_jax.config import build_model, build_networks, build_training
from logogan_jax.data import in_memory, sources
from logogan_jax.data.batch import Batch
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.distributed import data_parallel
from logogan_jax.training import flops


class StepShapes:
    """The train step of a resolved config as shapes only, on some devices.

    Attributes:
        program: the function to lower and compile.
        arguments: its (state, feed), as shapes with their sharding.
        model: the Model.
        state: the shapes of its state.
        steps: the steps that one run of the program takes.
    """

    def __init__(
        self, config: ConfigDict, info: DatasetInfo, devices: Sequence[Any], *, source: str = "resident", steps: int = 0
    ):
        """Make the program that trains.

        Args:
            config: the config.
            info: number and labels of the images to train on.
            devices: jax.Devices, which may be those of a topology.
            source: "resident" images are in the memory of every device, those of a "stream" come with each program.
            steps: of the program; 0 for as many as training dispatches at a time.
        """
        self.model = build_model.build_model(config, info)
        self.state = jax.eval_shape(self.model.init_state)  # no weight is drawn
        parallel = data_parallel.DataParallel(config.train.parallel, config.train.batch_size, devices)
        kind = sources.SOURCES[source]
        runner = build_training.make_runner(config, self.model, parallel, kind)
        self.steps = steps or runner.steps_per_dispatch
        self.program = runner.program(self.steps)
        place = lambda shape, spec: shape.update(sharding=NamedSharding(parallel.mesh, spec))
        feed = _feed(config, info, (self.steps, self.model.objective.batches_per_step), source)
        layout = data_parallel.broadcast_spec(runner.layout, self.state)
        state = jax.tree.map(place, self.state, layout)
        specs = data_parallel.broadcast_spec(kind.specs, feed)
        self.arguments = (state, jax.tree.map(place, feed, specs))

    def state_bytes(self) -> int:
        """Return the bytes of the state on one device."""
        state, _ = self.arguments
        return nbytes(jax.tree.map(lambda leaf: leaf.update(shape=leaf.sharding.shard_shape(leaf.shape)), state))

    def gradient_bytes(self) -> int:
        """Return the bytes of all gradients of all updates of a step."""
        params = self.state.params
        players = self.model.objective.players
        return sum(player.updates * nbytes(params[name]) for player in players for name in player.trains)

    def flops(self) -> int:
        """Return the floating-point operations of the products of a step on all devices, as flops.py counts them."""
        return flops.count_flops(self.program, *self.arguments) // self.steps


def _feed(config: ConfigDict, info: DatasetInfo, steps_and_draws: tuple[int, int], source: str) -> Any:
    """Return the feed of a program as shapes."""
    height, width = build_networks.image_size(config)
    image = (height, width, config.data.channels)
    rows = (*steps_and_draws, config.train.batch_size)
    # A feed holds arrays; here it holds their shapes.
    shape: Any = jax.ShapeDtypeStruct
    index = shape(rows, jnp.int32)
    if source == "resident":
        whole = shape(in_memory.packed_shape(info.images, image), jnp.uint8)
        return in_memory.Feed(whole, shape((0, *image), jnp.uint8), shape((info.images,), jnp.int32), index)
    return Batch(shape((*rows, *image), jnp.uint8), index, index)


def nbytes(tree: Any) -> int:
    """Return the bytes of the arrays of a pytree."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
