"""What people ask the sample command for: pictures by address and label, usual ones, larger ones, reconstructions."""

import json
import re

import numpy as np
import pytest
from conftest import devices, four, on_toy_networks, pictures
from PIL import Image

from data_prep.pictures import svg
from logogan_jax import loop, sample
from logogan_jax.config import defaults, restore
from logogan_jax.core import images
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import TFRecordDataset

ADAM = {"name": "adam", "learning_rate": 2e-3, "b1": 0.5, "b2": 0.999}


def finished(shards, workdir, objective, *roles, **changes):
    """A run of a few steps of an objective."""
    config = on_toy_networks(four(shards, **{"train.steps": 20, "train.batch_size": 16, **changes}))
    config.report.update(log_every=20, samples_every=0, checkpoint_every=0)
    config.model.width = 64
    config.objective = defaults.block(name=objective)
    config.optimizer = defaults.block(**{role: dict(ADAM) for role in roles})
    with devices(1):
        loop.train(config, workdir)
    return workdir


@pytest.fixture(scope="module")
def conditional(shards, tmp_path_factory, toy_networks):
    workdir = tmp_path_factory.mktemp("runs") / "cgan"
    return finished(shards, workdir, "cgan", "generator", "critic", **{"data.labels": True})


@pytest.fixture
def sampled(call):
    """A function (run, folder, *flags) -> the pictures that the command draws of a run into a folder."""

    def draw(workdir, out, *flags):
        call(sample, f"--workdir={workdir}", f"--out={out}", *flags)
        return pictures(out)

    return draw


@pytest.mark.slow
def test_a_label_is_drawn_by_name(conditional, sampled, tmp_path):
    box, disc, both = (
        sampled(conditional, tmp_path / name, "--num=20", *flags)
        for name, flags in (("box", ["--label=box"]), ("disc", ["--label=disc"]), ("both", []))
    )
    names = [f"{i:05d}.png" for i in range(20)]
    assert all((box[name] != disc[name]).any() for name in names)
    of_label = [(both[name] == box[name]).all() for name in names]
    assert all(
        (both[name] == (box if is_box else disc)[name]).all() for name, is_box in zip(names, of_label, strict=True)
    )
    assert 0 < sum(of_label) < 20


def addresses_of(folder):
    """{file name: address} as the command lists them beside the pictures."""
    return {row["file"]: row["picture"] for row in json.loads((folder / "pictures.json").read_text())["pictures"]}


@pytest.mark.slow
def test_a_picture_is_drawn_again_by_its_address_among_any_others(conditional, sampled, tmp_path):
    many = sampled(conditional, tmp_path / "many", "--num=20", "--seed=3")
    listed = addresses_of(tmp_path / "many")
    assert listed["00017.png"] == "3:17" and len(listed) == 20
    again = sampled(conditional, tmp_path / "again", "--seeds=5,3:17,3:2-3,0")
    assert addresses_of(tmp_path / "again") == {
        "seed00005.png": "5:0", "seed00003-00017.png": "3:17", "seed00003-00002.png": "3:2",
        "seed00003-00003.png": "3:3", "seed00000.png": "0:0",
    }  # fmt: skip
    for number in (17, 2, 3):
        np.testing.assert_array_equal(again[f"seed00003-{number:05d}.png"], many[f"{number:05d}.png"])
    only = sampled(conditional, tmp_path / "only", "--num=1", "--seed=5")
    np.testing.assert_array_equal(again["seed00005.png"], only["00000.png"])
    rows = json.loads((tmp_path / "again" / "pictures.json").read_text())
    assert rows["step"] == 20 and {row["label"] for row in rows["pictures"]} <= {"box", "disc"}


