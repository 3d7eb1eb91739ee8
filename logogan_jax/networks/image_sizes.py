"""Which image sizes a network can make: a small base, doubled."""

from logogan_jax.core.errors import UserError

SMALL, LARGEST = 7, 15  # halving ends where the longer side is small; an odd side ends it earlier, up to the largest


def base_and_doublings(size):
    """(28, 28) -> ((7, 7), 2), (64, 64) -> ((4, 4), 4), (96, 48) -> ((6, 3), 4): halve while both sides are even."""
    (height, width), doublings = size, 0
    while max(height, width) > SMALL and height % 2 == 0 and width % 2 == 0:
        height, width, doublings = height // 2, width // 2, doublings + 1
    if max(height, width) > LARGEST or min(height, width) < 1 or doublings < 2:
        raise UserError(_refusal(*size))
    return (height, width), doublings


def _refusal(height, width):
    few = f"from {SMALL // 2 + 1} to {LARGEST}"
    if height == width:
        return (
            f"config.data.size is {height}: it should be a number {few} doubled at least twice, "
            f"such as 28, 56, 112 or 32, 64, 128"
        )
    return (
        f"config.data.size is {height} and config.data.width {width}: they should be two numbers, the larger {few}, "
        f"doubled equally often and at least twice, such as 96 and 48, 48 and 96 or 64 and 128"
    )
