"""How far a critic overfits is Karras's r_v, with an interval that holds, of scores that belong to the right images."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logogan_jax.config import registry
from logogan_jax.distributed.data_parallel import DataParallel
from logogan_jax.metrics import overfitting, tables
from logogan_jax.metrics.overfitting import CriticMeter, Scores
from logogan_jax.objectives import OBJECTIVES
from logogan_jax.training.reporting import messages


def scores(train, held_out, pictures, *, spread=0.0, n=4_000, seed=0):
    rng = np.random.default_rng(seed)
    return Scores(*(mean + spread * rng.standard_normal(n).astype(np.float32) for mean in (train, held_out, pictures)))


@pytest.mark.parametrize(
    ("means", "value"),
    [
        ((1.0, 1.0, -1.0), 0.0),  # never seen images are as real as training images
        ((1.0, -1.0, -1.0), 1.0),  # they are as fake as pictures
        ((2.0, 0.5, -1.0), 0.5),
        ((1.0, 1.5, -1.0), -0.25),  # by chance
        ((-3.0, 2.0, 7.0), 0.5),  # a critic that scores real images low
        ((1_000.0, 600.0, 200.0), 0.5),  # of any scale
    ],
)
def test_it_is_the_share_of_what_tells_training_images_from_pictures(means, value):
    assert overfitting.overfitting(scores(*means)).value == pytest.approx(value, abs=1e-6)


def test_its_interval_holds_the_true_value_nineteen_times_in_twenty():
    found = [overfitting.overfitting(scores(1.0, 0.2, -1.0, spread=1.0, n=200, seed=seed)) for seed in range(400)]
    held = np.mean([one.low <= 0.4 <= one.high for one in found])
    assert 0.92 <= held <= 0.98
    assert 0.05 < np.mean([one.high - one.low for one in found]) < 0.5


def test_a_critic_that_tells_nothing_apart_has_no_value():
    assert math.isnan(overfitting.overfitting(scores(0.0, 0.0, 0.0)).value)
    assert math.isnan(overfitting.overfitting(scores(0.001, 0.5, 0.0, spread=1.0)).value)
    said = tables.format_critic({"overfitting": overfitting.overfitting(scores(0.0, 0.0, 0.0))._asdict()})
    assert "does not tell" in said and "nan" not in said


def test_advice_is_given_once_it_has_memorised_half():
    said = [
        tables.format_critic({"overfitting": overfitting.overfitting(scores(1.0, held, -1.0, spread=0.1))._asdict()})
        for held in (0.5, -0.5)
    ]
    assert overfitting.ADVICE not in said[0] and overfitting.ADVICE in said[1]


def test_a_run_warns_at_the_first_evaluation_that_shows_it():
    name = f"evaluation/{overfitting.NAME}"
    line = lambda step, low: {"step": step, name: low + 0.1, f"{name}_low": low}
    assert messages.warn_of_overfitting([]) == ""
    assert messages.warn_of_overfitting([{"step": 50, "loss": 1.0}, line(100, 0.2)]) == ""
    # A value whose interval reaches below one half may be chance.
    assert messages.warn_of_overfitting([line(100, 0.2), line(200, 0.45)]) == ""
    said = messages.warn_of_overfitting([line(100, 0.2), line(200, 0.6), {"step": 250, "loss": 1.0}])
    assert "step 200" in said and "0.70" in said and "config.augment.policy=logo" in said
    assert messages.warn_of_overfitting([line(100, 0.6), line(200, 0.7)]) == ""
    assert messages.warn_of_overfitting([line(100, 0.6), line(200, 0.2)]) == ""


class Images:
    """A Subset of images of one pixel, image i of value first + i and label i % 3."""

    def __init__(self, count, first):
        self.count = count
        self.first = first

    def __len__(self):
        return self.count

    def images(self, positions):
        pixels = np.full((len(positions), 1, 1, 1), self.first, np.uint8) + positions[:, None, None, None]
        return pixels.astype(np.uint8), (positions % 3).astype(np.int32)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_each_image_has_its_score_whatever_shares_the_work(count):
    parallel = DataParallel("shard_map", 4, devices=jax.devices()[:count]) if count else None
    score = jax.jit(lambda state, pixels, label: state * pixels[:, 0, 0, 0] + 1_000.0 * label)
    labels = np.arange(70, dtype=np.int32) % 2
    meter = CriticMeter(score, Images(150, 0), Images(9, 200), labels, most=70, parallel=parallel)
    state = jnp.float32(2.0)
    state = parallel.device_put(state, jax.sharding.PartitionSpec()) if parallel else state
    with jax.transfer_guard("disallow"):  # as in the training loop
        found = meter.score(state, Images(90, 100).images(np.arange(90))[0])
    assert [len(each) for each in found] == [70, 9, 70]
    np.testing.assert_array_equal(found.held_out, [2 * (200 + i) + 1_000 * (i % 3) for i in range(9)])
    np.testing.assert_array_equal(found.pictures, [2 * (100 + i) + 1_000 * (i % 2) for i in range(70)])
    # Training images are chosen from all of them, once for all times.
    chosen = (found.train % 1_000) / 2
    assert len({*chosen}) == 70 and chosen.max() > 100
    np.testing.assert_array_equal(found.train, 2 * chosen + 1_000 * (chosen % 3))


@pytest.mark.parametrize(
    ("name", "values", "outputs", "expected"),
    [
        ("gan", {"latent": 4}, jnp.arange(3.0), [0.0, 1.0, 2.0]),
        ("can", {"latent": 4, "classes": 2}, jnp.arange(6.0).reshape(2, 3), [0.0, 3.0]),
        ("walkthrough_wgan", {"latent": 4}, jnp.arange(6.0).reshape(2, 3), [1.0, 4.0]),
        ("projected", {"latent": 4}, jnp.ones((2, 4, 5)) * jnp.array([1.0, 2.0])[:, None, None], [4.0, 8.0]),
    ],
)
def test_objectives_say_which_score_an_image_has(name, values, outputs, expected):
    np.testing.assert_allclose(OBJECTIVES[name](**values).score(outputs), expected)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_every_critic_gives_an_image_one_score(name):
    values = {"latent": 4, "classes": 3}
    known = registry.parameters(OBJECTIVES[name])
    objective = OBJECTIVES[name](**{key: value for key, value in values.items() if key in known})
    outputs = objective.outputs.get("critic", 1)
    shape = (2,) if outputs == 1 else (2, outputs)
    low, high = (np.asarray(objective.score(jnp.full(shape, value))) for value in (0.0, 1.0))
    assert low.shape == (2,) and np.all(high > low)
