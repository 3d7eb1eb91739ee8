"""Optimisers move parameters as their papers and Keras do, by rates that count images."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from logogan_jax.core.errors import UserError
from logogan_jax.training.optimizers import OPTIMIZERS

GRADIENTS = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)


def path(optimizer, gradients=GRADIENTS):
    """Parameters after each update, from 0: float[n, 3]."""
    params, update = {"w": jnp.zeros(3)}, jax.jit(optimizer.update)
    state, seen = optimizer.init(params), []
    for gradient in gradients:
        changes, state = update({"w": jnp.asarray(gradient)}, state, params)
        params = optax.apply_updates(params, changes)
        seen.append(params["w"])
    return np.stack(seen)


def rates(count=9, per_update=10.0, **values):
    """The rates of the first updates, read off plain descent."""
    moved = path(OPTIMIZERS["sgd"](images_per_update=per_update, learning_rate=2.0, **values), np.ones((count, 3)))
    return -np.diff(moved[:, 0], prepend=0)


class Rmsprop:
    """Keras 2's, in float64."""

    def __init__(self, rate, decay=0.0):
        self.rate, self.decay, self.count, self.square = rate, decay, 0, np.zeros(3)

    def change(self, gradient):
        self.square = 0.9 * self.square + 0.1 * np.square(gradient, dtype=np.float64)
        rate = self.rate / (1 + self.decay * self.count)
        self.count += 1
        return -rate * gradient / (np.sqrt(self.square) + 1e-7)


# ── schedules ───────────────────────────────────────────────────────────────────────────────


def test_a_rate_is_constant_unless_told():
    np.testing.assert_allclose(rates(), 2.0, rtol=1e-6)
    plain = optax.adam(lambda count: 0.01 / (1.0 + 0.0 * count), b1=0.5, b2=0.9)
    ours = OPTIMIZERS["adam"](images_per_update=64.0, learning_rate=0.01, b1=0.5, b2=0.9)
    np.testing.assert_array_equal(path(ours), path(plain))


def test_warm_up_rises_from_nothing_in_images():
    expected = [0.0, 0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0]  # 10 images per update, of 40
    np.testing.assert_allclose(rates(warmup_images=40), expected, rtol=1e-6)
    np.testing.assert_allclose(rates(warmup_images=40, per_update=2.5)[:5], [0, 0.125, 0.25, 0.375, 0.5], atol=1e-6)


def test_annealing_ends_at_the_share_that_is_left():
    # From 20 images to 60, a quarter left: a fall of 3/4 of 2 in four updates.
    linear = [0, 1, 2, 1.625, 1.25, 0.875, 0.5, 0.5, 0.5]
    found = rates(warmup_images=20, anneal="linear", anneal_images=60, final=0.25)
    np.testing.assert_allclose(found, linear, atol=1e-6)
    half = np.sqrt(0.5)  # the cosine of 45 degrees
    cosine = [2, 1 + half, 1, 1 - half, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(rates(anneal="cosine", anneal_images=40), cosine, atol=1e-6)


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_schedules_scale_every_optimiser_on_top_of_its_decay(name):
    """An Adam or RMSprop of a gradient that never changes moves by its rate, divided by a factor of its own."""
    values = {"images_per_update": 10.0, "learning_rate": 1.0} | ({"b1": 0.5, "b2": 0.9} if name == "adam" else {})
    alike = np.ones((9, 3))
    plain = np.diff(path(OPTIMIZERS[name](**values), alike)[:, 0], prepend=0)
    planned = OPTIMIZERS[name](**values, decay=0.5, warmup_images=40, anneal="linear", anneal_images=80)
    expected = np.array([0, 1 / 4, 1 / 2, 3 / 4, 1, 3 / 4, 1 / 2, 1 / 4, 0]) / (1 + 0.5 * np.arange(9))
    np.testing.assert_allclose(np.diff(path(planned, alike)[:, 0], prepend=0), plain * expected, atol=2e-6)


def test_a_schedule_that_cannot_be_is_one_line():
    def complaint(**values):
        with pytest.raises(UserError) as caught:
            rates(**values)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "config.optimizer.*.anneal is 'cosin': it should be one of none, linear, cosine" in complaint(anneal="cosin")
    assert "config.optimizer.*.anneal_images is 0" in complaint(anneal="linear")
    assert "above warmup_images (50)" in complaint(anneal="cosine", warmup_images=50, anneal_images=50)


# ── RMSprop ─────────────────────────────────────────────────────────────────────────────────


def test_rmsprop_is_that_of_keras():
    keras, at, expected = Rmsprop(0.01, decay=0.3), np.zeros(3), []
    for gradient in GRADIENTS:
        at = at + keras.change(gradient)
        expected.append(at)
    found = path(OPTIMIZERS["rmsprop"](images_per_update=1.0, learning_rate=0.01, decay=0.3))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_two_rmsprops_take_turns_and_share_nothing():
    turns, at, expected = (Rmsprop(0.02, decay=0.3), Rmsprop(0.01, decay=0.7)), np.zeros(3), []
    for number, gradient in enumerate(GRADIENTS):
        at = at + turns[number % 2].change(gradient)
        expected.append(at)
    values = {"learning_rate": 0.02, "second_learning_rate": 0.01, "decay": 0.3, "second_decay": 0.7}
    optimizer = OPTIMIZERS["rmsprop_by_turns"](**values)
    np.testing.assert_allclose(path(optimizer), expected, atol=1e-6)
    only_first = path(optimizer, GRADIENTS * (np.arange(9) % 2 == 0)[:, None])
    assert (np.diff(only_first, axis=0)[::2] == 0).all()  # in the second's turns, by its own empty accumulator
