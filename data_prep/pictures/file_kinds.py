"""What a file is that no reader of pictures here knows, and what makes a picture of it, in words for the user."""

import re

from data_prep.pictures import svg_text
from logogan_jax.core import pointers

_INKSCAPE = "save it as SVG first, in its program or by `inkscape FILE --export-type=svg`"
_MAGICK = "convert it to PNG first, for example by `magick FILE FILE.png`"
_FFMPEG = "take a picture from it first, for example by `ffmpeg -i FILE -frames:v 1 FILE.png`"
_UNPACK = "unpack it first"
# First bytes of files, from the most to the least particular.
_BEGINNINGS = {
    **{magic: f"not an image but {name} to one: {advice}" for magic, (name, advice) in pointers.KINDS.items()},
    b"\0\0\0\x0cJXL \r\n\x87\n": "a JPEG XL picture, which is not read: convert it first by `djxl FILE FILE.png`",
    b"\xff\x0a": "a JPEG XL picture, which is not read: convert it first by `djxl FILE FILE.png`",
    b"\xc5\xd0\xd3\xc6": f"not an image but an EPS program, which is never run: {_INKSCAPE}",
    b"%!": f"not an image but a PostScript (EPS) program, which is never run: {_INKSCAPE}",
    b"\xd7\xcd\xc6\x9a": f"a Windows metafile (WMF), which is not read: {_INKSCAPE}",
    b"gimp xcf": f"a GIMP picture (XCF), which is not read: {_MAGICK}",
    b"DDS ": f"a DDS texture, which is not read: {_MAGICK}",
    b"v/1\x01": f"an OpenEXR picture, which is not read: {_MAGICK}",
    b"#?RADIANCE": f"a Radiance HDR picture, which is not read: {_MAGICK}",
    b"SIMPLE  =": f"a FITS picture, which is not read: {_MAGICK}",
    b"8BPB": f"a large Photoshop document (PSB), which is not read: {_MAGICK}",
    b"BPG\xfb": "a BPG picture, which is not read: convert it first by `bpgdec -o FILE.png FILE`",
    b"FLIF": "a FLIF picture, which is not read: convert it first by `flif -d FILE FILE.png`",
    b"II\xbc": f"a JPEG XR picture, which is not read: {_MAGICK}",
    b"AT&TFORM": "not an image but a DjVu document: convert it first by `ddjvu -format=tiff FILE FILE.tif`",
    b"FWS": "not an image but a Flash film (SWF)",
    b"CWS": "not an image but a Flash film (SWF)",
    b"\x1a\x45\xdf\xa3": f"not an image but a film (Matroska or WebM): {_FFMPEG}",
    b"PK\3\4": f"not an image but a ZIP archive, or a document or drawing that is packed as one: {_UNPACK}",
    b"\x1f\x8b": f"not an image but a gzip archive: {_UNPACK}",
    b"BZh": f"not an image but a bzip2 archive: {_UNPACK}",
    b"\xfd7zXZ\0": f"not an image but an xz archive: {_UNPACK}",
    b"\x28\xb5\x2f\xfd": f"not an image but a Zstandard archive: {_UNPACK}",
    b"7z\xbc\xaf\x27\x1c": f"not an image but a 7z archive: {_UNPACK}",
    b"Rar!\x1a\x07": f"not an image but a RAR archive: {_UNPACK}",
    b"\0\x05\x16\x07": "not an image but what macOS keeps beside one: remove it",
}  # fmt: skip
# Brands of the ISO base media format, which begins many kinds of files.
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_HEIC_ADVICE = "convert it first by `heif-convert FILE FILE.png`, or set the phone's camera to JPEG"


def describe(data: bytes) -> str:
    """What the bytes of a file are, given that they are no picture that can be read; "not an image" if unknown."""
    # Editors and transfers put a byte order mark or blank lines before what begins a text.
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"%PDF-" in data[:1024]:
        return _describe_pdf(data)
    if start.startswith(b"%!") and re.search(rb"%%Creator:\s*\(?Adobe Illustrator", start):
        return f"not an image but an Adobe Illustrator drawing (AI), which is not read: {_INKSCAPE}"
    known = next((words for magic, words in _BEGINNINGS.items() if start.startswith(magic)), "")
    if known or data.startswith(b"\0"):
        known = known or next((words for magic, words in _BEGINNINGS.items() if data.startswith(magic)), "")
    return known or _describe_container(data) or _describe_xml(data) or "not an image"


def _describe_pdf(data: bytes) -> str:
    if b"AIPrivateData" in data or b"AIMetaData" in data:
        return f"not an image but an Adobe Illustrator drawing (AI), which is not read: {_INKSCAPE}"
    return "not an image but a PDF document: convert it first by `pdftocairo -svg FILE FILE.svg`"


def _describe_container(data: bytes) -> str:
    """What a file is whose kind stands after its first bytes; "" if it is none of these."""
    if data[4:8] == b"ftyp":
        if data[8:12] in _HEIC:
            return f"a HEIC picture, which is not read: {_HEIC_ADVICE}"
        if data[8:12] in (b"avif", b"avis"):
            return "an AVIF picture that is damaged, or that this version of Pillow cannot read"
        return f"not an image but a film (MP4 or MOV): {_FFMPEG}"
    if data[12:16] == b"CgBI":
        return (
            "a PNG in Apple's own form, which is not read: convert it first by `pngcrush -revert-iphone-optimizations`"
        )
    if data.startswith(b"RIFF") and data[8:11] in (b"CDR", b"cdr"):
        return f"not an image but a CorelDRAW drawing: {_INKSCAPE}"
    if data.startswith(b"\1\0\0\0") and data[40:44] == b" EMF":
        return f"a Windows metafile (EMF), which is not read: {_INKSCAPE}"
    return "not an image but a tar archive: unpack it first" if data[257:262] == b"ustar" else ""


def _describe_xml(data: bytes) -> str:
    """What kind of XML some bytes are; "" if they are none."""
    root = svg_text.root_name(data)
    if root.lower() == "html" or svg_text.looks_like_html(data):
        return "not an image but a web page"
    return f"not an image but XML: its root is <{root}>" if root else ""
