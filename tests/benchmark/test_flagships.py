"""What is said of the configs that were trained to their end is what was recorded."""

import json
import sys

import pytest
from conftest import ROOT
from PIL import Image

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import flagships

from logogan_jax.config import shipped
from logogan_jax.core import nested

RECORD = json.loads((ROOT / "benchmarks" / "results" / "flagships-cpu.json").read_text())


def test_the_page_shows_the_record():
    page = (ROOT / "docs" / "quality.md").read_text()
    shown = page.partition("<!-- flagships-cpu -->\n")[2].partition("<!-- /flagships-cpu -->")[0]
    assert shown == flagships.table(RECORD["rows"]) and tuple(RECORD["rows"]) == flagships.CONFIGS


@pytest.mark.parametrize("name", flagships.CONFIGS)
def test_a_config_was_trained_as_it_is_and_copied_no_logo(name):
    row, config = RECORD["rows"][name], shipped.get_config(name)
    # Keys that came or went since then are no change of the training, and a run writes down what "auto" meant for it.
    trained, now = nested.flatten(row["config"]), nested.flatten(config.to_dict())
    assert [key for key in trained.keys() & now if now[key] not in (trained[key], "auto")] == []
    before = f" --init_from=RUN/{flagships.BEFORE[name]}" if name in flagships.BEFORE else ""
    assert row["command"] == f"python -m logogan_jax.main --config=configs/{name}.py{before} --workdir=RUN/{name}"
    assert row["images"] == config.train.steps * config.train.batch_size and row["size"] == config.data.size
    copies = row["evaluation"]["copies"]
    assert row["events"] == [] and copies["share"]["value"] <= copies["false_alarm_rate"]
    minutes = f"{row['seconds'] / 60:.0f}"
    assert f"took {minutes}, as" in " ".join((ROOT / "configs" / f"{name}.py").read_text().split())
    assert f"for {minutes} minutes" in (ROOT / "README.md").read_text()
    assert Image.open(ROOT / "docs" / f"{name}.png").width > 8 * flagships.SHEET_SIDE


def test_mark56_is_trained_after_mark28_and_from_its_weights(monkeypatch, tmp_path):
    asked = []

    def train(*flags, workdir):
        words = ["python", "-m", "logogan_jax.main", *flags, f"--workdir={workdir}"]
        asked.append(words)
        return words, {"steps": len(asked)}

    monkeypatch.setattr(flagships.runs, "train", train)
    command, summary = flagships.train("mark56", tmp_path)
    assert command == RECORD["rows"]["mark56"]["command"] and summary == {"steps": 2}
    first, second = asked
    assert first[3:] == ["--config=configs/mark28.py", f"--workdir={tmp_path}/mark28"]
    assert f"--init_from={tmp_path}/mark28" in second
