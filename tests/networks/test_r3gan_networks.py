"""The R3GAN-style pair: its blocks, its initialisation, and penalties that differentiate it twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from test_conv import slow
from test_networks import call, images, make, perturbed, shapes

from logogan_jax.networks import r3gan
from logogan_jax.training import train_state


def block(channels, inside):
    """Weights of 1 x 1, 3 x 3, 1 x 1, with biases."""
    return channels * inside + inside + 9 * inside * inside + inside + inside * channels + channels


def test_weights_by_hand():
    # 28 is 7 doubled twice: 4, 8, 16 channels; two blocks of twice the channels in each stage.
    stages = 2 * (block(4, 8) + block(8, 16) + block(16, 32))
    changes = lambda *pairs: sum(a * b + b for a, b in pairs)
    generator = 10 * 16 + 16 + 7 * 7 * 16 + stages + changes((16, 8), (8, 4), (4, 3))
    critic = stages + changes((3, 4), (4, 8), (8, 16)) + 7 * 7 * 16 + 16 + 1
    made = {"blocks": 2, "expansion": 2}
    for role, expected in (("generator", generator), ("critic", critic)):
        _, params, rest = nnx.split(shapes("r3gan", role, **made), nnx.Param, ...)
        assert sum(leaf.size for leaf in jax.tree.leaves(params)) == expected
        assert not jax.tree.leaves(rest), "no statistics"


def test_widths_double_towards_the_base_up_to_eight_times():
    assert r3gan.stage_widths(16, 2) == [16, 32, 64]
    assert r3gan.stage_widths(16, 5) == [16, 32, 64, 128, 128, 128]


@pytest.mark.slow
def test_initialisation_is_that_of_fixup():
    critic = train_state.flatten_with_names(
        nnx.to_pure_dict(nnx.state(make("r3gan", "critic", width=32, blocks=2, expansion=2), nnx.Param))
    )
    last = {name: leaf for name, leaf in critic.items() if "narrow" in name or name.endswith("bias")}
    assert len(last) > 6 and not any(leaf.any() for leaf in last.values())
    # Three stages of two blocks: 6 blocks of 3 convolutions, so 6^(-1/4); leaky ReLU 0.2 gains sqrt(2 / 1.04).
    scale = (2 / 1.04) ** 0.5 * 6**-0.25
    inner = critic["stages/2/blocks/0/conv/kernel"]
    assert inner.shape == (3, 3, 256, 256)
    assert inner.std() == pytest.approx(scale / (9 * 256) ** 0.5, rel=0.02)
    assert critic["stages/2/blocks/1/widen/kernel"].std() == pytest.approx(scale / 128**0.5, rel=0.02)
    assert critic["stages/1/project/kernel"].std() == pytest.approx(32**-0.5, rel=0.05)


def test_a_block_is_nothing_at_first_and_something_later():
    made = r3gan.ResidualBlock((6, 4), 3, 2, 1, dtype=jnp.float32, rngs=nnx.Rngs(0))
    x = images(2, (6, 4))
    assert (made(x) == x).all()
    assert (perturbed(made)(x) != x).any()


def test_up_is_bilinear_interpolation():
    x = images(2, (3, 5))
    np.testing.assert_allclose(r3gan.upsample_bilinear(x), jax.image.resize(x, (2, 6, 10, 3), "bilinear"), atol=1e-6)


def test_z_weighs_the_maps_of_the_basis():
    generator = make("r3gan", "generator")
    zero = call(generator, jnp.zeros((1, 10)), train=False)
    assert not zero.any(), "no biases at first, so nothing of any map"
    z = jnp.asarray(np.random.default_rng(0).normal(size=(1, 10)), "f")
    np.testing.assert_allclose(call(generator, 2 * z, train=False), 2 * call(generator, z, train=False), rtol=1e-4)


# ── penalties ───────────────────────────────────────────────────────────────────────────────


def penalty_of(name, dtype, **values):
    """A function (weights, images) -> sum of the squared gradients of the scores, and the weights."""
    graph, params, rest = nnx.split(perturbed(make(name, "critic", dtype=dtype, **values)), nnx.Param, ...)
    params = jax.tree.map(lambda p: p.astype(dtype), nnx.to_pure_dict(params))

    def penalty(params, x):
        score = lambda x: nnx.merge(graph, nnx.State(params), rest, copy=True)(x, train=False).sum()
        return jnp.sum(jnp.square(jax.grad(score)(x)))

    return penalty, params


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r3gan", "resnet"])
def test_the_gradient_of_a_gradient_penalty_is_right(name):
    with jax.enable_x64(True):
        penalty, params = penalty_of(name, jnp.float64, size=(16, 16))
        x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)))
        random = np.random.default_rng(1)
        direction = jax.tree.map(lambda p: jnp.asarray(random.normal(size=p.shape)), params)
        gradient = jax.jit(jax.grad(penalty))(params, x)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
        along = sum(jnp.sum(g * d) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
        at = lambda step: jax.jit(penalty)(jax.tree.map(lambda p, d: p + step * d, params, direction), x)
        assert abs(float(along)) > 1e-3
        assert float(at(1e-7) - at(-1e-7)) / 2e-7 == pytest.approx(float(along), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r3gan", "resnet"])
@pytest.mark.parametrize("size", [(28, 28), (64, 64)])
def test_penalties_meet_no_slow_convolutions(name, size):
    penalty, params = penalty_of(name, jnp.float32, size=size)
    assert slow(jax.jit(jax.grad(penalty)).lower(params, jnp.zeros((8, *size, 3))).as_text()) == 0


@pytest.mark.parametrize("name", ["r3gan", "resnet"])
def test_generators_meet_no_slow_convolutions(name):
    graph, params, rest = nnx.split(make(name, "generator"), nnx.Param, ...)
    made = lambda params: jnp.sum(nnx.merge(graph, params, rest)(jnp.ones((8, 10)), train=False) ** 2)
    assert slow(jax.jit(jax.grad(made)).lower(params).as_text()) == 0
