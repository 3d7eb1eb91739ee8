"""Time the training step against PyTorch and Keras, in turn and in one run.

    python benchmarks/speed.py [--only=ROW,ROW] [--peer=torch] [--table]

This needs PyTorch and Keras (`pip install torch keras optree`) for the device that is timed. Writes
benchmarks/results/speed-cpu.json, or speed-NAME.json for an accelerator, and the table between the markers of
README.md, which has the rows of all these files. `--only=wgan56-batch16` times some rows again and keeps the others,
`--peer=torch` only compares with PyTorch, and `--table` only writes the table of what is recorded.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
from typing import Any

from record import RESULTS, ROOT, parser, portable, rewrite_table, stamp, write_record

# For a CPU and for an accelerator: the precision, and the configs with their batch sizes.
ROWS = {
    "cpu": ("float32", [("wgan28", 16), ("wgan56", 16), ("dcgan56", 16)]),
    "accelerator": ("bfloat16", [("wgan56", 64), ("wgan56", 512), ("dcgan56", 256)]),
}
HEAD = """\
| config | batch | machine | steps/s | PyTorch | times as fast | Keras | times as fast |
|---|---|---|---|---|---|---|---|
"""


def device_kind() -> str:
    """Return "cpu" or "accelerator". A separate process asks JAX, so that this one does not occupy the device."""
    code = [sys.executable, "-c", "import jax; print(jax.default_backend())"]
    backend = subprocess.run(code, check=True, capture_output=True, encoding="utf-8").stdout.strip()
    return "cpu" if backend == "cpu" else "accelerator"


def time_config(config: str, batch: int, dtype: str, peer: str) -> dict[str, Any]:
    """Run the benchmark of a config and return its row, with the command and the machine."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "rows.jsonl"
        words = [
            *("python", "-m", "logogan_jax.benchmark", f"--config=configs/{config}.py"),
            *(f"--config.train.batch_size={batch}", f"--config.train.dtype={dtype}", f"--peer={peer}", f"--json={out}"),
        ]
        subprocess.run([sys.executable, *words[1:]], check=True, cwd=ROOT)
        (row,) = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    command = shlex.join(portable(word, out) for word in words).replace("RUN", "FILE")
    return {**stamp(command), **row}


def fastest_mode(row: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the mode in which a peer ran fastest; None if the peer did not run."""
    modes = [peer for peer in row["peers"] if peer["name"].split()[0] == name]
    return min(modes, key=lambda mode: mode["ratio"], default=None)


def table_line(row: dict[str, Any]) -> str:
    """Format a row as Markdown."""
    cells = [f"`{row['config']}`", f"{row['batch_size']}, {row['dtype']}"]
    cpu = f"{row['machine']['processor']}, {row['machine']['cores']} cores"
    cells.append(cpu if row["platform"] == "cpu" else row["device_kind"])
    cells.append(f"{row['steps_per_second']['median']:.3g}")
    for name in ("torch", "keras"):
        mode = fastest_mode(row, name)
        if mode is None:
            cells += ["", ""]
        else:
            settings = " ".join(mode["name"].split()[1:])
            cells += [f"{mode['steps_per_second']['median']:.3g} ({settings})", f"{mode['ratio']:.2f}"]
    return f"| {' | '.join(cells)} |\n"


def table(records: list[dict[str, Any]]) -> str:
    """Format the rows of records as a Markdown table; without records return an empty text."""
    return HEAD + "".join(table_line(row) for record in records for row in record["rows"].values()) if records else ""


def read_records() -> list[dict[str, Any]]:
    """Read all records, that of the CPU first."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("speed-*.json"))]


def write_table() -> None:
    """Write the table of all records between its markers in README.md."""
    rewrite_table("README.md", "speed", table(read_records()))


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--only", help="rows to time, comma-separated, such as wgan56-batch16; the others are kept")
    flags.add_argument("--peer", default="torch,keras", help="what to compare with (default: %(default)s)")
    flags.add_argument("--table", action="store_true", help="time nothing: write the table of what is recorded")
    args = flags.parse_args()
    if args.table:
        write_table()
        return
    dtype, configs = ROWS[device_kind()]
    known = {f"{config}-batch{batch}": (config, batch) for config, batch in configs}
    for name in args.only.split(",") if args.only else known:
        if name not in known:
            flags.error(f"--only has {name!r}: on this machine it should be one of {', '.join(known)}")
        config, batch = known[name]
        row = time_config(config, batch, dtype, args.peer)
        device = "cpu" if row["platform"] == "cpu" else re.sub(r"\W+", "-", row["device_kind"]).lower()
        path = RESULTS / f"speed-{device}.json"
        rows = {**(json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}), name: row}
        rows = {key: rows[key] for key in known if key in rows}
        write_record(path.stem, "python benchmarks/speed.py", {"rows": rows})
        write_table()


if __name__ == "__main__":
    main()
