"""Train every objective for 2,000 steps of two CPU cores and lay their pictures side by side.

    python benchmarks/objectives.py

The runs are those of narrow.py: 28 pixels, the embedded logos, the DCGAN pair at a quarter of its width. Writes
benchmarks/results/objectives-cpu.json, docs/objectives.png, docs/reconstructions.png, and the table of
docs/objectives.md. `--only=NAME` (comma-separated) trains some again and keeps the others' rows and pictures;
`--runs=DIR` keeps the runs.
"""

import argparse
import json
import pathlib
import re
import shlex
import sys
import tempfile

import matplotlib
import numpy as np
import small
from narrow import CONFIGS
from PIL import Image
from record import ROOT, machine, stamp

from logogan_jax import __version__
from logogan_jax.core import files
from logogan_jax.metrics.pixel_diversity import mean_pairwise_distance

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RESULTS, PAGE = ROOT / "benchmarks" / "results" / "objectives-cpu.json", ROOT / "docs" / "objectives.md"
KEPT = ROOT / "benchmarks" / "results" / "objectives"  # one sheet of pictures for each objective
SIDE, SHOWN, COLUMNS = 28, 36, 5


def pictures(workdir, *more, count):
    """uint8[count, ...] by the sample command: pictures of the newest state, and what they are beside, if so."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "drawn"
        words = ["python", "-m", "logogan_jax.sample", f"--workdir={workdir}", f"--num={count}", f"--out={out}", *more]
        status, said = small.run(words)
        assert status == 0, said
        drawn = np.stack([np.asarray(Image.open(out / f"{i:05d}.png")) for i in range(count)])
        return drawn, np.asarray(Image.open(out / "grid.png"))


def trained(config, workdir, name):
    """The row of a config, from the logs of its run and 64 pictures of its last state, kept by name."""
    words = ["python", "-m", "logogan_jax.main", f"--config={config}", f"--workdir={workdir}"]
    status, said = small.run(words)
    assert status == 0, (config, said)
    summary = small.summary(workdir)
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    drawn, _ = pictures(workdir, "--step=newest", count=64)
    reals = tiles(np.asarray(Image.open(workdir / "reals.png")), 64)
    kids = {line["step"]: line for line in lines if "evaluation/kid_efflite0" in line}
    last = kids[max(kids)]
    keep(name, drawn)
    if name in ("vae", "glo"):
        _, grid = pictures(workdir, "--reconstruct", "--step=newest", count=40)
        Image.fromarray(grid).save(KEPT / f"{name}-pairs.png")
    return {
        "command": shlex.join(words).replace(str(workdir), "RUN"),
        "machine": machine(),
        "steps": summary["steps"],
        "status": summary["status"],
        "events": summary["events"],
        "kid_efflite0": {part: last[f"evaluation/kid_efflite0{part and '_' + part}"] for part in ("", "low", "high")},
        "pairwise_distance": {
            "samples": float(mean_pairwise_distance(drawn)),
            "reals": float(mean_pairwise_distance(reals)),
        },
        "last_log_line": ends(lines),
        "versions": summary["versions"],
    }


def keep(name, pixels):
    """Keep pictures as one strip, from which the sheet is made."""
    Image.fromarray(pixels[:SHOWN].reshape(-1, SIDE, 3)).save(KEPT / f"{name}.png")


def ends(lines):
    """Losses, entropies and accuracies of a run's last log line."""
    last = [line for line in lines if any(name.endswith("/loss") for name in line)][-1]
    return {name: value for name, value in last.items() if name.endswith(("/loss", "_entropy", "_accuracy"))}


def tiles(sheet, count):
    """The pictures of a sheet that images.write_image_grid wrote of `count` squares of SIDE pixels."""
    columns, scale = int(np.ceil(np.sqrt(count))), 112 // SIDE
    small_sheet, step = sheet[::scale, ::scale], SIDE + 2
    corners = [(2 + i // columns * step, 2 + i % columns * step) for i in range(count)]
    return np.stack([small_sheet[y : y + SIDE, x : x + SIDE] for y, x in corners])


def sheet(names, path):
    """Some pictures of every run side by side: {title: name by which they are kept}."""
    rows = -(-len(names) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(COLUMNS * 3.0, rows * 3.25), dpi=100)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, name) in zip(axes.flat, names.items(), strict=False):
        grid = np.asarray(Image.open(KEPT / f"{name}.png")).reshape(-1, SIDE, SIDE, 3)
        columns, side = int(SHOWN**0.5), SIDE + 2
        padded = np.pad(grid, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
        axis.imshow(padded.reshape(columns, columns, side, side, 3).swapaxes(1, 2).reshape(columns * side, -1, 3))
        axis.set_title(title, fontsize=13)
    figure.tight_layout()
    figure.savefig(path)


def reconstructions():
    """docs/reconstructions.png: held-out logos and what the VAE makes of them; training logos, GLO."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 5.2), dpi=100)
    titles = {"vae": "VAE: held-out logos, each before its reconstruction", "glo": "GLO: the same of training logos"}
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        axis.axis("off")
        axis.imshow(Image.open(KEPT / f"{name}-pairs.png"))
        axis.set_title(title, fontsize=12)
    figure.tight_layout()
    figure.savefig(ROOT / "docs" / "reconstructions.png")


def table(record):
    """The rows as Markdown."""
    head = "| objective | KID | pairwise distance, of that of real logos |\n|---|---|---|\n"
    lines = []
    for name, row in record["rows"].items():
        kid, far = row["kid_efflite0"], row["pairwise_distance"]
        share = far["samples"] / far["reals"]
        value = f"{kid['']:.3f} ({kid['low']:.3f} to {kid['high']:.3f})"
        lines.append(f"| `{name}` | {value} | {share:.0%} |")
    return head + "\n".join(lines) + "\n"


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="train these alone, comma-separated")
    parser.add_argument("--table", action="store_true", help="train nothing: pictures and table of what is recorded")
    parser.add_argument("--runs", type=pathlib.Path, help="new folder that keeps the runs")
    args = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    record = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": {}}
    names = [] if args.table else args.only.split(",") if args.only else list(CONFIGS)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            workdir = (args.runs or pathlib.Path(folder)) / name
            record["rows"][name] = trained(f"benchmarks/narrow.py:{name}", workdir, name)
            keep("reals", tiles(np.asarray(Image.open(workdir / "reals.png")), 64))
            row = record["rows"][name]
            print(name, row["kid_efflite0"], row["pairwise_distance"], row["events"], flush=True)
            rows = {key: record["rows"][key] for key in CONFIGS if key in record["rows"]}
            record = {**record, **stamp("python benchmarks/objectives.py"), "version": __version__, "rows": rows}
            files.write_json(RESULTS, record)
    sheet({name: name for name in ("reals", *record["rows"])}, ROOT / "docs" / "objectives.png")
    reconstructions()
    text = PAGE.read_text()
    shown = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.S)
    PAGE.write_text(shown.sub(lambda found: found[1] + table(record) + found[2], text))
    sys.exit(any(row["status"] != "finished" for row in record["rows"].values()))


if __name__ == "__main__":
    main()