@pytest.mark.slow
def test_truncated_pictures_are_more_alike_and_the_mean_is_one_picture(conditional, sampled, tmp_path):
    apart = {}
    for share in ("1", "0.5", "0"):
        drawn = sampled(conditional, tmp_path / share, "--num=8", "--label=disc", f"--truncation={share}")
        apart[share] = np.std([drawn[f"{i:05d}.png"].astype(float) for i in range(8)], axis=0).mean()
    assert apart["1"] > apart["0.5"] > apart["0"] == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seeds=1", "--num=5", "--seed=2"], "--seeds says which pictures to draw: leave --num and --seed"),
        (["--seeds=1", "--no_copies"], "leave --no_copies"),
        (["--seeds=1,1:0"], "--seeds names picture 1:0 more than once"),
        (["--seeds=1,x"], "--seeds has 'x': write a seed"),
        (["--reconstruct", "--truncation=0.5"], "--reconstruct shows given images again: leave --truncation"),
        (["--interpolate=1,2", "--format=svg"], "--interpolate shows what is between pictures: leave --format"),
        (["--best", "--step=4"], "--best is a step, as --step is: leave --step"),
        (["--truncation=nan"], "--truncation=nan should be from 0"),
        (["--truncation=1.5"], "--truncation=1.5 should be from 0"),
    ],
)
def test_flags_that_make_no_sense_together_are_refused_before_anything_is_read(call, tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        call(sample, f"--workdir={tmp_path}", f"--out={tmp_path / 'out'}", *flags)


def edges(pixels):
    """The share of the pixels of a picture that are neither wholly its ink nor wholly white."""
    distance = np.linalg.norm(255.0 - pixels, axis=-1)
    return ((distance > 0.1 * distance.max()) & (distance < 0.9 * distance.max())).mean()


@pytest.fixture(scope="module")
def marks(shards, tmp_path_factory, toy_networks):
    """A run that draws marks in one colour."""
    workdir = tmp_path_factory.mktemp("runs") / "marks"
    changes = {"train.steps": 150, "evaluate.every_images": 0, "mark.inks": 1}
    return finished(shards, workdir, "gan", "generator", "critic", **changes)


@pytest.mark.slow
@pytest.mark.parametrize("inks", [0, 1])
def test_larger_pictures_are_the_same_pictures(conditional, marks, sampled, tmp_path, inks):
    workdir = marks if inks else conditional
    small = sampled(workdir, tmp_path / "small", "--num=4")
    large = sampled(workdir, tmp_path / "large", "--num=4", "--scale=3")
    names = [f"{i:05d}.png" for i in range(4)]
    for name in names:
        assert large[name].shape == (84, 84, 3)
        again = large[name].reshape(28, 3, 28, 3, 3).mean((1, 3))
        assert (
            np.corrcoef(again.ravel(), small[name].ravel())[0, 1] > 0.7
        )  # the toy network draws noise, which is nearly all edges
    if inks:
        # A mark is drawn again: at three times the size a smaller share of it is edges, neither ink nor ground.
        assert np.mean([edges(large[name]) for name in names]) < np.mean([edges(small[name]) for name in names])


@pytest.mark.slow
def test_marks_are_transparent_exactly_in_each_format(marks, sampled, tmp_path):
    plain = sampled(marks, tmp_path / "png", "--num=3")
    clear = sampled(marks, tmp_path / "clear", "--num=3", "--transparent")
    sampled(marks, tmp_path / "webp", "--num=3", "--transparent", "--format=webp")
    sampled(marks, tmp_path / "svg", "--num=3", "--transparent", "--format=svg")
    assert list(addresses_of(tmp_path / "svg")) == ["00000.svg", "00001.svg", "00002.svg"]
    for name in ("00000", "00001", "00002"):
        rgba = clear[f"{name}.png"]
        inks = np.unique(rgba[rgba[..., 3] > 0][:, :3], axis=0)
        assert len(inks) == 1 and rgba.shape == (28, 28, 4)
        assert np.abs(images.on_white(rgba).astype(int) - plain[f"{name}.png"]).max() <= 1
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "webp" / f"{name}.webp")), rgba)
        text = (tmp_path / "svg" / f"{name}.svg").read_text()
        assert set(re.findall('fill="(.*?)"', text)) == {"#{:02x}{:02x}{:02x}".format(*inks[0])}
        back = np.asarray(svg.render(svg.read(text.encode()), 112).reduce(4))[..., 3]
        assert ((back >= 128) == (rgba[..., 3] >= 128)).mean() > 0.9


