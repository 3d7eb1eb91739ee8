"""What a critic looks through is DiffAugment, differentiable twice, alike in any batch, as strong as it is told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P
from jax.test_util import check_grads

from logogan_jax.core import images, prng, target
from logogan_jax.core.errors import UserError
from logogan_jax.distributed import data_parallel
from logogan_jax.networks import diffaugment

SIZE, COUNT = (24, 16), 16
ROWS = prng.per_example_keys(jax.random.key(3), jnp.arange(COUNT))
ALL, NONE = jnp.ones(COUNT, bool), jnp.zeros(COUNT, bool)


def batch(channels, size=SIZE, count=COUNT):
    """float32[count, *size, channels] of noise; RGBA premultiplied, a third of it transparent and a third opaque."""
    random = np.random.default_rng(channels)
    pixels = random.integers(0, 256, (count, *size, channels), dtype=np.uint8)
    if channels == 4:
        pixels[..., 3] = np.clip((pixels[..., 3].astype(int) - 85) * 3, 0, 255)
    return np.asarray(images.to_float(pixels))


def transform(name, rows, x, chosen):
    """Apply a transform of colours, whose background is white or transparent."""
    outside = {"outside": images.background(x.shape[-1])} if name == "translation" else {}
    return diffaugment.TRANSFORMS[name](rows, x, chosen, **outside)


def parse(words, channels=3):
    return diffaugment.parse_policy(words, images.background(channels))


def uniform(shape=(), **bounds):
    return np.asarray(prng.uniform(ROWS, shape, **bounds)).reshape(COUNT, *shape, *[1] * (3 if shape == () else 0))


# ── each transform in numpy ─────────────────────────────────────────────────────────────────


def moved(x, draws, outside):
    out = np.full_like(x, outside)
    for image, result, draw in zip(x, out, draws, strict=True):
        reach = [int(side / 8 + 0.5) for side in SIZE]
        down, right = (most - int(u * (2 * most + 1)) for u, most in zip(draw, reach, strict=True))
        for i, j in np.ndindex(*SIZE):
            if 0 <= i - down < SIZE[0] and 0 <= j - right < SIZE[1]:
                result[i, j] = image[i - down, j - right]
    return out


def holed(x, draws):
    out = x.copy()
    for result, draw in zip(out, draws, strict=True):
        top, left = (int(u * (side + 1 - (side // 2) % 2)) - side // 4 for u, side in zip(draw, SIZE, strict=True))
        result[max(top, 0) : max(top + SIZE[0] // 2, 0), max(left, 0) : max(left + SIZE[1] // 2, 0)] = 0
    return out


def around(x, mean, factor):
    return mean + factor * (x - mean)


NUMPY = {
    "brightness": lambda x: x + uniform(low=-0.5, high=0.5),
    "saturation": lambda x: around(x, x.mean(-1, keepdims=True), uniform(high=2.0)),
    "contrast": lambda x: around(x, x.mean((1, 2, 3), keepdims=True), uniform(low=0.5, high=1.5)),
    "translation": lambda x: moved(x, uniform((2,)), images.background(x.shape[-1])),
    "cutout": lambda x: holed(x, uniform((2,))),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", diffaugment.TRANSFORMS)
def test_a_transform_is_that_of_plain_numpy_and_leaves_others_alone(name, channels):
    x, some = batch(channels), jnp.arange(COUNT) % 3 > 0
    found, expected = np.asarray(transform(name, ROWS, x, some)), NUMPY[name](x)
    np.testing.assert_allclose(found[some], expected[some], atol=2e-6)
    np.testing.assert_array_equal(found[~some], x[~some])
    assert (name == "saturation" and channels == 1) or np.abs(found - x).max() > 0.1


@pytest.mark.parametrize("channels", [1, 4])
def test_a_tpu_moves_images_by_products_to_the_same_bits(channels):
    x, some = batch(channels), jnp.arange(COUNT) % 3 > 0
    here = transform("translation", ROWS, x, some)
    weights = jnp.asarray(np.random.default_rng(0).normal(size=x.shape), jnp.float32)
    score = lambda x: jnp.vdot(weights, transform("translation", ROWS, x, some))
    gradient = jax.grad(score)(x)
    with target.tracing_for("tpu"):
        there = transform("translation", ROWS, x, some)
        np.testing.assert_array_equal(there, here)
        np.testing.assert_array_equal(jax.grad(score)(x), gradient)
        # One image after the other would be a slice for each, which a TPU runs in a loop.
        assert "gather" not in str(jax.make_jaxpr(jax.grad(score))(x))


@pytest.mark.parametrize("name", ["translation", "cutout"])
def test_what_moves_pixels_treats_alpha_as_any_channel(name):
    np.testing.assert_array_equal(transform(name, ROWS, batch(4), ALL), NUMPY[name](batch(4)))


@pytest.mark.parametrize("name", diffaugment.PRESETS["colour"])
def test_colours_of_rgba_change_where_they_are_seen(name):
    x = batch(4)
    found = np.asarray(transform(name, ROWS, x, ALL))
    np.testing.assert_array_equal(found[..., 3], x[..., 3])
    np.testing.assert_array_equal(found[x[..., 3] == -1], -1)
    assert (found[..., :3] >= -1 - 1e-6).all() and (found[..., :3] <= found[..., 3:] + 1e-6).all()
    assert np.abs(found - x).max() > 0.1
    # Where all is opaque it is RGB, within the range of colours.
    opaque = np.concatenate([batch(3), np.ones((COUNT, *SIZE, 1), np.float32)], -1)
    found = transform(name, ROWS, opaque, ALL)[..., :3]
    np.testing.assert_allclose(found, NUMPY[name](batch(3)).clip(-1, 1), atol=2e-6)


def test_half_transparent_colours_change_half_as_much():
    """On a mid-grey of alpha 1/2, premultiplied 1/4 of [0, 1], which is -1/2."""
    grey = jnp.full((COUNT, *SIZE, 4), -0.5).at[..., 3].set(0.0)
    found = diffaugment.brightness(ROWS, grey, ALL)[..., :3]
    np.testing.assert_allclose(found, np.broadcast_to(-0.5 + uniform(low=-0.5, high=0.5) / 2, found.shape), atol=1e-6)
    np.testing.assert_allclose(diffaugment.contrast(ROWS, grey, ALL), grey, atol=1e-6)  # all of it is its mean


def test_every_place_is_as_likely_as_any_other():
    rows = prng.per_example_keys(jax.random.key(0), jnp.arange(4000))
    corner = jnp.ones((4000, 16, 8, 1)).at[:, 4, 4].set(-1.0)
    places = np.argwhere(np.asarray(transform("translation", rows, corner, jnp.ones(4000, bool)))[..., 0] == -1)
    assert len(places) == 4000
    counts = np.zeros((5, 3))
    np.add.at(counts, (places[:, 1] - 2, places[:, 2] - 3), 1)
    assert counts.min() > 4000 / 15 * 0.7 and counts.max() < 4000 / 15 * 1.3


def test_what_comes_from_outside_has_the_value_that_was_given():
    x = jnp.zeros((COUNT, *SIZE, 1))
    for outside in (-1.0, 1.0):
        seen = np.asarray(diffaugment.parse_policy("translation", outside)(ROWS, x, 1.0))
        assert set(np.unique(seen)) == {0.0, outside}


# ── derivatives ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize("name", diffaugment.TRANSFORMS)
def test_derivatives_are_right_at_second_order(name):
    """A transform of RGB is y = J x + c, so the Hessian of a sum of f(y) is J' f''(y) J."""
    size, rows = (8, 6), ROWS[:1]
    view = jax.jit(lambda x: transform(name, rows, x.reshape(1, *size, 3), ALL[:1]).reshape(-1))
    x = jnp.asarray(batch(3, size, 1).reshape(-1))
    zero = view(jnp.zeros(x.size))
    jacobian = np.stack([view(unit) - zero for unit in jnp.eye(x.size)], 1)
    y = np.asarray(view(x), np.float64)
    score = lambda x: jnp.square(view(x)).sum() / 2 + jnp.sin(view(x)).sum()
    np.testing.assert_allclose(jax.grad(score)(x), jacobian.T @ (y + np.cos(y)), atol=2e-5)
    hessian = jacobian.T @ ((1 - np.sin(y))[:, None] * jacobian)
    np.testing.assert_allclose(jax.jit(jax.jacrev(jax.grad(score)))(x), hessian, atol=2e-5)
    along = jnp.asarray(np.random.default_rng(0).normal(size=x.size), jnp.float32)
    penalty = lambda x: jnp.vdot(jax.grad(score)(x), along)
    np.testing.assert_allclose(jax.jit(jax.grad(penalty))(x), hessian @ along, atol=1e-4)


