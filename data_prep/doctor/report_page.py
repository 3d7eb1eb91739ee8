"""The page on which the data doctor shows what it found: one file of HTML, without scripts."""

from html import escape

_ROWS, _BARS = 200, 24  # lines of a table, bars of a histogram; the rest is in report.json
_TILE = 96  # pixels on the screen that a square has, about: whole ones for each of its own
_BAD = ("unreadable", "copies", "near copies", "nearly empty", "leaks", "copies under two labels")
_DOUBTFUL = ("too small", "long")

_STYLE = """
:root { color-scheme: light dark; --page: #f6f6f4; --card: #fff; --ink: #1b1b1a; --pale: #63635f; --line: #dcdcd6;
  --bar: #4a7fb5; --bad: #b3261e; --doubt: #8a5a00; --good: #2e6b34; }
@media (prefers-color-scheme: dark) { :root { --page: #161615; --card: #222220; --ink: #ebebe7; --pale: #a3a39c;
  --line: #3a3a36; --bar: #6d9fd0; --bad: #ff8a80; --doubt: #e5b455; --good: #8fcf95; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 76rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.7rem; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .2rem; font-size: 1.2rem; }
p { margin: .2rem 0 .8rem; max-width: 48rem; }
.pale, figcaption, dd { color: var(--pale); }
.counts { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.2rem, 1fr)); gap: .6rem; margin: 1.2rem 0; }
.box, .counts div { padding: .6rem .8rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; }
.counts b { display: block; font-size: 1.5rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.counts span { color: var(--pale); font-size: .85rem; }
.bad b { color: var(--bad); } .doubt b { color: var(--doubt); } .none b { color: var(--good); }
.advice { padding-left: 1.2rem; } .advice li { margin-bottom: .8rem; }
code { font: .85rem/1.5 ui-monospace, monospace; } p code { overflow-wrap: anywhere; }
pre { margin: .3rem 0 0; padding: .5rem .7rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .4rem; overflow-x: auto; }
.sheet { display: flex; flex-wrap: wrap; gap: .6rem; }
figure { margin: 0; } figcaption { font-size: .72rem; line-height: 1.3; margin-top: .15rem; }
figcaption span { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
img { display: block; border: 1px solid var(--line); border-radius: .2rem; background: #fff; max-width: 100%; }
img.grown { image-rendering: pixelated; }
.groups { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: .8rem; }
.groups h3 { margin: 0 0 .4rem; font-size: .8rem; font-weight: 600; color: var(--pale); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; } td:first-child { min-width: 9rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: .8rem; }
.charts h3 { margin: 0 0 .4rem; font-size: .9rem; }
.bars { display: grid; grid-template-columns: minmax(5rem, max-content) 1fr max-content; gap: .15rem .6rem;
  font-size: .8rem; align-items: center; }
.bars span { overflow-wrap: anywhere; max-width: 10rem; }
.bars i { height: .8rem; background: var(--bar); border-radius: .15rem; }
.bars em { font-style: normal; color: var(--pale); font-variant-numeric: tabular-nums; text-align: right; }
dt { font-weight: 600; margin-top: .6rem; } dd { margin: 0; max-width: 48rem; }
"""


def page(report, shown, drawn, whole, theirs):
    """The report as HTML; `shown` are the lists to draw, the rest pictures by name as data URIs."""
    side = report["width"] or report["size"]
    squares = lambda names: "".join(_tile(name, drawn[name], side) for name in names)
    longs = "".join(_long(name, whole[name]) for name in shown["long"])
    unreadable = report["unreadable"]
    parts = [
        _head(report),
        _section("As the networks see them", squares(shown["sample"]), _sampled(report, shown)),
        _section("Copies", _groups(shown["copies"], drawn, side), _of(report["copies"], shown["copies"], "groups")),
        _section("In both sets", _leaks(shown["leaks"], drawn, theirs, side), _of(report["leaks"], shown["leaks"])),
        _section("Nearly empty", squares(shown["nearly empty"]), _of(report["nearly empty"], shown["nearly empty"])),
        _section("Long", longs, _of(report["long"], shown["long"])),
        _section("Unreadable", _table(unreadable), _of(unreadable, unreadable[:_ROWS], "files")),
        _section("Too small", _names(report["too small"]), _of(report["too small"], report["too small"][:_ROWS])),
        _charts(report),
        "<h2>What the words mean</h2>",
        "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in report["meaning"].items()) + "</dl>",
    ]
    body = "\n".join(filter(None, parts))
    title = f"{escape(_short(report['path']))}: what the data doctor found"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _head(report):
    how = "cropped to their middle" if report["fit"] == "crop" else "with all of the image inside"
    trimmed = ", margins cut off" if report["trim"] else ""
    against = f", against {escape(report['against'])}" if report["against"] else ""
    counts = "".join(
        f'<div class="{_colour(name, count)}"><b>{count:,}</b><span>{escape(name)}</span></div>'
        for name, count in report["counts"].items()
        if count or name in ("files", "images", *_BAD[:4]) or (name == "leaks" and against)
    )
    items = "".join(f"<li>{escape(text)}<pre><code>{escape(line)}</code></pre></li>" for text, line in report["advice"])
    height, width = report["size"], report["width"]
    pixels = f"Squares of {height} pixels" if width in (0, height) else f"Pictures of {height} x {width} pixels"
    return (
        f"<h1>{escape(_short(report['path']))}</h1>"
        f'<p class="pale">{escape(report["path"])}{against}. {pixels}, {how}{trimmed}.</p>'
        f'<div class="counts">{counts}</div><h2>What to do</h2><ul class="advice">{items}</ul>'
    )