@pytest.mark.slow
def test_an_animation_goes_from_picture_to_picture(marks, sampled, tmp_path):
    ends = sampled(marks, tmp_path / "ends", "--seeds=1:2,7", "--transparent")
    sheet = sampled(marks, tmp_path / "way", "--interpolate=1:2,7,1:2", "--num=9", "--transparent")["sheet.png"]
    assert json.loads((tmp_path / "way" / "pictures.json").read_text())["pictures"][1] == {"frame": 4, "picture": "7:0"}
    webp, gif = (Image.open(tmp_path / "way" / f"animation.{kind}") for kind in ("webp", "gif"))
    assert webp.n_frames == gif.n_frames == 9 and gif.info["loop"] == 0
    for frame, name in ((0, "seed00001-00002"), (4, "seed00007"), (8, "seed00001-00002")):
        webp.seek(frame)
        np.testing.assert_allclose(np.asarray(webp).astype(int), ends[f"{name}.png"], atol=1)
        gif.seek(frame)
        seen = np.asarray(gif.convert("RGB")).astype(int)
        assert np.abs(seen - images.on_white(ends[f"{name}.png"])).mean() < 3
    assert sheet.shape == (4 * (3 * 30 + 2), 4 * (3 * 30 + 2), 3)


@pytest.mark.slow
def test_there_is_nothing_between_two_labels(conditional, call, tmp_path):
    where = (f"--workdir={conditional}", f"--out={tmp_path / 'out'}")
    with pytest.raises(UserError, match=r"--interpolate has pictures of the labels .*disc.*give --label="):
        call(sample, *where, "--interpolate=0-9")
    assert "10 frames" in call(sample, *where, "--interpolate=0-9", "--num=10", "--label=disc")


@pytest.mark.slow
def test_pictures_without_a_ground_are_counted(conditional, call, tmp_path):
    said = call(sample, f"--workdir={conditional}", f"--out={tmp_path / 'out'}", "--num=2", "--transparent")
    drawn = pictures(tmp_path / "out")
    opaque = sum(int((drawn[name][..., 3] == 255).all()) for name in ("00000.png", "00001.png"))
    assert (f"; {opaque} are opaque" in said) == (opaque > 0) and drawn["00000.png"].shape == (28, 28, 4)


@pytest.mark.slow
def test_a_label_that_is_not_there_is_named(conditional, straight, call, tmp_path):
    for run, flag, message in (
        (conditional, "--label=star", "--label is 'star': it should be one of box, disc"),
        (straight, "--label=box", "this run was told none"),
        (straight, "--reconstruct", "config.objective.name is 'gan', which draws but does not reconstruct"),
    ):
        with pytest.raises(UserError, match=message):
            call(sample, f"--workdir={run}", flag, f"--out={tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "other"), [("vae", "encoder"), ("glo", "codes")])
def test_reconstructions_are_of_the_images_beside_them(toy_networks, sampled, shards, tmp_path, objective, other):
    changes = {"data.held_out": 0.5, "train.steps": 240, "evaluate.every_images": 0}
    workdir = finished(shards, tmp_path / "run", objective, "generator", other, **changes)
    drawn = sampled(workdir, tmp_path / "out", "--reconstruct", "--num=20")
    data = TFRecordDataset(shards, size=(28, 28), channels=3)
    train_part, held_out = data.split(0.5, 1)
    reals = (train_part if objective == "glo" else held_out).pixels(20)
    made = np.stack([drawn[f"{i:05d}.png"] for i in range(20)])
    error = np.abs(made[:, None].astype(int) - reals[None]).mean((2, 3, 4))
    assert (error.argmin(axis=1) == np.arange(20)).mean() > 0.5, "nearer to its own image than to any other"
    run = restore.restore(workdir, "newest")
    beside, again = restore.reconstruct(run, 20)
    np.testing.assert_array_equal(beside, reals)
    pairs = images.make_grid(np.stack([beside, again], axis=1).reshape(-1, 28, 28, 3), columns=10)
    np.testing.assert_allclose(drawn["grid.png"][::4, ::4].astype(int), pairs.astype(int), atol=1)
