"""What a file says beside its pixels neither refuses it nor prints anything; what changes its pixels is applied."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from conftest import drawing
from odd_files import chunk, encoded
from PIL import Image, ImageCms, PngImagePlugin

from data_prep import split_grid
from data_prep.pictures import convert
from data_prep.web import image_format

SPEC = convert.ImageSpec(28)


def pixels(data):
    """Pixels int[28, 28, 3] of a file's bytes; nothing may be printed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        converted = convert.convert(convert.Item("a", 0, data), SPEC)
    assert not converted.reason, converted.reason
    return np.asarray(Image.open(io.BytesIO(converted.png))).astype(int)


def swapped_profile():
    """A colour profile in which red and blue have changed places."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    names = [data.find(name, 128) for name in (b"rXYZ", b"bXYZ")]
    data = bytearray(data)
    for position, name in zip(names, (b"bXYZ", b"rXYZ"), strict=True):
        data[position : position + 4] = name
    return bytes(data).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


RED = Image.new("RGB", (40, 40), "red")
PNG = encoded(drawing(3), "PNG")
BOMB = zlib.compress(bytes(70 << 20), 1)
XMP = b"<x:xmpmeta>" + np.random.default_rng(0).bytes(2 << 20).hex().encode() + b"</x:xmpmeta>"


def damaged(data):
    return data[:-4] + bytes(4)


ODD_CHUNKS = {
    "two megabytes of XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)),
    "four megabytes of plain XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    "a packed text that is a bomb": chunk(b"zTXt", b"k\0\0" + BOMB),
    "a text with a wrong checksum": damaged(chunk(b"tEXt", b"Comment\0x")),
    "a profile with a wrong checksum": damaged(chunk(b"iCCP", b"x\0\0" + zlib.compress(b"x"))),
    "a profile that is a bomb": chunk(b"iCCP", b"x\0\0" + BOMB),
    "a profile that is noise": chunk(b"iCCP", b"x\0\0noise"),
    "EXIF that is noise": chunk(b"eXIf", b"noise"),
    "EXIF that is cut": chunk(b"eXIf", b"II*\0\x08\0\0\0\x05\0"),
    "EXIF whose values lie outside": chunk(b"eXIf", b"II*\0\x08\0\0\0\1\0\x0f\1\2\0\xff\0\0\0\xff\xff\0\0\0\0\0\0"),
    "a resolution of no length": chunk(b"pHYs", b""),
    "a gamma of no length": chunk(b"gAMA", b""),
}


@pytest.mark.parametrize("what", ODD_CHUNKS)
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_png_with_odd_metadata_has_the_same_pixels(what, place):
    position = 33 if place == "before" else len(PNG) - 12
    data = PNG[:position] + ODD_CHUNKS[what] + PNG[position:]
    np.testing.assert_array_equal(pixels(data), pixels(PNG))
    assert image_format.identify(data, 10**6).format == "PNG"


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0noise", b"Exif\0\0II*\0\x08\0\0\0\x05\0", b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff"]
)
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_broken_exif_prints_nothing_and_refuses_nothing(kind, exif, capfd):
    options = {"lossless": True} if kind == "WEBP" else {}
    plain = encoded(drawing(3), kind, **options)
    np.testing.assert_array_equal(pixels(encoded(drawing(3), kind, exif=b"Exif\0\0" + exif, **options)), pixels(plain))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "mode", ["RGB", "RGBA", "P", "P with one transparent colour", "RGB with one transparent colour"]
)
def test_a_colour_profile_holds_for_every_mode_that_has_colours(mode):
    image = RED.convert(mode.split()[0])
    options = {}
    if "transparent" in mode:
        options["transparency"] = 255 if mode[0] == "P" else (1, 2, 3)
    data = encoded(image, "PNG", icc_profile=swapped_profile(), **options)
    assert (np.abs(pixels(data) - (0, 0, 255)) < 3).all()


def test_grey_of_16_bits_keeps_its_transparency():
    grey = np.full((28, 28), 40000, np.uint16)
    grey[:, 14:] = 7
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "PNG")
    data = stream.getvalue()
    clear = data[:33] + chunk(b"tRNS", struct.pack(">H", 7)) + data[33:]
    assert (pixels(clear)[:, 14:] == 255).all() and (pixels(clear)[:, :14] == 156).all()


def turned(kind, image, **options):
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["JPEG", "JPEG in CMYK", "TIFF in CMYK", "PNG of 16 bits"])
def test_a_sheet_from_a_phone_or_a_printer_is_cut_where_its_cells_are(kind, tmp_path):
    grey = np.zeros((20, 60), np.uint8)
    grey[:, 20:40] = 120
    grey[:, 40:] = 240
    image = Image.fromarray(grey).rotate(90, expand=True)  # which the tag turns back
    if kind.endswith("CMYK"):
        image = image.convert("RGB").convert("CMYK")
    if kind.endswith("16 bits"):
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    (tmp_path / "sheet").write_bytes(turned(kind.split()[0], image))
    cells = split_grid.split(tmp_path / "sheet", 3, 1)
    for (suffix, cell), value in zip(cells, (0, 120, 240), strict=True):
        cell = np.asarray(Image.open(io.BytesIO(convert.encode_png(cell))).convert("L")).astype(int)
        assert cell.shape == (20, 20) and np.abs(cell[4:16, 4:16] - value).max() < 8, suffix


def test_a_sheet_with_much_metadata_is_cut(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
    data = encoded(drawing(3), "PNG", pnginfo=info)
    (tmp_path / "a.png").write_bytes(data)
    ((_, cell),) = split_grid.split(tmp_path / "a.png", 1, 1)
    np.testing.assert_array_equal(np.asarray(cell.convert("RGB")), np.asarray(drawing(3)))
