"""A file is what its bytes say: SVG by its first element; what cannot be read is named, with what converts it."""

import gzip

import pytest
from odd_files import RECT, SVG

from data_prep.pictures import convert
from data_prep.web import image_format

LONG = "<!-- " + "drawn by hand " * 10_000 + "-->"
PREFIXED = (
    '<ns0:svg xmlns:ns0="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><ns0:rect width="9" height="9"/></ns0:svg>'
)
PLAIN = SVG.format(RECT)
ENTITIES = "<!DOCTYPE svg [" + "".join(f'<!ENTITY e{i} "{i:0200d}">' for i in range(99)) + "]>"
DRAWINGS = {
    "a prefix": PREFIXED.encode(),
    "a long comment first": (LONG + PLAIN).encode(),
    "a long comment after the declaration": ('<?xml version="1.0"?>\n' + LONG + PLAIN).encode(),
    "many entities first": (ENTITIES + PLAIN).encode(),
    "blank lines first": b"\n\n" * 3000 + PLAIN.encode(),
    "blank lines before the declaration": ('\r\n <?xml version="1.0"?>' + PLAIN).encode(),
    "a byte order mark": b"\xef\xbb\xbf" + PREFIXED.encode(),
    "two bytes a letter": PREFIXED.encode("utf-16"),
    "two bytes a letter, without a mark": PREFIXED.encode("utf-16-le"),
    "two bytes a letter, the other way round": PREFIXED.encode("utf-16-be"),
    "gzip": gzip.compress((LONG + PREFIXED).encode()),
    "an encoding that expat lacks": ('<?xml version="1.0" encoding="shift_jis"?>' + PLAIN).encode("shift_jis"),
}  # fmt: skip


@pytest.mark.parametrize("what", DRAWINGS)
def test_an_svg_is_known_by_its_first_element(what):
    found = convert.convert(convert.Item("a", 0, DRAWINGS[what]), convert.ImageSpec(28))
    assert not found.reason and found.png
    assert image_format.identify(DRAWINGS[what], 10**6).extension == (".svgz" if what == "gzip" else ".svg")


NO_DRAWINGS = {
    "a page with a drawing in it": (b"<!DOCTYPE html><html lang=en><body><br>" + PLAIN.encode(), "a web page"),
    "an XHTML page with a drawing in it": (
        b'<html xmlns="x"><body>' + PLAIN.encode() + b"</body></html>",
        "a web page",
    ),
    "a page after a comment": (b"<!-- <svg> --><HTML><p>" + PLAIN.encode(), "a web page"),
    "a feed": (b"<rss><item>&lt;svg</item><svg/></rss>", "XML: its root is <rss>"),
    "a bucket's error": (b"<Error><Code>AccessDenied</Code></Error>", "XML: its root is <Error>"),
    "a text that mentions it": (b"how to write <svg> by hand", "not an image"),
    "a packed text": (gzip.compress(b"hello" * 99), "a gzip archive"),
    "a large packed archive": (gzip.compress(b"a/0.png" + bytes(33 << 20)), "a gzip archive"),
}


@pytest.mark.parametrize("what", NO_DRAWINGS)
def test_what_only_mentions_an_svg_is_none(what):
    data, reason = NO_DRAWINGS[what]
    assert reason in convert.convert(convert.Item("a.svg", 0, data), convert.ImageSpec(28)).reason
    with pytest.raises(image_format.InvalidImage, match=reason):
        image_format.identify(data, 10**6)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
FOREIGN = {
    "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400), "HEIC", "heif-convert"),
    "phone.heif": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(400), "HEIC", "heif-convert"),
    "a.jxl": (b"\xff\x0a" + bytes(range(200)), "JPEG XL", "djxl"),
    "boxed.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(200), "JPEG XL", "djxl"),
    "a.pdf": (b"%PDF-1.7\n%\xe2\xe3\n1 0 obj", "PDF", "pdftocairo"),
    "late.pdf": (b"\n" * 90 + b"%PDF-1.7\n", "PDF", "pdftocairo"),
    "a.ai": (b"%PDF-1.5\n<</AIMetaData 1 0 R/AIPrivateData1 2 0 R>>", "Illustrator", "inkscape"),
    "old.ai": (b"%!PS-Adobe-3.0\n%%Creator: Adobe Illustrator(R) 8.0\n", "Illustrator", "inkscape"),
    "a.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "EPS", "inkscape"),
    "with preview.eps": (b"\xc5\xd0\xd3\xc6" + bytes(40), "EPS", "inkscape"),
    "pointer.png": (POINTER, "Git LFS pointer", "git lfs pull"),
    "annex.png": (b"/annex/objects/SHA256E-s12--ab.png\n", "git-annex pointer", "git annex get"),
    "a.xcf": (b"gimp xcf v011\0" + bytes(90), "GIMP", "magick"),
    "a.zip": (b"PK\3\4" + bytes(99), "ZIP", "unpack"),
    "a.wmf": (b"\xd7\xcd\xc6\x9a" + bytes(90), "WMF", "inkscape"),
    "a.emf": (b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(90), "EMF", "inkscape"),
    "a.mp4": (b"\0\0\0\x18ftypisom" + bytes(90), "film", "ffmpeg"),
    "a.cdr": (b"RIFF\0\0\0\0CDRvrsn" + bytes(90), "CorelDRAW", "inkscape"),
    "apple.png": (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBIxxxxcccc" + bytes(90), "Apple's own form", "pngcrush"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_a_kind_that_is_not_read_is_named_with_what_converts_it(name):
    data, kind, program = FOREIGN[name]
    reason = convert.convert(convert.Item(name, 0, data), convert.ImageSpec(28)).reason
    assert kind in reason and program in reason
    with pytest.raises(image_format.InvalidImage, match=kind):
        image_format.identify(data, 10**6)
