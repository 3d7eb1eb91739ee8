"""The traveller: what a source hands to the step."""

from typing import NamedTuple

import jax


class Batch(NamedTuple):
    """image uint8[draws, b, H, W, C], label int32[draws, b] (0 without labels), index int32[draws, b].

    One draw per player update, in order of play; the pixels of a draw that its player does not look at may be any.
    Within an update the draw axis is gone and the image is float32 in [-1, 1]. `index` is the position in the
    data set.
    """

    image: jax.Array
    label: jax.Array
    index: jax.Array
