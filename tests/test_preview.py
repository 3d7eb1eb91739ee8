"""The preview shows what the step sees: the same function, the same keys, the pixels of the shards."""

import jax
import numpy as np
import pytest
from conftest import failing

from data_prep import preview_augment
from logogan_jax import augment, images, keys
from logogan_jax.data.shards import Shards

ACROSS = 1 + preview_augment.VIEWS


def sheet(tiny, **changes):
    """uint8[logo, column, S, S, C] of the preview of a config."""
    found = preview_augment.preview(tiny("dcgan", **changes))
    return found.reshape(preview_augment.LOGOS, ACROSS, *found.shape[1:])


def test_without_augmentation_every_view_is_the_logo(tiny, shards):
    found, opened = sheet(tiny, data__rotate=0.0, data__mirror=False), Shards(shards, size=28, channels=3)
    for number, row in enumerate(found):
        assert (row == opened.image(number)[0]).all()


def test_mirrored_views_are_the_logo_or_its_mirror_image(tiny):
    found = sheet(tiny, data__rotate=0.0, data__mirror=True)
    same = (found == found[:, :1]).all((2, 3, 4))
    turned = (found == found[:, :1, :, ::-1]).all((2, 3, 4))
    assert (same | turned).all() and not same.all() and not turned[:, 1:].all()


def test_views_are_those_of_the_first_steps(tiny):
    config = tiny("dcgan", data__rotate=20.0, data__mirror=True)
    found = sheet(tiny, data__rotate=20.0, data__mirror=True)
    view = augment.pipeline(rotate_degrees=20.0, mirror=True)
    # As logogan_jax.step makes them: the first player's first update of step 3.
    rows = keys.rows(keys.at(jax.random.key(config.train.seed), keys.STEP, 3, 0, 0), np.arange(len(found)))
    seen = images.to_uint8(view(keys.split(rows, 2)[0], images.to_float(found[:, 0])))
    assert np.abs(np.asarray(seen).astype(int) - found[:, 4]).max() <= 1
    assert len({view.tobytes() for view in found[0]}) == ACROSS  # all different


@pytest.mark.slow
def test_the_command_writes_one_picture_or_one_line(shards, tmp_path, config_file):
    config = f"--config={config_file(4)}"
    tool = lambda *flags: failing(config, *flags, module="data_prep.preview_augment")
    assert "--out=/nowhere/x.png should be a .png in a folder that is there" in tool("--out=/nowhere/x.png")
    assert "should be a .png" in tool(f"--out={tmp_path}/x.jpg")
    assert "did you mean" in tool(f"--out={tmp_path}/x.png", "--config.data.rotat=3")
    assert not list(tmp_path.glob("*.png"))
    (tmp_path / "x.png").write_text("mine")
    assert "is there already" in tool(f"--out={tmp_path}/x.png")
