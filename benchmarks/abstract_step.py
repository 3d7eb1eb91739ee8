"""Make the train step of a shipped config from shapes, without computing anything, so that counted.py can count it."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding

from logogan_jax.config import build_model, build_training, shipped
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.data.in_memory import Feed, InMemorySource
from logogan_jax.distributed import data_parallel

BATCH = 16
IMAGES = 64  # in the data set


class AbstractStep:
    """The train step of a shipped config as shapes only, on some devices: nothing is computed.

    `program` is the function to compile, `arguments` its (state, feed) as shapes, `model` the Model, and `state` the
    shapes of its state.
    """

    def __init__(self, name: str, devices: list[jax.Device]):
        config = shipped.get_config(name)
        config.train.update(batch_size=BATCH, dtype="float32")
        config = build_training.resolve(config)
        height, width = build_model.image_size(config)
        labels = {"one": IMAGES // 2, "other": IMAGES // 2} if config.data.labels else {}
        self.model = build_model.build_model(config, DatasetInfo("", IMAGES, labels))
        self.state = jax.eval_shape(self.model.init_state)  # no weight is drawn
        parallel = data_parallel.DataParallel(config.train.parallel, BATCH, devices)
        self.program = build_training.make_runner(config, self.model, parallel, InMemorySource).program(1)
        pixels = jax.ShapeDtypeStruct((IMAGES, height, width, config.data.channels), jnp.uint8)
        label = jax.ShapeDtypeStruct((IMAGES,), jnp.int32)
        index = jax.ShapeDtypeStruct((1, self.model.objective.batches_per_step, BATCH), jnp.int32)
        shard = lambda shape, spec: shape.update(sharding=NamedSharding(parallel.mesh, spec))
        feed = Feed(*map(shard, (pixels, label, index), InMemorySource.specs))
        self.arguments = (jax.tree.map(lambda shape: shard(shape, data_parallel.REPLICATED), self.state), feed)

    def state_bytes(self) -> int:
        """Return the bytes of the state."""
        return nbytes(self.state)

    def gradient_bytes(self) -> int:
        """Return the bytes of all gradients of all updates of a step."""
        params = self.state.params
        players = self.model.objective.players
        return sum(player.updates * nbytes(params[name]) for player in players for name in player.trains)


def nbytes(tree: Any) -> int:
    """Return the bytes of the arrays of a pytree."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
