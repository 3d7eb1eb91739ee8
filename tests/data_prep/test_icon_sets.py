"""Icon sets of every packing become the same logos, whole, and visible."""

import gzip
import io
import json
import lzma
import tarfile
import zipfile

import numpy as np
import pytest
from conftest import drawing, failing
from iconify import ICON_SET
from PIL import Image, ImageCms

from data_prep import icon_sets, make_logos
from data_prep.pictures import convert, modes, resize
from data_prep.pictures.convert import ImageSpec, Item, encode_png
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import TFRecordDataset


def packed(folder, name):
    """The set as one of the files that make_logos reads."""
    path, data = folder / name, json.dumps(ICON_SET).encode()
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("package/icons.json", data)
    elif name.endswith(("tgz", "tar")):
        with tarfile.open(path, "w:gz" if name.endswith("tgz") else "w") as file:
            for member, content in (("package/package.json", b"{}"), ("package/icons.json", data)):
                info = tarfile.TarInfo(member)
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
    else:
        path.write_bytes({"xz": lzma.compress, "gz": gzip.compress, "on": bytes}[name[-2:]](data))
    return path


def pixels(item, **spec):
    converted = convert.convert(item, ImageSpec(**{"size": 32, "fit": "pad", **spec}))
    assert not converted.reason, converted.reason
    return np.asarray(Image.open(io.BytesIO(converted.png))).astype(int)


@pytest.mark.parametrize("name", ["icons.json", "my-set.json", "a.json.xz", "a.json.gz", "a.tgz", "a.tar", "a.zip"])
def test_an_iconify_set_is_read_from_any_packing(tmp_path, name):
    items = {item.name: item for item in icon_sets.read_archive(packed(tmp_path, name))}
    assert set(items) == {"plain.svg", "square.svg", "moved.svg"}
    wide = pixels(items["plain.svg"])
    assert (wide[8:24] == (255, 0, 0)).all() and (wide[:7] == 255).all() and (wide[25:] == 255).all()
    ink = pixels(items["square.svg"])
    assert (ink[12:20, 12:20] == 0x20).all() and (ink[0] == 255).all()  # no colour of its own: near-black
    assert (pixels(items["moved.svg"]) == (0, 0, 255)).all()


def test_an_archive_of_pictures_is_a_set_too(tmp_path):
    with zipfile.ZipFile(tmp_path / "logos.zip", "w") as file:
        for i in range(3):
            file.writestr(f"logos/{i}.png", encode_png(drawing(i)))
        file.writestr("logos/readme.txt", "hello")
        file.writestr("logos/", "")
    items = icon_sets.read_archive(tmp_path / "logos.zip")
    assert [item.name for item in items] == ["logos/0.png", "logos/1.png", "logos/2.png"]


