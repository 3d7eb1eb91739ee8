"""Measure how much longer the steps of training take because the run evaluates itself, within one run.

    python benchmarks/overhead.py

Trains the quickstart with an evaluation every 500 steps and a log line every 10. The 250 steps that follow an
evaluation run at the same time as its arithmetic and the writing of its checkpoint; the next 250 steps run alone.
Recorded are the seconds of a step that runs alone, the mean over all steps, and how much longer the latter is. The
devices' own time for the evaluations is recorded separately. Writes benchmarks/results/overhead-cpu.json.
"""

import json
import pathlib
import statistics
import sys
import tempfile

import runs
from record import parser, write_record

from logogan_jax import __version__

EVERY = 500  # steps between evaluations
STEPS = 5000
BATCH = 32
FLAGS = (
    f"--config.train.steps={STEPS}", f"--config.evaluate.every_images={EVERY * BATCH}", "--config.report.log_every=10",
    f"--config.report.checkpoint_every={EVERY}", "--config.report.samples_every=0",
)  # fmt: skip


def main() -> None:
    """Run the command."""
    parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workdir = pathlib.Path(folder) / "run"
        _, summary = runs.train("--config=configs/quickstart.py", *FLAGS, workdir=workdir)
        lines = runs.log_lines(workdir)
    evaluations = [line["evaluation/seconds"] for line in lines if "evaluation/seconds" in line]
    seconds = {line["step"]: BATCH / line["images_per_second"] for line in lines if "images_per_second" in line}
    # The period of the first evaluation contains the compiling.
    counted = {step: value for step, value in seconds.items() if step > EVERY}
    alone = [value for step, value in counted.items() if (step - 1) % EVERY >= EVERY // 2]
    with_evaluation = statistics.mean(counted.values())
    without = statistics.mean(alone)
    record = {
        "version": __version__,
        "flags": FLAGS,
        "seconds_per_step": {"with_evaluation": with_evaluation, "without": without},
        "longer_by": with_evaluation / without - 1,
        "evaluations": len(evaluations),
        "evaluation_device_seconds": statistics.median(evaluations),
        "run_seconds": summary["seconds"],
    }
    write_record("overhead-cpu", "python benchmarks/overhead.py", record)
    print(json.dumps(record, indent=2))
    sys.exit(record["longer_by"] > 0.02)


if __name__ == "__main__":
    main()
