"""The record of a Projected GAN that becomes worse: the guard and one judge see it, and the page shows it."""

import json
import sys

from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import projected_collapse

RUNS = json.loads((ROOT / "benchmarks" / "results" / "projected-collapse-cpu.json").read_text())["runs"]
USUAL, GUARDED, WARNED = (RUNS[title] for title in projected_collapse.RUNS)


def test_the_page_shows_the_record():
    page = (ROOT / "docs" / "quality.md").read_text()
    marker = projected_collapse.NAME
    shown = page.partition(f"<!-- {marker} -->\n")[2].partition(f"<!-- /{marker} -->")[0]
    assert shown == projected_collapse.table(RUNS)


def test_a_record_is_of_the_command_as_it_is(tmp_path):
    for title, run in RUNS.items():
        words = projected_collapse.command(title, tmp_path)
        assert run["training"].split()[:-1] == words[:-1]  # but for the folder


def test_the_guard_leaves_the_usual_rates_alone_and_ends_the_run_that_becomes_worse():
    assert USUAL["status"] == "finished" and USUAL["events"] == []
    assert [event["action"] for event in GUARDED["events"] if event["action"] != "warn"] == ["roll back", "stop"]
    assert all("kid_ppocr" in event["reason"] for event in GUARDED["events"])
    assert WARNED["status"] == "finished" and {event["action"] for event in WARNED["events"]} == {"warn"}
    assert all(run["checkpoints"]["best"]["step"] == projected_collapse.STEPS for run in (USUAL, WARNED))
    page = " ".join((ROOT / "docs" / "quality.md").read_text().split())
    warned, back, _, ended = (event["step"] for event in GUARDED["events"])
    to = GUARDED["events"][1]["to"]
    assert f"warns at step {warned}. At step {back} it goes back to step {to}," in page
    assert f"ends the run at step {ended}." in page


def test_the_judge_that_the_critic_does_not_look_through_sees_it():
    best, newest = (GUARDED["checkpoints"][step] for step in ("best", "newest"))
    assert best["step"] < newest["step"]
    assert newest["against"]["kid_ppocr"]["low"] > 2 * best["against"]["kid_ppocr"]["high"]
    assert newest["against"]["kid_efflite0"]["low"] < best["against"]["kid_efflite0"]["high"]
