"""Pictures on a transparent ground: RGBA with straight alpha, from inks or from a ground of one colour."""

import numpy as np

UNIFORM = 0.75  # share of the border that must be of the ground's colour
NOISE = 24  # levels of 255 by which a ground may vary
_REACH = 2  # pixels from the ground within which an edge is partly transparent


def from_inks(shares: np.ndarray, inks: np.ndarray) -> np.ndarray:
    """Return uint8[n, H, W, 4] of inks uint8[n, k, 3] that cover shares uint8[n, H, W, k] of each pixel."""
    weights = shares.astype(np.float32)
    total = weights.sum(-1, keepdims=True)
    colour = np.einsum("nhwk,nkc->nhwc", weights, inks.astype(np.float32)) / np.maximum(total, 1)
    return np.concatenate([np.rint(colour), np.minimum(total, 255)], -1).astype(np.uint8)


def from_ground(pixels: np.ndarray) -> np.ndarray:
    """Return pictures uint8[n, H, W, 1|3] as uint8[n, H, W, 4], transparent where a ground of one colour is."""
    return np.stack([_without_ground(picture) for picture in with_alpha(pixels)])


def with_alpha(pixels: np.ndarray) -> np.ndarray:
    """Return opaque pictures uint8[..., 1|3], or those that have alpha, as uint8[..., 4]."""
    if pixels.shape[-1] == 4:
        return pixels
    colour = np.broadcast_to(pixels, (*pixels.shape[:-1], 3))
    return np.concatenate([colour, np.full((*colour.shape[:-1], 1), 255, np.uint8)], -1)


def opaque(pixels: np.ndarray) -> np.ndarray:
    """Return which pictures uint8[n, H, W, 4] are opaque everywhere: bool[n]."""
    return (pixels[..., 3] == 255).all((1, 2))


def ground_of(picture: np.ndarray) -> np.ndarray | None:
    """Return the colour of the border of uint8[H, W, 3] as float32[3], or None where it has no one colour."""
    border = np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]]).astype(np.float32)
    ground = np.median(border, axis=0)
    return ground if (np.abs(border - ground).max(-1) <= NOISE).mean() >= UNIFORM else None


def _without_ground(picture: np.ndarray) -> np.ndarray:
    ground = ground_of(picture[..., :3])
    if ground is None:
        return picture
    difference = picture[..., :3] - ground
    distance = np.abs(difference).max(-1)
    is_ground = distance <= NOISE
    near = _highest(is_ground, _REACH)
    # An edge between ground and mark is a mixture of the two: what it lacks of the mark's distance is transparent.
    share = np.where(near, distance / np.maximum(_highest(distance, _REACH), 1), 1)
    share = np.where(is_ground, 0, share)
    colour = ground + difference / np.maximum(share, 1e-3)[..., None]
    values = np.concatenate([colour * (share > 0)[..., None], 255 * share[..., None]], -1)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _highest(values: np.ndarray, reach: int) -> np.ndarray:
    """Return the highest value within `reach` pixels of each pixel: [H, W] -> [H, W]."""
    padded = np.pad(values, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, 2 * reach + 1))
    return windows.max((-1, -2))
