"""The data doctor: copies are found and nothing else is, bad files are named, a cleaned copy holds what is good."""

import contextlib
import io
import json
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw

from data_prep import icon_sets, inspect_data, pool, write_tfrecords
from data_prep.doctor import duplicates, image_info, sources
from data_prep.pictures import convert
from data_prep.pictures.convert import ImageSpec, Item
from logogan_jax.core.storage import filesystem

FRAME = ImageSpec(56)


def inspect(*arguments):
    """Run the tool in this process -> what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        inspect_data.main([str(argument) for argument in arguments])
    return said.getvalue()


def mark(colour="red", box=(20, 30, 90, 100), size=(112, 112)):
    """A mark of one colour on white."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).ellipse(box, fill=colour)
    return image


def encoded(image, format="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, format=format, **options)
    return stream.getvalue()


def facts(image, frame=FRAME, **options):
    return image_info.examine(Item("x", 0, encoded(image, **options)), frame)


def thumbnails(images):
    looks = [facts(image).thumbnail for image in images]
    return np.frombuffer(b"".join(looks), np.uint8).reshape(-1, duplicates.SIDE, duplicates.SIDE, 3)


@pytest.fixture(scope="module")
def logos():
    """400 of the embedded logos at 112 pixels."""
    items = icon_sets.simple_icons()[::8][:400]
    return [convert.to_pillow(convert.to_pixels(convert.decode(item.source, 112), ImageSpec(112))) for item in items]


# ── copies ──────────────────────────────────────────────────────────────────────────────────


def saved_again(image):
    return Image.open(io.BytesIO(encoded(image, "JPEG", quality=70)))


def moved(image):
    out = Image.new("RGB", image.size, "white")
    out.paste(image, (1, 1))
    return out


def smaller(image):
    return image.resize([round(side * 0.8) for side in image.size], Image.Resampling.LANCZOS)


@pytest.mark.slow
@pytest.mark.parametrize(("change", "share"), [(saved_again, 0.98), (moved, 0.98), (smaller, 1.0)])
def test_copies_that_were_changed_a_little_are_found(logos, change, share):
    known = thumbnails(logos)
    found = duplicates.match_near(thumbnails([change(image) for image in logos[:200]]), known)
    assert sum(found.get(number) == number for number in range(200)) >= share * 200
    assert all(one == other for one, other in found.items())


@pytest.mark.slow
def test_distinct_logos_are_no_copies(logos):
    assert duplicates.group_near(thumbnails(logos)) == []


def test_the_same_shape_in_another_colour_is_no_copy():
    assert duplicates.group_near(thumbnails([mark("red"), mark("orange"), mark("blue"), mark("#ff0a0a")])) == [[0, 3]]


def test_a_copy_is_a_copy_in_any_format_and_orientation():
    image = mark(size=(112, 90))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter to the right
    turned = image.transpose(Image.Transpose.ROTATE_90)
    digests = [facts(image).digest, facts(image, format="BMP").digest, facts(turned, exif=exif).digest]
    digests.append(facts(image.quantize(256)).digest)
    assert duplicates.group_exact(digests) == [[0, 1, 2, 3]]
    assert facts(turned).digest != digests[0]


@pytest.mark.slow
def test_thousands_of_near_copies_of_one_image_stay_cheap(logos):
    random = np.random.default_rng(0)
    one = thumbnails(logos[:1]).astype(int)
    many = np.clip(one + random.integers(-2, 3, (4000, *one.shape[1:])), 0, 255).astype(np.uint8)
    found = duplicates.group_near(np.concatenate([many, thumbnails(logos[1:20])]))
    assert found == [list(range(4000))]


@pytest.mark.slow
def test_each_pair_is_compared_whatever_the_order(logos):
    images = [*logos[:150], *(saved_again(image) for image in logos[:150])]
    order = np.random.default_rng(1).permutation(300)
    found = duplicates.group_near(thumbnails(images)[order])
    pairs = {tuple(sorted(order[group])) for group in found}
    assert len(pairs) >= 145 and pairs <= {(number, number + 150) for number in range(150)}


def test_nothing_and_one_image_have_no_copies():
    none = np.zeros((0, duplicates.SIDE, duplicates.SIDE, 3), np.uint8)
    assert duplicates.group_near(none) == [] and duplicates.group_near(thumbnails([mark()])) == []
    assert duplicates.match_near(none, none) == {}


# ── one image ───────────────────────────────────────────────────────────────────────────────


def test_blank_images_are_empty_and_the_faintest_logos_are_not(logos):
    for colour in ("white", "black", "#fafafa", (200, 30, 30)):
        assert facts(Image.new("RGB", (300, 200), colour)).is_empty
    noise = np.random.default_rng(0).integers(250, 255, (90, 90, 3)).astype(np.uint8)
    assert facts(Image.fromarray(noise), format="JPEG").ink < 2 * image_info.EMPTY_INK
    assert facts(mark("#fefefe")).is_empty and not facts(mark(box=(50, 50, 60, 60))).is_empty
    assert min(image_info.measure_ink(np.asarray(logo)) for logo in logos) > 2 * image_info.EMPTY_INK


def test_what_would_be_enlarged_depends_on_the_square():
    wide = facts(Image.new("RGB", (100, 40), "white"))
    assert (
        wide.is_enlarged(ImageSpec(56, fit="crop"))
        and not wide.is_enlarged(ImageSpec(56))
        and not wide.is_enlarged(ImageSpec(40))
    )
    assert wide.is_long(FRAME) and not facts(Image.new("RGB", (100, 60), "white")).is_long(FRAME)
    assert (
        not wide.is_long(ImageSpec(28, width=60))
        and wide.is_long(ImageSpec(28, width=120))
        and wide.is_long(ImageSpec(28, width=14))
    )
    for height, width, pad, crop in [(40, 100, False, False), (41, 100, False, True), (41, 101, True, True)]:
        frame = ImageSpec(height, width=width)
        assert (wide.is_enlarged(frame), wide.is_enlarged(frame._replace(fit="crop"))) == (pad, crop)
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 4"><rect width="5" height="4"/></svg>'
    drawn = image_info.examine(Item("x", 0, drawing), ImageSpec(500))
    assert drawn.is_vector and drawn.is_long(ImageSpec(500)) and not drawn.is_enlarged(ImageSpec(500))


def test_what_cannot_be_read_has_a_reason():
    for data in (b"", b"hello", encoded(mark())[:60], b"<svg"):
        assert isinstance(image_info.examine(Item("x", 0, data), FRAME), pool.Failed)
    assert image_info.examine(Item("x", 0, "/nowhere/x.png"), FRAME).reason == "No such file or directory"


# ── the tool ────────────────────────────────────────────────────────────────────────────────

HOSTILE = '<img src=x onerror=alert(1)> & "it\'s".png'


@pytest.fixture
def folder(tmp_path):
    """A folder of labelled logos: originals, copies, near copies, a blank, broken files, a long one."""
    random = np.random.default_rng(5)
    files = {}
    for number in range(12):
        box = [int(x) for x in (*random.integers(5, 40, 2), *random.integers(70, 105, 2))]
        files[f"round/{number}.png"] = encoded(mark(tuple(random.integers(0, 200, 3)), box))
    files["square/0.bmp"] = encoded(Image.open(io.BytesIO(files["round/0.png"])), "BMP")
    files["square/1.jpg"] = encoded(Image.open(io.BytesIO(files["round/1.png"])), "JPEG", quality=70)
    files["square/large.png"] = encoded(Image.open(io.BytesIO(files["round/2.png"])).resize((224, 224)))
    files[f"square/{HOSTILE}"] = encoded(mark("#123456", (10, 50, 100, 60)))
    files["square/long.png"] = encoded(mark("green", (120, 5, 180, 50), (300, 56)))
    files["square/hair.png"] = encoded(Image.new("RGB", (900, 1), "white"))
    files["square/blank.gif"] = encoded(Image.new("RGB", (99, 99), "white"), "GIF")
    files["square/broken.png"] = files["round/0.png"][:80]
    files["square/notes.txt"] = b"hello"
    files["manifest.jsonl"] = b'{"path": "round/0.png", "licence": "CC0"}\n'
    where = filesystem.Folder(tmp_path / "logos")
    for name, data in files.items():
        where.write(name, data)
    return tmp_path / "logos"


def everything(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_report_tells_what_is_wrong_and_how_to_mend_it(folder, tmp_path):
    said = inspect("--path", folder, "--size", 56, "--fit", "crop")
    report = json.loads((tmp_path / "logos_report" / "report.json").read_text())
    assert report["counts"] == {
        "files": 21, "images": 19, "unreadable": 2, "copies": 1, "near copies": 2, "nearly empty": 2, "leaks": 0,
        "too small": 1, "long": 2, "animated": 0, "copies under two labels": 3,
    }  # fmt: skip
    groups = {tuple(group["paths"]): group["exact"] for group in report["copies"]}
    assert groups == {
        ("square/0.bmp", "round/0.png"): True,
        ("round/1.png", "square/1.jpg"): False,
        ("square/large.png", "round/2.png"): False,
    }
    assert report["unreadable"][1] == {"path": "square/notes.txt", "reason": "not an image"}
    assert report["nearly empty"] == ["square/blank.gif", "square/hair.png"]
    assert report["long"] == ["square/hair.png", "square/long.png"] and report["too small"] == ["square/hair.png"]
    assert report["labels"] == {"round": 12, "square": 9}
    assert report["formats"]["PNG"] == 16 and report["widths"]["257 to 512"] == 1
    lines = (tmp_path / "logos_report" / "images.jsonl").read_text().splitlines()
    assert len(lines) == 19 and json.loads(lines[0])["path"] == "round/0.png"
    assert "(unreadable: 2, copies: 1, near copies: 2, nearly empty: 2)" in said and "--fix=logos_clean\n" in said


def test_the_page_is_one_file_that_runs_nothing(folder, tmp_path):
    inspect("--path", folder, "--report", tmp_path / "seen")
    page = (tmp_path / "seen" / "report.html").read_text()
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; &#34;it&#39;s&#34;.png" in page and HOSTILE not in page
    assert "<script" not in page and not re.search(r"""(src|href)=["'](?!data:image/png;base64,)""", page)
    assert page.count('<img src="data:image/png;base64,') >= 19 + 6 + 2 + 2
    inspect("--path", folder, "--report", tmp_path / "seen")
    assert (tmp_path / "seen" / "report.html").read_text() == page


def test_a_cleaned_copy_holds_what_is_good_and_says_what_is_not(folder, tmp_path):
    before = everything(folder)
    clean = tmp_path / "clean"
    said = inspect("--path", folder, "--fix", clean)
    assert said.endswith(f"14 images copied to {clean}, 7 left out (reasons in removed.jsonl there).\n")
    assert everything(folder) == before
    after = everything(clean)
    removed = {line["path"]: line for line in map(json.loads, after.pop("removed.jsonl").decode().splitlines())}
    assert json.loads(after.pop("settings.json")) == {"sources": [f"../{folder.name}"]}
    assert after == {name: data for name, data in before.items() if name not in removed}
    assert {name: line["reason"] for name, line in removed.items() if not name.endswith("broken.png")} == {
        "round/0.png": "copy", "square/1.jpg": "near copy", "round/2.png": "near copy",
        "square/blank.gif": "nearly empty", "square/hair.png": "nearly empty", "square/notes.txt": "not an image",
    }  # fmt: skip
    assert removed["round/2.png"]["same_as"] == "square/large.png"
    again = inspect("--path", clean)
    assert "Nothing to mend" in again and "14 files" in again


def test_a_copy_that_fails_leaves_no_folder(folder, tmp_path, monkeypatch):
    write = filesystem.Folder.write

    def full(self, name, data):
        if name == "round/9.png":
            raise OSError(28, "No space left on device")
        write(self, name, data)

    monkeypatch.setattr(filesystem.Folder, "write", full)
    with pytest.raises(SystemExit, match="2"):
        inspect("--path", folder, "--fix", tmp_path / "clean")
    assert not (tmp_path / "clean").exists()
    monkeypatch.setattr(filesystem.Folder, "write", write)
    inspect("--path", folder, "--fix", tmp_path / "clean")
    assert len(everything(tmp_path / "clean")) == 17 and not list(tmp_path.glob(".clean*"))


def test_images_that_are_in_the_validation_set_too_are_leaks(folder, tmp_path):
    where = filesystem.Folder(tmp_path / "validation")
    where.write("other name.webp", encoded(Image.open(folder / "round" / "3.png"), "WEBP", quality=80))
    where.write("same.png", (folder / "round" / "4.png").read_bytes())
    where.write("another.png", encoded(mark("purple", (30, 2, 60, 110))))
    inspect("--path", folder, "--against", tmp_path / "validation", "--fix", tmp_path / "clean")
    report = json.loads((tmp_path / "logos_report" / "report.json").read_text())
    assert report["leaks"] == [
        {"path": "round/3.png", "same_as": "other name.webp"}, {"path": "round/4.png", "same_as": "same.png"},
    ]  # fmt: skip
    assert not {"round/3.png", "round/4.png"} & everything(tmp_path / "clean").keys()


@pytest.mark.slow
def test_shards_are_looked_at_record_by_record(shards, tmp_path):
    said = inspect("--path", shards, "--report", tmp_path / "r")
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert report["counts"]["images"] == 50 and report["size"] == 28
    assert report["labels"] == {"box": 25, "disc": 25} and report["counts"]["unreadable"] == 0
    assert "--path=IMAGES" in said or "Train on them" in said
    (tmp_path / "mine").mkdir()
    number, image = 7, tmp_path / "mine" / "a.png"
    records = sources.open_source(str(shards), "path")
    image.write_bytes(next(item.source for item in records if item.name == f"{number}.png"))
    inspect("--path", tmp_path / "mine", "--against", shards, "--report", tmp_path / "r")
    found = json.loads((tmp_path / "r" / "report.json").read_text())["leaks"]
    assert found == [{"path": "a.png", "same_as": "7.png"}]


@pytest.mark.slow
def test_advice_names_the_command_that_mends_it(tmp_path):
    where = filesystem.Folder(tmp_path / "my logos")
    for number in range(40):
        image = mark(box=(number, 30, number + 60, 100)) if number % 2 else mark("blue", (0, 10, 50, 10 + 2 * number))
        where.write(f"many/{number}.png", encoded(image.resize((200, 40)) if number < 9 else image.resize((40, 40))))
    where.write("few/a.png", encoded(mark("black")))
    said = inspect("--path", tmp_path / "my logos", "--size", 56, "--fit", "crop")
    write = f"python -m data_prep.write_tfrecords --path='{tmp_path}/my logos' --target_path=shards"
    assert f"{write} --size=56\n" in said
    assert f"Too small for 56 pixels: 40 of 41 images. Nearly all have 28\n    {write} --size=28 --fit=crop\n" in said
    assert f"{write} --size=56 --fit=crop --labels=none\n" in said
    where.write("loose.png", encoded(mark("black", (1, 1, 30, 90))))
    said = inspect("--path", tmp_path / "my logos", "--size", 28)
    assert f"without a label: 1. Move them into one, or do without labels\n    {write} --size=28 --labels=none" in said
    assert "Longer" not in said and "Too small" not in said


def test_mistakes_are_one_line(folder, shards, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for arguments, message in [
        (("--path", tmp_path / "none"), "is not a folder"),
        (("--path", tmp_path / "empty"), "holds no file to look at"),
        (("--path", folder, "--against", tmp_path / "none"), "--against"),
        (("--path", folder, "--size", 0), "should be from 1 to 4096"),
        (("--path", folder, "--report", folder / "report"), "choose a place outside of it"),
        (("--path", folder, "--fix", folder / "clean"), "choose a place outside of it"),
        (("--path", folder, "--report", folder), "something else in it"),
        (("--path", folder, "--fix", folder), "is not an empty folder"),
        (("--path", folder, "--report", folder / "manifest.jsonl"), "is a file, not a folder"),
        (("--path", shards, "--fix", tmp_path / "x"), "which cannot be taken apart: clean the folder of images"),
        (("--path", shards, "--size", 56), "holds shards with size 28: leave the flag out"),
    ]:
        before = everything(tmp_path)
        with pytest.raises(SystemExit) as left:
            inspect(*arguments)
        assert left.value.code == 2 and everything(tmp_path) == before
        line = capsys.readouterr().err.strip()
        assert line.startswith("error: ") and message in line and "\n" not in line


# ── inks ────────────────────────────────────────────────────────────────────────────────────


def test_the_doctor_and_the_writer_of_shards_name_the_same_head(tmp_path):
    where = filesystem.Folder(tmp_path / "flags")
    for number in range(10):
        image = mark("red", (10 + number, 10, 100, 100))
        ImageDraw.Draw(image).rectangle((30, 40, 80, 70), fill="blue" if number < 9 else "red")
        where.write(f"{number}.png", encoded(image))
    said = inspect("--path", tmp_path / "flags", "--size", 28)
    report = json.loads((tmp_path / "flags_report" / "report.json").read_text())
    assert report["inks"] == {"none": 0, "1": 1, "2": 9, "3": 0, "more than 3": 0}
    line = "100% of the images are marks in at most 2 flat colours: --config.mark.inks=2 draws such marks."
    assert report["head"] == line and f"\n{line}\n" in said
    page = (tmp_path / "flags_report" / "report.html").read_text()
    assert f"<p>{line}</p>" in page and "Flat inks that explain an image" in page
    with contextlib.redirect_stdout(io.StringIO()) as written:
        arguments = ["--path", tmp_path / "flags", "--size", 28, "--target_path", tmp_path / "shards", "--workers", 1]
        write_tfrecords.main([str(argument) for argument in arguments])
    assert f"\n{line}\n" in written.getvalue()
    assert f"\n{line}\n" in inspect("--path", tmp_path / "shards")
