"""Latent vectors nearer to the mean of their prior, where pictures are usual and alike."""

import numpy as np


def truncate(z: np.ndarray, mean: np.ndarray | float, share: float, kept: int = 0) -> np.ndarray:
    """Return mean + share * (z - mean) for z float32[n, latent], where the last `kept` numbers of each z stay."""
    truncated = np.asarray(mean + np.float32(share) * (z - mean), np.float32)
    truncated[:, z.shape[1] - kept :] = z[:, z.shape[1] - kept :]
    return truncated
