"""The first layers of a critic that stay as they are, as in FreezeD (Mo et al. 2020, arXiv 2002.10964).

Low layers of a critic know edges and textures of any images. With few images they overfit, so a critic that comes from
another run keeps them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from logogan_jax.core.errors import UserError
from logogan_jax.networks.augmented_critic import AugmentedCritic


def first_layers(critic: nnx.Module, count: int) -> tuple[str, ...]:
    """Return the starts of the names of the parameters in a critic's first `count` layers: ("convs/0/", ...).

    Raises a UserError if the critic has not so many, the last one left out.
    """
    # A wrapper augments the images and has no layers. Its critic's parameters have one more name before theirs.
    inside = "critic/" if isinstance(critic, AugmentedCritic) else ""
    network: Any = critic.critic if isinstance(critic, AugmentedCritic) else critic
    names = []
    for name in getattr(network, "LAYERS", ()):
        part = getattr(network, name)
        # A list of convolutions counts each of them.
        names += [f"{name}/{i}" for i in range(len(part))] if isinstance(part, nnx.List) else [name]
    if count > len(names):
        raise UserError(
            f"config.train.freeze_critic is {count}: this critic has {len(names)} layers that can be frozen "
            f"({', '.join(names) or 'it names none by LAYERS'}), so it should be at most {len(names)}"
        )
    return tuple(f"{inside}{name}/" for name in names[:count])


def freeze(optimizer: optax.GradientTransformation, starts: tuple[str, ...]) -> optax.GradientTransformation:
    """Return an optimizer that does not move the parameters whose names begin so."""

    def still(path: Any, update: jax.Array) -> jax.Array:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return jnp.zeros_like(update) if name.startswith(starts) else update

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        # What the optimizer returns is set to zero, not what it gets: so this holds for any optimizer.
        updates, state = optimizer.update(updates, state, params)
        return jax.tree_util.tree_map_with_path(still, updates), state

    return optax.GradientTransformation(optimizer.init, update)
