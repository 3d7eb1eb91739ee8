"""Each variant of the climb is the quickstart but for what its words say, and the page shows the record."""

import json
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import climb
import variants

from logogan_jax.config import shipped
from logogan_jax.core.nested import flatten

RECORD = json.loads((ROOT / "benchmarks" / "results" / "climb-cpu.json").read_text())


OTHER_IMAGES = {name for name, variant in variants.VARIANTS.items() if variant.table != variants.TABLE}


def changes(variant):
    """The keys in which a variant differs from a shorter quickstart that measures nothing."""
    base, other = flatten(variants.get_config().to_dict()), flatten(variants.get_config(variant).to_dict())
    return {key for key in base.keys() | other.keys() if base.get(key) != other.get(key)}


def test_the_climb_begins_with_the_quickstart():
    base = flatten(variants.get_config().to_dict())
    shipped_config = flatten(shipped.get_config("quickstart").to_dict())
    differ = {key for key in base if base[key] != shipped_config[key]}
    assert differ == {"train.steps", "evaluate.every_images"}
    whole = variants.STEPS * variants.VARIANTS["whole"].length
    assert whole == shipped_config["train.steps"]


@pytest.mark.parametrize("variant", sorted(variants.VARIANTS.keys() - {variants.BASE, "whole", *OTHER_IMAGES}))
def test_a_variant_changes_one_block(variant):
    changed = changes(variant)
    blocks = {key.split(".")[0] for key in changed}
    # Spectral normalisation belongs to the hinge loss, and is a value of the networks. R3GAN is a whole recipe.
    several = {"hinge": {"objective", "model"}, "r3gan": {"objective", "model", "optimizer"}}
    assert blocks == several[variant] if variant in several else len(blocks) == 1, changed
    # Nothing that makes a step another program goes untimed: it would train longer than the others.
    if not variants.VARIANTS[variant].other_step:
        assert {key.split(".")[0] for key in changed} <= {"optimizer", "objective", "train"}, changed
        assert "train.batch_size" not in changed and not {key for key in changed if key.endswith((".name", ".r2"))}


def test_a_variant_that_starts_from_the_quickstart_trains_it_first(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(climb, "python", lambda words, core: asked.append(words))
    with pytest.raises(FileNotFoundError):  # nothing was trained
        climb.measure("pixels-56-fine", 3, 200, tmp_path, 0)
    first, second = asked[:2]
    assert first[1] == "--config=benchmarks/variants.py:quickstart" and "--config.train.steps=1000" in first
    assert second[1] == "--config=benchmarks/variants.py:pixels-56-fine" and "--config.train.steps=200" in second
    assert f"--init_from={tmp_path / 'pixels-56-fine-3-before'}" in second
    assert f"--workdir={tmp_path / 'pixels-56-fine-3-before'}" in first
    assert all("--config.train.seed=3" in words for words in (first, second))


def test_every_run_took_as_long_as_2000_steps_of_the_quickstart():
    for name, row in RECORD["variants"].items():
        variant = variants.VARIANTS[name]
        assert variant.other_step or row["cost"] == 1, name
        steps = {run["steps"] for run in row["runs"].values()}
        assert steps == {round(RECORD["steps"] * (variant.length - variant.after) / row["cost"])}, name


@pytest.mark.parametrize("name", sorted({variant.table for variant in variants.VARIANTS.values()}))
def test_the_page_shows_the_record(name):
    page = (ROOT / "docs" / "quality.md").read_text()
    shown = page.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0]
    rows = {key: row for key, row in RECORD["variants"].items() if variants.VARIANTS[key].table == name}
    assert page.count(f"<!-- {name} -->\n") == 1 and shown == climb.table(rows)


def test_every_variant_is_recorded_with_two_seeds_and_its_machine():
    assert RECORD["variants"].keys() == variants.VARIANTS.keys()
    for name, row in RECORD["variants"].items():
        assert {"0", "1"} <= row["runs"].keys() and row["machine"]["cores"] == 2, name


def test_the_sheet_shows_each_variant(monkeypatch, tmp_path):
    asked = []

    class Run:
        def sample(self, num):
            return np.full((num, 28, 28, 3), 40 * len(asked), np.uint8)

    monkeypatch.setattr(climb, "load", lambda folder, step: asked.append((folder.name, step)) or Run())
    monkeypatch.setattr(climb, "ROOT", tmp_path)
    climb.draw_sheet(tmp_path)
    assert asked == [(f"{variant}-0", "newest") for variant in climb.SHOWN]
    sheet = np.asarray(Image.open(tmp_path / "docs" / "colours.png").convert("L"))
    assert sheet.shape[1] > 3 * 8 * 28


def test_sets_of_other_logos_have_a_table_of_their_own(monkeypatch):
    written = {}
    monkeypatch.setattr(climb, "rewrite_table", lambda page, name, text: written.update({name: text}))
    run = RECORD["variants"][variants.BASE]["runs"]["0"]
    climb.write_tables({"colours-3": {"cost": 2.0, "runs": {"0": run}}, **RECORD["variants"]})
    assert "three inks" in written["colours-cpu"] and "three inks" not in written["climb-cpu"]
    assert variants.VARIANTS[variants.BASE].words in written["climb-cpu"]


def test_a_variant_trains_on_its_data_which_is_made_once(monkeypatch, tmp_path):
    made = []

    def python(words, core):
        made.append(words[0])
        (tmp_path / words[-1].partition("=")[2]).mkdir()

    monkeypatch.setattr(climb, "python", python)
    for _ in range(2):
        flags = climb.training_flags("colours-3", tmp_path, 0)
        assert flags == ["--config=benchmarks/variants.py:colours-3", f"--config.data.dir={tmp_path}/colours"]
    assert made == ["data_prep.make_logos"]
    assert climb.training_flags(variants.BASE, tmp_path, 0) == [f"--config=benchmarks/variants.py:{variants.BASE}"]


def test_the_quickstart_keeps_its_promise_over_three_seeds():
    runs = RECORD["variants"]["whole"]["runs"]
    assert len(runs) >= 3
    for run in runs.values():
        found = lambda metric, run=run: run["against"][f"{metric}_efflite0"]["value"]
        assert found("kid") <= 0.035 and found("recall") >= 0.2 and found("coverage") >= 0.85
