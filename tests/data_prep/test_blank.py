"""Pictures on which nothing can be seen, and words in the bundled font, are counted with the totals."""

import numpy as np
import pytest
from conftest import drawing
from odd_files import SVG, encoded
from PIL import Image

from data_prep import inspect_data, resize_center, split_grid, svg_to_png, write_tfrecords
from data_prep.pictures import convert, ink

DISC = '<circle r="5" fill="#000"/>'
WORDS = '<text y="8">Mm</text>'


def blank_then_drawn(kind):
    """An animation whose first frame is blank."""
    return encoded(Image.new("RGB", (40, 40), "white"), kind, save_all=True, append_images=[drawing(1)])


CLEAR = Image.new("RGBA", (9, 9), (255, 0, 0, 0))
BLANKS = {
    "a GIF whose first frame is blank": blank_then_drawn("GIF"),
    "an animated PNG whose first frame is blank": blank_then_drawn("PNG"),
    "an animated WebP whose first frame is blank": blank_then_drawn("WEBP"),
    "a clear picture": encoded(CLEAR, "PNG"),
    "a white drawing on white paper": SVG.format('<rect width="9" height="9" fill="#fff"/>' * 2).encode(),
    "a drawing of nothing": SVG.format("<g/>").encode(),
    "a use of what is not there": SVG.format('<use href="#lost"/>').encode(),
    "a drawing outside of its box": SVG.format('<rect x="99" width="9" height="9"/>').encode(),
    "one dot": encoded(Image.fromarray(np.pad(np.zeros((1, 1), np.uint8), 200, constant_values=255)), "PNG"),
}
VISIBLE = {
    "a logo": encoded(drawing(1), "PNG"),
    "a white mark": encoded(Image.fromarray(np.dstack([np.full((9, 9, 3), 255), np.eye(9) * 255]).astype("u1")), "PNG"),
    "a thin line": SVG.format('<path d="M0 4h9" stroke="#000" stroke-width=".3"/>').encode(),
    "blue on a blue of the same red": SVG.format(DISC.replace("#000", "#008") + DISC.replace("5", "3")).encode(),
}


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("what", BLANKS)
def test_a_picture_on_which_nothing_can_be_seen_is_blank(what, channels):
    assert convert.convert(convert.Item("a", 0, BLANKS[what]), convert.ImageSpec(28, channels)).is_blank


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("what", VISIBLE)
def test_a_picture_that_can_be_seen_is_not_blank(what, channels):
    assert not convert.convert(convert.Item("a", 0, VISIBLE[what]), convert.ImageSpec(28, channels)).is_blank


def test_a_quick_look_never_calls_a_visible_picture_blank():
    for seed in range(30):
        pixels = np.asarray(drawing(seed))
        assert ink.is_blank(Image.fromarray(pixels)) == (ink.measure_ink(pixels) < ink.EMPTY_INK)


@pytest.fixture
def logos(tmp_path):
    """A folder of a logo, a drawing, a blank animation, a blank drawing and two drawings with words."""
    folder = tmp_path / "my logos"
    folder.mkdir()
    for name, data in {"a.png": VISIBLE["a logo"], "b.gif": blank_then_drawn("GIF")}.items():
        (folder / name).write_bytes(data)
    for name, body in {"c": DISC, "d": "<g/>", "e": WORDS, "f": DISC + WORDS}.items():
        (folder / f"{name}.svg").write_text(SVG.format(body))
    return folder


def test_write_tfrecords_counts_blanks_and_words_and_says_what_shows_them(logos, tmp_path, capsys):
    target = tmp_path / "my shards"
    write_tfrecords.main([f"--path={logos}", "--size=28", f"--target_path={target}"])
    totals = next(line for line in capsys.readouterr().out.splitlines() if "images written" in line)
    assert totals == (
        f"6 images written to {target}. 2 of them are blank (shown by python -m data_prep.inspect_data "
        f"--path='{target}'). The words of 2 are drawn in the bundled font."
    )
    inspect_data.main([f"--path={target}", f"--report={tmp_path / 'report'}"])
    assert "2  nearly empty" in capsys.readouterr().out


@pytest.mark.slow
def test_the_tools_that_write_pictures_count_blanks_and_words(logos, tmp_path, capsys):
    svg_to_png.main([f"--path={logos}", f"--target_path={tmp_path / 'png'}"])
    resize_center.main([f"--path={logos}", "--size=28", f"--target_path={tmp_path / 'squares'}"])
    Image.fromarray(np.pad(np.asarray(drawing(1)), ((0, 0), (0, 40), (0, 0)), constant_values=255)).save(
        tmp_path / "s.png"
    )
    split_grid.main([f"--filename={tmp_path / 's.png'}", "--col=2", "--row=1", f"--target_path={tmp_path / 'cells'}"])
    drawings, squares, cells = capsys.readouterr().out.splitlines()
    assert "4 files converted" in drawings and "1 of them is blank (shown by" in drawings
    assert "6 files converted" in squares and "2 of them are blank" in squares
    assert all(line.endswith("The words of 2 are drawn in the bundled font.") for line in (drawings, squares))
    assert (
        "1 files converted" in cells
        and f"1 of them is blank (shown by python -m data_prep.inspect_data --path={tmp_path}" in cells
    )
