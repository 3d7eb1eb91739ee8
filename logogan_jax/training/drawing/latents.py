"""Latent vectors nearer to the mean of their prior, and on the way from one to another."""

import numpy as np

from logogan_jax.core.errors import UserError


def check_truncation(share: float) -> None:
    """Raise a UserError for a --truncation that has no meaning."""
    if not 0 <= share <= 1:  # not a number neither
        raise UserError(f"--truncation={share} should be from 0 (the mean alone) to 1 (as in training)")


def truncate(z: np.ndarray, mean: np.ndarray | float, share: float, kept: int = 0) -> np.ndarray:
    """Return mean + share * (z - mean) for z float32[n, latent], where the last `kept` numbers of each z stay."""
    truncated = np.asarray(mean + np.float32(share) * (z - mean), np.float32)
    truncated[:, z.shape[1] - kept :] = z[:, z.shape[1] - kept :]
    return truncated


def path(ends: np.ndarray, steps: int, mean: np.ndarray | float | None, kept: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Go from each of the latents float32[k, latent] to the next in `steps` steps.

    Latents turn around the `mean` of their prior (slerp), so that they keep a usual length on the way. Without a mean
    the way is straight, within the box of a uniform prior. The last `kept` numbers of each z stay those of the end
    before.

    Returns:
        (z float32[n, latent] with n = steps * (k - 1) + 1, places float32[n] from 0, at the first end, to k - 1).
    """
    places = np.arange(steps * (len(ends) - 1) + 1, dtype=np.float32) / steps
    # The last place belongs to the last way, which ends there.
    before = np.minimum(places.astype(int), len(ends) - 2)
    share = (places - before)[:, None]
    moving = ends.shape[1] - kept
    z = ends[before].copy()
    if mean is None:
        z[:, :moving] += share * (ends[before + 1] - ends[before])[:, :moving]
    else:
        centre = np.broadcast_to(np.asarray(mean, np.float32), ends.shape[1:])[:moving]
        around = ends[:, :moving] - centre
        z[:, :moving] = centre + _slerp(around[before], around[before + 1], share)
    return z.astype(np.float32), places


def _slerp(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Interpolate spherically between rows [n, d]; straight where they point the same way or have no length."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    cosine = (first * second).sum(1) / np.maximum(lengths, 1e-12)
    # Rounding may lead beyond 1 where both point the same way.
    angle = np.arccos(np.clip(cosine, -1, 1))[:, None]
    sine = np.sin(angle)
    # There the formula divides nothing by nothing; its limit is the straight way.
    straight = sine < 1e-4
    safe = np.where(straight, 1, sine)
    one = np.where(straight, 1 - share, np.sin((1 - share) * angle) / safe)
    other = np.where(straight, share, np.sin(share * angle) / safe)
    return one * first + other * second
