"""A run in Python: its pictures are arrays, those of the command, and a notebook shows them."""

import ast
import io
import json
import os
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from conftest import ROOT, devices, digest, environment, four, on_toy_networks, pictures
from PIL import Image
from toy_networks import toy_features

import logogan_jax as lg
from logogan_jax import loop, sample
from logogan_jax.config import run_config
from logogan_jax.core.errors import UserError
from logogan_jax.metrics import features

pytestmark = pytest.mark.slow  # a run is trained
DRAWN = {"reals", "samples"}


@pytest.fixture(scope="module")
def folder(shards, tmp_path_factory, toy_networks):
    workdir = tmp_path_factory.mktemp("runs") / "toy"
    with devices(1):
        loop.train(on_toy_networks(four(shards, **{"evaluate.every_images": 0})), workdir)
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


def blocks():
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.S)


def test_the_page_works_as_written(loaded, monkeypatch):
    monkeypatch.setattr(lg, "load", lambda *_: loaded)
    names = {}
    exec(blocks()[0], names)
    assert names["logos"].shape == (64, 28, 28, 3) and names["again"].shape == (1, 112, 112, 3)


@pytest.fixture
def in_folder(shards, toy_networks, tmp_path, monkeypatch):
    """A folder to work in, where the quickstart is a run of toy networks."""

    def get_config(name):
        assert name == "quickstart"
        return on_toy_networks(four(shards, **{"data.held_out": 0.5}))

    monkeypatch.setattr(lg, "get_config", get_config)
    monkeypatch.setattr(features, "load_network", lambda *_: toy_features())
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as a kernel has it
    monkeypatch.chdir(tmp_path)
    with devices(1):
        yield tmp_path


def test_training_and_measuring_work_as_the_page_says(in_folder):
    names = {}
    shorter = blocks()[1].replace("1_000", "4").replace('evaluate("runs/mine"', 'evaluate("runs/mine", num_samples=64')
    exec(shorter, names)
    assert [step for step, _ in names["losses"]] == [1, 2, 3, 4]
    assert names["losses"] == [
        (line["step"], line["critic/loss"]) for line in lg.load("runs/mine").metrics if "critic/loss" in line
    ]
    assert names["measured"] == json.loads((in_folder / "runs" / "mine" / "evaluation.json").read_text())
    assert names["measured"]["step"] == 4 and {"held out", "trained on"} == {*names["measured"]["against"]}
    with pytest.raises(UserError, match=r"^step=3 has no checkpoint"):
        lg.evaluate("runs/mine", 3)


def test_the_notebook_works_cell_by_cell(in_folder, monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    cells = json.loads((ROOT / "docs" / "notebook.ipynb").read_text())["cells"]
    shown, names = [], {}
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse(cell["source"].replace("steps = 200", "steps = 4"))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), names)
        shown.append(last and eval(compile(ast.Expression(last.value), "cell", "eval"), names))
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false" and names["finished"]
    assert {*names["pictures"]} == {4} and {*names["losses"]} == {1, 2, 3, 4}
    pictures_of_it = [value for value in shown if isinstance(value, np.ndarray)]
    assert [value.shape for value in pictures_of_it] == [(64, 28, 28, 3), (16, 56, 56, 3), (112, 112, 4)]
    assert all(value._repr_png_() for value in pictures_of_it)


class Tracked:
    """What a tracker is told, by the names that W&B and Trackio have in common."""

    def __init__(self):
        self.lines, self.settings = [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.finish()

    def init(self, **settings):
        self.settings.append(settings)
        return self

    def log(self, values, step=None):
        self.lines.append((step, dict(values)))

    def finish(self):
        self.lines.append("finished")

    def Image(self, picture):
        assert picture.dtype == np.uint8 and picture.shape == (28, 28, 3)
        return "a picture"


def tracked_as_written(name, monkeypatch, **names):
    """Run the page's program for a tracker, told to a stand-in -> the stand-in."""
    page = (ROOT / "docs" / "trackers.md").read_text()
    told = Tracked()
    monkeypatch.setitem(sys.modules, name, told)
    exec(re.search(rf"<!-- {name} -->\n```python\n(.*?)```", page, re.S).group(1), names)
    return told


def test_trackers_are_told_a_run_while_it_trains_and_afterwards(in_folder, monkeypatch):
    told = tracked_as_written("wandb", monkeypatch)
    assert told.settings[0]["config"]["train"]["steps"] == 4 and told.lines.pop() == "finished"
    drawn = {(step, name): shown for step, line in told.lines for name, shown in line.items() if name in DRAWN}
    assert drawn.keys() == {(0, "reals"), (2, "samples"), (4, "samples")} and {*drawn[4, "samples"]} == {"a picture"}
    lined = [{"step": step, **line} for step, line in told.lines if not DRAWN & line.keys()]
    assert lined == lg.load("runs/mine").metrics

    told = tracked_as_written("trackio", monkeypatch)
    assert told.settings[0]["config"]["train"]["steps"] == 4
    assert told.lines[-2:] == [(None, {"samples": "a picture"}), "finished"]
    assert [{"step": step, **line} for step, line in told.lines[:-2]] == lined


def test_a_run_is_loaded_without_a_word(folder, caplog, capfd):
    lg.load(folder)
    assert not caplog.records and not capfd.readouterr().err


def test_a_callback_changes_nothing_and_what_it_raises_ends_the_call(in_folder, folder):
    config = on_toy_networks(four(run_config.read(folder)[0].data.dir, **{"evaluate.every_images": 0}))
    seen, stopped = [], []

    def vandal(step, values):
        seen.append((step, *values))
        for value in values.values():
            if isinstance(value, np.ndarray):
                value[...] = 0
        values.clear()
        jax.numpy.zeros(3) + np.ones(3)  # a transfer, which the training loop forbids
        if step == 3 and not stopped:
            stopped.append(step)
            raise KeyError("stop")

    with pytest.raises(KeyError):
        lg.train(config, in_folder / "run", callbacks=[vandal])
    assert lg.train(config, in_folder / "run", callbacks=[vandal])
    assert digest(in_folder / "run") == digest(folder)
    assert ("reals" in seen[0]) and any("samples" in row for row in seen)
    assert config.data.dir and lg.train(config, in_folder / "run"), "it is finished"


def test_a_config_is_known_by_its_name_and_a_wrong_one_is_told():
    assert lg.get_config("wgan56").data.size == 56
    with pytest.raises(UserError, match=r"^config=wgan57 is neither a file nor a shipped config: did you mean wgan56"):
        lg.get_config("wgan57")


def test_the_import_of_the_package_waits_for_no_jax():
    program = "import sys, logogan_jax; sys.exit(bool({'jax', 'numpy', 'absl'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], env=environment(), cwd=ROOT).returncode == 0
