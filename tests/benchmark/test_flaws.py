"""Flaws of marks are counted where they are, and the page says what was counted."""

import json
import sys
import types

import numpy as np
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import flaws


def mark(*boxes: tuple[int, int, int, int], size: int = 28) -> np.ndarray:
    """Draw black boxes (top, left, bottom, right) on a white picture."""
    picture = np.full((size, size, 3), 255, np.uint8)
    for top, left, bottom, right in boxes:
        picture[top:bottom, left:right] = 0
    return picture


DISC = (6, 6, 22, 22)


def test_small_parts_at_the_border_are_cut_off():
    for corner in ((0, 10, 3, 14), (25, 10, 28, 14), (10, 0, 14, 3), (10, 25, 14, 28)):
        assert flaws.flaws(mark(DISC, corner)[None]) == {"cut off": 1, "specks": 0}
    # A tile that fills the picture is whole, and so is a strip from side to side.
    whole = np.stack([mark((0, 0, 28, 28)), mark((10, 0, 18, 28)), mark(DISC)])
    assert flaws.flaws(whole) == {"cut off": 0, "specks": 0}


def test_specks_are_as_large_as_the_picture_allows():
    assert flaws.flaws(np.stack([mark(DISC, (2, 2, 3, 4)), mark(DISC, (2, 2, 4, 4))]))["specks"] == 0.5
    parts = ((2, 2, 4, 6), (2, 2, 5, 5))  # 8 and 9 pixels
    assert flaws.flaws(np.stack([mark((12, 12, 44, 44), part, size=56) for part in parts]))["specks"] == 0.5


def test_a_faint_speck_counts_and_anti_aliasing_does_not():
    faint, edge = mark(DISC), mark(DISC)
    faint[2, 2] = 160
    edge[5, 6:22] = 240
    assert flaws.flaws(np.stack([faint, edge]))["specks"] == 0.5


def test_rows_that_are_not_named_stay(monkeypatch, tmp_path):
    """Each run draws discs with a speck; of its data set one logo has a part that is cut off."""
    written = {}
    run = types.SimpleNamespace(config=types.SimpleNamespace(data=types.SimpleNamespace(size=28)), step=7)
    data = types.SimpleNamespace(pixels=lambda: mark(DISC, (0, 10, 3, 14))[None])
    monkeypatch.setattr(flaws.restore, "restore", lambda address, step: run)
    monkeypatch.setattr(flaws.restore, "draw", lambda run, count, seed: mark(DISC, (2, 2, 3, 4))[None])
    monkeypatch.setattr(flaws.restore, "training_dataset", lambda run: [0])
    monkeypatch.setattr(flaws, "Subset", lambda *_: data)
    monkeypatch.setattr(flaws, "RESULTS", tmp_path)
    monkeypatch.setattr(flaws, "rewrite_table", lambda *_: None)
    monkeypatch.setattr(flaws, "write_record", lambda name, command, values: written.update(values, command=command))
    for words in (["old=RUN"], ["new, again=RUN"]):
        monkeypatch.setattr(sys, "argv", ["flaws.py", *words])
        flaws.main()
        (tmp_path / "flaws-cpu.json").write_text(json.dumps(written))
    assert [*written["rows"]] == ["new, again", "old", "logos at 28 pixels"]
    assert written["rows"]["old"] == {"step": 7, "pictures": 1, "size": 28, "cut off": 0, "specks": 1}
    assert written["rows"]["logos at 28 pixels"] == {"pictures": 1, "size": 28, "cut off": 1, "specks": 0}
    assert written["command"] == "python benchmarks/flaws.py 'new, again=RUN' old=RUN"


def test_the_page_shows_the_record():
    record = json.loads((ROOT / "benchmarks" / "results" / "flaws-cpu.json").read_text())
    page = (ROOT / "docs" / "quality.md").read_text()
    shown = page.partition("<!-- flaws-cpu -->\n")[2].partition("<!-- /flaws-cpu -->")[0]
    assert shown == flaws.table(record["rows"])
