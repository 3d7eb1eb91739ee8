"""How well the SVG of pictures agree with the pictures: python benchmarks/svg_files.py "marks in one colour=RUN".

For each run, under its name, 64 pictures of seed 1 are drawn as PNG and as SVG at the size of training. resvg draws
each SVG at four times that size, which is averaged over each pixel. The record is benchmarks/results/svg-cpu.json: the
mean and the largest difference of a picture, as a share of 255, the bytes of the files, and the numbers of fills.
docs/sampling.md gets the table.
"""

import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np
import record
from PIL import Image

from data_prep.pictures import svg
from logogan_jax.config import run_config
from logogan_jax.core import images

COUNT = 64
FINER = 4


def measure(workdir: str) -> dict[str, Any]:
    """Return the figures of a run."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("png", "svg"):
            words = ["-m", "logogan_jax.sample", f"--workdir={workdir}", f"--num={COUNT}", "--seed=1"]
            words = [sys.executable, *words, f"--format={kind}", f"--out={folder}/{kind}"]
            subprocess.run(words, check=True, cwd=record.ROOT)
        texts = [path.read_text(encoding="utf-8") for path in sorted(pathlib.Path(folder, "svg").glob("*.svg"))]
        paths = sorted(pathlib.Path(folder, "png").glob("0*.png"))
        pictures = [images.on_white(np.asarray(Image.open(path))) for path in paths]
        step = json.loads(pathlib.Path(folder, "svg", "pictures.json").read_text(encoding="utf-8"))["step"]
    assert len(texts) == len(pictures) == COUNT
    read = run_config.read(pathlib.Path(workdir))
    assert read is not None
    config = read[0]
    differences = [difference(text, picture) for text, picture in zip(texts, pictures, strict=True)]
    fills = [len(set(re.findall('fill="(.*?)"', text))) for text in texts]
    colours = [len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) for picture in pictures]
    return {
        "objective": config.objective.name,
        "size": config.data.size,
        "inks": config.mark.inks,
        "step": step,
        "pictures": COUNT,
        "mean_difference": round(statistics.mean(differences), 5),
        "largest_difference": round(max(differences), 5),
        "median_bytes": int(statistics.median(len(text.encode()) for text in texts)),
        "fills": [min(fills), max(fills)],
        "pictures_with_more_fills_than_colours": sum(fill > few for fill, few in zip(fills, colours, strict=True)),
    }


def difference(text: str, picture: np.ndarray) -> float:
    """Return the mean difference of an SVG, drawn on white, from uint8[H, W, 1|3], as a share of 255."""
    height, width, _ = picture.shape
    drawn = images.on_white(np.asarray(svg.render(svg.read(text.encode()), FINER * height, FINER * width)))
    again = drawn.reshape(height, FINER, width, FINER, 3).mean((1, 3))
    return float(np.abs(again - picture).mean() / 255)


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the table of the page."""
    lines = [
        "| run, at 28 pixels | steps | mean difference | worst picture | median size | fills, with the ground |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in rows.items():
        least, most = row["fills"]
        lines.append(
            f"| {name} | {row['step']:,} | {row['mean_difference']:.2%} | {row['largest_difference']:.2%} | "
            f"{row['median_bytes'] / 1000:.1f} kB | {least if least == most else f'{least} to {most}'} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command."""
    flags = record.parser(__doc__)
    flags.add_argument("runs", nargs="+", metavar="NAME=RUN", help="folders of runs, each with a name for the table")
    named = dict(word.split("=", 1) for word in flags.parse_args().runs)
    rows = {name: measure(workdir) for name, workdir in named.items()}
    command = " ".join(["python benchmarks/svg_files.py", *(f'"{name}=RUN"' for name in named)])
    record.write_record("svg-cpu", command, {"runs": rows})
    record.rewrite_table("docs/sampling.md", "svg", table(rows))
    print(table(rows), end="")


if __name__ == "__main__":
    main()
