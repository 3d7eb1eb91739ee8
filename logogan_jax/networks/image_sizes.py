"""The image sizes that networks can make: a small base size, doubled."""

from logogan_jax.core.errors import UserError

Size = tuple[int, int]  # height and width

# The walkthrough's base: 7 doubled 2, 3 and 4 times is 28, 56 and 112.
SMALL = 7  # halving ends where the longer side is at most this
LARGEST_BASE = 15  # halving ends earlier at an odd side, which is at most this


def base_and_doublings(size: Size) -> tuple[Size, int]:
    """Halve both sides while they are even: (28, 28) -> ((7, 7), 2), (64, 64) -> ((4, 4), 4), (96, 48) -> ((6, 3), 4).

    Raises a UserError where no base of at most 15 pixels is left or the size is halved less than twice.
    """
    height, width = size
    doublings = 0
    while max(height, width) > SMALL and height % 2 == 0 and width % 2 == 0:
        height //= 2
        width //= 2
        doublings += 1
    if max(height, width) > LARGEST_BASE or min(height, width) < 1 or doublings < 2:
        raise UserError(_refusal(*size))
    return (height, width), doublings


def double(size: Size) -> Size:
    """(7, 7) -> (14, 14)."""
    return 2 * size[0], 2 * size[1]


def halve(size: Size) -> Size:
    """(14, 14) -> (7, 7)."""
    return size[0] // 2, size[1] // 2


def _refusal(height: int, width: int) -> str:
    base = f"from {SMALL // 2 + 1} to {LARGEST_BASE}"
    if height == width:
        return (
            f"config.data.size is {height}: it should be a number {base} doubled at least twice, "
            f"such as 28, 56, 112 or 32, 64, 128"
        )
    return (
        f"config.data.size is {height} and config.data.width {width}: they should be two numbers, the larger {base}, "
        f"doubled equally often and at least twice, such as 96 and 48, 48 and 96 or 64 and 128"
    )
