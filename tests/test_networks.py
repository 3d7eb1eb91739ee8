"""Networks have the layers of the originals: shapes, counts of weights, ranges, types."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from logogan_jax import keys
from logogan_jax.errors import UserError
from logogan_jax.networks import NETWORKS, sizes

# Counted layer by layer from the 2018 scripts; the WGAN critics had 3 outputs there and have 1 here.
WEIGHTS = [
    ("wgan", 28, 5, 7_280_195, 5_342_211 - 2 * 1025),
    ("wgan", 56, 4, 7_086_275, 26_090_819 - 2 * 1025),
    ("wgan", 112, 4, 7_152_131, 103_161_155 - 2 * 1025),
    ("dcgan", 28, 6, 2_869_987, 6_203_073),
    ("dcgan", 56, 6, 3_017_763, 6_209_217),
    ("dcgan", 112, 6, 3_165_539, 6_226_113),
]


def make(name, role, abstract=False, **values):
    values = {"channels": 3, "dtype": jnp.float32, "kernel": 4, "width": 4, "size": 28, **values}
    if name == "dcgan":
        values.setdefault("dropout", 0.4)
    if role == "Generator":
        values.setdefault("latent", 100)
    build = lambda: getattr(NETWORKS[name], role)(**values, rngs=nnx.Rngs(0))
    return nnx.eval_shape(build) if abstract else build()


def count(network):
    # The statistics of batch norm, two per feature, are weights in Keras's tables.
    params, stats = nnx.state(network, nnx.Param), nnx.state(network, nnx.BatchStat)
    return sum(leaf.size for leaf in jax.tree.leaves((params, stats)))


@pytest.mark.parametrize(("name", "size", "kernel", "generator", "critic"), WEIGHTS)
def test_weights_are_those_of_the_originals(name, size, kernel, generator, critic):
    values = {"abstract": True, "size": size, "kernel": kernel, "width": 64}
    assert count(make(name, "Generator", **values)) == generator
    assert count(make(name, "Critic", **values)) == critic


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [28, 56, 112, 32])
def test_every_size_and_channel_count_comes_out_as_asked(name, size, channels):
    def both():
        z, row_keys = jnp.zeros((2, 100)), keys.rows(jax.random.key(0), jnp.arange(2))
        images = make(name, "Generator", size=size, channels=channels)(z, keys=row_keys, train=False)
        return images, make(name, "Critic", size=size, channels=channels)(images, keys=row_keys, train=True)

    images, logits = jax.eval_shape(both)
    assert images.shape == (2, size, size, channels) and logits.shape == (2,)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_bfloat16_networks_take_and_give_float32(name):
    generator = make(name, "Generator", dtype=jnp.bfloat16)
    images = generator(jnp.ones((2, 100)), train=False)
    assert images.dtype == jnp.float32 and (jnp.abs(images) <= 1).all()
    logits = make(name, "Critic", dtype=jnp.bfloat16)(images, train=False)
    assert logits.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(generator))} == {jnp.dtype("float32")}


def test_dropout_keeps_the_mean_and_belongs_to_rows():
    from logogan_jax.networks.dcgan import dropout

    row_keys = keys.rows(jax.random.key(0), jnp.arange(8))
    dropped = dropout(row_keys, jnp.ones((8, 40, 40, 4)), 0.4)
    assert abs(float(dropped.mean()) - 1.0) < 0.02
    assert abs(float((dropped == 0).mean()) - 0.4) < 0.01
    assert (dropout(row_keys[3:5], jnp.ones((2, 40, 40, 4)), 0.4) == dropped[3:5]).all()


def test_sizes_are_a_small_number_doubled():
    assert sizes.base_and_doublings(28) == (7, 2)
    assert sizes.base_and_doublings(56) == (7, 3)
    assert sizes.base_and_doublings(112) == (7, 4)
    assert sizes.base_and_doublings(64) == (4, 4)
    for size in (30, 50, 7, 14, 100):
        with pytest.raises(UserError, match=f"config.data.size is {size}: .* such as 28, 56, 112"):
            sizes.base_and_doublings(size)
