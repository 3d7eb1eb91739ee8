"""Flaws of marks are counted where they are, and the page says what was counted."""

import json
import sys

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


def test_the_page_shows_the_record():
    record = json.loads((ROOT / "benchmarks" / "results" / "flaws-cpu.json").read_text())
    page = (ROOT / "docs" / "quality.md").read_text()
    shown = page.partition("<!-- flaws-cpu -->\n")[2].partition("<!-- /flaws-cpu -->")[0]
    assert shown == flaws.table(record["rows"])
