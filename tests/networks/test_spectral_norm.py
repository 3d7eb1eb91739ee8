"""Spectral normalisation divides by the largest singular value, and its statistics are a run's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from test_networks import images, make

from logogan_jax.core import prng
from logogan_jax.distributed import data_parallel
from logogan_jax.networks import conv_geometry, layers, spectral_norm
from logogan_jax.training import train_state

DEVICES = jax.devices()
NAMES = pytest.mark.parametrize("name", ["dcgan", "resnet"])


def calls(layer, x, count, train):
    """The layer after some calls on the one replica of an axis."""
    graph, state = nnx.split(layer)

    def one(state, x):
        net = nnx.merge(graph, state)
        net(x, train=train)
        return nnx.split(net)[1]

    run = jax.jit(
        jax.vmap(lambda state, x: jax.lax.fori_loop(0, count, lambda _, s: one(s, x), state), axis_name="data")
    )
    state = run(jax.tree.map(lambda leaf: leaf[None], state), x[None])
    return nnx.merge(graph, jax.tree.map(lambda leaf: leaf[0], state))


@pytest.mark.slow
@pytest.mark.parametrize("train", [False, True])
def test_the_normalised_kernel_has_spectral_norm_one(train):
    geometry = conv_geometry.same((4, 4), 3, 1)
    layer = layers.Conv(geometry, 5, 7, spectral=True, dtype=jnp.float32, rngs=nnx.Rngs(0))
    layer = calls(layer, jnp.ones((1, 4, 4, 5)), 300, True)
    matrix = np.asarray(layer.kernel[...]).reshape(45, 7)
    largest = np.linalg.svd(matrix)[1][0]
    normed = jax.vmap(
        lambda kernel: spectral_norm.normalize(kernel, layer.singular_vector, train=False), axis_name="data"
    )
    found = np.asarray(normed(layer.kernel[...][None])[0]).reshape(45, 7)
    np.testing.assert_allclose(found, matrix / largest, rtol=1e-5)
    assert np.linalg.svd(found)[1][0] == pytest.approx(1, rel=1e-5)
    after = calls(layer, jnp.ones((1, 4, 4, 5)), 1, train)
    assert abs(float(jnp.sum(after.singular_vector[...] * layer.singular_vector[...]))) == pytest.approx(1, rel=1e-5)


def test_power_iteration_by_hand():
    matrix = np.random.default_rng(0).normal(size=(6, 4)).astype("f")

    def run(kernel, v):
        found = spectral_norm.PowerIterationVector(v)
        return spectral_norm.normalize(kernel, found, train=True), found[...]

    kernel, v = (leaf[0] for leaf in jax.vmap(run, axis_name="data")(matrix[None], jnp.eye(4)[:1]))
    u = matrix[:, 0] / np.linalg.norm(matrix[:, 0])
    expected = matrix.T @ u / np.linalg.norm(matrix.T @ u)
    np.testing.assert_allclose(v, expected, rtol=1e-5)
    np.testing.assert_allclose(kernel, matrix / (u @ matrix @ expected), rtol=1e-5)


def test_its_gradient_holds_the_vectors_still():
    matrix = np.random.default_rng(0).normal(size=(6, 4)).astype("f")
    slope = np.random.default_rng(1).normal(size=(6, 4)).astype("f")
    left, values, right = np.linalg.svd(matrix)
    found = spectral_norm.PowerIterationVector(jnp.asarray(right[0]))
    gradient = jax.grad(lambda kernel: jnp.sum(slope * spectral_norm.normalize(kernel, found, train=False)))(matrix)
    # Of W / (u^T W v): slope / sigma - (slope . W) u v^T / sigma^2.
    expected = slope / values[0] - np.sum(slope * matrix) * np.outer(left[:, 0], right[0]) / values[0] ** 2
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@NAMES
def test_every_kernel_of_the_critic_is_normalised(name):
    critic = make(name, "critic", spectral=True, classes=2, conditioning="projection")
    kernels = [
        name
        for name in train_state.flatten_with_names(nnx.state(critic, nnx.Param))
        if "kernel" in name or "table" in name
    ]
    assert len(jax.tree.leaves(nnx.state(critic, spectral_norm.PowerIterationVector))) == len(kernels) > 4
    assert not jax.tree.leaves(nnx.state(make(name, "critic"), spectral_norm.PowerIterationVector))
    assert not jax.tree.leaves(nnx.state(critic, nnx.BatchStat))


@pytest.mark.slow
@pytest.mark.parametrize(("how", "train", "name"), [("shard_map", True, "resnet"), ("pmap", False, "dcgan")])
def test_it_trains_on_every_replica_alike(name, train, how):
    graph, params, stats = nnx.split(make(name, "critic", spectral=True, axis_name=data_parallel.AXIS), nnx.Param, ...)
    stats = jax.tree.map(lambda v: jnp.ones_like(v) / v.size**0.5, nnx.to_pure_dict(stats))
    params = nnx.to_pure_dict(params)

    def replica(state, feed):
        params, stats = state
        images = feed[0, 0]

        def loss(params):
            net = nnx.merge(graph, nnx.State(params), nnx.State(stats), copy=True)
            row_keys = prng.per_example_keys(jax.random.key(0), data_parallel.replica_rows(len(images)))
            each = net(images, keys=row_keys, train=train)
            return jnp.square(each).mean(), nnx.to_pure_dict(nnx.split(net, nnx.Param, ...)[2])

        gradients, stats = jax.grad(loss, has_aux=True)(data_parallel.to_varying(params))
        return (params, stats), data_parallel.pmean(gradients)

    x, results = images(4)[None, None], []
    for devices in (1, 2):
        parallel = data_parallel.DataParallel(how, 4, DEVICES[:devices])
        placed = parallel.device_put(jax.tree.map(np.array, (params, stats)), data_parallel.REPLICATED)
        (_, after), gradients = parallel.map_and_jit(replica, data_parallel.BATCH)(
            placed, parallel.device_put(x, data_parallel.BATCH)
        )
        results.append(jax.device_get((after, gradients)))
    for a, b in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * max(1, np.abs(a).max()))
    # A vector of one number, that of the one output, has nowhere to go.
    pairs = [pair for pair in zip(*map(jax.tree.leaves, (results[0][0], stats)), strict=True) if pair[1].size > 1]
    moved = [bool((a != np.asarray(b)).any()) for a, b in pairs]
    assert len(moved) >= 4 and (all(moved) if train else not any(moved))
