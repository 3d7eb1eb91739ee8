"""Run a training command and keep what it measured, with the machine it ran on.

    python benchmarks/record.py quickstart -- python -m logogan_jax.main --config=configs/quickstart.py --workdir=NEW

Writes benchmarks/results/NAME.json: the command, its wall seconds from start to end, the run's
summary.json, the median pace between its log lines, the machine and the commit. Nothing is written for
a command that fails.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time

from logogan_jax.core import files

ROOT = pathlib.Path(__file__).resolve().parent.parent


def machine():
    """Processor, cores and system of this machine."""
    try:
        processor = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text()).group(1)
    except (OSError, AttributeError):
        processor = platform.processor()
    return {"processor": processor, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"}


def stamp(command):
    """What every recorded figure says of itself: command, date, commit, machine."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True, capture_output=True).stdout.strip()
    return {"command": command, "date": datetime.date.today().isoformat(), "commit": commit, "machine": machine()}


def measured(workdir):
    """The run's summary, without its folder, and the median images per second of all log lines but the first."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    paces = [line["images_per_second"] for line in lines[1:] if "images_per_second" in line]
    summary = json.loads((workdir / "summary.json").read_text())
    return {"summary": summary, "images_per_second_median": statistics.median(paces) if paces else None}


def portable(word, workdir):
    """A word of the command line without this machine's paths."""
    return word.replace(str(workdir), "RUN").replace(sys.executable, "python")


def rewrite_table(marker, text):
    """Put a text between <!-- marker --> and <!-- /marker --> of README.md."""
    path = ROOT / "README.md"
    between = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.S)
    whole, count = between.subn(lambda found: f"{found[1]}{text}{found[2]}", path.read_text())
    assert count == 1
    with files.atomic_write(path) as partial:
        partial.write_text(whole)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="name of the file in benchmarks/results")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- and a training command with --workdir=NEW_FOLDER")
    args = parser.parse_args()
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    folders = [word.split("=", 1)[1] for word in command if word.startswith("--workdir=")]
    if not folders or pathlib.Path(folders[0]).exists():
        sys.exit("error: the command needs --workdir=NEW_FOLDER, so that the whole run is measured")
    workdir, command = pathlib.Path(folders[0]), [sys.executable if word == "python" else word for word in command]
    began = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT)
    seconds = time.perf_counter() - began
    record = {
        **stamp(shlex.join(portable(word, workdir) for word in command)),
        "wall_seconds": round(seconds, 1),
        **measured(workdir),
    }
    path = ROOT / "benchmarks" / "results" / f"{args.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(f"{path.relative_to(ROOT)}: {seconds:.1f} s")


if __name__ == "__main__":
    main()
