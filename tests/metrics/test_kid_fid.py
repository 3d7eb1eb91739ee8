"""Distances between sets of features, against float64 numpy written out, and by simulation."""

import numpy as np
import pytest
import scipy.linalg

from logogan_jax.metrics import compute, kid_fid, precision_recall
from logogan_jax.metrics.features import Features


def features(count, dimensions, seed=0, scale=1.0, shift=0.0):
    """Correlated, positive, float32, as a network's are."""
    random = np.random.default_rng([seed, count])
    common = 0.3 * random.normal(size=(count, 1))
    each = random.normal(size=(count, dimensions)) * 0.97 ** np.arange(dimensions)
    return np.abs(scale * each + common + shift).astype(np.float32)


def plain_kid(x, y):
    """The unbiased squared MMD, one pair after the other."""
    x, y = x.astype(np.float64), y.astype(np.float64)

    def kernel(a, b):
        return (a @ b / len(a) + 1) ** 3

    within = [np.mean([kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]) for z in (x, y)]
    return sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y])


def plain_frechet(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    a, b = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(a @ b).real
    return np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(a + b - 2 * root)


# ── KID ─────────────────────────────────────────────────────────────────────────────────────


def test_kid_is_that_of_plain_numpy():
    x, y = features(40, 12), features(31, 12, scale=1.2)
    assert kid_fid.kid(x, y).value == pytest.approx(plain_kid(x, y), abs=1e-9)


@pytest.mark.parametrize(("m", "n"), [(45, 33), (70, 80)], ids=["some", "many"])
def test_kid_of_many_images_is_the_mean_over_subsets_of_a_thousand(monkeypatch, m, n):
    monkeypatch.setattr(kid_fid, "SUBSET", 20)
    monkeypatch.setattr(kid_fid, "SUBSETS", 7)
    x, y = features(m, 6), features(n, 6, scale=1.5)
    draw = np.random.RandomState(2020)
    parts = []
    for _ in range(7):
        of_x = draw.choice(m, 20, replace=False)
        of_y = draw.choice(n, 20, replace=False)
        parts.append(plain_kid(x[of_x], y[of_y]))
    assert kid_fid.kid(x, y).value == pytest.approx(np.mean(parts), abs=1e-9)
    assert kid_fid.kid(x, y[:20]).value == pytest.approx(plain_kid(x, y[:20]), abs=1e-9)


def test_the_published_form_has_a_thousand_images_in_each_of_a_hundred_subsets():
    assert (kid_fid.SUBSET, kid_fid.SUBSETS) == (1000, 100)


def test_kid_of_two_halves_of_one_set_is_zero_within_its_interval():
    inside = []
    for seed in range(200):
        both = features(160, 24, seed)
        inside.append(kid_fid.kid(both[:90], both[90:]))
    share = np.mean([found.low <= 0 <= found.high for found in inside])
    # An interval of 95 % is wider than need be here, where errors are of second order: 99 % is what it comes to.
    assert 0.95 <= share <= 1.0
    assert abs(np.mean([found.value for found in inside])) < 0.003
    assert np.mean([found.high - found.value for found in inside]) < 4 * np.std([found.value for found in inside])


def test_kid_of_two_kinds_is_within_its_interval_95_times_in_100():
    truth = np.mean([kid_fid.kid(features(900, 24, s), features(900, 24, s + 50, 1.5)).value for s in range(12)])
    found = [kid_fid.kid(features(90, 24, seed), features(70, 24, seed, 1.5)) for seed in range(300, 600)]
    assert np.mean([each.low <= truth <= each.high for each in found]) == pytest.approx(0.95, abs=0.04)


def test_the_interval_over_subsets_is_as_wide_as_that_of_the_whole_sets(monkeypatch):
    x, y = features(500, 24), features(400, 24, scale=1.5)
    whole = kid_fid.kid(x, y)
    monkeypatch.setattr(kid_fid, "SUBSET", 100)
    parts = kid_fid.kid(x, y)
    assert parts.high - parts.low == pytest.approx(whole.high - whole.low, rel=0.3)
    assert whole.low < parts.value < whole.high


# ── Frechet distance ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("m", "n"), [(300, 200), (20, 300), (20, 15)], ids=["many", "mixed", "few"])
def test_frechet_is_that_of_plain_numpy(m, n):
    x, y = features(m, 24), features(n, 24, scale=1.3)
    # The root of a singular product is only good to half the digits.
    assert kid_fid.frechet_distance(x, y).value == pytest.approx(
        plain_frechet(x, y), abs=1e-9 if min(m, n) > 24 else 1e-6
    )


def test_frechet_by_hand():
    """Along one axis, means 1 and 3, standard deviations 1 and 2: 4 + (2 - 1)^2; nothing varies along the other."""
    x = np.array([[0, 5], [1, 5], [2, 5]], np.float32)
    y = np.array([[1, 5], [3, 5], [5, 5]], np.float32)
    assert kid_fid.frechet_distance(x, y).value == pytest.approx(5)


def test_frechet_of_singular_covariances():
    x, y = features(60, 5), features(70, 5, scale=1.3)
    plane = np.random.default_rng(3).normal(size=(5, 9))
    turned = np.linalg.qr(plane.T)[0].T.astype(np.float32)  # five directions of nine
    assert kid_fid.frechet_distance(x @ turned, y @ turned).value == pytest.approx(plain_frechet(x, y), abs=1e-5)
    still = np.ones((12, 4), np.float32)
    assert kid_fid.frechet_distance(still, still + 1).value == 4
    assert kid_fid.frechet_distance(still, still) == (0, 0, 0)


def test_a_set_is_at_no_distance_from_itself():
    x = features(50, 8)
    assert kid_fid.frechet_distance(x, x).value == pytest.approx(0, abs=1e-12)
    assert kid_fid.frechet_distance(x, x).low == 0


def test_frechet_is_stable_far_from_zero():
    x, y = features(80, 10).astype(np.float64), features(60, 10, scale=1.3).astype(np.float64)
    assert kid_fid.frechet_distance(x + 1e6, y + 1e6).value == pytest.approx(
        kid_fid.frechet_distance(x, y).value, abs=1e-6
    )


@pytest.mark.parametrize(("m", "n", "dimensions"), [(150, 100, 12), (50, 40, 60)], ids=["many", "few"])
def test_the_interval_of_frechet_covers_what_other_images_give(m, n, dimensions):
    found = [kid_fid.frechet_distance(features(m, dimensions, s), features(n, dimensions, s, 1.3)) for s in range(80)]
    spread = np.std([each.value for each in found])
    reach = np.mean([each.high - each.value for each in found]) / 1.96
    assert 0.9 < reach / spread < 2


def test_the_interval_of_frechet_is_that_of_leaving_out_each_image():
    x, y = features(120, 5), features(90, 5, scale=1.3)
    without_x = [plain_frechet(np.delete(x, i, 0), y) for i in range(120)]
    without_y = [plain_frechet(x, np.delete(y, i, 0)) for i in range(90)]
    variance = 119 * np.var(without_x) + 89 * np.var(without_y)
    found = kid_fid.frechet_distance(x, y)
    assert found.high - found.value == pytest.approx(1.96 * np.sqrt(variance), rel=0.05)


# ── Both ────────────────────────────────────────────────────────────────────────────────────


def wide(count, seed):
    return Features(features(count, 20, seed), features(count, 12, seed))


def test_the_order_of_the_images_does_not_matter():
    real, fake = wide(60, 0), wide(40, 1)
    order = np.random.default_rng(5).permutation(40)
    mixed = Features(*(values[order] for values in fake))
    first, second = (compute.compute_metrics(real, each, name="efflite0") for each in (fake, mixed))
    for name, found in first.items():
        assert second[name].value == pytest.approx(found.value, abs=1e-9), name


def test_blocks_do_not_matter(monkeypatch):
    real, fake = wide(60, 0), wide(40, 1)
    whole = compute.compute_metrics(real, fake, name="efflite0")

    def small(count, size=7):
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]

    monkeypatch.setattr(kid_fid, "blocks", lambda count, size=7: small(count, min(size, 7)))
    monkeypatch.setattr(precision_recall, "blocks", small)
    for name, found in compute.compute_metrics(real, fake, name="efflite0").items():
        np.testing.assert_allclose(found, whole[name], atol=1e-9, err_msg=name)


def test_names_say_the_network_and_only_inceptions_distance_is_the_fid():
    found = compute.compute_metrics(wide(30, 0), wide(20, 1), name="efflite0")
    assert set(found) == {f"{name}_efflite0" for name in compute.METRICS}
    assert {"kid_inception", "fid_inception"} <= set(
        compute.compute_metrics(wide(30, 0), wide(20, 1), name="inception")
    )


def test_too_few_images_are_refused():
    compute.compute_metrics(wide(compute.MIN_IMAGES, 0), wide(compute.MIN_IMAGES, 1), name="efflite0")
    with pytest.raises(ValueError, match="9 images are too few"):
        compute.compute_metrics(wide(30, 0), wide(compute.MIN_IMAGES - 1, 1), name="efflite0")
