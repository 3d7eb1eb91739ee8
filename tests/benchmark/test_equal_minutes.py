"""What is trained for equal minutes is stopped when they are used, and the page shows what was recorded."""

import sys
import time

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import equal_minutes

ROWS = equal_minutes.records()
PEERS = sorted(equal_minutes.PEERS)


def test_the_page_shows_the_records():
    page = (ROOT / "docs" / "quality.md").read_text()
    shown = page.partition("<!-- equal-minutes -->\n")[2].partition("<!-- /equal-minutes -->")[0]
    assert shown == equal_minutes.table(ROWS) + equal_minutes.sheets(ROWS)


@pytest.mark.parametrize("name", PEERS)
def test_a_record_is_of_the_peer_as_it_is(name):
    peer, row = equal_minutes.PEERS[name], ROWS[name]
    assert tuple(row["flags"]) == peer.flags and row["command"].split()[2] == name
    steps = [found["steps"] for found in row["after"].values()]
    assert steps == sorted(set(steps)) and {*row["after"]} <= set(map(str, equal_minutes.MINUTES))
    for found in row["after"].values():
        assert found["against"]["n"] == equal_minutes.SAMPLES
        assert f"kid_{peer.looks_through}" not in found["against"]
    sheet = Image.open(equal_minutes.SHEETS / f"{name}.png")
    assert sheet.width > len(steps) * equal_minutes.SHOWN * peer.size


@pytest.mark.parametrize("name", [name for name in PEERS if equal_minutes.PEERS[name].words.startswith("**")])
def test_ours_copies_no_logo_at_any_budget(name):
    for found in ROWS[name]["after"].values():
        assert found["copies"]["share"] <= found["copies"]["false_alarm_rate"]


def test_a_training_is_stopped_when_its_seconds_of_the_processor_are_used(tmp_path):
    # A process that sleeps uses none.
    saved = tmp_path / "saved"
    script = (
        "import signal, sys, time, pathlib\n"
        "def stop(*_): pathlib.Path(sys.argv[1]).write_text(str(time.process_time())); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "time.sleep(1.5)\n"
        "while True: pass\n"
    )
    began = time.perf_counter()
    used = equal_minutes.train_for([sys.executable, "-c", script, str(saved)], 1.0)
    assert 1.0 <= used < 2.0 and used <= float(saved.read_text()) + 0.1
    assert time.perf_counter() - began >= 2.5


def test_a_training_that_fails_ends_the_command_with_its_words():
    with pytest.raises(SystemExit, match="no such config"):
        equal_minutes.train_for([sys.executable, "-c", "import sys; sys.exit('no such config')"], 60)


def test_a_run_that_is_finished_has_no_further_rows(monkeypatch, tmp_path):
    class Run:
        step = 3_000

        def sample(self, num, seed):
            return np.zeros((num, 4, 4, 3), np.uint8)

    monkeypatch.setattr(equal_minutes, "train_for", lambda words, seconds: 100.0)
    monkeypatch.setattr(equal_minutes, "load", lambda folder, step: Run())
    rows = list(equal_minutes.train_ours(equal_minutes.PEERS["quickstart"], tmp_path))
    assert [row[:2] for row in rows] == [(equal_minutes.MINUTES[0], 3_000)]


def test_the_logos_are_those_that_the_configs_train_on():
    small, large = equal_minutes.logos(28), equal_minutes.logos(equal_minutes.LIGHTWEIGHT_SIZE)
    assert [len(each) for each in small] == [len(each) for each in large]
    # The same split: a held-out logo is the same picture at both sizes.
    assert np.abs(equal_minutes.resize(large[1][:20], 28).astype(int) - small[1][:20]).mean() < 4
    assert equal_minutes.resize(small[0], 28) is small[0]


def test_a_folder_that_is_there_is_not_trained_in(tmp_path):
    with pytest.raises(SystemExit, match=r"exists, and how much of the processor it took is not known"):
        equal_minutes.run_peer("mark56", tmp_path, "python")


def test_every_peer_has_real_logos_of_its_size_and_a_config_that_is_there():
    for name, peer in equal_minutes.PEERS.items():
        assert peer.size in equal_minutes.REALS, name
        for flag in peer.flags[:1]:
            assert (ROOT / flag.partition("=")[2].partition(":")[0]).is_file(), name


def test_the_table_has_no_figure_of_the_judge_that_the_critic_looks_through():
    found = {"steps": 5, "against": {"kid_ppocr": {"value": 0.25}}, "copies": {"share": 0.0}}
    line = equal_minutes.table({"projected": {"after": {"10": found}}}).splitlines()[-1]
    assert line == "| 28 | Projected GAN, narrow | 10 | 5 | - | - | - | 0.250 | - | 0.0% |"
