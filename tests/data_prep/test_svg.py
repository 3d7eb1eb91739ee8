"""What an SVG says is drawn the same on every machine, or refused with what it is that cannot be drawn."""

import gzip
import json
import pathlib

import numpy as np
import pytest
from conftest import drawing
from odd_files import SVG

from data_prep import folders, svg_to_png
from data_prep.pictures import convert, svg
from logogan_jax.core.errors import UserError

RED = [255, 0, 0, 255]
GREEN = [0, 255, 0, 255]
BLUE = [0, 0, 255, 255]
BLACK = [0, 0, 0, 255]
SQUARE = '<rect width="9" height="9" {}/>'
PLAIN = SQUARE.format("")


def drawn(body):
    return svg.render(svg.check(SVG.format(body)), 9)


def middle(body):
    """[red, green, blue, alpha] of the middle pixel of a drawing."""
    return np.asarray(drawn(body))[4, 4].tolist()


def styled(css, body=PLAIN):
    return f"<style>{css}</style>{body}"


# ── references ──────────────────────────────────────────────────────────────────────────────

OUTSIDE = {
    "a fill": SQUARE.format('fill="url(b.svg#g)"'),
    "a quoted fill with a fallback": SQUARE.format("fill=\"url('b.svg#g') red\""),
    "an escaped fill": SQUARE.format('fill="u\\72l(b.svg#g)"'),
    "a marker": '<path d="M0 0h9" marker-end="url(//host/m.svg#m)"/>',
    "a style": SQUARE.format('style="stroke:red;mask:url(b.svg#m)"'),
    "a variable": SQUARE.format('style="--g:url(b.svg#g);fill:var(--g)"'),
    "a rule": styled("rect{filter:url( 'b.svg#f' )}"),
    "a rule in a media query": styled("@media screen{rect{filter:url(b.svg#f)}}"),
    "a rule in a comment's company": styled("/* url(#a) */rect{clip-path:/**/url(b.svg#f)}"),
    "a font": styled("@font-face{font-family:x;src:local(x),url(x.woff2)}"),
    "an imported sheet": styled("@import url(a.css);"),
    "a sheet imported by a string": styled('@import "https://fonts.example/css?family=X" screen;'),
    "a set of images": styled('rect{mask-image:image-set("a.png" 1x)}'),
    "a linked sheet": '<link xmlns="http://www.w3.org/1999/xhtml" rel="stylesheet" href="a.css"/>' + PLAIN,
    "an included file": '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="b.svg"/>' + PLAIN,
    "a script": '<script href="draw.js"/>' + PLAIN,
    "a path of text": '<text><textPath xlink:href="b.svg#p">x</textPath></text>',
    "a colour profile": '<color-profile xlink:href="swop.icc"/>' + PLAIN,
    "a paint in data": SQUARE.format('fill="url(data:image/svg+xml,x#g)"'),
    "a used drawing in data": '<use href="data:image/svg+xml,x#g"/>',
    "a film": '<video xmlns="http://www.w3.org/1999/xhtml" poster="a.png"/>' + PLAIN,
}  # fmt: skip


@pytest.mark.parametrize("what", OUTSIDE)
def test_an_svg_that_needs_another_file_is_refused(what):
    with pytest.raises(ValueError, match=r"outside itself|of which only pictures are drawn"):
        svg.check(SVG.format(OUTSIDE[what]))


@pytest.mark.parametrize("href", ['"a.css"', "'https://host/a.css'"])
def test_an_svg_with_a_style_sheet_by_instruction_is_refused(href):
    with pytest.raises(ValueError, match=r"a\.css', which is outside itself"):
        svg.check(f'<?xml version="1.0"?><?xml-stylesheet type="text/css" href={href}?>' + SVG.format(PLAIN))


