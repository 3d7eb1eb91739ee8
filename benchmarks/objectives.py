"""Train every objective for 2,000 steps on two CPU cores and show their pictures side by side.

    python benchmarks/objectives.py [--only=NAME,NAME] [--table] [--runs=DIR]

The runs are those of narrow.py: 28 pixels, the embedded logos, DCGAN networks of a quarter of their width. Writes
benchmarks/results/objectives-cpu.json, docs/objectives.png, docs/reconstructions.png, and the table of
docs/objectives.md. `--only` trains some objectives again and keeps the rows and pictures of the others, `--table`
trains nothing, and `--runs` keeps the runs.
"""

import json
import math
import pathlib
import shlex
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import runs
from narrow import CONFIGS
from PIL import Image
from record import RESULTS, ROOT, machine, parser, portable, rewrite_table, write_record

from logogan_jax import __version__
from logogan_jax.core import plotting
from logogan_jax.metrics.pixel_diversity import mean_pairwise_distance

STRIPS = RESULTS / "objectives"  # one strip of pictures for each objective
SIDE = 28  # pixels
SHOWN = 36  # pictures of each objective
COLUMNS = 5  # objectives side by side
JUDGE = "efflite0"


def sample(workdir: pathlib.Path, *flags: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` pictures of a run by the sample command.

    Returns:
        The pictures uint8[count, H, W, 3], and the command's grid.png uint8[height, width, 3].
    """
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "drawn"
        words = ["python", "-m", "logogan_jax.sample", f"--workdir={workdir}", f"--num={count}", f"--out={folder}"]
        status, last_line = runs.run([*words, *flags])
        assert status == 0, last_line
        drawn = np.stack([np.asarray(Image.open(folder / f"{i:05d}.png")) for i in range(count)])
        return drawn, np.asarray(Image.open(folder / "grid.png"))


def train(config: str, workdir: pathlib.Path, name: str) -> dict[str, Any]:
    """Train a config, keep a strip of pictures of its last state under a name, and return its row of the record."""
    words, summary = runs.train(f"--config={config}", workdir=workdir)
    lines = runs.log_lines(workdir)
    drawn, _ = sample(workdir, "--step=newest", count=64)
    reals = split_grid(np.asarray(Image.open(workdir / "reals.png")), 64)
    # That of a critic which looks through the usual judge is another one.
    judge = json.loads((workdir / "config.json").read_text(encoding="utf-8"))["config"]["evaluate"]["features"]
    kid = f"evaluation/kid_{judge}"
    evaluations = {line["step"]: line for line in lines if kid in line}
    last = evaluations[max(evaluations)]
    save_strip(name, drawn)
    if name in ("vae", "glo"):
        _, grid = sample(workdir, "--reconstruct", "--step=newest", count=40)
        Image.fromarray(grid).save(STRIPS / f"{name}-pairs.png")
    return {
        "command": shlex.join(portable(word, workdir) for word in words),
        "machine": machine(),
        "steps": summary["steps"],
        "status": summary["status"],
        "events": summary["events"],
        f"kid_{judge}": {"": last[kid], "low": last[f"{kid}_low"], "high": last[f"{kid}_high"]},
        "pairwise_distance": {
            "samples": float(mean_pairwise_distance(drawn)),
            "reals": float(mean_pairwise_distance(reals)),
        },
        "last_log_line": last_losses(lines),
        "versions": summary["versions"],
    }


def save_strip(name: str, pixels: np.ndarray) -> None:
    """Save the first pictures of uint8[n, SIDE, SIDE, 3] as one image, one below the other."""
    Image.fromarray(pixels[:SHOWN].reshape(-1, SIDE, 3)).save(STRIPS / f"{name}.png")


def last_losses(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Return the losses, entropies and accuracies of a run's last log line that has losses."""
    last = [line for line in lines if any(name.endswith("/loss") for name in line)][-1]
    return {name: value for name, value in last.items() if name.endswith(("/loss", "_entropy", "_accuracy"))}


def split_grid(grid: np.ndarray, count: int) -> np.ndarray:
    """Cut the reals.png or grid.png of a run into its `count` pictures: uint8[count, SIDE, SIDE, 3]."""
    columns = math.ceil(math.sqrt(count))
    scale = 112 // SIDE  # small pictures are enlarged to 112 pixels
    pixels = grid[::scale, ::scale]
    step = SIDE + 2  # a border of two pixels between pictures
    corners = [(2 + i // columns * step, 2 + i % columns * step) for i in range(count)]
    return np.stack([pixels[y : y + SIDE, x : x + SIDE] for y, x in corners])


def draw_overview(strips: Mapping[str, str], path: pathlib.Path) -> None:
    """Draw the pictures of several runs side by side: {title: name of the strip}."""
    rows = -(-len(strips) // COLUMNS)
    with plotting.default_style():
        from matplotlib.figure import Figure  # by now, plotting has imported matplotlib

        figure = Figure(figsize=(COLUMNS * 3.0, rows * 3.25), dpi=100)
        _draw_strips(figure.subplots(rows, COLUMNS, squeeze=False), strips)
        figure.tight_layout()
        figure.savefig(path)


def _draw_strips(axes: np.ndarray, strips: Mapping[str, str]) -> None:
    """Draw each strip into one of the axes, and nothing into those that are left."""
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, name) in zip(axes.flat, strips.items(), strict=False):
        pixels = np.asarray(Image.open(STRIPS / f"{name}.png")).reshape(-1, SIDE, SIDE, 3)
        columns = math.isqrt(SHOWN)
        side = SIDE + 2
        padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
        axis.imshow(padded.reshape(columns, columns, side, side, 3).swapaxes(1, 2).reshape(columns * side, -1, 3))
        axis.set_title(title, fontsize=13)


def draw_reconstructions(path: pathlib.Path) -> None:
    """Draw held-out logos reconstructed by the VAE, and training logos by GLO."""
    titles = {"vae": "VAE: held-out logos, each before its reconstruction", "glo": "GLO: the same of training logos"}
    with plotting.default_style():
        from matplotlib.figure import Figure  # by now, plotting has imported matplotlib

        figure = Figure(figsize=(13, 5.2), dpi=100)
        for axis, (name, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
            axis.axis("off")
            axis.imshow(Image.open(STRIPS / f"{name}-pairs.png"))
            axis.set_title(title, fontsize=12)
        figure.tight_layout()
        figure.savefig(path)


def table(record: dict[str, Any], head: str = "objective") -> str:
    """Format the rows of a record as a Markdown table whose first column is called `head`."""
    lines = [f"| {head} | KID | pairwise distance, of that of real logos |", "|---|---|---|"]
    for name, row in record["rows"].items():
        kid = row.get(f"kid_{JUDGE}")
        distance = row["pairwise_distance"]
        value = f"{kid['']:.3f} ({kid['low']:.3f} to {kid['high']:.3f})" if kid else "-"
        lines.append(f"| `{name}` | {value} | {distance['samples'] / distance['reals']:.0%} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--only", help="train only these objectives, comma-separated")
    flags.add_argument("--table", action="store_true", help="train nothing: draw pictures and table of the record")
    flags.add_argument("--runs", type=pathlib.Path, help="new folder that keeps the runs")
    args = flags.parse_args()
    STRIPS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / "objectives-cpu.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"rows": {}}
    names = [] if args.table else args.only.split(",") if args.only else list(CONFIGS)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            workdir = (args.runs or pathlib.Path(folder)) / name
            row = train(f"benchmarks/narrow.py:{name}", workdir, name)
            save_strip("reals", split_grid(np.asarray(Image.open(workdir / "reals.png")), 64))
            print(name, row["pairwise_distance"], row["events"], flush=True)
            rows = {**record["rows"], name: row}
            record = {"version": __version__, "rows": {key: rows[key] for key in CONFIGS if key in rows}}
            write_record("objectives-cpu", "python benchmarks/objectives.py", record)
    draw_overview({name: name for name in ("reals", *record["rows"])}, ROOT / "docs" / "objectives.png")
    draw_reconstructions(ROOT / "docs" / "reconstructions.png")
    rewrite_table("docs/objectives.md", "results", table(record))
    sys.exit(any(row["status"] != "finished" for row in record["rows"].values()))


if __name__ == "__main__":
    main()
