"""The batch that a source hands to the training step."""

from typing import NamedTuple

import jax
import numpy as np


class Batch(NamedTuple):
    """Images with their labels and their positions in the data set.

    image: uint8[draws, b, H, W, C]; label: int32[draws, b], 0 without labels; index: int32[draws, b].
    There is one draw for each player's update, in order of play. The pixels of a draw whose player needs no real
    images are arbitrary.
    """

    image: jax.Array | np.ndarray
    label: jax.Array | np.ndarray
    # Nobody searches a batch with tuple.index.
    index: jax.Array | np.ndarray  # pyright: ignore[reportIncompatibleMethodOverride]
