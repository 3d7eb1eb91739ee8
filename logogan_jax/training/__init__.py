"""One training step, and everything that a run of them needs."""
