"""The metrics of several steps, as one array on the devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MetricRows:
    """Metrics by name, a row for each step. An array for each name would be a kernel and a transfer of its own.

    Attributes:
        names: of the columns.
        rows: float32[steps, names].
    """

    names: tuple[str, ...] = dataclasses.field(metadata={"static": True})
    rows: jax.Array

    def by_step(self) -> list[dict[str, float]]:
        """Return the metrics of each step by name, brought to the host."""
        return [dict(zip(self.names, row, strict=True)) for row in np.asarray(self.rows, np.float64).tolist()]


def row(metrics: dict[str, jax.Array]) -> MetricRows:
    """Return the metrics of one step, float32[] by name, as a row float32[names]. Rows stacked are those of steps."""
    return MetricRows(tuple(metrics), jnp.stack([*metrics.values()]))
