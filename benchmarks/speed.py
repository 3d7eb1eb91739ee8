"""Time the training step beside PyTorch's and Keras's, in turn and in one run.

    python benchmarks/speed.py

Needs PyTorch and Keras (`pip install torch keras optree`), made for the device that is timed. Writes
benchmarks/results/speed-cpu.json, or speed-NAME.json of an accelerator, and the table between the markers of README.md,
of every such file. `--only=wgan56-batch16` (comma-separated) times some rows again and keeps the others; `--peer=torch`
times less; `--table` writes the table of what is recorded, and times nothing.
"""

import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

from record import ROOT, portable, rewrite_table, stamp

from logogan_jax.core import files

RESULTS = ROOT / "benchmarks" / "results"
# Configs and batch sizes: what a CPU and what an accelerator is asked for, each in its own precision.
ROWS = {
    "cpu": ("float32", [("wgan28", 16), ("wgan56", 16), ("dcgan56", 16)]),
    "accelerator": ("bfloat16", [("wgan56", 64), ("wgan56", 512), ("dcgan56", 256)]),
}
HEAD = """\
| config | batch | machine | steps/s | PyTorch | times as fast | Keras | times as fast |
|---|---|---|---|---|---|---|---|
"""


def kind():
    """Which rows this machine is asked for: asked of JAX in a process of its own, which lets the device go again."""
    code = [sys.executable, "-c", "import jax; print(jax.default_backend())"]
    backend = subprocess.run(code, check=True, text=True, capture_output=True).stdout.strip()
    return "cpu" if backend == "cpu" else "accelerator"


def timed(config, batch, dtype, peer):
    """The benchmark's row of a config, with the command and the machine."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "rows.jsonl"
        words = [
            *("python", "-m", "logogan_jax.benchmark", f"--config=configs/{config}.py"),
            *(f"--config.train.batch_size={batch}", f"--config.train.dtype={dtype}", f"--peer={peer}", f"--json={out}"),
        ]
        subprocess.run([sys.executable, *words[1:]], check=True, cwd=ROOT)
        (row,) = map(json.loads, out.read_text().splitlines())
    command = shlex.join(portable(word, out) for word in words).replace("RUN", "FILE")
    return {**stamp(command), **row}


def fastest(row, name):
    """The fastest of the ways in which a peer ran, by its name or None."""
    ways = [peer for peer in row["peers"] if peer["name"].split()[0] == name]
    return min(ways, key=lambda way: way["ratio"], default=None)


def line(row):
    """A row as Markdown."""
    cells = [f"`{row['config']}`", f"{row['batch_size']}, {row['dtype']}"]
    processor, cores = row["machine"]["processor"], row["machine"]["cores"]
    cells.append(f"{processor}, {cores} cores" if row["platform"] == "cpu" else row["device_kind"])
    cells.append(f"{row['steps_per_second']['median']:.3g}")
    for name in ("torch", "keras"):
        way = fastest(row, name)
        how = way and " ".join(way["name"].split()[1:])
        cells += [f"{way['steps_per_second']['median']:.3g} ({how})", f"{way['ratio']:.2f}"] if way else ["", ""]
    return f"| {' | '.join(cells)} |\n"


def table(records):
    """The rows of some records as Markdown; without records nothing."""
    return HEAD + "".join(line(row) for record in records for row in record["rows"].values()) if records else ""


def recorded():
    """Every record there is, the CPU's first."""
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("speed-*.json"))]


def write_table():
    """Put the table between its markers in README.md."""
    rewrite_table("README.md", "speed", table(recorded()))


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="rows to time, comma-separated, such as wgan56-batch16; the others are kept")
    parser.add_argument("--peer", default="torch,keras", help="what to time it against; default: %(default)s")
    parser.add_argument("--table", action="store_true", help="write the table of what is recorded, time nothing")
    args = parser.parse_args()
    if args.table:
        return write_table()
    dtype, wanted = ROWS[kind()]
    wanted = {f"{config}-batch{batch}": (config, batch) for config, batch in wanted}
    names = args.only.split(",") if args.only else list(wanted)
    for name in names:
        if name not in wanted:
            parser.error(f"--only has {name!r}: here it should be of {', '.join(wanted)}")
        row = timed(*wanted[name], dtype, args.peer)
        device = "cpu" if row["platform"] == "cpu" else re.sub(r"\W+", "-", row["device_kind"]).lower()
        path = RESULTS / f"speed-{device}.json"
        rows = {**(json.loads(path.read_text())["rows"] if path.exists() else {}), name: row}
        rows = {key: rows[key] for key in wanted if key in rows}
        files.write_json(path, {**stamp("python benchmarks/speed.py"), "rows": rows})
        write_table()
    return None


if __name__ == "__main__":
    main()
