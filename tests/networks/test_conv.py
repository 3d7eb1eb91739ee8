"""The three maps are what they say, are each other's transposes, and never meet XLA's slow convolutions."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT
from jax import lax

from logogan_jax.config import shipped
from logogan_jax.networks import conv, conv_forms, conv_geometry, image_sizes

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import counted
import programs
from abstract_step import AbstractStep

GEOMETRIES = [
    conv_geometry.same((9, 8), 4, 1),
    conv_geometry.same((9, 8), 4, 2),
    conv_geometry.same((7, 7), 5, 2),
    conv_geometry.same((8, 8), 6, 2),
    conv_geometry.same((28, 28), 5, 2),
    conv_geometry.same((4, 4), 6, 2),  # a filter larger than the image
    conv_geometry.same((2, 2), 5, 1),
    conv_geometry.valid((10, 9), 4, 2),  # leaves a row unread
    conv_geometry.valid((8, 8), 3, 1),
    conv_geometry.same((9, 9), 4, 3),
]


def draws(geometry, n=2, channels=3, filters=4):
    random = np.random.default_rng(0)
    shapes = (
        (n, *geometry.size, channels),
        (geometry.kernel,) * 2 + (channels, filters),
        (n, *geometry.out_size, filters),
    )
    return [jnp.asarray(random.normal(size=shape), jnp.float32) for shape in shapes]


def reference(x, w, geometry):
    strides = (geometry.stride,) * 2
    return lax.conv_general_dilated(x, w, strides, geometry.padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_forward_and_transposes_agree_with_xla(geometry):
    x, w, y = draws(geometry)
    expected, transpose = jax.vjp(lambda x, w: reference(x, w, geometry), x, w)
    dx, dw = transpose(y)
    close(conv.conv(x, w, geometry), expected)
    close(conv.conv_transpose(y, w, geometry), dx)
    close(conv.filter_grad(x, y, geometry), dw)
    close(conv_forms.dilated(y, w, geometry), conv_forms.sub_pixel(y, w, geometry))


@pytest.mark.slow
@pytest.mark.parametrize("geometry", [GEOMETRIES[2], GEOMETRIES[8]])
def test_bfloat16_rounds_little(geometry):
    x, w, y = draws(geometry)
    for function, *given in ((conv.conv, x, w), (conv.conv_transpose, y, w), (conv.filter_grad, x, y)):
        exact, rounded = (
            np.asarray(function(*(one.astype(dtype) for one in given), geometry), np.float32)
            for dtype in (jnp.float32, jnp.bfloat16)
        )
        assert 0 < np.linalg.norm(rounded - exact) < 0.01 * np.linalg.norm(exact), function


@pytest.mark.slow
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_second_order_gradients_agree_with_xla(geometry):
    x, w, _ = draws(geometry)

    def penalty(function):
        def of(w):
            gradient = jax.grad(lambda x: jnp.sum(jnp.tanh(function(x, w, geometry))))(x)
            return jnp.sum(jnp.square(gradient))

        return jax.grad(of)(w)

    close(penalty(conv.conv), penalty(reference))


@pytest.mark.parametrize("name", ["conv", "conv_transpose", "filter_grad"])
def test_third_order_stays_closed(name):
    geometry = conv_geometry.same((8, 8), 4, 2)
    x, w, y = draws(geometry)
    a, b = {"conv": (x, w), "conv_transpose": (y, w), "filter_grad": (x, y)}[name]
    function = lambda a, b: jnp.sum(getattr(conv, name)(a, b, geometry) ** 3)
    once = lambda a, b: jnp.sum(jax.grad(function)(a, b) ** 2)
    twice = lambda a, b: jnp.sum(jax.grad(once, 1)(a, b) ** 2)
    assert slow(jax.jit(jax.grad(twice)).lower(a, b).as_text()) == 0


def slow(stablehlo):
    """How many convolutions of a lowered program XLA computes slowly."""
    assert "stablehlo.convolution" in stablehlo, "the program has no convolution at all"
    return programs.slow_in_stablehlo(stablehlo)


def test_the_counter_counts():
    geometry = conv_geometry.same((8, 8), 4, 2)
    x, w, _ = draws(geometry)
    naive = jax.grad(lambda w: jnp.sum(jax.grad(lambda x: jnp.sum(reference(x, w, geometry) ** 2))(x) ** 2))
    assert slow(jax.jit(naive).lower(w).as_text()) > 0


CONFIGS = sorted(path.stem for path in ROOT.glob("configs/[a-z]*.py"))


def lowered(name, **changes):
    """The train step of a shipped config on one device, lowered from shapes."""
    step = AbstractStep(name, jax.devices()[:1], **changes)
    return step.program.lower(*step.arguments)


# training/test_counted.py asserts the same of the rows that it counts. These have the layers of others, as many of them
# or fewer, and the orders of their gradients.
LIKE_OTHERS = {
    **dict.fromkeys(("lsgan56", "minimax56", "hinge56", "can56", "glo56"), "gan56"),
    **dict.fromkeys(("dcgan28", "walkthrough_dcgan56"), "dcgan112"),
    **dict.fromkeys(("walkthrough_wgan56", "wgan_clip56"), "wgan112"),
    "lld_icon32": "lld_logo128",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*CONFIGS} - {*counted.ROWS, *LIKE_OTHERS}))
def test_no_shipped_config_meets_slow_convolutions(name):
    once = {"objective.critic_updates": 1}  # more are the same convolutions again
    changes = once if "critic_updates" in shipped.get_config(name).objective else {}
    assert slow(lowered(name, **changes).as_text()) == 0


@pytest.mark.parametrize("name", sorted(LIKE_OTHERS))
def test_a_config_that_is_left_out_has_the_layers_of_one_that_is_not(name):
    left, kept = map(shipped.get_config, (name, LIKE_OTHERS[name]))
    of_layers = lambda config: {key: config.model.get(key) for key in ("name", "kernel", "conditioning")}
    assert of_layers(left) == of_layers(kept) and left.data.channels == kept.data.channels
    (base, few), (same, many) = (image_sizes.base_and_doublings((c.data.size,) * 2) for c in (left, kept))
    assert base == same and few <= many
