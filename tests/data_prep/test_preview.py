"""The preview shows what the step sees: the same function, the same keys, the pixels of the shards."""

import fork_server
import jax
import numpy as np
import pytest
from conftest import ROOT, command, environment, failing, pictures

from data_prep import preview_augment
from logogan_jax.core import images, prng
from logogan_jax.data import augment
from logogan_jax.data.dataset import TFRecordDataset

ACROSS = 1 + preview_augment.VIEWS


def sheet(tiny, **changes):
    """uint8[logo, column, H, W, C] of the preview of a config."""
    found = preview_augment.preview(tiny(**changes))
    assert found.shape[:2] == (preview_augment.LOGOS, ACROSS)
    return found


def test_without_augmentation_every_view_is_the_logo(tiny, shards):
    found, opened = (
        sheet(tiny, data__rotate=0.0, data__mirror=False),
        TFRecordDataset(shards, size=(28, 28), channels=3),
    )
    for number, row in enumerate(found):
        assert (row == opened.image(number)[0]).all()


def test_mirrored_views_are_the_logo_or_its_mirror_image(tiny):
    found = sheet(tiny, data__rotate=0.0, data__mirror=True)
    same = (found == found[:, :1]).all((2, 3, 4))
    turned = (found == found[:, :1, :, ::-1]).all((2, 3, 4))
    assert (same | turned).all() and not same.all() and not turned[:, 1:].all()


@pytest.mark.slow
def test_views_are_those_of_the_first_steps(tiny):
    config = tiny(data__rotate=20.0, data__mirror=True)
    found = sheet(tiny, data__rotate=20.0, data__mirror=True)
    view = augment.pipeline(rotate_degrees=20.0, mirror=True)
    # As logogan_jax.training.train_step makes them: the first player's first update of step 3.
    rows = prng.per_example_keys(
        prng.fold_in(jax.random.key(config.train.seed), prng.STEP, 3, 0, 0), np.arange(len(found))
    )
    seen = images.to_uint8(view(prng.split(rows, 2)[0], images.to_float(found[:, 0])))
    assert np.abs(np.asarray(seen).astype(int) - found[:, 4]).max() <= 1
    assert len({view.tobytes() for view in found[0]}) == ACROSS  # all different


def test_the_same_batch_again_is_seen_the_same_way_again(tiny):
    found = sheet(tiny, data__rotate=20.0, data__mirror=True, data__corners="edge", data__same_batch_for=9)
    assert (found[:, 1:] == found[:, 1:2]).all()
    assert (found[:, 1] != found[:, 0]).any((1, 2, 3)).all()


@pytest.mark.slow
def test_the_critic_s_views_follow_those_of_the_data(tiny):
    changes = {"data__rotate": 0.0, "data__mirror": True, "augment__policy": "cutout"}
    found = preview_augment.preview(tiny(**changes))
    assert found.shape[1] == 1 + 2 * preview_augment.VIEWS
    data, critic = np.split(found[:, 1:], 2, axis=1)
    hidden = (critic == 128).all(-1)
    assert ((critic == data).all(-1) | hidden).all()
    assert hidden.any((2, 3)).all()
    none = preview_augment.preview(tiny(**changes, augment__strength=0.0))
    data, critic = np.split(none[:, 1:], 2, axis=1)
    assert (critic == data).all()
    adapting = preview_augment.preview(tiny(**changes, augment__adaptive=True))
    assert (adapting == found).all()  # as strong as it may become


@pytest.mark.slow
def test_of_marks_the_critic_sees_coverage_and_no_ink_comes_in(tiny):
    found = preview_augment.preview(tiny(data__rotate=0.0, mark__inks=1, augment__policy="translation"))
    data, critic = (views.astype(int) for views in np.split(found[:, 1:], 2, axis=1))
    assert (critic == critic[..., :1]).all() and (critic.min((2, 3, 4)) < 10).all()
    cover = np.linalg.norm(255 - data, axis=-1)
    cover = (cover / cover.max((2, 3), keepdims=True)).sum((2, 3))
    inked = (1 - critic[..., 0] / 255).sum((2, 3))
    assert (inked <= cover + 1).all() and (np.abs(inked - cover) < 1).any()
    assert (critic[:, :, :, :, 0] != critic[:, :1, :, :, 0]).any()  # they move


def test_tall_transparent_logos_are_shown_on_white(tiny, drawings, tmp_path):
    changes = {"data__size": 32, "data__width": 16, "data__channels": 4, "data__rotate": 20.0}
    found = preview_augment.preview(tiny(**changes, data__dir=str(drawings(32, 16, 4))))
    assert found.shape[2:] == (32, 16, 4) and len(np.unique(found[..., 3])) > 2
    assert images.make_grid(found[0], columns=8).shape == (36, 8 * 18 + 2, 3)


@pytest.mark.slow
def test_the_command_writes_one_picture_or_one_line(shards, tmp_path, config_file):
    config = f"--config={config_file(4)}"
    tool = lambda *flags: failing(config, *flags, module="data_prep.preview_augment")
    assert "--out=/nowhere/x.png should be a .png in an existing folder" in tool("--out=/nowhere/x.png")
    assert "should be a .png" in tool(f"--out={tmp_path}/x.jpg")
    assert "did you mean" in tool(f"--out={tmp_path}/x.png", "--config.data.rotat=3")
    assert "'mirror' is none of" in tool(f"--out={tmp_path}/x.png", "--config.augment.policy=mirror")
    assert not list(tmp_path.glob("*.png"))
    flags = config, "--config.augment.policy=logo", f"--out={tmp_path}/x.png"
    done = fork_server.run(
        command("data_prep.preview_augment", *flags), env=environment(), cwd=ROOT, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert "8 logos of" in done.stdout and "what the critic sees with the policy 'logo'" in done.stdout
    assert pictures(tmp_path)["x.png"].shape == (4 * (8 * 30 + 2), 4 * (15 * 30 + 2), 3)
    assert "exists already" in tool(f"--out={tmp_path}/x.png")
