"""Sums of squares, in the form for a CPU and in that for accelerators."""

import jax
import numpy as np
import pytest

from logogan_jax.core import sums, target

# A number, less than a fold, odd lengths around the limit, a prime number of rows, filters, and an empty array.
SHAPES = [
    (),
    (3,),
    (4096,),
    (4097,),
    (6272,),
    (100, 1024),
    (4099, 3),
    (4, 4, 64, 128),
    (5, 5, 1, 7),
    (3, 3, 700, 1),
    (0,),
]


@pytest.mark.parametrize("backend", ["cpu", "gpu", "tpu"])
def test_each_array_has_the_sum_of_its_squares(backend):
    rng = np.random.default_rng(0)
    # Some large and some small, so that no array's sum can stand for another's.
    arrays = [(10.0 ** (i % 4) * rng.normal(size=shape)).astype(np.float32) for i, shape in enumerate(SHAPES)]
    with target.tracing_for(backend):
        found = jax.jit(sums.sums_of_squares)(arrays)
    assert found.shape == (len(SHAPES),) and found.dtype == np.float32
    np.testing.assert_allclose(found, [np.square(array, dtype=np.float64).sum() for array in arrays], rtol=1e-5)


def test_one_array_alone_is_a_vector_of_one():
    for backend in ("cpu", "gpu"):
        with target.tracing_for(backend):
            assert sums.sums_of_squares([np.full((2, 3), 2, np.float32)]).tolist() == [24.0]
