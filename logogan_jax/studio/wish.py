"""What a browser asks to be drawn."""

from typing import NamedTuple


class Wish(NamedTuple):
    """Pictures that a browser asks for.

    Attributes:
        pictures: for each picture its address, such as "1:17", and how far it is moved along the sliders.
        label: of all pictures, or None.
        truncation: 0 to 1.
        scale: times the size of training.
        transparent: whether the ground is.
    """

    pictures: list[tuple[str, list[float]]]
    label: str | None = None
    truncation: float = 1.0
    scale: int = 1
    transparent: bool = False
