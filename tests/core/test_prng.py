"""Randomness is a function of its address, and each row's of its number alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logogan_jax.core import prng

KEY = jax.random.key(3)


def data(key):
    return np.asarray(jax.random.key_data(key))


def test_addresses_are_repeatable_and_distinct():
    addresses = [(prng.STEP, step, player, update) for step in range(3) for player in range(2) for update in range(5)]
    addresses += [(prng.INIT,), (prng.GRID,), (prng.SAMPLE,)]
    found = {tuple(data(prng.fold_in(KEY, *address))) for address in addresses}
    assert len(found) == len(addresses)
    assert (data(prng.fold_in(KEY, 1, 2)) == data(prng.fold_in(prng.fold_in(KEY, 1), 2))).all()


@pytest.mark.slow
def test_a_row_draws_the_same_whatever_rows_are_beside_it():
    whole = prng.per_example_keys(KEY, jnp.arange(8))
    half = prng.per_example_keys(KEY, jnp.arange(4, 8))
    for draw in (
        lambda k: prng.normal(k, (5,)),
        lambda k: prng.uniform(k, (5,)),
        lambda k: prng.bernoulli_mask(k, 0.5, (9,)),
        lambda k: prng.normal(prng.split(k, 2)[1], (2,)),
    ):
        np.testing.assert_array_equal(draw(whole)[4:], draw(half))


def test_uses_of_one_row_never_share_a_draw():
    first, second = prng.split(prng.per_example_keys(KEY, jnp.arange(4)), 2)
    draws = np.concatenate([prng.normal(first, (3,)).ravel(), prng.normal(second, (3,)).ravel()])
    assert len(np.unique(draws)) == draws.size


def test_keep_keeps_the_share_asked_for():
    kept = prng.bernoulli_mask(prng.per_example_keys(KEY, jnp.arange(4)), 0.6, (100, 100))
    assert abs(float(kept.mean()) - 0.6) < 0.01