INSIDE = {
    "a gradient": '<linearGradient id="g"><stop stop-color="#f00"/></linearGradient>' + SQUARE.format('fill="url(#g)"'),
    "a name space": styled("@namespace svg url(http://www.w3.org/2000/svg);svg|rect{fill:red}"),
    "a link": f'<a href="https://host/">{SQUARE.format("fill=&quot;red&quot;".replace("&quot;", chr(34)))}</a>',
    "an embedded font": styled("@font-face{font-family:x;src:url(data:font/woff;base64,AA)}rect{fill:red}"),
    "a label that mentions one": SQUARE.format('id="url(b.svg)" data-from="url(c.svg)" fill="red"'),
    "a licence": '<metadata><a xmlns="x" href="https://host/by"/></metadata>' + SQUARE.format('fill="red"'),
    "the same file": '<rect id="a" width="9" height="9" fill="red"/><use href="#a"/>',
}


@pytest.mark.parametrize("what", INSIDE)
def test_an_svg_that_refers_to_itself_is_drawn(what):
    assert middle(INSIDE[what]) == RED


# ── style sheets ────────────────────────────────────────────────────────────────────────────

STYLED = {
    "a variable of the root": (styled(":root{--c:#f00}rect{fill:var(--c)}"), RED),
    "a colour of the root": (styled(":root{fill:#f00}"), RED),
    "a fallback": (SQUARE.format('fill="var(--x, #0f0)"'), GREEN),
    "a fallback in a fallback": (SQUARE.format('fill="var(--x, var(--y, #0f0))"'), GREEN),
    "a fallback in a style": (SQUARE.format('style="fill:var(--x,#0f0)"'), GREEN),
    "a variable of a group": (styled("g{--c:#0f0}rect{fill:var(--c)}", f"<g>{PLAIN}</g>"), GREEN),
    "a variable of an element's style": (SQUARE.format('style="--c:#00f;fill:var(--c)"'), BLUE),
    "a variable of variables": (styled(":root{--r:255,0,0;--c:rgb(var(--r))}rect{fill:var(--c)}"), RED),
    "variables in a circle": (styled(":root{--a:var(--b);--b:var(--a)}rect{fill:var(--a,#00f)}"), BLUE),
    "a variable that nobody uses": (styled(":root{--a:var(--b)}rect{fill:#00f}"), BLUE),
    "a registered variable": (styled("@property --c{initial-value:#0f0}rect{fill:var(--c)}"), GREEN),
    "a screen": (styled("@media screen{rect{fill:#f00}}"), RED),
    "a dark screen": (styled("rect{fill:#f00}@media (prefers-color-scheme: dark){rect{fill:#fff}}"), RED),
    "a sheet for print": ('<style media="print">rect{fill:#fff}</style>' + SQUARE.format('fill="#f00"'), RED),
    "a selector that excludes": (styled("rect:not(.a){fill:#f00}"), RED),
    "the more particular selector": (styled("#b{fill:#00f}.a{fill:#f00}", SQUARE.format('id="b" class="a"')), BLUE),
    "what is important": (styled(".a{fill:#f00!important}", SQUARE.format('class="a" style="fill:#00f"')), RED),
    "degrees": (SQUARE.format('fill="hsl(120deg 100% 50%)"'), GREEN),
    "colours with spaces": (SQUARE.format('fill="rgb(0 0 255)"'), BLUE),
    "a wide colour after a plain one": (SQUARE.format('style="fill:#f00;fill:color(display-p3 1 0 0)"'), RED),
    "a wide colour after an attribute": (SQUARE.format('fill="#f00" style="fill:oklch(60% 0.2 30)"'), RED),
    "a size in a sheet": (styled("rect{width:9px;height:9px}", '<rect fill="red"/>'), RED),
    "a size in a style": ('<rect style="width:9px;height:9px" fill="red"/>', RED),
    "a path in a sheet": (styled('path{d:path("M0 0h9v9h-9z")}', '<path fill="red"/>'), RED),
}


@pytest.mark.parametrize("what", STYLED)
def test_a_style_sheet_colours_as_in_a_browser(what):
    body, colour = STYLED[what]
    assert middle(body) == colour