def _colour(name, count):
    if name in _BAD:
        return "bad" if count else "none"
    return "doubt" if name in _DOUBTFUL and count else ""


def _section(title, body, text):
    return f'<h2>{title}</h2><p class="pale">{text}</p><div class="sheet">{body}</div>' if body else ""


def _sampled(report, shown):
    return f"{len(shown['sample']):,} of {report['counts']['images']:,} images, drawn at random."


def _of(everything, some, what="images"):
    rest = f" The first {len(some):,} are here, all of them in report.json." if len(some) < len(everything) else ""
    return f"{len(everything):,} {what if len(everything) != 1 else what[:-1]}.{rest}"


def _tile(name, uri, side, note=""):
    wide = side * max(1, round(_TILE / side)) if side < 2 * _TILE else _TILE
    grown = ' class="grown"' if side < wide else ""
    note = f"<span>{escape(note)}</span>" if note else ""
    caption = f'<figcaption style="width:{wide}px"><span title="{escape(name)}">{escape(_short(name))}</span>{note}'
    return f'<figure><img src="{uri}" width="{wide}" alt=""{grown}>{caption}</figcaption></figure>'


def _long(name, uri):
    return (
        f'<figure><img src="{uri}" alt=""><figcaption><span title="{escape(name)}" style="max-width:12rem">'
        f"{escape(_short(name))}</span></figcaption></figure>"
    )


def _groups(groups, drawn, side):
    boxes = []
    for group in groups:
        kind = f"{group['count']:,} images, " + ("the same pixels" if group["exact"] else "nearly the same")
        first, *copies = group["paths"]
        tiles = _tile(first, drawn[first], side, "kept") + "".join(_tile(name, drawn[name], side) for name in copies)
        boxes.append(f'<div class="box"><h3>{kind}</h3><div class="sheet">{tiles}</div></div>')
    return f'<div class="groups" style="width:100%">{"".join(boxes)}</div>' if boxes else ""


def _leaks(leaks, drawn, theirs, side):
    boxes = "".join(
        f'<div class="box"><div class="sheet">{_tile(leak["path"], drawn[leak["path"]], side, "here")}'
        f"{_tile(leak['same_as'], theirs[leak['same_as']], side, 'there')}</div></div>"
        for leak in leaks
    )
    return boxes


def _table(rejects):
    rows = "".join(f"<tr><td>{escape(r['path'])}</td><td>{escape(r['reason'])}</td></tr>" for r in rejects[:_ROWS])
    table = f"<table><thead><tr><th>file</th><th>why</th></tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="box scroll" style="width:100%">{table}</div>' if rejects else ""


def _names(names):
    return f"<p><code>{escape(', '.join(names[:_ROWS]))}</code></p>" if names else ""


def _charts(report):
    titles = {"formats": "Formats", "modes": "Colour modes", "widths": "Width in pixels", "heights": "Height in pixels",
              "shapes": "Shape", "labels": "Labels"}  # fmt: skip
    charts = "".join(
        f'<div class="box"><h3>{title}</h3><div class="bars">{_bars(report[key])}</div></div>'
        for key, title in titles.items()
        if any(report[key].values()) and (key != "labels" or set(report[key]) != {"(none)"})
    )
    drawings = report["formats"].get("SVG", 0)
    without = f"Width and height are without {drawings:,} drawings, which have no pixels." if drawings else ""
    return f'<h2>In numbers</h2><p class="pale">{without}</p><div class="charts">{charts}</div>'


def _bars(counts):
    most = max(counts.values())
    rows = [
        f'<span>{escape(str(name))}</span><i style="width:{100 * count / most:.1f}%"></i><em>{count:,}</em>'
        for name, count in list(counts.items())[:_BARS]
    ]
    if len(counts) > _BARS:
        rest = sum(list(counts.values())[_BARS:])
        rows.append(f"<span>{len(counts) - _BARS:,} more</span><i style='width:0'></i><em>{rest:,}</em>")
    return "".join(rows)


def _short(path):
    return str(path).rstrip("/").rpartition("/")[2] or str(path)
