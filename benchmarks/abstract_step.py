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

    `program` is the compile-ready function, `arguments` its (state, feed) as shapes, and `model` the Model whose state
    has shapes in the place of arrays.
    """

    def __init__(self, name: str, devices: list[jax.Device]):
        config = shipped.get_config(name)
        config.train.update(batch_size=BATCH, dtype="float32")
        config = build_training.resolved(config)
        height, width = build_model.size_of(config)
        about = DatasetInfo("", IMAGES, {})
        models = []

        def init_state():
            models.append(build_model.of(config, about))
            return models[0].state

        state = jax.eval_shape(init_state)  # no weight is drawn
        self.model = models[0]._replace(state=state)
        parallel = data_parallel.DataParallel(config.train.parallel, BATCH, devices)
        self.program = build_training.programs(config, self.model, parallel, InMemorySource)(1)
        pixels = jax.ShapeDtypeStruct((IMAGES, height, width, config.data.channels), jnp.uint8)
        label = jax.ShapeDtypeStruct((IMAGES,), jnp.int32)
        index = jax.ShapeDtypeStruct((1, self.model.objective.batches_per_step, BATCH), jnp.int32)
        shard = lambda shape, spec: shape.update(sharding=NamedSharding(parallel.mesh, spec))
        feed = Feed(*map(shard, (pixels, label, index), InMemorySource.specs))
        self.arguments = (jax.tree.map(lambda shape: shard(shape, data_parallel.REPLICATED), state), feed)

    def state_bytes(self) -> int:
        """Return the bytes of the state."""
        return nbytes(self.model.state)

    def gradient_bytes(self) -> int:
        """Return the bytes of all gradients of all updates of a step."""
        params = self.model.state.params
        players = self.model.objective.players
        return sum(player.updates * nbytes(params[name]) for player in players for name in player.trains)


def nbytes(tree: Any) -> int:
    """Return the bytes of the arrays of a pytree."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
