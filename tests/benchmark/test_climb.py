"""Each variant of the climb is the quickstart but for what its words say, and the page shows the record."""

import json
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import climb

from logogan_jax.config import shipped
from logogan_jax.core.nested import flatten

RECORD = json.loads((ROOT / "benchmarks" / "results" / "climb-cpu.json").read_text())


def changes(variant):
    """The keys in which a variant differs from a shorter quickstart that measures nothing."""
    base, other = flatten(climb.get_config().to_dict()), flatten(climb.get_config(variant).to_dict())
    return {key for key in base.keys() | other.keys() if base.get(key) != other.get(key)}


def test_the_climb_begins_with_the_quickstart():
    base = flatten(climb.get_config().to_dict())
    shipped_config = flatten(shipped.get_config("quickstart").to_dict())
    differ = {key for key in base if base[key] != shipped_config[key]}
    assert differ == {"train.steps", "evaluate.every_images"}
    whole = climb.STEPS * climb.VARIANTS["whole"].length
    assert whole == shipped_config["train.steps"]


@pytest.mark.parametrize("variant", sorted(climb.VARIANTS.keys() - {climb.BASE, "whole", "projected"}))
def test_a_variant_changes_one_block(variant):
    changed = changes(variant)
    assert changed and len({key.split(".")[0] for key in changed}) == 1, changed
    # Nothing that makes a step another program goes untimed: it would train longer than the others.
    if not climb.VARIANTS[variant].other_step:
        assert {key.split(".")[0] for key in changed} <= {"optimizer", "objective", "train"}, changed
        assert "train.batch_size" not in changed and not {key for key in changed if key.endswith((".name", ".r2"))}


def test_a_critic_that_looks_through_a_judge_is_not_judged_by_it(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(climb, "python", lambda words, core: asked.append(words))
    with pytest.raises(FileNotFoundError):  # nothing was trained
        climb.measure("projected", 0, 10, tmp_path, "efflite0,ppocr", 0)
    assert "--features=ppocr" in asked[1]
    run = {"steps": 1, "against": {"kid_ppocr": {"value": 0.5}}, "copies": {"value": 0.0}}
    last = climb.table({"projected": {"cost": 2.0, "runs": {"0": run}}, **RECORD["variants"]}).splitlines()[-1]
    assert last.startswith("| Projected GAN | 2.00 | - | - | - | 0.500 (0.500) |")


def test_every_run_took_as_long_as_2000_steps_of_the_quickstart():
    for name, row in RECORD["variants"].items():
        variant = climb.VARIANTS[name]
        assert variant.other_step or row["cost"] == 1, name
        steps = {run["steps"] for run in row["runs"].values()}
        assert steps == {round(RECORD["steps"] * variant.length / row["cost"])}, name


def test_the_page_shows_the_record():
    page = (ROOT / "docs" / "quality.md").read_text()
    shown = page.partition("<!-- climb-cpu -->\n")[2].partition("<!-- /climb-cpu -->")[0]
    assert shown == climb.table(RECORD["variants"])


def test_the_quickstart_keeps_its_promise_over_three_seeds():
    runs = RECORD["variants"]["whole"]["runs"]
    assert len(runs) >= 3
    for run in runs.values():
        found = lambda metric, run=run: run["against"][f"{metric}_efflite0"]["value"]
        assert found("kid") <= 0.035 and found("recall") >= 0.2 and found("coverage") >= 0.85
