"""A run in Python: its pictures are arrays, those of the command, and a notebook shows them."""

import io
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, devices, environment, four, on_toy_networks, pictures
from PIL import Image

import logogan_jax as lg
from logogan_jax import sample, train
from logogan_jax.core.errors import UserError

pytestmark = pytest.mark.slow  # a run is trained


@pytest.fixture(scope="module")
def folder(shards, tmp_path_factory, toy_networks):
    workdir = tmp_path_factory.mktemp("runs") / "toy"
    with devices(1):
        train.train(on_toy_networks(four(shards, **{"evaluate.every_images": 0})), workdir)
    return workdir


@pytest.fixture(scope="module")
def loaded(folder):
    return lg.load(folder, "newest")


def test_a_run_draws_what_the_command_draws(loaded, folder, call, tmp_path):
    call(sample, f"--workdir={folder}", "--step=newest", "--num=3", "--seed=1", f"--out={tmp_path / 'drawn'}")
    drawn = loaded.sample(3, seed=1)
    assert drawn.dtype == np.uint8 and drawn.shape == (3, 28, 28, 3)
    files = pictures(tmp_path / "drawn")
    assert all(np.array_equal(drawn[i], files[f"{i:05d}.png"]) for i in range(3))
    for seeds in ("1:2,1:0", ["1:2", "1:0"]):
        assert np.array_equal(loaded.sample(seeds=seeds), drawn[[2, 0]])
    assert loaded.sample(2, scale=2, transparent=True).shape == (2, 56, 56, 4)


def test_a_notebook_shows_pictures_and_not_what_is_computed_from_them(loaded):
    drawn = loaded.sample(4)
    sheet = Image.open(io.BytesIO(drawn._repr_png_()))
    assert sheet.size == (4 * (2 * 30 + 2), 4 * (2 * 30 + 2))  # two by two, with gaps of 2, four times as large
    assert Image.open(io.BytesIO(drawn[0]._repr_png_())).size == (4 * 32, 4 * 32)
    assert (drawn / 255)._repr_png_() is None and drawn[:0]._repr_png_() is None


def test_a_run_says_what_it_is(loaded, folder):
    assert (loaded.step, loaded.labels, loaded.config.data.size) == (4, [], 28)
    assert loaded.workdir == folder and "at step 4" in repr(loaded)
    assert [line["step"] for line in loaded.metrics if "critic/loss" in line] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"num": 0}, "num=0 should be a whole number from 1 to 100,000"),
        ({"num": 2, "seeds": "1"}, "seeds says which pictures to draw: leave num and seed"),
        ({"seeds": "x"}, "seeds has 'x': write"),
        ({"seeds": []}, "seeds has '': write"),
        ({"label": "box"}, "label is 'box': this run was told none (config.data.labels)"),
        ({"truncation": 1.5}, "truncation=1.5 should be from 0"),
        ({"scale": 17}, "scale=17 should be a whole number from 1 to 16"),
    ],
)
def test_mistakes_are_named_by_arguments(loaded, arguments, line):
    with pytest.raises(UserError, match=f"^{re.escape(line)}"):
        loaded.sample(**arguments)


def test_a_folder_or_a_step_that_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(UserError, match=f"^workdir={tmp_path} holds no run"):
        lg.load(tmp_path)
    with pytest.raises(UserError, match=r"^step=3 has no checkpoint"):
        lg.load(folder, 3)


def test_the_page_works_as_written(loaded, monkeypatch):
    monkeypatch.setattr(lg, "load", lambda *_: loaded)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.S)
    names = {}
    exec(code, names)
    assert names["logos"].shape == (64, 28, 28, 3) and names["again"].shape == (1, 112, 112, 3)


def test_the_import_of_the_package_waits_for_no_jax():
    program = "import sys, logogan_jax; sys.exit(bool({'jax', 'numpy', 'absl'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], env=environment(), cwd=ROOT).returncode == 0
