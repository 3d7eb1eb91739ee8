"""The few flat colours of a picture, and which of them each point of it has."""

import numpy as np

from data_prep.pictures.trace import Regions
from logogan_jax.core import images
from logogan_jax.training.drawing import transparency

WHITE = "#ffffff"
MOST = 16  # colours of a picture, at most
APART = 48  # levels of 255 by which two colours differ in some channel
_FLAT = 16  # levels by which neighbours may differ where a picture is flat
_LEAST = 0.01  # share of the picture that a colour other than the first fills


def of_inks(shares: np.ndarray, inks: np.ndarray, ground: str, *, enlarged: int, scale: int) -> Regions:
    """Return the Regions of a mark: of the ink, or the ground, that covers most of each point.

    Args:
        shares: of each point that inks cover, uint8[H, W, k].
        inks: uint8[k, 1|3].
        ground: its colour, or "" for none.
        enlarged: times the size of training that H and W are.
        scale: times the size of training that the drawing is to have.
    """
    # Shares are rounded one by one, so that their sum may be above 255.
    rest = 255 - np.minimum(shares.sum(-1, dtype=np.int32), 255)
    number = np.concatenate([rest[..., None], shares], -1).argmax(-1).astype(np.uint8)
    return _regions(number, _hexadecimal(inks), ground, enlarged, scale)


def of_picture(picture: np.ndarray, *, enlarged: int, scale: int) -> Regions:
    """Return the Regions of a picture uint8[H, W, 1|3|4]; transparent is what is less than half opaque.

    An edge gets one of the colours around it, never one between them.
    """
    picture = transparency.with_alpha(picture)
    colour = picture[..., :3]
    opaque = picture[..., 3] >= 128
    flat = _is_flat(colour) & opaque
    palette = _choose_flat(colour, flat, opaque)
    count = len(palette)
    palette = _add_unexplained(palette, colour[opaque])
    distance = _distances(colour, palette)
    nearest = distance.argmin(-1)
    # A flat colour is sure where the picture is flat or hardly differs from it, one of thin strokes where it is near.
    sure = np.where(np.arange(len(palette)) < count, flat[..., None] | (distance < APART // 2), distance < APART)
    around = np.stack([_grown(sure[..., i] & (nearest == i), 2) for i in range(len(palette))], -1)
    around |= ~around.any(-1, keepdims=True)  # far from any sure colour each will do
    # Edges are found in the enlarged picture: its points are finer than pixels.
    points = images.enlarge(picture[None], enlarged)[0]
    allowed = around.repeat(enlarged, 0).repeat(enlarged, 1)
    where = np.where(allowed, _distances(points[..., :3], palette), 1000).argmin(-1) + 1
    number = np.where(points[..., 3] >= 128, where, 0).astype(np.uint8)
    colours = _hexadecimal(palette)
    if number.all():  # opaque: the commonest colour is the ground
        return _regions(number - 1, colours[1:], colours[0], enlarged, scale)
    return _regions(number, colours, "", enlarged, scale)


def _regions(number: np.ndarray, colours: tuple[str, ...], ground: str, enlarged: int, scale: int) -> Regions:
    height, width = (side // enlarged * scale for side in number.shape)
    return Regions(number, colours, ground, width, height, enlarged)


def _hexadecimal(colours: np.ndarray) -> tuple[str, ...]:
    """Return colours uint8[k, 1|3] such as "#ff8800"."""
    return tuple("#{:02x}{:02x}{:02x}".format(*colour) for colour in np.broadcast_to(colours, (len(colours), 3)))


def _distances(colour: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return how far each pixel is from each colour: uint8[H, W, 3] and uint8[k, 3] -> int16[H, W, k]."""
    return np.abs(colour[:, :, None].astype(np.int16) - palette).max(-1)


def _is_flat(picture: np.ndarray) -> np.ndarray:
    """Return where a picture differs little from its four neighbours: bool[H, W]."""
    padded = np.pad(picture.astype(np.int16), ((1, 1), (1, 1), (0, 0)), mode="edge")
    inner = padded[1:-1, 1:-1]
    others = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.max([np.abs(inner - other).max(-1) for other in others], axis=0) <= _FLAT


def _choose_flat(picture: np.ndarray, flat: np.ndarray, opaque: np.ndarray) -> np.ndarray:
    """Choose the colours of the flat parts of a picture, the commonest first: uint8[k, 3], k from 1 to MOST."""
    rows = picture[flat] if flat.sum() > _LEAST * opaque.sum() else picture[opaque]
    rows = rows if len(rows) else np.zeros((1, 3), np.uint8)
    left = rows.astype(np.int16)
    chosen: list[np.ndarray] = []
    while len(left) > (_LEAST * len(rows) if chosen else 0) and len(chosen) < MOST:
        coarse, counts = np.unique(left // 32, axis=0, return_counts=True)
        centre = np.median(left[(left // 32 == coarse[counts.argmax()]).all(-1)], axis=0)
        alike = np.abs(left - centre).max(-1) < APART
        chosen.append(np.rint(np.median(left[alike], axis=0)).astype(np.uint8))
        left = left[~alike]
    return np.stack(chosen)


def _add_unexplained(palette: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Add colours for pixels uint8[n, 3] that are no mixture of two colours, as those of thin strokes."""
    values = rows.astype(np.float32)
    while len(palette) < MOST:
        unexplained = _from_mixtures(values, palette.astype(np.float32)) >= APART
        if unexplained.sum() <= _LEAST * len(values):
            break
        left = values[unexplained]
        # The furthest from all colours: what is between it and them will be a mixture.
        furthest = left[np.abs(left[:, None] - palette).max(-1).min(-1).argmax()]
        alike = left[np.abs(left - furthest).max(-1) < APART]
        palette = np.concatenate([palette, np.rint(np.median(alike, axis=0)).astype(np.uint8)[None]])
    return palette


def _from_mixtures(values: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return how far float32[n, 3] are from the nearest mixture of two colours of float32[k, 3]: float32[n]."""
    least = np.abs(values[:, None] - palette).max(-1).min(-1)
    for i, first in enumerate(palette):
        for second in palette[:i]:
            along = second - first
            # Between the two colours, not beyond them. The same colour twice is divided by 1.
            share = np.clip((values - first) @ along / max(float(along @ along), 1.0), 0, 1)
            least = np.minimum(least, np.abs(values - first - share[:, None] * along).max(-1))
    return least


def _grown(mask: np.ndarray, by: int) -> np.ndarray:
    padded = np.pad(mask, by)
    # Views, not copies: a square around each pixel.
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * by + 1, 2 * by + 1))
    return np.asarray(windows.any((-1, -2)))