UNDRAWABLE = {
    "a variable of the page": (SQUARE.format('fill="var(--brand)"'), "its fill is var.--brand., a variable"),
    "a variable of the page in a sheet": (styled("rect{fill:var(--brand)}"), "a variable that it does not define"),
    "a wide colour alone": (SQUARE.format('fill="oklch(60% 0.2 30)"'), "a colour that is not drawn"),
    "a mixed colour": (styled("rect{fill:color-mix(in srgb, red, blue)}"), "a colour that is not drawn"),
    "a wide window": (styled("@media (min-width:9px){rect{fill:#f00}}"), "media query '.min-width:9px.'"),
    "rules within rules": (styled("g{rect{fill:red}}"), "rules within rules"),
    "a condition": (styled("@supports (fill:red){rect{fill:red}}"), "@supports"),
    "a sum": ('<rect width="calc(3px * 3)" height="9"/>', r"its width is calc\(3px \* 3\), which is not drawn"),
    "text in HTML": (
        '<foreignObject width="9" height="9"><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject>',
        "holds a <foreignObject>",
    ),
    "an embedded bitmap that the renderer lacks": (
        '<image href="data:image/bmp;base64,Qk1GAAAAAAAAADYAAAAoAAAAAgAAAAIAAAABABgAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAA'
        'AAD/AAD/AAAAAP8AAP8AAA=="/>',
        "a picture in BMP, which is not drawn",
    ),
    "variables that unfold without end": (
        styled(":root{--a0:xx;" + "".join(f"--a{i}:var(--a{i - 1})var(--a{i - 1});" for i in range(1, 60)) + "}"),
        "unfold to more than",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", UNDRAWABLE)
def test_what_an_svg_is_coloured_by_is_named_where_it_cannot_be_drawn(what):
    body, reason = UNDRAWABLE[what]
    with pytest.raises(ValueError, match=reason):
        svg.check(SVG.format(body))


def test_a_switch_offers_text_in_place_of_html():
    html = '<foreignObject width="9" height="9"><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject>'
    assert middle(f"<switch>{html}{SQUARE.format('fill=' + chr(34) + 'red' + chr(34))}</switch>") == RED


def test_a_plain_drawing_is_not_rewritten():
    text = SVG.format('<g transform="rotate(3)"><rect style="fill:rgb(1,2,3)" fill="url(#a)"/></g>')
    assert svg.check(text).text == text


# ── words ───────────────────────────────────────────────────────────────────────────────────

WORD = '<text y="8" {}>M</text>'


@pytest.mark.parametrize("font", ["", 'font-family="Helvetica"', 'font-family="cursive"', 'style="font:bold 9px x"'])
def test_words_are_drawn_in_the_bundled_font_whatever_they_ask_for(font):
    image = drawn(WORD.format(font))
    assert image.info["words"] and np.asarray(image)[..., 3].any()


def test_words_are_the_same_where_no_fonts_are_installed(tmp_path, monkeypatch):
    here = drawn(WORD.format('font-family="Liberation Sans"')).tobytes()
    (tmp_path / "fonts.conf").write_text("<fontconfig/>")
    for name in ("FONTCONFIG_FILE", "FONTCONFIG_PATH", "HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "fonts.conf"))
    assert drawn(WORD.format('font-family="x"')).tobytes() == here == drawn(WORD.format("")).tobytes()


@pytest.mark.parametrize("word", ["漢字", "M😀", "<tspan>한</tspan>"])
def test_words_that_the_bundled_font_lacks_are_refused(word):
    with pytest.raises(ValueError, match=r"which the bundled font \(DejaVu Sans\) lacks: turn its text into paths"):
        drawn(f'<text y="8">{word}</text>')


@pytest.mark.parametrize("word", ["Zürich", "Ελλάς", "Россия", "שלום", "سلام", "a\u200bb", "½ ✓ €"])
def test_words_of_many_scripts_are_drawn(word):
    assert drawn(f'<text y="8">{word}</text>').info["words"]


def test_words_that_nobody_sees_do_not_count():
    assert "words" not in drawn(SQUARE.format('fill="red"') + '<text y="8" display="none">漢</text>').info
    assert "words" not in drawn("<title>漢</title><desc>漢</desc>" + PLAIN).info


def test_words_in_an_embedded_drawing_are_refused():
    inner = SVG.format(WORD.format("")).replace('"', "'").replace("<", "%3C").replace("#", "%23")
    with pytest.raises(ValueError, match="holds a drawing with words"):
        svg.check(SVG.format(f'<image href="data:image/svg+xml,{inner}"/>'))


def test_words_are_refused_by_the_engine_that_would_draw_them_in_fonts_of_the_machine():
    with pytest.raises(ValueError, match="in the fonts of this machine: use the default engine"):
        svg.render(svg.check(SVG.format(WORD.format(""))), 9, engine="cairosvg")


# ── a folder of drawings ────────────────────────────────────────────────────────────────────


TEXT = SVG.format('<rect width="4" height="9"/>')
PNG = convert.encode_png(drawing(1))
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


@pytest.fixture
def named_otherwise(tmp_path):
    """Folder of drawings with odd names, and of other files."""
    folder = tmp_path / "drawings"
    folder.mkdir()
    content = {
        "logo": TEXT.encode(), "mark.xml": TEXT.encode(), "brand.svg.txt": TEXT.encode(),
        "sign.png": gzip.compress(TEXT.encode()), "packed.SVGZ": gzip.compress(TEXT.encode()),
        "late": b"\n" * 9000 + TEXT.encode(), "wide": TEXT.encode("utf-16"), "twin.svg": TEXT.encode(),
        "twin": TEXT.encode(), "picture.svg": PNG, "page.svg": b"<html><svg/></html>", "nothing.svg": b"",
        "pointer.svg": POINTER, "photo.png": PNG, "feed.xml": b"<rss/>", "notes.txt": b"a <svg> is",
        "big.tar.gz": gzip.compress(b"a/0.png" + bytes(40 << 20)),
    }  # fmt: skip
    for name, data in content.items():
        (folder / name).write_bytes(data)
    (folder / "to nowhere").symlink_to("gone")
    return folder


def test_a_drawing_is_drawn_whatever_its_name_and_other_files_are_counted_or_named(named_otherwise, tmp_path, capsys):
    svg_to_png.main([f"--path={named_otherwise}", "--size=28"])
    made = tmp_path / "drawings_png"
    assert sorted(path.name for path in made.glob("*.png")) == [
        "brand.svg.png", "late.png", "logo.png", "mark.png", "packed.png", "sign.png", "twin.png", "twin_svg.png",
        "wide.png",
    ]  # fmt: skip
    said = capsys.readouterr().out
    assert said == (
        f"9 files converted into {made}, 4 rejected (reasons in rejects.jsonl there), "
        f"5 other files are no SVG (big.tar.gz ...).\n"
    )
    lines = map(json.loads, (made / "rejects.jsonl").read_text(encoding="utf-8").splitlines())
    reasons = {line["path"]: line["reason"] for line in lines}
    assert "not an SVG but a picture in PNG" in reasons["picture.svg"] and "a web page" in reasons["page.svg"]
    assert "git lfs pull" in reasons["pointer.svg"] and reasons["nothing.svg"] == "the file is empty"


def test_a_folder_without_any_drawing_is_told_what_takes_it(tmp_path, capsys):
    drawing(1).save(tmp_path / "photo.png")
    with pytest.raises(SystemExit) as left:
        svg_to_png.main([f"--path={tmp_path}", f"--target_path={tmp_path / 'png'}"])
    line = capsys.readouterr().err
    assert left.value.code == 2 and line.count("\n") == 1 and not (tmp_path / "png").exists()
    assert "holds no SVG; 1 other file is no SVG (photo.png): data_prep.resize_center takes pictures" in line


def test_files_of_one_stem_never_become_one_picture():
    names = [pathlib.Path(name) for name in ("a", "a.svg", "a.png", "a_svg.svg", "b/a.svg", "my.a.svg", "my.a.png")]
    outputs = [str(output) for _, output in folders.output_names(names)]
    assert outputs == ["a", "a_svg_", "a_png", "a_svg", "b/a", "my.a_svg", "my.a_png"]


def test_a_bucket_is_told_to_be_copied_first():
    with pytest.raises(UserError, match="s3://logos/svg is a bucket: copy it to a folder"):
        svg_to_png.list_drawings("s3://logos/svg")
