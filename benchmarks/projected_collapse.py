"""Train Projected GAN on few logos, also with rates that are too high, and show what the guard and both judges see.

    python benchmarks/projected_collapse.py --folder=RUNS

Projected GAN is that of Sauer et al. 2021 (arXiv 2111.01007). All runs are the narrow one of benchmarks/narrow.py on
350 of the embedded logos, and all other logos are held out to judge them. One has its learning rates, and two have
rates that are FACTOR times as high: one with the guard, one whose guard only warns. The critic looks through
EfficientNet, so the runs and their guard are judged by ppocr. The newest checkpoint of each and its best one are then
measured by both judges. A run that is there goes on. Writes benchmarks/results/projected-collapse-cpu.json and the
table of docs/quality.md.
"""

import json
import pathlib
import shlex
from typing import Any

import narrow
import runs
from record import parser, portable, rewrite_table, write_record

NAME = "projected-collapse-cpu"
HELD_OUT = 0.8925  # share of the logos: 350 are left to train on
STEPS = 1_000
EVERY = 3_200  # images between evaluations: 100 steps
SAMPLES = 512
FACTOR = 10  # of the rates that are too high
# Of each run the factor of its learning rates, and config.evaluate.guard.
RUNS = {
    "usual": (1, "on"),
    f"{FACTOR} times as high": (FACTOR, "on"),
    f"{FACTOR} times as high, guard only warns": (FACTOR, "warn"),
}
JUDGES = ("efflite0", "ppocr")
METRICS = ("kid_ppocr", "recall_ppocr", "kid_efflite0", "recall_efflite0")


def command(title: str, workdir: pathlib.Path) -> list[str]:
    """Return the training command of one of RUNS as words."""
    factor, guard = RUNS[title]
    rates = narrow.CONFIGS["projected"][1]
    return [
        "python", "-m", "logogan_jax.main", "--config=benchmarks/narrow.py:projected",
        f"--config.data.held_out={HELD_OUT}", f"--config.train.steps={STEPS}",
        f"--config.evaluate.every_images={EVERY}", f"--config.evaluate.samples={SAMPLES}",
        *(f"--config.optimizer.{role}.learning_rate={rate * factor:g}" for role, rate in rates.items()),
        f"--config.evaluate.guard={guard}", f"--workdir={workdir}",
    ]  # fmt: skip


def train_and_measure(title: str, workdir: pathlib.Path) -> dict[str, Any]:
    """Return what a run did, what its evaluations measured, and what both judges say of two of its checkpoints."""
    words = command(title, workdir)
    runs.run(words)  # it does not end well where the guard stops it
    summary = runs.summary(workdir)
    kid = "evaluation/kid_ppocr"
    return {
        "training": shlex.join(portable(word, workdir) for word in words),
        "status": summary["status"],
        "events": summary["events"],
        "versions": summary["versions"],
        "curve": [{"step": line["step"], "kid_ppocr": line[kid]} for line in runs.log_lines(workdir) if kid in line],
        "checkpoints": {step: measure(workdir, step) for step in ("best", "newest")},
    }


def measure(workdir: pathlib.Path, step: str) -> dict[str, Any]:
    """Measure a checkpoint by both judges: its step, metrics, and share of copies."""
    words = ["python", "-m", "logogan_jax.evaluate", f"--workdir={workdir}", f"--step={step}"]
    status, last_line = runs.run([*words, f"--features={','.join(JUDGES)}", f"--num_samples={SAMPLES}"])
    assert status == 0, last_line
    found = json.loads((workdir / "evaluation.json").read_text(encoding="utf-8"))
    return {"step": found["step"], "against": found["against"]["held out"], "copies": found["copies"]["share"]}


def table(record: dict[str, Any]) -> str:
    """Write both checkpoints of each run as a table of Markdown."""
    lines = [f"| learning rates | checkpoint | step | {' | '.join(METRICS)} | copies |".replace("_", " ")]
    lines.append("|---|---|---:|" + "---:|" * (len(METRICS) + 1))
    for title, run in record.items():
        for name, found in run["checkpoints"].items():
            cells = " | ".join(f"{found['against'][metric]['value']:.3f}" for metric in METRICS)
            lines.append(f"| {title} | {name} | {found['step']:,} | {cells} | {found['copies']['value']:.1%} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--folder", required=True, type=pathlib.Path, help="where the runs go")
    folder = flags.parse_args().folder
    found = {title: train_and_measure(title, folder / str(number)) for number, title in enumerate(RUNS)}
    write_record(NAME, "python benchmarks/projected_collapse.py --folder=RUNS", {"runs": found})
    rewrite_table("docs/quality.md", NAME, table(found))


if __name__ == "__main__":
    main()
