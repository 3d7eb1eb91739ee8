"""Precision, recall, density, coverage and diversity of point sets whose values can be counted by hand."""

import numpy as np
import pytest

from logogan_jax.core import intervals
from logogan_jax.metrics import precision_recall


def line(*places):
    """Features on a line, as neighbours see them."""
    return np.array([[place, 0.0] for place in places], np.float32)


def near(real, fake):
    return precision_recall.find_neighbourhoods(line(*real), line(*fake))


# Twenty reals at 0..19, so that the third neighbour is two away (three at the ends, two places in from them too: the
# second from an end has 1, 1, 2), and the fifth three away (five, four, three from the ends on).
REALS = tuple(range(20))


def test_precision_by_hand():
    """22 is held by the ball of 19, which reaches to 16; 22.5 by none, 10.5 by many."""
    found = precision_recall.precision(near(REALS, [10.5] * 6 + [22] * 2 + [22.5] * 12))
    assert found.value == pytest.approx(8 / 20)
    assert found.low < 8 / 20 < found.high


def test_recall_by_hand():
    """Balls of fakes at 0, 1, ... 9 reach two, at the ends three: the last one, at 9, holds up to 12."""
    assert precision_recall.recall(near(REALS, tuple(range(10)))).value == pytest.approx(13 / 20)


def test_density_by_hand():
    """At 10.5 are the balls of 8 to 13, six of radius 3; at 100 none."""
    assert precision_recall.density(near(REALS, [10.5] * 10 + [100] * 10)).value == pytest.approx(6 / 5 / 2)


def test_coverage_by_hand():
    """A fake at 10 is in the balls of 7 to 13, and one at 100 in none."""
    assert precision_recall.coverage(near(REALS, [10] * 10 + [100] * 10)).value == pytest.approx(7 / 20)


def test_diversity_by_hand():
    """Reals at 0 and 1 in equal parts: of 190 pairs, 100 are one apart; fakes at 0 and 2: two apart."""
    halves = [0] * 10 + [1] * 10
    assert precision_recall.diversity(near(halves, [0] * 10 + [2] * 10)).value == pytest.approx(2)
    assert precision_recall.diversity(near(halves, [5] * 20)) == (0, 0, 0)
    assert precision_recall.diversity(near([5] * 20, [5] * 20)) == (0, 0, 0)


def test_the_same_features_are_at_no_distance_however_large():
    """Two pictures, each many times: all balls have radius 0 and still hold their equals."""
    two = np.random.default_rng(0).normal(size=(2, 300)).astype(np.float32) * 1000
    found = precision_recall.find_neighbourhoods(np.repeat(two, 20, 0), np.repeat(two, 30, 0))
    assert precision_recall.precision(found).value == precision_recall.recall(found).value == 1
    assert precision_recall.coverage(found).value == 1
    assert (found.fakes_in_3[0] == 20).all()


def test_rounding_is_no_distance():
    """A sum of squares and a product of matrices do not round alike."""
    x = np.random.default_rng(0).normal(size=(60, 301)).astype(np.float32)
    assert (np.diag(precision_recall._squared_distances(x, x, np.full(301, 0.1))) == 0).all()


def test_a_share_of_none_or_all_still_has_an_interval():
    found = intervals.proportion(np.zeros(100, bool))
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(0.037, abs=0.001)  # Wilson's, for 0 of 100


def test_a_radius_without_a_group_is_that_of_the_others():
    x = np.random.default_rng(0).normal(size=(40, 6))
    group = np.arange(40) * precision_recall.GROUPS // 40
    (radii,), _ = precision_recall._balls(x, x.mean(0), group, (3,))
    distance = np.linalg.norm(x[:, None] - x, axis=2)
    for g in range(precision_recall.GROUPS):
        left = np.flatnonzero(group != g)
        expected = np.sort(distance[np.ix_(left, left)], axis=1)[:, 3] ** 2
        np.testing.assert_allclose(radii[1 + g][left], expected, rtol=1e-9)
        assert (radii[1 + g][group == g] == -1).all()


@pytest.mark.parametrize("name", ["precision", "recall", "density", "diversity"])
def test_intervals_of_neighbourhoods_cover_what_other_images_give(name):
    random = np.random.default_rng(1)
    found = [
        getattr(precision_recall, name)(
            precision_recall.find_neighbourhoods(random.normal(size=(60, 6)), 0.8 * random.normal(size=(80, 6)))
        )
        for _ in range(150)
    ]
    mean = np.mean([each.value for each in found])
    assert np.mean([each.low <= mean <= each.high for each in found]) > 0.92
    spread = np.std([each.value for each in found])
    assert np.mean([each.high - each.low for each in found]) / 2 / 1.96 < 2.5 * spread
