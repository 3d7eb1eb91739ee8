"""The generator that comes with the install: it draws, new runs start from it, and its card tells the truth."""

import hashlib
import json
import re

import jax
import numpy as np
import pytest
from conftest import ROOT, pictures
from safetensors import safe_open

import logogan_jax
from logogan_jax import sample
from logogan_jax.config import archived, build_training, run_config, shipped, warm_start
from logogan_jax.core.errors import UserError

FILE = ROOT / "logogan_jax" / "config" / "pretrained" / "pretrained.safetensors"
CARD = json.loads(FILE.with_name(f"{FILE.name}.json").read_text())


def test_the_card_is_that_of_the_file():
    made = CARD["made"]
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == CARD["sha256"] and FILE.stat().st_size < 5_000_000
    assert made["licence"].startswith("CC0-1.0") and "--config=configs/quickstart.py" in made["command"]
    kid = made["evaluation"]["against"]["held out"]["kid_efflite0"]
    page = FILE.with_name(f"{FILE.name}.md").read_text()
    assert f"{kid['value']:.3f} ({kid['low']:.3f} to {kid['high']:.3f})" in page and made["command"] in page
    config = shipped.get_config("quickstart")
    made_by, _ = run_config.parse({"config": CARD["config"], "data": CARD["data"]})
    for key in ("model", "objective", "optimizer", "mark"):
        assert json.dumps(made_by[key].to_dict()) == json.dumps(config[key].to_dict()), key


def test_no_path_of_the_machine_that_made_it_is_in_it():
    with safe_open(FILE, framework="numpy") as file:
        text = json.dumps(file.metadata()) + json.dumps(CARD) + FILE.with_name(f"{FILE.name}.md").read_text()
    assert not re.findall(r"(?<![\w.])/(?:home|root|tmp|work|Users)/\S*", text)
    assert CARD["config"]["data"]["dir"].startswith("simple-icons-")


def test_it_draws_without_a_run(call, tmp_path):
    said = call(sample, "--pretrained", "--num=6", "--seed=1", f"--out={tmp_path / 'drawn'}")
    assert said.startswith("6 pictures and grid.png of step")
    found = pictures(tmp_path / "drawn")
    assert len(found) == 7 and all(found[f"{i:05d}.png"].shape == (28, 28, 3) for i in range(6))
    run = logogan_jax.load("pretrained")
    assert np.array_equal(run.sample(6, seed=1)[5], found["00005.png"])
    with pytest.raises(UserError, match="--pretrained is a run at one step: leave --workdir"):
        call(sample, "--pretrained", "--workdir=x", f"--out={tmp_path / 'other'}")


def test_a_folder_of_that_name_is_meant_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert archived.is_archive("pretrained") and not archived.is_archive("s3://bucket/pretrained")
    (tmp_path / "pretrained").mkdir()
    assert not archived.is_archive("pretrained")


def test_a_run_starts_from_all_of_it(shards, tmp_path):
    config = shipped.get_config("quickstart")
    config.data.dir = str(shards)
    config.train.batch_size = 4
    training = build_training.build(config, devices=jax.devices()[:1])
    record = warm_start.prepare(training, tmp_path, "pretrained").warm_start
    assert record["from"] == "pretrained" and record["step"] == CARD["step"] and not record["without"]
    weights = {name for name in (*record["new"], *record["unused"]) if name.startswith("params/")}
    assert not weights, "weights are new"
    warm_start.check(tmp_path, "pretrained")  # the same command goes on, in any folder
