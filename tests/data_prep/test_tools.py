"""The preparation of one image: modes, transparency, orientation, SVG, the embedded logos."""

import contextlib
import importlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from data_prep import icon_sets, make_logos, write_tfrecords
from data_prep.pictures import convert, resize, svg
from logogan_jax.core.errors import UserError
from logogan_jax.data import tfrecord
from logogan_jax.data.dataset import TFRecordDataset

SQUARE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}"><rect width="{w}" height="{h}" fill="#f00"/></svg>'
)


def test_transparency_is_laid_on_white():
    # Grey 10 at alpha 128: 10 * 128/255 + 255 * 127/255 = 132.
    half = Image.new("RGBA", (8, 8), (10, 10, 10, 128))
    assert (resize.fit(half, 8, 3) == 132).all()
    clear = Image.new("LA", (8, 8), (0, 0))
    assert (resize.fit(clear, 8, 1) == 255).all()
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([200, 0, 0] * 256)
    palette.info["transparency"] = 0
    assert (resize.fit(palette, 8, 3) == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"])
def test_every_mode_comes_out_as_asked(mode):
    image = Image.new(mode, (30, 20))
    assert resize.fit(image, 16, 3).shape == (16, 16, 3)
    assert resize.fit(image, 16, 1).shape == (16, 16, 1)


def test_sixteen_bits_are_scaled_not_clipped():
    image = Image.fromarray(np.full((8, 8), 32768, np.uint16))
    assert abs(int(resize.fit(image, 8, 1).mean()) - 128) <= 1


def test_the_centre_square_is_kept():
    wide = Image.new("RGB", (30, 10), "white")
    wide.paste("black", (10, 0, 20, 10))
    assert (resize.fit(wide, 10, 3) == 0).all()


def test_a_photograph_is_turned_upright():
    image = Image.new("RGB", (8, 8), "white")
    image.paste("black", (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right
    stream = io.BytesIO()
    image.save(stream, format="PNG", exif=exif)
    upright = resize.fit(Image.open(io.BytesIO(stream.getvalue())), 8, 1)[..., 0]
    assert (upright[:, 4:] == 0).all() and (upright[:, :4] == 255).all()


@pytest.mark.parametrize(("w", "h"), [(24, 24), (100, 10), (10, 100)])
def test_svg_is_drawn_with_its_shorter_side_as_asked(w, h):
    image = svg.render(svg.check(SQUARE.format(w=w, h=h)), 28)
    assert image.mode == "RGBA" and min(image.size) in (28, 29)
    assert (resize.fit(image, 28, 3) == (255, 0, 0)).all()


def test_pictures_are_cropped_or_padded_to_rectangles():
    mark = Image.new("RGBA", (20, 20), "red")
    padded = resize.fit(mark, 10, 3, width=30, how="pad")
    assert padded.shape == (10, 30, 3) and (padded[:, 10:20] == (255, 0, 0)).all()
    assert (padded[:, :10] == 255).all() and (padded[:, 20:] == 255).all()
    clear = resize.fit(mark, 30, 4, width=10, how="pad")
    assert (clear[10:20] == (255, 0, 0, 255)).all() and not clear[:10].any() and not clear[20:].any()
    wide = Image.new("RGB", (40, 20), "blue")
    wide.paste("red", (15, 0, 25, 20))
    assert (resize.fit(wide, 20, 3, width=10) == (255, 0, 0)).all()  # the middle that is half as wide as high
    assert (resize.fit(wide, 10, 3, width=20)[:, :4] == (0, 0, 255)).all()


@pytest.mark.parametrize(
    ("height", "width", "within", "covering"), [(30, 90, (60, 30), (90, 45)), (90, 30, (30, 15), (180, 90))]
)
def test_svg_is_drawn_for_a_rectangle(height, width, within, covering):
    drawing = svg.check(SQUARE.format(w=100, h=50))
    assert svg.render(drawing, height, width, longer=True).size == within
    assert svg.render(drawing, height, width).size == covering
    unsized = svg.check('<svg xmlns="http://www.w3.org/2000/svg"><rect width="100" height="50"/></svg>')
    assert unsized.aspect is None  # until it is drawn
    assert svg.render(unsized, height, width, longer=True).size == within
    assert svg.render(unsized, height, width).size == covering
    for fit in ("pad", "crop"):
        spec = convert.ImageSpec(height, 3, fit, width=width)
        found = convert.convert(convert.Item("a.svg", 0, SQUARE.format(w=100, h=50).encode()), spec)
        assert Image.open(io.BytesIO(found.png)).size == (width, height)
        assert found.aspect == pytest.approx(2 * height / width)


@pytest.mark.slow
def test_embedded_logos_with_transparency(monkeypatch, tmp_path, capsys):
    items = icon_sets.simple_icons()[:40]
    monkeypatch.setattr(icon_sets, "simple_icons", lambda: items)
    for channels in (3, 4):
        make_logos.main(
            ["--size=40", "--width=56", f"--channels={channels}", f"--target_path={tmp_path / str(channels)}"]
        )
    assert "--config.data.size=40 --config.data.width=56 --config.data.channels=4" in capsys.readouterr().out
    solid, clear = (TFRecordDataset(tmp_path / str(channels), size=(40, 56), channels=channels) for channels in (3, 4))
    assert clear.metadata["mode"] == "RGBA" and clear.metadata["background"] == "none"
    names = {item.name: item.source for item in items}
    for index in clear.indexes:
        for number in range(len(index.offsets)):
            found = tfrecord.decode(tfrecord.read(index, number))
            ours = np.asarray(Image.open(io.BytesIO(found["image"])))
            drawn = np.asarray(svg.render(svg.read(names[found["name"].decode()]), 40))
            assert drawn.shape == (40, 40, 4)
            np.testing.assert_array_equal(ours[:, 8:48], drawn)
            assert not ours[:, :8].any() and not ours[:, 48:].any()
            # One colour, as far as eight bits tell: it is not multiplied by the opacity.
            seen = ours[ours[..., 3] > 0].astype(float)
            colour = seen[seen[:, 3].argmax(), :3]
            assert (np.abs(seen[:, :3] - colour) <= 1 + 255 / seen[:, 3:]).all()
    for position in range(40):
        rgba = clear.image(position)[0].astype(np.float64)
        opacity = rgba[..., 3:] / 255
        white = rgba[..., :3] * opacity + 255 * (1 - opacity)
        assert np.abs(white - solid.image(position)[0]).max() <= 1


def test_conversion_gives_reasons_and_never_raises():
    good = convert.convert(convert.Item("a.svg", 0, SQUARE.format(w=9, h=9).encode()), convert.ImageSpec(28))
    assert good.png.startswith(b"\x89PNG") and not good.reason and len(good.sha256) == 64
    for name, source in [("a.svg", b"\xff\xfe"), ("a.png", b"x"), ("a.png", "/nowhere/a.png")]:
        assert convert.convert(convert.Item(name, 0, source), convert.ImageSpec(28)).reason


def test_embedded_logos_are_the_free_ones_on_white_and_visible():
    items = icon_sets.simple_icons()
    assert len(items) == 3255
    sample = items[::60] + [item for item in items if b"#202020" in item.source][:5]
    for item in sample:
        converted = convert.convert(item, convert.ImageSpec(28))
        pixels = np.asarray(Image.open(io.BytesIO(converted.png)))
        assert (pixels[0] >= 250).all() and (pixels[:, 0] >= 250).all(), item.name
        assert (255 - pixels.astype(int)).max(-1).mean() > 3, item.name


@pytest.mark.parametrize(
    ("colour", "name"),
    [("000000", "black"), ("FF0000", "red"), ("FF8000", "orange"), ("FFEE00", "yellow"), ("00B140", "green"),
     ("40E0F0", "cyan"), ("1877F2", "blue"), ("8000FF", "purple"), ("FF00A0", "pink"), ("808080", "grey"),
     ("FF0011", "red"), ("FFFFFF", "grey")],
)  # fmt: skip
def test_colour_classes(colour, name):
    assert icon_sets.colour_class(colour) == name


def test_two_first_runs_may_draw_the_embedded_logos_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("LOGOGAN_CACHE", str(tmp_path))
    items = icon_sets.simple_icons()[:5]
    monkeypatch.setattr(icon_sets, "simple_icons", lambda: items)
    write = write_tfrecords.write

    def beaten(items, target, **values):
        write(items, target, **values)  # the other run is done first
        return write(items, target, **values)

    monkeypatch.setattr(write_tfrecords, "write", beaten)
    target = make_logos.embedded_logos(size=28, channels=1)
    assert len(TFRecordDataset(target, size=(28, 28), channels=1)) == 5
    monkeypatch.setenv("LOGOGAN_CACHE", str(target / "metadata.json"))
    with pytest.raises(UserError, match=r"cannot be written \(Not a directory\)"):
        make_logos.embedded_logos(size=28, channels=1)


@pytest.mark.slow
def test_every_shape_of_the_embedded_logos_has_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("LOGOGAN_CACHE", str(tmp_path))
    items = icon_sets.simple_icons()[:3]
    monkeypatch.setattr(icon_sets, "simple_icons", lambda: items)
    shapes = [(14, 14, 3), (14, 28, 3), (28, 14, 3), (14, 14, 4)]
    made = [
        make_logos.embedded_logos(size=height, width=width, channels=channels) for height, width, channels in shapes
    ]
    assert len(set(made)) == 4
    for folder, shape in zip(made, shapes, strict=True):
        assert TFRecordDataset(folder, size=shape[:2], channels=shape[2]).image(0)[0].shape == shape
    assert make_logos.embedded_logos(size=14, channels=3) == made[0]


# ── the tools on folders ────────────────────────────────────────────────────────────────────


def tool(module, *arguments):
    """Run a tool in this process -> its totals line."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        importlib.import_module(f"data_prep.{module}").main([str(argument) for argument in arguments])
    return said.getvalue().strip()


def test_a_sheet_is_cut_into_cells_that_cover_it(tmp_path):
    values = np.arange(10 * 7, dtype=np.uint8).reshape(7, 10)
    Image.fromarray(values).save(tmp_path / "my.sheet.png")
    said = tool("split_grid", "--filename", tmp_path / "my.sheet.png", "--col", 3, "--row", 2)
    assert said.startswith("1 files converted") and "0 rejected" in said
    cells = {path.stem: np.asarray(Image.open(path)) for path in (tmp_path / "my.sheet_split").glob("*.png")}
    assert sorted(cells) == [f"my.sheet_{i}_{j}" for i in range(3) for j in range(2)]
    rows = [np.concatenate([cells[f"my.sheet_{i}_{j}"] for i in range(3)], axis=1) for j in range(2)]
    np.testing.assert_array_equal(np.concatenate(rows), values)
    assert [cells[f"my.sheet_{i}_0"].shape[1] for i in range(3)] == [3, 4, 3]  # edges at the nearest pixel
    Image.new("RGB", (8, 8)).save(tmp_path / "abc.jpeg")  # the blog's own example, on which the 2018 script failed
    tool("split_grid", "-f", tmp_path / "abc.jpeg", "--col", 2, "--row", 2, "--target_path", tmp_path / "out")
    assert len(list((tmp_path / "out").glob("abc_*.png"))) == 4


def test_a_folder_of_anything_becomes_squares_and_reasons(tmp_path):
    logos = tmp_path / "logos"
    (logos / "sub").mkdir(parents=True)
    Image.new("RGBA", (30, 20), (255, 0, 0, 255)).save(logos / "a.png")
    Image.new("RGB", (30, 20), "blue").save(logos / "a.jpg")
    (logos / "sub" / "b.SVG").write_text(SQUARE.format(w=5, h=9))
    (logos / "notes.txt").write_text("hello")
    (logos / ".hidden").write_text("")
    said = tool("resize_center", "--path", f"{logos}/", "--size", 16)
    out = tmp_path / "logos_16"
    totals = f"3 files converted into {out}, 1 rejected (reasons in rejects.jsonl there)."
    assert (
        said == f"{totals} 3 of them are blank (shown by python -m data_prep.inspect_data --path={out})."
    )  # one colour
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.png")) == ["a_jpg.png", "a_png.png", "sub/b.png"]
    assert Image.open(out / "a_jpg.png").size == (16, 16)
    assert json.loads((out / "rejects.jsonl").read_text()) == {"path": "notes.txt", "reason": "not an image"}
    before = (out / "a_png.png").stat().st_mtime_ns
    assert "0 files converted" in tool("resize_center", "--path", logos, "--size", 16)
    assert (out / "a_png.png").stat().st_mtime_ns == before


@pytest.mark.parametrize("engine", ["resvg", "cairosvg"])
def test_svg_files_become_transparent_pngs(tmp_path, engine):
    if engine == "cairosvg":
        try:
            import cairosvg  # noqa: F401
        except (ImportError, OSError) as error:
            pytest.skip(f"cairosvg or its library is not here: {error}")
    text = SQUARE.format(w=20, h=10).replace("<rect ", '<rect x="10" ')
    (tmp_path / "svg").mkdir()
    (tmp_path / "svg" / "wide.svg").write_text(text)
    (tmp_path / "svg" / "bad.svg").write_text("<svg")
    (tmp_path / "svg" / "photo.png").write_bytes(b"")
    said = tool("svg_to_png", "--path", tmp_path / "svg", "--size", 32, "--engine", engine)
    assert said.startswith("1 files converted") and "1 rejected" in said
    image = Image.open(tmp_path / "svg_png" / "wide.png")
    assert image.size == (64, 32) and image.getpixel((2, 9)) == (0, 0, 0, 0) and image.getpixel((60, 9))[:2] == (255, 0)
    reason = json.loads((tmp_path / "svg_png" / "rejects.jsonl").read_text())
    assert reason["path"] == "bad.svg" and "not a readable SVG" in reason["reason"]


def test_tools_say_in_one_line_what_is_wrong(tmp_path, capsys):
    for arguments, message in [
        (("resize_center", "--path", tmp_path / "none", "--size", 8), "is not a folder"),
        (("resize_center", "--path", tmp_path, "--size", 8), "holds no file to work on"),
        (("split_grid", "-f", tmp_path / "x.png", "--col", 1, "--row", 1), "there is no such file or folder"),
        (("split_grid", "-f", tmp_path, "--col", 0, "--row", 1), "should be at least 1"),
    ]:
        with pytest.raises(SystemExit) as left:
            tool(*arguments)
        assert left.value.code == 2
        line = capsys.readouterr().err.strip()
        assert line.startswith("error: ") and message in line and "\n" not in line


def test_a_large_jpeg_is_decoded_small_and_looks_the_same():
    image = Image.new("RGB", (1600, 1200), "white")
    image.paste((200, 30, 40), (500, 300, 1000, 900))
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=95)
    read = convert.decode_for(stream.getvalue(), convert.ImageSpec(56))
    assert read.size == (200, 150)  # an eighth, and still twice the side
    assert convert.decode_for(stream.getvalue(), convert.ImageSpec(56, trim=True)).size == (1600, 1200)
    small, full = (resize.fit(one, 56, 3).astype(int) for one in (read, image))
    assert np.abs(small - full).mean() < 2
