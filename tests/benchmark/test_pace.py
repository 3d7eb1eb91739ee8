"""What a run loses to everything that is no step is told from steps that take longer at another hour."""

import json
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import pace


def logged(*taken):
    """The log of a run whose log lines are so many seconds apart."""
    moments = [sum(taken[:i]) + 7.0 for i in range(len(taken) + 1)]  # 7 seconds to compile
    return [{"step": 10 * i, "seconds": at, "images_per_second": 1.0} for i, at in enumerate(moments)]


def test_what_no_step_takes_is_lost():
    lines = logged(*[1.0] * 40, 5.0, *[1.0] * 39)
    assert pace.lost(lines) == {"seconds": 84.0, "lost": pytest.approx(4 / 84), "evaluated": 0}
    evaluations = [{"step": step, "seconds": 50.0, "evaluation/seconds": 2.1} for step in (400, 800)]
    assert pace.lost([*lines, *evaluations])["evaluated"] == pytest.approx(2.1 / 84)  # the last comes after all lines


def test_a_machine_that_becomes_slower_has_lost_nothing():
    slower = [1.0 + i / 100 for i in range(200)]
    assert abs(pace.lost(logged(*slower))["lost"]) < 0.002
    assert abs(pace.lost(logged(*[1.0] * 100, *[2.0] * 60))["lost"]) < 0.002
    assert pace.lost(logged(*slower[:100], 9.0, *slower[100:]))["lost"] == pytest.approx(7 / 405, rel=0.1)


def test_the_quickstart_loses_at_most_four_percent():
    record = json.loads((ROOT / "benchmarks" / "results" / "pace-cpu.json").read_text())
    assert len(record["rounds"]) == pace.ROUNDS and 0 < record["evaluated"] < record["lost"] <= 0.04
    lost = sorted(found["lost"] for found in record["rounds"])
    page = (ROOT / "docs" / "speed.md").read_text()
    assert f"{record['lost']:.1%} ({lost[0]:.1%} to {lost[-1]:.1%})".replace("%", " %") in page
