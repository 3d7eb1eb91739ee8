"""How much longer training's steps take because it measures itself, in one run.

    python benchmarks/overhead.py

Trains the quickstart with an evaluation every 500 steps, and logs every 10. The steps of the 250 that follow an
evaluation run beside its arithmetic and the writing of its checkpoint, the next 250 beside nothing; the paces of both
are compared, and with the pace of all. The devices' own time for the evaluations is told apart. Writes
benchmarks/results/overhead-cpu.json.
"""

import json
import pathlib
import statistics
import sys
import tempfile

import small
from record import ROOT, stamp

from logogan_jax import __version__
from logogan_jax.core import files
from logogan_jax.training.reporting import run_writer

EVERY, STEPS, BATCH = 500, 5000, 32
FLAGS = (
    f"--config.train.steps={STEPS}", f"--config.evaluate.every_images={EVERY * BATCH}", "--config.report.log_every=10",
    f"--config.report.checkpoint_every={EVERY}", "--config.report.samples_every=0",
)  # fmt: skip


def main():
    """The command."""
    with tempfile.TemporaryDirectory() as folder:
        workdir = pathlib.Path(folder) / "run"
        words = ["python", "-m", "logogan_jax.main", "--config=configs/quickstart.py", *FLAGS, f"--workdir={workdir}"]
        status, said = small.run(words)
        assert status == 0, said
        lines, summary = run_writer.read_lines(workdir / "metrics.jsonl"), small.summary(workdir)
    seconds = {line["step"]: BATCH / line["images_per_second"] for line in lines if "images_per_second" in line}
    evaluations = [line["evaluation/seconds"] for line in lines if "evaluation/seconds" in line]
    # The first evaluation's period has the compiling in it.
    counted = {step: each for step, each in seconds.items() if step > EVERY}
    beside = [each for step, each in counted.items() if 0 < (step - 1) % EVERY < EVERY // 2]
    alone = [each for step, each in counted.items() if (step - 1) % EVERY >= EVERY // 2]
    with_evaluation, without = statistics.mean([*beside, *alone]), statistics.mean(alone)
    record = {
        **stamp("python benchmarks/overhead.py"),
        "version": __version__,
        "flags": FLAGS,
        "seconds_per_step": {"with_evaluation": with_evaluation, "without": without},
        "longer_by": with_evaluation / without - 1,
        "evaluations": len(evaluations),
        "evaluation_device_seconds": statistics.median(evaluations),
        "run_seconds": summary["seconds"],
    }
    files.write_json(ROOT / "benchmarks" / "results" / "overhead-cpu.json", record)
    print(json.dumps(record, indent=2))
    sys.exit(record["longer_by"] > 0.02)


if __name__ == "__main__":
    main()
