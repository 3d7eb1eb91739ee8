"""What the README tells its reader to type works as written, and its new objective trains."""

import ast
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys

import fork_server
import jax
import numpy as np
import pytest
from conftest import ROOT, SMALL, drawing, environment, pictures, run
from toy_networks import TOY

from logogan_jax.config import build_training, defaults
from logogan_jax.networks import NETWORKS
from logogan_jax.objectives import OBJECTIVES

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import guard
import minutes
import narrow
import objectives
import quality
import quirks
import small
import svg_files

README = (ROOT / "README.md").read_text()


def block(name):
    """The code under a marker in the README."""
    return re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```", README, re.S).group(1)


def type_in(line, folder, *flags):
    """Run a command line of the README in a folder, by this environment's python."""
    python, *arguments = shlex.split(line)
    assert python == ".venv/bin/python"
    done = fork_server.run(
        [sys.executable, *arguments, *flags], cwd=folder, env=environment(), text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


UNMEASURED = "--config.evaluate.every_images=0"
LARGER = ("data.size=28", "model.width=4", "objective.critic_updates=1", "train.batch_size=2")
LARGER = tuple(f"--config.{key}" for key in LARGER)  # what makes configs small that are larger than the quickstart


@pytest.mark.slow
def test_the_training_commands_as_written_but_for_length_and_size(tmp_path):
    os.symlink(ROOT / "configs", tmp_path / "configs")
    quickstart = block("quickstart command").strip().split(" && ")[-1]
    assert "Everything is in runs/quickstart" in type_in(quickstart, tmp_path, *SMALL, UNMEASURED)
    assert (tmp_path / "runs" / "quickstart" / "samples" / "000002.png").exists()
    short = ("--config.train.steps=1", UNMEASURED, *LARGER)
    assert "Everything is in runs/wgan56" in type_in(block("gpu command").strip(), tmp_path, *short)


@pytest.mark.slow
def test_own_logos_and_sampling_as_written(tmp_path):
    os.symlink(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "my_logos").mkdir()
    for i in range(70):
        drawing(i).save(tmp_path / "my_logos" / f"{i}.png")
    prepare, train = block("own logos").strip().splitlines()
    assert "70 images written to my_shards" in type_in(prepare, tmp_path)
    assert "Everything is in runs/mine" in type_in(train, tmp_path, *SMALL, "--config.evaluate.samples=10")
    assert "64 pictures and grid.png of step 2 are in drawn" in type_in(block("sample").strip(), tmp_path)
    assert len(pictures(tmp_path / "drawn")) == 65
    measured = type_in(block("evaluate").strip(), tmp_path, "--num_samples=32")
    assert "copies of training images: " in measured and "32 against 70" in measured
    assert "overfitting of the critic: " not in measured  # of 70 images none are held out
    assert (tmp_path / "runs" / "mine" / "copies.html").exists()


@pytest.mark.slow
def test_the_benchmark_as_written_but_for_length_and_size(tmp_path):
    os.symlink(ROOT / "configs", tmp_path / "configs")
    said = type_in(block("benchmark").strip(), tmp_path, *LARGER, "--repeats=3", "--seconds=0")
    assert all(word in said for word in ("real images", "square product", "input-bound", "compiling, warm"))


@pytest.mark.slow
def test_the_objective_trains_as_written(tiny, monkeypatch):
    namespace = {}
    exec(block("objective"), namespace)
    monkeypatch.setitem(OBJECTIVES, "kullback_leibler", namespace["kullback_leibler"])
    monkeypatch.setitem(NETWORKS, "toy", TOY)
    config = tiny("kullback_leibler")
    config.model = defaults.block(name="toy", latent=8, width=16)
    after, metrics = run(build_training.build(config, devices=jax.devices()[:1]), 2)
    assert int(after.step) == 2 and np.isfinite(list(metrics[-1].values())).all()


def test_ci_runs_the_readmes_test_command():
    script = (ROOT / ".ci" / "run").read_text()
    assert "<!-- test command -->" in script
    assert block("test command").strip().endswith("uv run -q --locked --extra test pytest -q")
    assert "pip install -q -e ." in block("quickstart command")


def test_what_contributors_are_told_of_is_there():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    places = {ROOT, ROOT / "logogan_jax"}
    named = re.findall(r"`((?:\w+/)+[\w.]*|[\w.]+/run)`", page)
    assert len(named) > 10
    for name in named:
        assert any((place / name).exists() for place in places), name
    assert "<!-- structure -->" in page and "<!-- /structure -->" in page


def test_every_config_is_in_the_table():
    for path in ROOT.glob("configs/[a-z]*.py"):
        assert f"`{path.stem}`" in README, path.stem


def test_ruff_finds_nothing():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout


def test_recorded_figures_name_their_command_and_machine():
    records = [json.loads(path.read_text()) for path in ROOT.glob("benchmarks/results/*.json")]
    assert records
    for record in records:
        assert record["machine"]["cores"] >= 1 and len(record["commit"]) == 40 and record["date"]
        assert not re.search(r"/\w+/", record["command"].replace("configs/", ""))
        if record["command"].startswith("python -m logogan_jax.main"):
            assert record["summary"]["status"] == "finished" and record["wall_seconds"] > record["summary"]["seconds"]
        else:
            script, module = [*record["command"].split(), ""][1:3]
            assert (ROOT / script).exists() or (script == "-m" and importlib.util.find_spec(module)), record["command"]


def test_the_stated_speed_of_the_preparation_is_the_recorded_one():
    record = json.loads((ROOT / "benchmarks" / "results" / "prep-cpu.json").read_text())
    text = " ".join((ROOT / "data_prep" / "README.md").read_text().split())
    assert f"at {record['runs']['ours']['images_per_second_median']:.0f} images a second" in text
    assert f"{record['times_as_fast']:.1f} times as fast" in text and record["times_as_fast"] >= 3


def recorded(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def test_the_results_are_those_of_the_committed_numbers():
    shown = re.search(r"<!-- results -->\n(.*?)<!-- /results -->", README, re.S).group(1)
    assert shown == quality.table(recorded("quality-cpu"))
    assert recorded("quality-cpu")["rows"].keys() == small.RUNS.keys()


def of_page(page, name):
    """What stands between the markers of a name in a page of docs/."""
    return re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", (ROOT / "docs" / page).read_text(), re.S).group(1)


def test_the_svg_of_64_pictures_are_near_them_and_have_no_more_colours():
    record = recorded("svg-cpu")
    assert of_page("sampling.md", "svg") == svg_files.table(record["runs"])
    for name, row in record["runs"].items():
        assert row["pictures"] == 64 and row["pictures_with_more_fills_than_colours"] == 0, name
        assert row["inks"] != 1 or (row["fills"][1] <= 2 and row["mean_difference"] < 0.02), name


def test_every_objective_was_trained_and_none_collapsed():
    record, page = recorded("objectives-cpu"), (ROOT / "docs" / "objectives.md").read_text()
    assert record["rows"].keys() == OBJECTIVES.keys() == narrow.CONFIGS.keys()
    assert of_page("objectives.md", "results") == objectives.table(record)
    for name, row in record["rows"].items():
        assert f"| `{name}`" in page and f"`{narrow.CONFIGS[name][0]}`" in page
        assert row["steps"] == narrow.STEPS and row["status"] == "finished", name
        if name.startswith("walkthrough"):
            continue
        far = row["pairwise_distance"]
        assert not row["events"], name
        if name not in ("vae", "glo"):
            assert far["samples"] >= 0.5 * far["reals"], name
    ends = record["rows"]["can"]["last_log_line"]
    assert ends["generator/style_entropy"] > ends["critic/style_entropy"]


def test_every_config_says_how_long_it_takes_and_what_to_expect():
    rows = recorded("minutes-cpu")["rows"]
    for path in ROOT.glob("configs/[a-z]*[0-9].py"):
        text = " ".join(ast.get_docstring(ast.parse(path.read_text())).split())
        assert f"About {minutes.format_minutes(rows[path.stem]['minutes'])} on two CPU cores" in text, path
        assert " Expect " in text, path


def test_every_quirk_was_tried():
    record = recorded("quirks-cpu")
    assert record["rows"].keys() == quirks.QUIRKS.keys()
    assert of_page("differences.md", "quirks") == objectives.table(record, head="run")


def test_the_guard_left_ten_healthy_runs_alone_and_caught_what_was_planted():
    record = recorded("guard-cpu")
    assert len(record["healthy"]) >= 10 and {run["objective"] for run in record["healthy"]} == guard.RATES.keys()
    assert all(run["status"] == "finished" and run["events"] == [] for run in record["healthy"])
    assert len(record["planted"]) >= 2 and all(guard.acted_in_time(run) for run in record["planted"])
    assert all(run["rates"] == 50 for run in record["planted"])


def test_a_warm_start_needs_at_most_a_third_of_the_steps():
    page = " ".join((ROOT / "docs" / "warm_start.md").read_text().split())
    record = recorded("warm-start-cpu")
    assert len(record["seeds"]) == 3 and f"in {record['steps']:,} steps" in page
    for row in record["seeds"]:
        assert row["warm_as_good_at"] <= row["cold_best_step"] / 3
        assert row["warm"][str(row["warm_as_good_at"])] <= min(row["cold"].values()) == row["cold_best"]
        assert f"after {row['warm_as_good_at']} steps" in page
        assert f"| {row['seed']} | {row['cold_best']:.3f} | {row['warm'][str(row['warm_as_good_at'])]:.3f} |" in page


def test_measuring_makes_steps_at_most_two_percent_longer():
    record = recorded("overhead-cpu")
    both = record["seconds_per_step"]
    assert record["longer_by"] == pytest.approx(both["with_evaluation"] / both["without"] - 1)
    assert record["longer_by"] <= 0.02 and record["evaluations"] >= 5 and record["evaluation_device_seconds"] > 0


def test_every_tool_is_in_the_table():
    table = (ROOT / "data_prep" / "README.md").read_text()
    tools = [path.stem for path in ROOT.glob("data_prep/*.py") if '__name__ == "__main__"' in path.read_text()]
    assert len(tools) == 14
    for tool in tools:
        assert f"| `{tool}` |" in table and f"python -m data_prep.{tool} " in table, tool