@pytest.mark.slow
def test_derivatives_of_rgba_are_those_of_differences():
    x = jnp.asarray(batch(4, (6, 4), 2))
    x = x.at[..., 3].set(0.6).at[..., :3].set(x[..., :3] * 0.1 - 0.1)  # nothing at its limits
    seen = jax.jit(lambda x: jnp.sin(parse("diffaugment", 4)(ROWS[:2], x, 1.0)))
    check_grads(seen, (x,), order=2, modes=["rev"], atol=2e-2, rtol=2e-2, eps=1e-2)


@pytest.mark.slow
def test_gradients_at_the_limits_of_rgba_are_finite():
    """Where everything is transparent, and where a network draws more colour than alpha."""
    score = lambda x: jnp.square(parse("diffaugment", 4)(ROWS, x, 1.0)).sum()
    norm = lambda x: jnp.square(jax.grad(score)(x)).sum()
    gradient = jax.jit(jax.grad(norm))
    for x in (jnp.full((COUNT, *SIZE, 4), -1.0), jnp.full((COUNT, *SIZE, 4), 1.0).at[..., 3].set(-1.0)):
        assert jnp.isfinite(gradient(x)).all()


# ── policies ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("words", [*diffaugment.PRESETS, *diffaugment.TRANSFORMS])
def test_without_strength_nothing_changes_and_with_all_of_it_most(words, channels):
    x, view = batch(channels), parse(words, channels)
    np.testing.assert_array_equal(view(ROWS, x, 0.0), x)
    seen = np.asarray(view(ROWS, x, 1.0))
    assert seen.shape == x.shape and seen.dtype == np.float32
    changed = (np.abs(seen - x) > 1e-3).any((1, 2, 3)).mean()
    assert changed == 0 if (words, channels) == ("saturation", 1) else changed > 0.8


