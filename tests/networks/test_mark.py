"""Marks are flat inks on a ground: what of a pixel an ink covers, its colour, the ground, and any size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from test_networks import FAMILIES, call, perturbed, traced
from test_networks import make as make_network

from logogan_jax.networks import mark

SHARP = jnp.float32(1e4)  # edges of no width
TABLE = np.array([[1, 0, 0], [0, 0.5, 0], [0, 0, 0.25]], np.float32)


def marked(name="dcgan", *, inks=1, channels=3, table=None, classes=0, **values):
    """A generator of a family that draws marks, with noise on its weights."""
    trunk = make_network(name, "generator", channels=inks, classes=classes, latent=10 if table is None else 9, **values)
    made = mark.MarkGenerator(
        trunk, inks=inks, channels=channels, latent=10, classes=classes, table=table, dtype=jnp.float32,
        rngs=nnx.Rngs(1),
    )  # fmt: skip
    return perturbed(made)


def latents(count=6):
    return jax.random.normal(jax.random.key(3), (count, 10))


def test_an_edge_between_pixels_covers_what_lies_on_its_side():
    # The field is x - edge in pixels: positive on the right.
    ramp = lambda edge: jnp.broadcast_to(jnp.arange(6.0) - edge, (1, 4, 6))[..., None]
    for edge, pixel in ((2.0, 0.5), (2.4, 0.0), (1.6, 1.0)):  # of the third pixel, two points of which lie at +-1/4
        found = mark.coverage(ramp(edge), SHARP)[0, :, :, 0]
        np.testing.assert_allclose(found, np.broadcast_to([0, 0, pixel, 1, 1, 1], (4, 6)), atol=1e-6)


def test_a_corner_covers_a_quarter():
    x, y = jnp.meshgrid(jnp.arange(5.0) - 2, jnp.arange(5.0) - 2)
    field = jnp.minimum(x, y)[None, ..., None]
    found = np.asarray(mark.coverage(field, SHARP))[0, :, :, 0]
    assert found[2, 2] == 0.25 and found[4, 4] == 1 and found[0].max() == 0


def test_edges_are_repeated_outside_of_the_image():
    found = mark.coverage(jnp.array([[[[1.0], [-1.0]]]]), SHARP)
    np.testing.assert_array_equal(found[0, 0, :, 0], [1, 0])


@pytest.mark.slow
def test_a_mark_at_a_larger_size_is_the_same_mark():
    fields = jax.image.resize(jax.random.normal(jax.random.key(0), (2, 5, 4, 2)), (2, 14, 10, 2), "bicubic")
    small = mark.coverage(fields, SHARP)
    large = mark.coverage(fields, SHARP, scale=4)
    assert large.shape == (2, 56, 40, 2)
    again = large.reshape(2, 14, 4, 10, 4, 2).mean((2, 4))
    assert np.abs(again - small).mean() < 0.04  # 64 points in a pixel, and 4
    soft = lambda shares: ((shares > 0.01) & (shares < 0.99)).mean()
    assert soft(large) < soft(small) / 2


@pytest.mark.slow
def test_shares_of_one_ink_are_a_sigmoid_and_of_more_leave_the_rest_to_the_ground():
    logits = jnp.linspace(-200, 200, 81)[:, None]
    np.testing.assert_allclose(mark.ink_shares(logits)[:, 0], jax.nn.sigmoid(logits[:, 0]), atol=1e-6)
    shares = mark.ink_shares(jnp.array([[0.0, 0.0], [100.0, 0.0], [-100.0, -100.0], [300.0, 300.0]]))
    np.testing.assert_allclose(shares, [[1 / 3, 1 / 3], [1, 0], [0, 0], [0.5, 0.5]], atol=1e-6)
    gradient = jax.grad(lambda x: mark.ink_shares(x).sum())(jnp.array([[1e4, -1e4]]))
    assert np.isfinite(gradient).all()


def test_the_ground_is_white_or_transparent():
    shares = jnp.array([[[[0.0, 0.0]], [[1.0, 0.0]], [[0.25, 0.5]]]])
    colours = jnp.array([[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    rgb = (mark.lay_on_ground(shares, colours, 3)[0, :, 0] + 1) / 2
    np.testing.assert_allclose(rgb, [[1, 1, 1], [1, 0, 0], [0.5, 0.25, 0.75]], atol=1e-6)
    rgba = (mark.lay_on_ground(shares, colours, 4)[0, :, 0] + 1) / 2
    np.testing.assert_allclose(rgba, [[0, 0, 0, 0], [1, 0, 0, 1], [0.25, 0, 0.5, 0.75]], atol=1e-6)
    grey = (mark.lay_on_ground(shares, colours[..., :1], 1)[0, :, 0] + 1) / 2
    np.testing.assert_allclose(grey, [[1], [1], [0.5]], atol=1e-6)


@pytest.mark.parametrize("number", range(3))
def test_an_open_gate_makes_a_mark_symmetric_and_a_closed_one_leaves_it(number):
    fields = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 4, 2)), jnp.float32)
    gates = jnp.zeros((2, 3)).at[1, number].set(1.0)
    first, second = np.asarray(mark.make_symmetric(fields, gates))
    np.testing.assert_array_equal(first, fields[0])
    for other, axes in enumerate(((1,), (0,), (0, 1))):
        assert np.allclose(second, np.flip(second, axes), atol=1e-6) == (other == number)
    np.testing.assert_allclose(second.mean(), fields[1].mean(), atol=1e-6)


def test_gates_that_are_half_open_act_one_after_the_other():
    rng = np.random.default_rng(1)
    fields, gates = rng.normal(size=(7, 5, 4, 2)), rng.uniform(size=(7, 3))
    expected = fields
    for number, axes in enumerate(((2,), (1,), (1, 2))):
        half = gates[:, number, None, None, None] / 2
        expected = expected + half * (np.flip(expected, axes) - expected)
    found = mark.make_symmetric(jnp.asarray(fields, jnp.float32), jnp.asarray(gates, jnp.float32))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_gates_are_opened_by_z_and_learn_when_to_open():
    generator = marked(table=TABLE)
    alike = lambda picture: jnp.abs(picture - picture[:, :, ::-1]).mean()
    assert alike(call(generator, latents(), train=False)) > 1e-3
    steepness = lambda network: alike(network(latents(), train=False))
    learned = jax.jit(nnx.grad(steepness, argnums=nnx.DiffState(0, nnx.Param)))(generator)["gates"]
    assert float(jnp.abs(learned["kernel"][...]).max()) > 0
    generator.gates.bias[...] = jnp.array([50.0, -50.0, -50.0])
    for scale in (1, 3):
        assert alike(call(generator, latents(), train=False, scale=scale)) < 1e-5


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("inks", "channels"), [(1, 3), (3, 4), (2, 1)])
def test_every_generator_draws_marks(name, inks, channels):
    def drawn():
        trunk = traced(name, "generator", channels=inks, latent=10)
        values = {"channels": channels, "latent": 10, "classes": 0, "table": None}
        made = mark.MarkGenerator(trunk, inks=inks, **values, dtype=jnp.float32, rngs=nnx.Rngs(1))
        return made(latents(), None, train=False)

    shapes = jax.eval_shape(drawn)
    assert shapes.shape == (6, 28, 28, channels) and shapes.dtype == jnp.float32


@pytest.mark.slow
def test_pictures_lie_between_their_inks_and_the_ground():
    found = call(marked(inks=2), latents(), train=False)
    assert found.min() >= -1 and found.max() <= 1 and found.std() > 0.01
    large = call(marked(inks=2), latents(), train=False, scale=3)
    assert large.shape == (6, 84, 84, 3)


@pytest.mark.slow
def test_inks_of_the_data_are_chosen_by_the_last_number_of_z():
    generator = marked(channels=4, table=TABLE)
    z = latents(300)
    found = (call(generator, z, train=False) + 1) / 2
    colours, alpha = found[..., :3], found[..., 3:]
    chosen = TABLE[np.clip((jax.scipy.stats.norm.cdf(z[:, -1]) * 3).astype(int), 0, 2)]
    np.testing.assert_allclose(colours, alpha * chosen[:, None, None], atol=1e-6)
    counts = np.bincount(np.argmax(chosen, axis=1), minlength=3)
    assert counts.min() > 70  # all inks are as probable as each other
    # The shape follows the other numbers alone.
    moved = (call(generator, z.at[:, -1].set(0.0), train=False) + 1) / 2
    np.testing.assert_allclose(moved[..., 3], found[..., 3], atol=1e-6)


@pytest.mark.slow
def test_a_network_makes_colours_from_z_and_the_label():
    generator = marked(classes=2)
    z = latents(4)
    colours = lambda label: generator.choose_colours(z, jnp.full(4, label))[0]
    assert colours(0).shape == (4, 1, 3) and (colours(0) != colours(1)).any()
    assert np.unique(colours(0), axis=0).shape[0] == 4


def test_the_table_is_no_parameter():
    generator = marked(channels=4, table=TABLE)
    trained = jax.tree.leaves(nnx.state(generator, nnx.Param))
    assert not any(leaf.shape == TABLE.shape for leaf in trained)
    assert any(leaf.shape == () for leaf in trained)  # the sharpness is one


@pytest.mark.slow
def test_coverage_of_a_picture_is_its_alpha_or_how_far_it_is_from_white():
    shares = jax.random.uniform(jax.random.key(1), (3, 28, 28, 1)).at[:, 3, 3].set(1)  # a pixel that is all ink
    colours = jnp.asarray(TABLE)[:, None]
    for channels in (3, 4):
        images = mark.lay_on_ground(shares, colours, channels)
        np.testing.assert_allclose(mark.image_coverage(images), 2 * shares - 1, atol=1e-5)
    grey = mark.lay_on_ground(shares, colours[..., :1] / 2, 1)
    np.testing.assert_allclose(mark.image_coverage(grey), 2 * shares - 1, atol=1e-5)
    np.testing.assert_array_equal(mark.image_coverage(jnp.ones((1, 8, 8, 3))), jnp.full((1, 8, 8, 1), mark.NO_INK))
    for channels in (1, 3, 4):
        black = mark.lay_on_ground(shares, jnp.zeros((3, 1, 1 if channels == 1 else 3)), channels)
        np.testing.assert_allclose(mark.in_black(mark.image_coverage(black), channels), black, atol=1e-5)


@pytest.mark.slow
def test_training_sees_coverage_alone_where_inks_are_of_the_data():
    z = latents()
    generator = marked("r3gan", table=TABLE)
    trained = call(generator, z, train=True)
    assert trained.shape == (6, 28, 28, 1)
    np.testing.assert_array_equal(trained, call(generator, z.at[:, -1].set(9.0), train=True))
    assert call(marked("r3gan"), z, train=True).shape == (6, 28, 28, 3)


def interpolated(field, y, x):
    """The value of a field [h, w] at a place, whose corner pixels have their centres at whole numbers."""
    along = [np.interp(x, np.arange(field.shape[1]), row) for row in field]
    return np.interp(y, np.arange(field.shape[0]), along)


@pytest.mark.parametrize("scale", [1, 3])
def test_coverage_is_the_mean_over_four_points_of_a_pixel_of_the_interpolated_fields(scale):
    fields = np.random.default_rng(0).normal(size=(4, 5, 2)).astype(np.float32)
    expected = np.zeros((4 * scale, 5 * scale, 2))
    for row, column in np.ndindex(4 * scale, 5 * scale):
        for a, b in ((0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)):
            place = ((row + a) / scale - 0.5, (column + b) / scale - 0.5)
            powers = np.exp([scale * 2.0 * interpolated(fields[..., ink], *place) for ink in (0, 1)])
            expected[row, column] += powers / (1 + powers.sum()) / 4
    found = mark.coverage(jnp.asarray(fields)[None], jnp.float32(2.0), scale)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