def test_a_set_that_is_none_is_told_in_one_line(tmp_path):
    cases = {
        "a.zip": (b"PK", "cannot be read"),
        "a.tgz": (b"x", "cannot be read"),
        "a.json": (b"{", "not an Iconify icon set"),
        "b.json": (b"[]", "not an Iconify icon set"),
        "a.json.xz": (b"x", "cannot be read"),
        "a.rar": (b"", "should be a folder"),
    }
    for name, (data, message) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=message):
            icon_sets.read_archive(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(UserError, match=r"holds no icons\.json and no picture"):
        icon_sets.read_archive(tmp_path / "empty.zip")


@pytest.mark.slow
def test_make_logos_makes_shards_of_every_kind_of_source(tmp_path, capsys):
    (tmp_path / "logos" / "red").mkdir(parents=True)
    drawing(1).save(tmp_path / "logos" / "red" / "a.png")
    for source, count, labels in [
        (packed(tmp_path, "a.tgz"), 3, {}),
        (tmp_path / "logos", 1, {"red": 1}),
    ]:
        target = tmp_path / f"shards{count}"
        make_logos.main([f"--source={source}", "--size=28", f"--target_path={target}"])
        assert f"{count} images written to {target}" in capsys.readouterr().out
        opened = TFRecordDataset(target, size=(28, 28), channels=3)
        assert len(opened) == count and opened.labels == labels
    assert "--source=fontawesome needs --target_path" in failing("--source=fontawesome", module="data_prep.make_logos")
    assert "--fit and --trim need --target_path" in failing("--trim", module="data_prep.make_logos")


@pytest.mark.slow
def test_font_awesome_is_black_on_white_with_its_styles_as_labels(tmp_path):
    pytest.importorskip("fontawesomefree")
    totals = make_logos.make_dataset("fontawesome", tmp_path / "fa", ImageSpec(28, 1, "pad"))
    opened = TFRecordDataset(tmp_path / "fa", size=(28, 28), channels=1)
    assert totals.written == len(opened) > 1900 and totals.rejected == 0
    assert list(opened.labels) == ["brands", "regular", "solid"]
    found, labels = opened.images(np.arange(len(opened)))
    assert np.bincount(labels).tolist() == list(opened.labels.values())
    # Each has black ink and white ground, and hardly anything between.
    assert (found.reshape(len(found), -1).min(1) < 100).mean() > 0.97
    assert (found.reshape(len(found), -1).max(1) == 255).mean() > 0.97


# ── squares ─────────────────────────────────────────────────────────────────────────────────


def mark(colour, size=(40, 20), box=(10, 5, 20, 15), ground=(0, 0, 0, 0)):
    image = Image.new("RGBA", size, ground)
    image.paste(colour, box)
    return image


def test_white_on_nothing_is_laid_on_near_black_and_everything_else_on_white():
    assert modes.choose_background(mark("white")) == modes.DARK
    assert modes.choose_background(mark("#fafafa")) == modes.DARK
    assert modes.choose_background(mark("black")) == modes.choose_background(mark("yellow")) == modes.WHITE
    assert modes.choose_background(Image.new("RGBA", (9, 9))) == modes.WHITE  # nothing at all
    shown = resize.fit(mark("white"), 20, 3, how="pad")
    assert (shown[0] == 32).all() and shown.max() == 255  # the padding is of the same dark


def test_padding_keeps_all_of_a_picture_and_takes_its_ground():
    wide = resize.fit(mark("red", ground="white"), 40, 3, how="pad")
    assert (wide[15:25, 10:20] == (255, 0, 0)).all() and (wide[:10] == 255).all()
    blue = resize.fit(Image.new("RGB", (40, 20), "blue"), 40, 3, how="pad")
    assert (blue == (0, 0, 255)).all()
    striped = Image.new("RGB", (40, 20), "blue")
    striped.paste("red", (0, 0, 5, 20))
    assert (resize.fit(striped, 40, 3, how="pad")[:10] == 255).all()  # no one ground: white
    inked = Image.new("RGBA", (40, 20), (0, 0, 0, 255))  # ink in the corner of a transparent picture is no ground
    inked.paste((0, 0, 0, 0), (20, 0, 40, 20))
    assert (resize.fit(inked, 40, 3, how="pad")[:9] == 255).all()


@pytest.mark.parametrize("ground", ["white", "#333", (0, 0, 0, 0)])
def test_trimming_cuts_uniform_margins_of_any_colour(ground):
    trimmed = resize.fit(mark((255, 0, 0, 255), ground=ground), 10, 3, trim=True)
    assert (trimmed == (255, 0, 0)).all()
    plain = Image.new("RGB", (20, 20), "green")
    assert resize.fit(plain, 10, 3, trim=True).shape == (10, 10, 3)
    noisy = mark("red", ground="white").convert("RGB")
    noisy.putpixel((39, 19), (250, 250, 250))  # as JPEG leaves
    assert (resize.fit(noisy, 10, 3, trim=True) == (255, 0, 0)).all()


def test_four_channels_keep_transparency_and_no_dark_fringe():
    kept = resize.fit(mark((255, 0, 0, 255), size=(80, 80), box=(20, 20, 61, 61)), 28, 4)
    assert kept.shape == (28, 28, 4) and (kept[0, :, 3] == 0).all() and (kept[14, 14] == (255, 0, 0, 255)).all()
    edge = kept[(kept[..., 3] > 20) & (kept[..., 3] < 235)]
    assert len(edge) and (edge[:, 0] > 200).all()  # where it is half there, it is as red
    trimmed = resize.fit(mark((255, 255, 255, 255)), 10, 4, trim=True)
    assert (trimmed == 255).all()
    assert (resize.fit(Image.new("RGB", (9, 9), "red"), 9, 4) == (255, 0, 0, 255)).all()


def test_a_colour_profile_is_applied():
    # The profile of a display whose red and blue have changed places.
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {profile[132 + 12 * i : 136 + 12 * i].decode(): 132 + 12 * i for i in range(profile[131])}
    red, blue = (profile[tags[name] + 4 : tags[name] + 12] for name in ("rXYZ", "bXYZ"))
    profile[tags["rXYZ"] + 4 : tags["rXYZ"] + 12], profile[tags["bXYZ"] + 4 : tags["bXYZ"] + 12] = blue, red
    at = profile.find("sRGB".encode("utf-16-be"))
    profile[at : at + 8] = "BGRs".encode("utf-16-be")
    stream = io.BytesIO()
    Image.new("RGB", (9, 9), (255, 0, 0)).save(stream, format="PNG", icc_profile=bytes(profile))
    found = pixels(Item("a.png", 0, stream.getvalue()))
    assert (np.abs(found - (0, 0, 255)) < 6).all(), found[0, 0]
    broken = io.BytesIO()
    Image.new("RGB", (9, 9), (255, 0, 0)).save(broken, format="PNG", icc_profile=b"no profile")
    assert (pixels(Item("a.png", 0, broken.getvalue())) == (255, 0, 0)).all()
