"""How much slower a training run is than the bare step that it makes: logging, pictures, checkpoints, evaluations.

    python benchmarks/pace.py

In turn, ROUNDS times: the quickstart as a user starts it, whose log tells the seconds from its first log line to its
last, and `python -m logogan_jax.benchmark` of the same config, which does nothing but steps. Of a run's seconds those
in which its devices measured pictures are told apart: the quickstart is so small that they weigh. Writes
benchmarks/results/pace-cpu.json.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import small
from record import ROOT, stamp

from logogan_jax.core import files
from logogan_jax.training.reporting import run_writer

CONFIG, STEPS, ROUNDS = "configs/quickstart.py", 2000, 3


def training(folder, number):
    """(steps/s between the first and the last log line, share of the time that evaluations took) of a run."""
    workdir = pathlib.Path(folder) / str(number)
    flags = (f"--config={CONFIG}", f"--config.train.steps={STEPS}", f"--workdir={workdir}")
    status, said = small.run(["python", "-m", "logogan_jax.main", *flags])
    assert status == 0, said
    lines = run_writer.read_lines(workdir / "metrics.jsonl")
    logged = [line for line in lines if "seconds" in line]
    first, last = logged[0], logged[-1]
    seconds = last["seconds"] - first["seconds"]
    # The last state is measured after the last log line.
    measured = sum(
        line["evaluation/seconds"] for line in lines if line["step"] < STEPS and "evaluation/seconds" in line
    )
    return (last["step"] - first["step"]) / seconds, measured / seconds


def bare(folder, number):
    """Steps per second of the benchmark."""
    out = pathlib.Path(folder) / f"{number}.jsonl"
    words = [sys.executable, "-m", "logogan_jax.benchmark", f"--config={CONFIG}", "--seconds=5", f"--json={out}"]
    subprocess.run(words, check=True, cwd=ROOT, capture_output=True)
    return json.loads(out.read_text())["steps_per_second"]["median"]


def main():
    """The command."""
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            (pace, evaluated), step = training(folder, number), bare(folder, number)
            rounds.append({"training": pace, "bare": step, "lost": 1 - pace / step, "evaluated": evaluated})
            print(rounds[-1], flush=True)
    lost, evaluated = (statistics.median(each[name] for each in rounds) for name in ("lost", "evaluated"))
    record = {
        **stamp("python benchmarks/pace.py"), "config": CONFIG, "steps": STEPS, "rounds": rounds,
        "lost": lost, "lost_to_evaluations": evaluated, "lost_to_the_rest": lost - evaluated,
    }  # fmt: skip
    files.write_json(ROOT / "benchmarks" / "results" / "pace-cpu.json", record)
    print(f"{lost:.1%} of the time, {evaluated:.1%} of it evaluations")


if __name__ == "__main__":
    main()
