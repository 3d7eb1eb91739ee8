"""Count the flaws that one sees first on pictures of marks: ink that is cut off at the border, and specks.

    python benchmarks/flaws.py quickstart=RUN mark28=RUN "mark28, another run=RUN"

A mark is cut off where a small part of it touches the border of the picture: real logos have a margin. A speck is a
part of one or two pixels at 28 x 28, or of as much of a larger picture. Both are counted in pictures of the best step
of each run, and in all logos of its data set. The words before `=` name the row; other rows stay. Writes
benchmarks/results/flaws-cpu.json and the table of docs/quality.md.
"""

import json
import shlex
from typing import Any

import numpy as np
from missed import coverage
from record import RESULTS, parser, rewrite_table, write_record
from scipy import ndimage

from logogan_jax.config import restore
from logogan_jax.data.dataset import Subset

NAME = "flaws-cpu"
PICTURES = 2_048
SEED = 3
VISIBLE = 0.3  # coverage from which a pixel counts: a faint speck is seen on white
SMALL = 0.15  # share of a mark's ink below which a part of it at the border is no tile and no disc
SPECK = 2  # pixels of the largest speck at 28 x 28


def flaws(pixels: np.ndarray) -> dict[str, float]:
    """Return the share of marks uint8[n, h, w, 3] on white that have each flaw."""
    found = np.array([_flaws_of(cover > VISIBLE) for cover in coverage(pixels)])
    return {"cut off": float(found[:, 0].mean()), "specks": float(found[:, 1].mean())}


def _flaws_of(ink: np.ndarray) -> tuple[bool, bool]:
    parts, count = ndimage.label(ink, structure=np.ones((3, 3)))
    areas = np.bincount(parts.ravel(), minlength=count + 1)
    border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    cut_off = any(areas[part] < SMALL * ink.sum() for part in np.unique(border[border > 0]))
    return cut_off, bool((areas[1:] * 28**2 <= SPECK * ink.size).any())


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Write the rows as a table of Markdown."""
    lines = ["| pictures | pixels | cut off at the border | with specks |", "|---|---:|---:|---:|"]
    lines += [f"| {name} | {row['size']} | {row['cut off']:.1%} | {row['specks']:.1%} |" for name, row in rows.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("runs", nargs="+", metavar="NAME=RUN", help="a name for the row, and the run's folder")
    path = RESULTS / f"{NAME}.json"
    rows: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}
    for argument in flags.parse_args().runs:
        name, _, address = argument.partition("=")
        run = restore.restore(address, "best")
        size = run.config.data.size
        drawn = restore.draw(run, count=PICTURES, seed=SEED)
        rows[name] = {"step": run.step, "pictures": len(drawn), "size": size, **flaws(drawn)}
        logos = Subset(dataset := restore.training_dataset(run), 0, len(dataset)).pixels()
        rows[f"logos at {size} pixels"] = {"pictures": len(logos), "size": size, **flaws(logos)}
    # Of each size the runs, and then their logos.
    rows = dict(sorted(rows.items(), key=lambda row: (row[1]["size"], "step" not in row[1], row[0])))
    runs = [f"{name}=RUN" for name, row in rows.items() if "step" in row]
    write_record(NAME, shlex.join(["python", "benchmarks/flaws.py", *runs]), {"rows": rows})
    rewrite_table("docs/quality.md", NAME, table(rows))


if __name__ == "__main__":
    main()
