"""A CPU trains by oneDNN's convolutions where XLA has them, and by XLA's own elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logogan_jax.core import compiler, target
from logogan_jax.networks import conv, conv_geometry


@pytest.fixture
def asked_anew():
    compiler._compiles_to_onednn.cache_clear()
    yield
    compiler._compiles_to_onednn.cache_clear()


def test_options_are_those_of_the_target():
    assert bool(compiler.options()) == compiler.has_onednn()
    for other in ("gpu", "tpu", "onnx"):
        with target.tracing_for(other):
            assert compiler.options() == {} and not compiler.has_onednn()


def test_a_jax_that_does_not_know_an_option_gets_none(asked_anew, monkeypatch):
    monkeypatch.setattr(compiler, "_ONEDNN", {"xla_cpu_that_is_no_option": True})
    assert compiler.options() == {} and not compiler.has_onednn()


def test_a_jax_that_ignores_the_options_gets_none(asked_anew, monkeypatch):
    monkeypatch.setattr(compiler, "_ONEDNN", {"xla_cpu_enable_fast_math": False})
    assert compiler.options() == {}


@pytest.mark.skipif("not compiler.has_onednn()", reason="this JAX has no convolutions of oneDNN")
def test_the_maps_and_their_derivatives_are_the_same_by_onednn():
    geometry = conv_geometry.same((14, 14), 4, 2)
    random = np.random.default_rng(0)
    x, w, y = (
        jnp.asarray(random.normal(size=shape), jnp.float32)
        for shape in ((8, 14, 14, 16), (4, 4, 16, 32), (8, 7, 7, 32))
    )

    def derivatives(x, w, y):
        value, transpose = jax.vjp(lambda x, w: conv.conv(x, w, geometry), x, w)
        return value, *transpose(y)

    lowered = jax.jit(derivatives).lower(x, w, y)
    by_onednn = lowered.compile(compiler_options=compiler.options())
    assert by_onednn.as_text().count("onednn$convolution") >= 3
    for found, expected in zip(by_onednn(x, w, y), lowered.compile()(x, w, y), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize("onednn", [False, True])
def test_filter_gradients_are_the_same_in_both_forms(onednn, monkeypatch):
    monkeypatch.setattr(compiler, "has_onednn", lambda: onednn)
    jax.clear_caches()
    geometry = conv_geometry.same((9, 8), 4, 2)
    random = np.random.default_rng(0)
    x = random.normal(size=(11, 9, 8, 3)).astype(np.float32)
    y = random.normal(size=(11, *geometry.out_size, 5)).astype(np.float32)
    convolve = lambda w: jax.lax.conv_general_dilated(
        x, w, (2, 2), geometry.padding, dimension_numbers=conv_geometry.NHWC
    )
    (expected,) = jax.vjp(convolve, jnp.zeros((4, 4, 3, 5)))[1](jnp.asarray(y))
    found = conv.filter_grad(jnp.asarray(x), jnp.asarray(y), geometry)
    jax.clear_caches()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
