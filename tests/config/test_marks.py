"""A config says whether its generator draws marks, in how many inks, and where their colours come from."""

import json

import jax
import numpy as np
import pytest

from logogan_jax.config import build_networks, build_training, defaults, run_config
from logogan_jax.core import images, prng
from logogan_jax.core.errors import UserError
from logogan_jax.data import ink_counts
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.networks import diffaugment
from logogan_jax.training import model


@pytest.fixture
def marks(tiny, drawings, toy_networks):
    """A function (objective="gan", channels=3, **mark) -> config of toy networks that draw marks."""

    def make(objective="gan", channels=3, **mark):
        ground = (0, 0, 0, 0) if channels == 4 else "white"
        config = tiny(objective, data__channels=channels, data__dir=str(drawings(28, 28, channels, ground)))
        config.model = defaults.block(name="plain", latent=8, width=16)
        config.mark.update({"inks": 1, **mark})
        return config

    return make


@pytest.mark.parametrize("channels", [1, *(pytest.param(count, marks=pytest.mark.slow) for count in (3, 4))])
def test_colours_of_the_data_are_those_of_its_images(marks, channels):
    made = build_training.build(marks(channels=channels), devices=jax.devices()[:1])
    assert len(made.info.inks) == 10 and all(len(ink) == (3 if channels == 1 else 7) for ink in made.info.inks)
    drawn = np.asarray(made.model.generate(made.state, jax.random.key(0), np.arange(64)))
    assert drawn.shape == (64, 28, 28, channels)
    table = np.round(np.asarray(made.state.model_state["generator"]["table"]) * 255).astype(np.uint8)
    assert tuple(f"#{bytes(ink).hex()}" for ink in table[:10]) == made.info.inks


def test_colours_of_a_network_need_no_inks_of_the_data(marks):
    made = build_training.build(marks(inks=3), devices=jax.devices()[:1])
    assert made.info.inks == () and "table" not in made.state.model_state["generator"]


@pytest.mark.parametrize(
    ("objective", "mark", "said"),
    [
        ("gan", {"colours": "none"}, r"config.mark.colours is 'none': it should be one of auto, data, network"),
        ("gan", {"inks": -1}, r"config.mark.inks is -1: it should be a number of flat colours up to 16, or 0"),
        ("gan", {"inks": 17}, r"config.mark.inks is 17: it should be"),
        ("gan", {"inks": 2, "colours": "data"}, r"config.mark.inks is 2, and colours of the data are for one ink"),
        (
            "vae",
            {"colours": "data"},
            r"config.objective.name 'vae' shows images again: use --config.mark",
        ),
        ("gan", {"inks": 0, "scale": 2}, r"config.mark.scale is 2, and there are no inks to draw: use --config.mark"),
        ("gan", {"scale": 0}, r"config.mark.scale is 0: the images, 28 x 28 pixels, should be so many times as large"),
        ("gan", {"scale": -1}, r"config.mark.scale is -1: the images"),
        ("gan", {"scale": 3}, r"config.mark.scale is 3: the images"),
        ("gan", {"scale": 2}, r"config.mark.scale is 2: .* fields that networks can make, such as 28 x 28"),
    ],
)
def test_what_does_not_suit_is_one_line(marks, objective, mark, said):
    with pytest.raises(UserError, match=said):
        build_training.build(marks(objective, **mark), devices=jax.devices()[:1])


def test_a_latent_of_one_number_has_none_for_the_shape(marks):
    config = marks()
    config.model.latent = 1
    with pytest.raises(UserError, match=r"config.model.latent is 1: with colours of the data it should be at least 2"):
        build_training.build(config, devices=jax.devices()[:1])
    config.mark.colours = "network"
    build_training.build(config, devices=jax.devices()[:1])


