"""Time the preparation of the embedded logos, from SVG files to shards, against the walkthrough's scripts.

    python benchmarks/prep.py --size=112 --repeats=5

Both do the same work on the same 3,255 files. Whole commands are timed, in turn. Writes
benchmarks/results/prep-cpu.json.
"""

import importlib.metadata
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from record import ROOT, parser, write_record

from data_prep import icon_sets
from logogan_jax import __version__

PACKAGES = ("pillow", "resvg-py", "cairosvg", "numpy")


def time_command(words: Sequence[str], target: pathlib.Path) -> float:
    """Return the wall seconds of a command that makes the new folder `target`; the folder is removed again."""
    began = time.perf_counter()
    subprocess.run(words, check=True, cwd=ROOT, capture_output=True)
    seconds = time.perf_counter() - began
    shutil.rmtree(target)
    return seconds


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--size", type=int, default=112, help="side of the squares in pixels (default: 112)")
    flags.add_argument("--repeats", type=int, default=5, help="runs of each command (default: 5)")
    args = flags.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        svg = pathlib.Path(folder) / "svg"
        out = pathlib.Path(folder) / "out"
        svg.mkdir()
        logos = icon_sets.simple_icons()
        for logo in logos:
            (svg / logo.name).write_bytes(logo.source)
        ours = ["--path", svg, "--size", args.size, "--target_path", out]
        commands = {
            "ours": ["python", "-m", "data_prep.write_tfrecords", *ours],
            "walkthrough": ["python", "benchmarks/walkthrough_prep.py", svg, out, args.size],
        }
        seconds = {name: [] for name in commands}
        for _ in range(args.repeats):
            for name, words in commands.items():
                seconds[name].append(time_command([sys.executable, *map(str, words[1:])], out))
        lines = {name: " ".join(map(str, words)).replace(folder, "TMP") for name, words in commands.items()}
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    versions = {"logogan_jax": __version__, "python": sys.version.split()[0]}
    times_as_fast = round(medians["walkthrough"] / medians["ours"], 2)
    record = {
        "versions": versions | {name: importlib.metadata.version(name) for name in PACKAGES},
        "images": len(logos),
        "runs": {
            name: {
                "command": lines[name],
                "seconds": [round(value, 2) for value in seconds[name]],
                "images_per_second_median": round(len(logos) / medians[name], 1),
            }
            for name in commands
        },
        "times_as_fast": times_as_fast,
    }
    command = f"python benchmarks/prep.py --size={args.size} --repeats={args.repeats}"
    path = write_record("prep-cpu", command, record)
    print(f"{path.relative_to(ROOT)}: {times_as_fast} times as fast as the walkthrough's scripts")


if __name__ == "__main__":
    main()