@pytest.mark.slow
def test_each_image_and_each_transform_draws_for_itself():
    rows = prng.per_example_keys(jax.random.key(1), jnp.arange(600))
    grey = jnp.full((600, 8, 8, 3), 0.25)
    changed = np.asarray(parse("brightness,cutout")(rows, grey, 0.3))
    bright = np.abs(changed - 0.25).max((1, 2, 3), where=changed != 0, initial=0) > 1e-6
    cut = (changed == 0).any((1, 2, 3))
    for share, expected in ((bright.mean(), 0.3), (cut.mean(), 0.3), ((bright & cut).mean(), 0.09)):
        assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / 600)


def test_a_transform_draws_the_same_whatever_else_is_named():
    x = batch(3)
    alone, with_others = (parse(words)(ROWS, x, 1.0) for words in ("cutout", " contrast, cutout,contrast"))
    np.testing.assert_array_equal(alone == 0, with_others == 0)
    one, other = (parse(words)(ROWS, x, 1.0) for words in ("diffaugment", "cutout,translation,colour"))
    np.testing.assert_array_equal(one, other)


def test_the_logo_preset_keeps_colours_letters_and_the_white_ground():
    assert set(diffaugment.PRESETS["logo"]) <= {"translation", "cutout"}
    white = jnp.ones((COUNT, *SIZE, 3))
    seen = np.asarray(parse("logo")(ROWS, white, 1.0))
    assert set(np.unique(seen)) == {0.0, 1.0}
    shares = (seen == 0).mean((1, 2, 3))
    assert shares.min() > 0.05 and shares.max() <= 0.25


def test_an_unknown_word_is_one_line_that_lists_the_others():
    for words in ("logo,mirror", "", "logo,"):
        with pytest.raises(UserError) as caught:
            parse(words)
        said = str(caught.value)
        assert f"config.augment.policy is {words!r}" in said and "diffaugment, logo, brightness" in said
        assert "\n" not in said


# ── devices ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_any_number_of_devices_sees_the_same():
    view, x = parse("diffaugment"), jnp.asarray(batch(3))

    def gradients(key, x, strength):
        rows = prng.per_example_keys(key, data_parallel.replica_rows(len(x)))
        return jax.grad(lambda x: jnp.tanh(view(rows, x, strength)).sum())(x)

    def on(devices):
        mesh = data_parallel.DataParallel("shard_map", COUNT, jax.devices()[:devices]).mesh
        specs = {"in_specs": (P(), P(data_parallel.AXIS), P()), "out_specs": P(data_parallel.AXIS)}
        return jax.jit(jax.shard_map(gradients, mesh=mesh, **specs))(jax.random.key(0), x, jnp.float32(0.7))

    np.testing.assert_allclose(on(1), on(4), atol=1e-5)
