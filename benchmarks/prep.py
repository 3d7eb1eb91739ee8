"""Time the preparation of the embedded logos, SVG files to shards, against the walkthrough's scripts.

    python benchmarks/prep.py --size=112 --repeats=5

Both do the same work on the same 3,255 files, whole commands, in turn. Writes benchmarks/results/prep-cpu.json.
"""

import argparse
import datetime
import importlib.metadata
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from record import ROOT, machine

from data_prep import icon_sets
from logogan_jax import __version__

PACKAGES = ("pillow", "resvg-py", "cairosvg", "numpy")


def timed(command, target):
    """Wall seconds of a command that makes a new folder, which is removed again."""
    began = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    seconds = time.perf_counter() - began
    shutil.rmtree(target)
    return seconds


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=112, help="side of the squares in pixels (default 112)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default 5)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        svg, out = pathlib.Path(folder) / "svg", pathlib.Path(folder) / "out"
        svg.mkdir()
        logos = icon_sets.simple_icons()
        for logo in logos:
            (svg / logo.name).write_bytes(logo.source)
        ours = ["--path", svg, "--size", args.size, "--target_path", out]
        commands = {
            "ours": ["python", "-m", "data_prep.write_tfrecords", *ours],
            "walkthrough": ["python", "benchmarks/walkthrough_prep.py", svg, out, args.size],
        }
        runs = {name: [] for name in commands}
        for _ in range(args.repeats):
            for name, words in commands.items():
                runs[name].append(timed([sys.executable, *map(str, words[1:])], out))
        told = {name: " ".join(map(str, words)).replace(folder, "TMP") for name, words in commands.items()}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True, capture_output=True).stdout.strip()
    record = {
        "command": f"python benchmarks/prep.py --size={args.size} --repeats={args.repeats}",
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "machine": machine(),
        "versions": {
            "logogan_jax": __version__,
            "python": sys.version.split()[0],
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "images": len(logos),
        "runs": {
            name: {
                "command": told[name],
                "seconds": [round(second, 2) for second in seconds],
                "images_per_second_median": round(len(logos) / statistics.median(seconds), 1),
            }
            for name, seconds in runs.items()
        },
        "times_as_fast": round(statistics.median(runs["walkthrough"]) / statistics.median(runs["ours"]), 2),
    }
    path = ROOT / "benchmarks" / "results" / "prep-cpu.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(f"{path.relative_to(ROOT)}: {record['times_as_fast']} times as fast as the walkthrough's scripts")


if __name__ == "__main__":
    main()
