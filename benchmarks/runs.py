"""Start training runs and read what they leave: shared by the other scripts of this folder."""

import json
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw
from record import ROOT


def run(words: Sequence[str]) -> tuple[int, str]:
    """Run a command line that starts with "python" by this interpreter, in the root of the repository.

    Returns:
        Its exit status, and the last line that it wrote on stderr.
    """
    done = subprocess.run([sys.executable, *words[1:]], cwd=ROOT, capture_output=True, encoding="utf-8")
    return done.returncode, (done.stderr.strip().splitlines() or [""])[-1]


def train(*flags: str, workdir: pathlib.Path) -> tuple[list[str], dict[str, Any]]:
    """Train a run to its end, in a new folder or from where the run in `workdir` stopped.

    Returns:
        The command line as words, and the run's summary. Raises AssertionError if the command fails.
    """
    words = ["python", "-m", "logogan_jax.main", *flags, f"--workdir={workdir}"]
    status, last_line = run(words)
    assert status == 0, (words, last_line)
    return words, summary(workdir)


def summary(workdir: pathlib.Path) -> dict[str, Any]:
    """Read the summary.json of a run."""
    return json.loads((pathlib.Path(workdir) / "summary.json").read_text(encoding="utf-8"))


def log_lines(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """Read the metrics.jsonl of a run: one dictionary for each line, in the order of steps."""
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def drawings(folder: pathlib.Path) -> pathlib.Path:
    """Draw sixty squares and discs into a folder and write them as shards of 28 pixels with two labels.

    Returns the folder of the shards.
    """
    for number in range(60):
        image = Image.new("RGB", (40, 40), "white")
        shape = ImageDraw.Draw(image).ellipse if number % 2 else ImageDraw.Draw(image).rectangle
        shape([2 + number // 10, 3 + number % 10, 36, 37], fill=(number * 4, 200 - number * 3, number % 7 * 30))
        target = folder / "images" / ("disc" if number % 2 else "box")
        target.mkdir(parents=True, exist_ok=True)
        image.save(target / f"{number}.png")
    words = [sys.executable, "-m", "data_prep.write_tfrecords", f"--path={folder / 'images'}", "--size=28"]
    subprocess.run([*words, f"--target_path={folder / 'shards'}"], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return folder / "shards"
