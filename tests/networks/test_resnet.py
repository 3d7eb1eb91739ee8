"""The ResNet pair has the layers of the logo paper, and its doubled and halved convolutions are what they replace."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from test_networks import call, images, make, perturbed, rows, shapes

from logogan_jax.networks import conv, conv_geometry, layers

MADE = {"dtype": jnp.float32, "rngs": nnx.Rngs(0)}


def layer(kernel, inputs, outputs):
    """Weights of a convolution with bias; of a dense layer with kernel 1."""
    return kernel * kernel * inputs * outputs + outputs


def norm(features):
    return 2 * features  # scale and bias


def up(inputs, outputs, maps=0):
    convolutions = layer(3, inputs + maps, outputs) + layer(3, outputs + maps, outputs)
    return norm(inputs) + norm(outputs) + convolutions + layer(1, inputs, outputs)


def down(inputs, outputs):
    return layer(3, inputs, inputs) + layer(3, inputs, outputs) + layer(1, inputs, outputs)


def same(features):
    return 2 * layer(3, features, features)


def first(channels, features):
    return layer(3, channels, features) + layer(3, features, features) + layer(1, channels, features)


# The tables of the paper's code: resnet-32 with 128 features, resnet-64 and resnet-128 with 64.
GENERATORS = {
    (32, 128): layer(1, 128, 4 * 4 * 128) + 3 * up(128, 128) + norm(128) + layer(3, 128, 3),
    (64, 64): layer(1, 128, 4 * 4 * 512) + up(512, 512) + up(512, 256) + up(256, 128) + up(128, 64) + norm(64)
    + layer(3, 64, 3),
    (128, 64): layer(1, 128, 4 * 4 * 512) + up(512, 512) + up(512, 256) + up(256, 128) + up(128, 64) + norm(64)
    + layer(5, 64, 3),
    # And what follows from them: 28 is 7 doubled twice.
    (28, 128): layer(1, 128, 7 * 7 * 128) + 2 * up(128, 128) + norm(128) + layer(3, 128, 3),
}  # fmt: skip
CRITICS = {
    (32, 128): first(3, 128) + down(128, 128) + 2 * same(128) + layer(1, 128, 1),
    (64, 64): layer(3, 3, 64) + down(64, 128) + down(128, 256) + down(256, 512) + down(512, 512)
    + layer(1, 4 * 4 * 512, 1),
    (128, 64): layer(5, 3, 64) + down(64, 128) + down(128, 256) + down(256, 512) + 2 * same(512) + layer(1, 512, 1),
    (28, 128): first(3, 128) + down(128, 128) + 2 * same(128) + layer(1, 128, 1),
}  # fmt: skip


def count(network):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))


@pytest.mark.parametrize(("size", "width"), sorted(GENERATORS))
def test_weights_are_those_of_the_paper(size, width):
    values = {"size": (size, size), "width": width, "latent": 128}
    assert count(shapes("resnet", "generator", **values)) == GENERATORS[size, width]
    assert count(shapes("resnet", "critic", **values)) == CRITICS[size, width]


def test_layer_conditioning_tells_every_convolution_of_the_blocks_and_no_shortcut():
    y, width = 10, 128
    values = {"size": (32, 32), "width": width, "latent": 128, "classes": y, "conditioning": "layers"}
    ups = 3 * up(width, width, y)
    stem, out = layer(1, 128 + y, 4 * 4 * width), layer(3, width + y, 3)
    assert count(shapes("resnet", "generator", **values)) == stem + ups + norm(width) + out
    told = lambda inputs: layer(3, inputs + y, width)
    entry = told(3) + told(width) + layer(1, 3 + y, width)
    block, shortcut = 2 * told(width), layer(1, width, width)
    assert count(shapes("resnet", "critic", **values)) == entry + block + shortcut + 2 * block + layer(1, width + y, 1)


def test_the_critic_has_no_statistics_and_the_generator_has():
    assert not jax.tree.leaves(nnx.state(shapes("resnet", "critic"), nnx.BatchStat))
    assert jax.tree.leaves(nnx.state(shapes("resnet", "generator"), nnx.BatchStat))


@pytest.mark.parametrize("size", [(8, 8), (6, 4), (2, 10)])
def test_pooled_convolution_is_convolution_then_pooling(size):
    made = perturbed(layers.ConvPool(size, 3, 5, **MADE))
    x = images(2, size)
    expected = conv.conv(x, made.kernel[...], conv_geometry.same(size, 3, 1)) + made.bias[...]
    expected = np.asarray(expected).reshape(2, size[0] // 2, 2, size[1] // 2, 2, 5).mean((2, 4))
    np.testing.assert_allclose(made(x), expected, atol=1e-5)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(8, 8), (3, 5)])
def test_doubling_convolution_is_repetition_then_convolution(size, kernel):
    made = perturbed(layers.UpConv(size, kernel, 3, 5, **MADE))
    x = images(2, size)
    twice = jnp.asarray(np.asarray(x).repeat(2, 1).repeat(2, 2))
    expected = conv.conv(twice, made.kernel[...], conv_geometry.same(twice.shape[1:3], kernel, 1)) + made.bias[...]
    np.testing.assert_allclose(made(x), expected, atol=1e-5)


def test_first_weights_have_the_deviations_of_the_papers_code():
    critic = make("resnet", "critic", width=64)
    inner, shortcut = (np.asarray(layer.kernel[...]) for layer in (critic.blocks[1].first, critic.blocks[1].shortcut))
    assert inner.std() == pytest.approx((4 / (2 * 9 * 64)) ** 0.5, rel=0.02)
    assert shortcut.std() == pytest.approx((2 / (2 * 64)) ** 0.5, rel=0.03)
    assert np.abs(inner).max() <= inner.std() * 3**0.5 * 1.03, "uniform"


@pytest.mark.parametrize("train", [False, True])
def test_batch_statistics_are_of_training_alone(train):
    generator, z = (
        make("resnet", "generator", axis_name="data"),
        jnp.asarray(np.random.default_rng(0).normal(size=(4, 10)), "f"),
    )

    def run(z):
        net = nnx.clone(generator)
        made = net(z, keys=rows(4), train=train)
        return made, nnx.state(net, nnx.BatchStat)

    _, after = jax.vmap(jax.jit(run), axis_name="data")(z[None])
    before = nnx.state(generator, nnx.BatchStat)
    moved = [bool((a[0] != b).any()) for a, b in zip(*map(jax.tree.leaves, (after, before)), strict=True)]
    assert all(moved) if train else not any(moved)


def test_pictures_stay_between_minus_one_and_one():
    made = call(perturbed(make("resnet", "generator")), 9 * jnp.ones((2, 10)), train=False)
    assert (jnp.abs(made) <= 1).all()
