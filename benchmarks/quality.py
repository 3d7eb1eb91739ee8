"""Train every objective on the embedded logos for about five minutes of two CPU cores, and measure it.

    python benchmarks/quality.py

Writes benchmarks/results/quality-cpu.json, and its table between the markers of README.md. `--table` writes the
table of the committed numbers alone, `--only=NAME` trains one objective and keeps the others' rows.
"""

import argparse
import json
import pathlib
import shlex
import sys
import tempfile

import small
from record import ROOT, machine, rewrite_table, stamp

from logogan_jax import __version__
from logogan_jax.core import files

RESULTS = ROOT / "benchmarks" / "results" / "quality-cpu.json"
SAMPLES = 2048


def trained_and_measured(objective):
    """The row of an objective: its command, and what summary.json and evaluation.json say."""
    with tempfile.TemporaryDirectory() as folder:
        workdir = pathlib.Path(folder) / objective
        words = small.command(objective, f"--workdir={workdir}")
        status, said = small.run(words)
        assert status == 0, said
        flags = [f"--workdir={workdir}", f"--num_samples={SAMPLES}", "--real_vs_real"]
        status, said = small.run(["python", "-m", "logogan_jax.evaluate", *flags])
        assert status == 0, said
        summary = small.summary(workdir)
        evaluation = json.loads((workdir / "evaluation.json").read_text())
    del evaluation["copies"]["images"]
    return {
        "command": shlex.join(words).replace(str(workdir), "RUN"),
        "minutes": round(summary["seconds"] / 60, 2),
        "machine": machine(),
        "images": summary["steps"] * 32,
        "events": summary["events"],
        "device_kind": summary["device_kind"],
        "versions": summary["versions"],
        "evaluation": evaluation,
    }


def table(record):
    """The rows as Markdown."""
    head = "| objective | KID | precision | recall | copies | minutes | machine |\n|---|---|---|---|---|---|---|\n"
    rows = []
    for objective, row in record["rows"].items():
        found, copies = row["evaluation"]["against"]["held out"], row["evaluation"]["copies"]["share"]
        kid, precision, recall = (found[f"{name}_efflite0"] for name in ("kid", "precision", "recall"))
        rows.append(
            f"| {small.RUNS[objective][0]} | {kid['value']:.3f} ({kid['low']:.3f} to {kid['high']:.3f}) "
            f"| {precision['value']:.2f} | {recall['value']:.3f} | {copies['value']:.1%} | {row['minutes']:.1f} "
            f"| {row['machine']['processor']}, {row['machine']['cores']} cores |\n"
        )
    floor = next(iter(record["rows"].values()))["evaluation"]["against"]["real vs real"]
    kid, precision, recall = (floor[f"{name}_efflite0"] for name in ("kid", "precision", "recall"))
    false = next(iter(record["rows"].values()))["evaluation"]["copies"]["false_alarm_rate"]
    floor_row = (
        f"| *real logos* | {kid['value']:.3f} ({kid['low']:.3f} to {kid['high']:.3f}) | {precision['value']:.2f} "
        f"| {recall['value']:.3f} | {false:.1%} | | |\n"
    )
    return head + "".join(rows) + floor_row


def write_table(record):
    """Put the table between its markers in README.md."""
    rewrite_table("results", table(record))


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sorted(small.RUNS), help="train this objective alone, keep the others' rows")
    parser.add_argument("--table", action="store_true", help="write the table of the committed numbers, train nothing")
    args = parser.parse_args()
    before = json.loads(RESULTS.read_text()) if args.only or args.table else {"rows": {}}
    if args.table:
        return write_table(before)
    rows = dict(before["rows"])
    for objective in [args.only] if args.only else small.RUNS:
        rows[objective] = trained_and_measured(objective)
        print(objective, rows[objective]["minutes"], "minutes", flush=True)
    record = {
        **stamp("python benchmarks/quality.py"),
        "version": __version__,
        "rows": {objective: rows[objective] for objective in small.RUNS if objective in rows},
    }
    files.write_json(RESULTS, record)
    write_table(record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
