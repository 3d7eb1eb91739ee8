"""Metrics of several steps travel as one array and come back by step and name."""

import jax
import jax.numpy as jnp

from logogan_jax.training import metric_rows
from logogan_jax.training.metric_accumulator import MetricAccumulator


def rows(*steps):
    """The rows of some steps, as a program returns them."""

    def program(values):
        found = [metric_rows.row({"critic/loss": value, "critic/gap": value + 1}) for value in values]
        return jax.tree.map(lambda *rows: jnp.stack(rows), *found)

    return jax.jit(program)(jnp.array(steps, jnp.float32))


def test_a_program_returns_one_array_with_the_names():
    found = rows(0.5, 2.0, 4.0)
    assert len(jax.tree.leaves(found)) == 1 and found.rows.shape == (3, 2)
    assert found.by_step()[1] == {"critic/loss": 2.0, "critic/gap": 3.0}


def test_a_loop_over_steps_returns_the_same():
    step = lambda state, value: (state, metric_rows.row({"critic/loss": value, "critic/gap": value + 1}))
    _, found = jax.lax.scan(step, 0, jnp.array([0.5, 2.0, 4.0]))
    assert found.by_step() == rows(0.5, 2.0, 4.0).by_step()


def test_the_first_number_that_is_not_finite_has_the_number_of_its_step():
    accumulator = MetricAccumulator()
    accumulator.add(10, rows(1.0, 2.0, 3.0))
    accumulator.add(13, rows(4.0, float("nan"), float("inf")))
    bad = accumulator.fetch()
    assert bad is not None and (bad.step, bad.name) == (12, "critic/loss")
    assert accumulator.mean() == {"critic/loss": 2.5, "critic/gap": 3.5}