@pytest.mark.parametrize(("size", "scale"), [((56, 56), 2), ((96, 48), 3)])
def test_fields_may_be_smaller_than_pictures(marks, drawings, size, scale):
    config = marks(scale=scale, colours="network")
    config.data.update(size=size[0], width=size[1], dir=str(drawings(*size, 3, "white")))
    made = build_training.build(config, devices=jax.devices()[:1])
    fields = made.state.params["generator"]["trunk"]["out"]["kernel"].shape[-1]
    assert fields == size[0] * size[1] // scale**2
    drawn = np.asarray(made.model.generate(made.state, jax.random.key(0), np.arange(2)))
    assert drawn.shape == (2, *size, 3)


def test_a_run_from_before_there_were_marks_draws_none(marks, tmp_path):
    config = marks(inks=0)
    run_config.write(tmp_path, config, DatasetInfo("", 10, {}))
    content = json.loads((tmp_path / "config.json").read_text())
    del content["config"]["mark"]
    del content["data"]["inks"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    again, info = run_config.read(tmp_path)
    assert again.to_dict() == config.to_dict() and info == DatasetInfo("", 10, {})
    run_config.check_recipe(tmp_path, config)


@pytest.mark.parametrize(("objective", "inks", "takes"), [("gan", 1, True), ("gan", 2, False), ("vae", 1, False)])
def test_colours_are_of_the_data_where_that_suits(marks, objective, inks, takes):
    made = build_training.build(marks(objective, inks=inks), devices=jax.devices()[:1])
    assert bool(made.info.inks) == takes


def test_one_ink_is_warned_of_where_images_have_several(marks, monkeypatch):
    said = []
    build_training.build(marks(), devices=jax.devices()[:1], warn=said.append)
    assert not [line for line in said if line.startswith("warning")]
    monkeypatch.setattr(ink_counts, "count_inks", lambda picture: 2)
    build_training.build(marks(), devices=jax.devices()[:1], warn=said.append)
    (line,) = [line for line in said if line.startswith("warning")]
    assert line.startswith(
        "warning: 0% of the images are marks in one flat colour, and config.mark.inks=1 draws no oth"
    )
    assert line.endswith("--config.mark.inks=2 draws marks in 2")
    said.clear()
    build_training.build(marks(inks=3), devices=jax.devices()[:1], warn=said.append)
    assert not said


@pytest.mark.slow
def test_networks_are_trained_on_coverage_and_see_no_colour(marks):
    made = build_training.build(marks(channels=4), devices=jax.devices()[:1])
    step, feed = made.runner.program(1), made.runner.source.at(0, 1)
    states = []
    for channels in ((), (0, 1, 2), (3,)):
        image = feed.image
        for channel in channels:
            image = image.at[..., channel].set(255 - image[..., channel])
        state, _ = step(jax.tree.map(jax.numpy.copy, made.state), feed._replace(image=image))
        states.append(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.params)]))
    plain, recoloured, turned_inside_out = states
    np.testing.assert_array_equal(recoloured, plain)
    assert (turned_inside_out != plain).any()


@pytest.mark.parametrize("channels", [3, *(pytest.param(count, marks=pytest.mark.slow) for count in (1, 4))])
@pytest.mark.parametrize("mark", [{"inks": 0}, {"inks": 1}, {"inks": 1, "colours": "network"}, {"inks": 2}])
def test_the_critic_sees_a_moved_mark_on_its_ground(marks, channels, mark):
    """Moving an image and then taking its coverage is the same as moving its coverage."""
    config = marks(channels=channels, **mark)
    config.augment.policy = "translation"
    made = build_training.build(config, devices=jax.devices()[:1])
    critic = model.merge(made.model.graphdefs, made.state.params, made.state.model_state).critic
    pixels = np.full((16, 28, 28, channels), 0 if channels == 4 else 255, np.uint8)
    pixels[:, 6:20, 9:18] = (20, 60, 200, 255)[:channels] if channels > 1 else 60
    shown, rows = images.to_float(pixels), prng.per_example_keys(jax.random.key(0), np.arange(16))
    see = build_networks.training_view(config).of
    moved = diffaugment.parse_policy("translation", images.background(channels))(rows, shown, 1.0)
    assert (np.asarray(moved) != shown).any((1, 2, 3)).mean() > 0.8
    np.testing.assert_allclose(critic.augment(rows, see(shown), 1.0), see(moved), atol=1e-6)
