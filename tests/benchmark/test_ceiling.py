"""Fields that are fitted to logos draw them, as finely as they are, and the page says what was measured."""

import json
import sys

import numpy as np
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import ceiling


def logos() -> np.ndarray:
    """Draw a red disc and thin blue bars, uint8[2, 28, 28, 3] on white."""
    pixels = np.full((2, 28, 28, 3), 255, np.uint8)
    y, x = np.mgrid[:28, :28] - 13.5
    pixels[0][y**2 + x**2 < 100] = (200, 10, 20)
    pixels[1, 4:24, 5:23:2] = (10, 20, 200)
    return pixels


def test_fields_draw_the_logos_that_they_are_fitted_to():
    drawn = ceiling.redraw(logos(), 28, steps=200)
    assert drawn.shape == (2, 28, 28, 3) and drawn.dtype == np.uint8
    assert np.abs(drawn.astype(int) - logos()).max() <= 4


def test_small_fields_draw_discs_but_no_thin_bars():
    disc, bars = np.abs(ceiling.redraw(logos(), 14, steps=200).astype(int) - logos()).mean((1, 2, 3))
    assert disc < 5 and bars > 30


def test_the_page_shows_the_record():
    record = json.loads((ROOT / "benchmarks" / "results" / "ceiling-cpu.json").read_text())
    assert [(row["size"], row["fields"]) for row in record["rows"].values() if row["fields"]] == [*ceiling.CASES]
    page = (ROOT / "docs" / "quality.md").read_text()
    shown = page.partition("<!-- ceiling-cpu -->\n")[2].partition("<!-- /ceiling-cpu -->")[0]
    assert shown == ceiling.table(record["rows"])
