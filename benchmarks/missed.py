"""Find which held-out logos a run does not draw: those without a neighbour among its pictures, by what they look like.

    python benchmarks/missed.py --workdir=RUN

A logo is recalled if a picture of the run is so near to it, in features, that the logo lies within that picture's
distance to its third neighbour (Kynkaanniemi et al. 2019, arXiv 1904.06991). Writes benchmarks/results/missed-cpu.json,
a table into docs/quality.md, and docs/missed.png: missed logos, the furthest first, each beside the nearest picture.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from record import RESULTS, ROOT, parser, rewrite_table, write_record
from scipy import ndimage
from sklearn.neighbors import NearestNeighbors

from logogan_jax.config import restore
from logogan_jax.metrics import features
from logogan_jax.metrics.precision_recall import K_PRECISION

PICTURES = 1024
SHOWN, COLUMNS, SIDE = 96, 12, 56  # pairs on the sheet, pairs in a row, pixels of a picture
INK = 0.5  # coverage from which a pixel counts as ink


class Recall(NamedTuple):
    """For each of n held-out logos: whether it is recalled, which picture is nearest, and how far that is."""

    inside: np.ndarray
    nearest: np.ndarray
    distance: np.ndarray


def recall(real: np.ndarray, drawn: np.ndarray) -> Recall:
    """Return the Recall of features float32[n, d] of logos by those of pictures float32[m, d]."""
    # The first neighbour of a picture is the picture itself.
    reach = NearestNeighbors(n_neighbors=K_PRECISION + 1).fit(drawn).kneighbors(drawn)[0][:, -1]
    distance = np.stack([np.linalg.norm(drawn - one, axis=1) for one in real])
    return Recall((distance <= reach).any(1), distance.argmin(1), distance.min(1))


# ── what a logo looks like ──────────────────────────────────────────────────────────────────


def coverage(pixels: np.ndarray) -> np.ndarray:
    """Return how much ink covers each pixel of marks uint8[n, h, w, 3] on white: float[n, h, w] from 0 to 1."""
    distance = np.linalg.norm(255 - pixels.astype(np.float32), axis=-1)
    return distance / np.maximum(distance.max((1, 2), keepdims=True), 1)


def count_parts(cover: np.ndarray) -> np.ndarray:
    """Return the number of connected parts of each mark."""
    return np.array([ndimage.label(one > INK, structure=np.ones((3, 3)))[1] for one in cover])


def edge_share(cover: np.ndarray) -> np.ndarray:
    """Return which share of a mark's ink lies on its edge: 1 for thin strokes."""
    ink = cover > INK
    inner = np.stack([ndimage.binary_erosion(one, structure=np.ones((3, 3))) for one in ink])
    return 1 - inner.sum((1, 2)) / np.maximum(ink.sum((1, 2)), 1)


def difference(cover: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return how much a mark differs from itself after a reflection or a turn: 0 for a symmetric one."""
    return np.abs(cover - other).sum((1, 2)) / np.maximum(cover.sum((1, 2)), 1e-6)


# Each property with the bounds of its groups: a value belongs to the last bound that it reaches.
PROPERTIES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], list[float]]] = {
    "ink on the picture": (lambda cover: cover.mean((1, 2)), [0, 0.18, 0.27, 0.38]),
    "ink on an edge": (edge_share, [0, 0.5, 0.7, 0.95]),
    "connected parts": (count_parts, [0, 2, 3, 5, 9]),
    "difference from the mirror image": (lambda cover: difference(cover, cover[:, :, ::-1]), [0, 0.1, 0.44, 0.78]),
    "difference after half a turn": (lambda cover: difference(cover, cover[:, ::-1, ::-1]), [0, 0.1, 0.44, 0.78]),
}


def groups(values: np.ndarray, bounds: list[float]) -> np.ndarray:
    """Return the number of the group of each value."""
    return np.searchsorted(bounds, values, side="right") - 1


def tell(name: str, held: np.ndarray, drawn: np.ndarray, found: Recall, floor: Recall) -> list[dict[str, Any]]:
    """Return a row for each group of a property: how many logos it has, and how many of them are recalled."""
    measure, bounds = PROPERTIES[name]
    of_held, of_drawn = groups(measure(held), bounds), groups(measure(drawn), bounds)
    rows = []
    for number, low in enumerate(bounds):
        here = of_held == number
        rows.append({
            "from": low,
            "logos": int(here.sum()),
            "share of logos": float(here.mean()),
            "share of pictures": float((of_drawn == number).mean()),
            "recalled": float(found.inside[here].mean()) if here.any() else None,
            "recalled by real logos": float(floor.inside[here].mean()) if here.any() else None,
        })  # fmt: skip
    return rows


def draw_sheet(held: np.ndarray, drawn: np.ndarray, found: Recall) -> None:
    """Write docs/missed.png."""
    missed = np.flatnonzero(~found.inside)
    missed = missed[np.argsort(-found.distance[missed])][:SHOWN]
    rows = -(-len(missed) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (2 * SIDE + 8), rows * (SIDE + 6)), "#cccccc")
    for place, logo in enumerate(missed):
        left, top = place % COLUMNS * (2 * SIDE + 8), place // COLUMNS * (SIDE + 6)
        for i, picture in enumerate((held[logo], drawn[found.nearest[logo]])):
            sheet.paste(Image.fromarray(picture).resize((SIDE, SIDE), 0), (left + i * SIDE, top))
    sheet.quantize(128).save(ROOT / "docs" / "missed.png", optimize=True)


def table(record: dict[str, Any]) -> str:
    """Format the record as a Markdown table."""
    lines = [
        "| property | from | logos | share of pictures | recalled | recalled by real logos |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in record["properties"].items():
        for row in rows:
            cells = f"{row['share of logos']:.0%} | {row['share of pictures']:.0%} | {row['recalled']:.2f}"
            lines.append(f"| {name} | {row['from']:g} | {cells} | {row['recalled by real logos']:.2f} |")
    cells = f"{record['recalled']:.2f} | {record['recalled by real logos']:.2f}"
    return "\n".join([*lines, f"| *all {record['logos']} logos* | | | | {cells} |"]) + "\n"


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--workdir", help="the run")
    flags.add_argument("--table", action="store_true", help="measure nothing: write the table of the committed numbers")
    args = flags.parse_args()
    if not args.table:
        run = restore.restore(args.workdir, "best")
        network = features.load_network("efflite0", "features")
        train, held_out = restore.real_images(run, network)
        drawn = restore.draw(run, count=PICTURES, seed=0)
        found = recall(held_out.features.head, features.embed(network, drawn).head)
        some = np.random.default_rng(0).permutation(len(train.pixels))[:PICTURES]
        floor = recall(held_out.features.head, train.features.head[some])
        draw_sheet(held_out.pixels, drawn, found)
        covers = coverage(held_out.pixels), coverage(drawn)
        write_record("missed-cpu", "python benchmarks/missed.py --workdir=RUN", {
            "config": run.config.to_dict() | {"data": None},
            "step": run.step,
            "pictures": PICTURES,
            "logos": len(found.inside),
            "recalled": float(found.inside.mean()),
            "recalled by real logos": float(floor.inside.mean()),
            "properties": {name: tell(name, *covers, found, floor) for name in PROPERTIES},
        })  # fmt: skip
    record = json.loads((RESULTS / "missed-cpu.json").read_text(encoding="utf-8"))
    rewrite_table("docs/quality.md", "missed", table(record))


if __name__ == "__main__":
    main()
