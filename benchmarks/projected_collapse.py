"""Train Projected GAN on few logos until it collapses, and show what the guard and both judges see.

    python benchmarks/projected_collapse.py --workdir=NEW_FOLDER

Sauer et al. 2021 (arXiv 2111.01007) report that their critic overfits small sets. The run is the narrow one of
benchmarks/narrow.py on IMAGES logos, longer, and all other logos are held out to judge it. The critic looks through
EfficientNet, so the run and its guard are judged by ppocr. Its newest checkpoint and its best one are then measured by
both judges. Writes benchmarks/results/projected-collapse-cpu.json and the table of docs/quality.md.
"""

import json
import pathlib
import shlex
import sys
from typing import Any

import runs
from record import parser, portable, rewrite_table, write_record

NAME = "projected-collapse-cpu"
LOGOS = 3_255  # that are embedded
IMAGES = 350  # of them to train on, nearly
STEPS = 4_000
EVERY = 6_400  # images between evaluations: 200 steps
SAMPLES = 512
JUDGES = ("efflite0", "ppocr")
METRICS = ("kid_ppocr", "recall_ppocr", "kid_efflite0", "recall_efflite0")


def command(workdir: pathlib.Path) -> list[str]:
    """Return the training command as words."""
    return [
        "python", "-m", "logogan_jax.main", "--config=benchmarks/narrow.py:projected",
        f"--config.data.held_out={1 - IMAGES / LOGOS:.4f}", f"--config.train.steps={STEPS}",
        f"--config.evaluate.every_images={EVERY}", f"--config.evaluate.samples={SAMPLES}",
        f"--workdir={workdir}",
    ]  # fmt: skip


def measure(workdir: pathlib.Path, step: str) -> dict[str, Any]:
    """Measure a checkpoint by both judges: its step, metrics, and share of copies."""
    words = ["python", "-m", "logogan_jax.evaluate", f"--workdir={workdir}", f"--step={step}"]
    status, last_line = runs.run([*words, f"--features={','.join(JUDGES)}", f"--num_samples={SAMPLES}"])
    assert status == 0, last_line
    found = json.loads((workdir / "evaluation.json").read_text(encoding="utf-8"))
    return {"step": found["step"], "against": found["against"]["held out"], "copies": found["copies"]["share"]}


def table(record: dict[str, Any]) -> str:
    """Write the curve and both checkpoints as tables of Markdown."""
    curve = record["curve"]
    shown = curve[:: max(1, len(curve) // 8)]
    lines = [f"| step | {' | '.join(str(point['step']) for point in shown)} |", "|---|" + "---:|" * len(shown)]
    values = [f"{point['kid_ppocr']:.2f}" for point in shown]
    lines.append(f"| kid ppocr | {' | '.join(values)} |")
    lines += ["", f"| checkpoint | {' | '.join(METRICS)} | copies |".replace("_", " ")]
    lines.append("|---|" + "---:|" * (len(METRICS) + 1))
    for title, found in record["checkpoints"].items():
        cells = " | ".join(f"{found['against'][name]['value']:.3f}" for name in METRICS)
        lines.append(f"| {title}, step {found['step']:,} | {cells} | {found['copies']['value']:.1%} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--workdir", required=True, type=pathlib.Path, help="where the run goes")
    workdir = flags.parse_args().workdir
    if workdir.exists():
        sys.exit(f"error: {workdir} exists: choose another --workdir")
    words = command(workdir)
    status, last_line = runs.run(words)  # it does not end well where the guard stops it
    summary = runs.summary(workdir)
    kid = "evaluation/kid_ppocr"
    curve = [{"step": line["step"], "kid_ppocr": line[kid]} for line in runs.log_lines(workdir) if kid in line]
    record = {
        "training": shlex.join(portable(word, workdir) for word in words),
        "exit_status": status,
        "last_line": last_line,
        "status": summary["status"],
        "events": summary["events"],
        "versions": summary["versions"],
        "curve": curve,
        "checkpoints": {step: measure(workdir, step) for step in ("best", "newest")},
    }
    write_record(NAME, "python benchmarks/projected_collapse.py --workdir=RUN", record)
    rewrite_table("docs/quality.md", NAME, table(record))


if __name__ == "__main__":
    main()
