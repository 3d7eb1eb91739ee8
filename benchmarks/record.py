"""Run a training command and record what it measured, together with the machine that it ran on.

    python benchmarks/record.py quickstart -- python -m logogan_jax.main --config=configs/quickstart.py --workdir=NEW

Writes benchmarks/results/NAME.json: the command, its wall seconds from start to end, the run's summary.json, the median
of the images per second between its log lines, the machine and the commit. If the command fails, nothing is written.

The other scripts of this folder import from here what they all need: the parser of their flags, and functions that
write records and tables.
"""

import argparse
import datetime
import os
import pathlib
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from logogan_jax.core import files

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def parser(docstring: str | None) -> argparse.ArgumentParser:
    """Make the parser of a script's flags, described by the first line of the script's docstring."""
    return argparse.ArgumentParser(description=(docstring or "").partition("\n")[0])


def machine() -> dict[str, Any]:
    """Return the processor, the number of cores and the system of this machine."""
    try:
        processor = re.findall(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))[0]
    except (OSError, IndexError):
        processor = platform.processor()
    return {"processor": processor, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"}


def stamp(command: str) -> dict[str, Any]:
    """Return what every record says about its origin: command, date, commit and machine."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, encoding="utf-8"
    ).stdout.strip()
    return {"command": command, "date": datetime.date.today().isoformat(), "commit": commit, "machine": machine()}


def write_record(name: str, command: str, values: Mapping[str, Any]) -> pathlib.Path:
    """Write benchmarks/results/NAME.json with a stamp and some values, and return its path."""
    path = RESULTS / f"{name}.json"
    files.write_json(path, {**stamp(command), **values})
    return path


def portable(word: str, workdir: pathlib.Path) -> str:
    """Return a word of a command line without the paths of this machine."""
    return word.replace(str(workdir), "RUN").replace(sys.executable, "python")


def rewrite_table(page: str, marker: str, text: str) -> None:
    """Replace the text between <!-- marker --> and <!-- /marker --> of a page, a path below the root."""
    path = ROOT / page
    between = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.S)
    whole, count = between.subn(lambda match: f"{match[1]}{text}{match[2]}", path.read_text(encoding="utf-8"))
    assert count == 1, (page, marker)
    with files.atomic_write(path) as partial:
        partial.write_text(whole, encoding="utf-8")


def measurements(workdir: pathlib.Path) -> dict[str, Any]:
    """Return a run's summary, and the median images per second of all its log lines but the first."""
    import runs

    rates = [line["images_per_second"] for line in runs.log_lines(workdir)[1:] if "images_per_second" in line]
    median = statistics.median(rates) if rates else None
    return {"summary": runs.summary(workdir), "images_per_second_median": median}


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("name", help="name of the file in benchmarks/results")
    flags.add_argument("command", nargs=argparse.REMAINDER, help="-- and a training command with --workdir=NEW_FOLDER")
    args = flags.parse_args()
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    folders = [word.split("=", 1)[1] for word in command if word.startswith("--workdir=")]
    if not folders or pathlib.Path(folders[0]).exists():
        sys.exit("error: the command needs --workdir=NEW_FOLDER, so that the whole run is measured")
    workdir = pathlib.Path(folders[0])
    command = [sys.executable if word == "python" else word for word in command]
    began = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT)
    seconds = time.perf_counter() - began
    told = shlex.join(portable(word, workdir) for word in command)
    path = write_record(args.name, told, {"wall_seconds": round(seconds, 1), **measurements(workdir)})
    print(f"{path.relative_to(ROOT)}: {seconds:.1f} s")


if __name__ == "__main__":
    main()
