"""Which image sizes a generator can make: a small base, doubled."""

from logogan_jax.errors import UserError

LARGEST_BASE = 7


def base_and_doublings(size):
    """28 -> (7, 2), 56 -> (7, 3), 112 -> (7, 4), 64 -> (4, 4): halve until the side is at most 7."""
    base, doublings = size, 0
    while base > LARGEST_BASE and base % 2 == 0:
        base, doublings = base // 2, doublings + 1
    if base > LARGEST_BASE or doublings < 2:
        raise UserError(
            f"config.data.size is {size}: it should be a number from 4 to {LARGEST_BASE} doubled at "
            f"least twice, such as 28, 56, 112 or 32, 64, 128"
        )
    return base, doublings
