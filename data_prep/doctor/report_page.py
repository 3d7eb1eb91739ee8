"""The page on which the data doctor shows what it found."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from logogan_jax.core import pages

MAX_ROWS = 200  # lines of a table; report.json has them all
MAX_BARS = 24  # bars of a histogram; a last one sums up the rest
_BAD = ("unreadable", "copies", "near copies", "nearly empty", "leaks", "copies under two labels")
_DOUBTFUL = ("too small", "long")
_CHARTS = {
    "formats": "Formats", "modes": "Colour modes", "widths": "Width in pixels", "heights": "Height in pixels",
    "shapes": "Shape", "inks": "Flat inks that explain an image", "labels": "Labels",
}  # fmt: skip


def page(
    report: dict[str, Any],
    shown: dict[str, Any],
    drawn: dict[str, str],
    whole: dict[str, str],
    theirs: dict[str, str],
) -> str:
    """Return the report as HTML.

    `shown` are the lists of images to draw. The others are pictures as data URIs by path: `drawn` as the networks see
    them, `whole` before they are cropped, and `theirs` of the other set.
    """
    tile = lambda path, pictures=drawn: _tile(path, pictures[path], report)
    tiles = lambda paths: [tile(path) for path in paths]
    name = basename(report["path"])
    return pages.render(
        "data_report.html.j2",
        title=f"{name}: what the data doctor found",
        name=name,
        report=report,
        frame=_frame(report),
        boxes=_boxes(report),
        texts=_texts(report, shown),
        sample=tiles(shown["sample"]),
        copies=[{"title": _group_title(group), "tiles": tiles(group["paths"])} for group in shown["copies"]],
        leaks=[(tile(leak["path"]), tile(leak["same_as"], theirs)) for leak in shown["leaks"]],
        nearly_empty=tiles(shown["nearly empty"]),
        long=[{"path": path, "name": basename(path), "uri": whole[path]} for path in shown["long"]],
        unreadable=report["unreadable"][:MAX_ROWS],
        too_small=report["too small"][:MAX_ROWS],
        charts=list(_charts(report)),
    )


def basename(path: str) -> str:
    """Return the last part of a path or of a bucket's address."""
    return str(path).rstrip("/").rpartition("/")[2] or str(path)


def _frame(report: dict[str, Any]) -> str:
    """Return how the images are brought to one size, as a sentence without its full stop."""
    height, width = report["size"], report["width"]
    pixels = f"Squares of {height} pixels" if width in (0, height) else f"Pictures of {height} x {width} pixels"
    fit = "cropped to their middle" if report["fit"] == "crop" else "with all of the image inside"
    return f"{pixels}, {fit}{', margins cut off' if report['trim'] else ''}"


def _boxes(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (class, number, name) of each count at the top: the usual ones always, the others where not 0."""
    always = ("files", "images", *_BAD[:4], *(("leaks",) if report["against"] else ()))
    return [
        (_severity(name, count), f"{count:,}", name)
        for name, count in report["counts"].items()
        if count or name in always
    ]


def _severity(name: str, count: int) -> str:
    if name in _BAD:
        return "bad" if count else "good"
    return "doubt" if name in _DOUBTFUL and count else ""


def _texts(report: dict[str, Any], shown: dict[str, Any]) -> dict[str, str]:
    """Return the line below each heading: how many there are, and how many of them the page shows."""
    drawings = report["formats"].get("SVG", 0)
    return {
        "sample": f"{len(shown['sample']):,} of {report['counts']['images']:,} images, drawn at random.",
        "copies": _shown_of(report["copies"], shown["copies"], "groups"),
        "leaks": _shown_of(report["leaks"], shown["leaks"]),
        "nearly empty": _shown_of(report["nearly empty"], shown["nearly empty"]),
        "long": _shown_of(report["long"], shown["long"]),
        "unreadable": _shown_of(report["unreadable"], report["unreadable"][:MAX_ROWS], "files"),
        "too small": _shown_of(report["too small"], report["too small"][:MAX_ROWS]),
        "charts": f"Width and height leave out {drawings:,} drawings, which have no pixels." if drawings else "",
    }


def _shown_of(everything: Sequence[Any], some: Sequence[Any], plural: str = "images") -> str:
    rest = f" The first {len(some):,} are shown, all of them are in report.json." if len(some) < len(everything) else ""
    return f"{len(everything):,} {plural if len(everything) != 1 else plural[:-1]}.{rest}"


def _tile(path: str, uri: str, report: dict[str, Any]) -> dict[str, Any]:
    height = report["size"]
    return {"path": path, "name": basename(path), "figure": pages.figure(uri, height, report["width"] or height)}


def _group_title(group: dict[str, Any]) -> str:
    return f"{group['count']:,} images, {'the same pixels' if group['exact'] else 'nearly the same'}"


def _charts(report: dict[str, Any]) -> Iterable[tuple[str, list[tuple[str, float, str]]]]:
    """Yield (title, bars) of each histogram that has something to say."""
    for key, title in _CHARTS.items():
        if any(report[key].values()) and (key != "labels" or set(report[key]) != {"(none)"}):
            yield title, _bars(report[key])


def _bars(counts: Mapping[Any, int]) -> list[tuple[str, float, str]]:
    """Return (name, length of the bar in [0, 1], count as text) of the first MAX_BARS, then the sum of the others."""
    most = max(counts.values())
    rows = list(counts.items())
    bars = [(str(name), count / most, f"{count:,}") for name, count in rows[:MAX_BARS]]
    if len(rows) > MAX_BARS:
        bars.append((f"{len(rows) - MAX_BARS:,} more", 0.0, f"{sum(count for _, count in rows[MAX_BARS:]):,}"))
    return bars
