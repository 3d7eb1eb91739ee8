"""A critic that sees images only through random views of them: see logogan_jax/networks/diffaugment.py."""

import jax.numpy as jnp
from flax import nnx

from logogan_jax.core import prng as randomness


class Strength(nnx.Variable):
    """float32[] in [0, 1]: how likely an image gets each transform of a view; not learned, but it may adapt."""


class Viewed(nnx.Module):
    """The critic, called as it is itself, behind `view(row_keys, images, strength) -> images` while it trains."""

    def __init__(self, critic, view, strength):
        self.critic, self.view = critic, view
        self.strength = Strength(jnp.float32(strength))

    def __call__(self, x, label=None, *, keys=None, train):
        """As the critic; training takes one key per row, whose images share a view where they share a key."""
        if train:
            keys, view_keys = randomness.split(keys, 2)
            x = self.view(view_keys, x, self.strength[...])
        return self.critic(x, label, keys=keys, train=train)
