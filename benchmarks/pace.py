"""Measure how much slower a training run is than its bare step: logging, pictures, checkpoints, evaluations.

    python benchmarks/pace.py

Two commands run in turn, ROUNDS times. The first is the quickstart as a user starts it; its log gives the seconds from
the first log line to the last. The second is `python -m logogan_jax.benchmark` of the same config, which only makes
steps. The seconds in which the devices evaluate pictures are recorded separately, because the quickstart is so small
that they matter. Writes benchmarks/results/pace-cpu.json.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import runs
from record import ROOT, parser, write_record

CONFIG = "configs/quickstart.py"
STEPS = 2000
ROUNDS = 3


def training_speed(workdir: pathlib.Path) -> tuple[float, float]:
    """Train a run.

    Returns:
        Its steps per second between the first and the last log line, and the share of that time that evaluations took.
    """
    runs.train(f"--config={CONFIG}", f"--config.train.steps={STEPS}", workdir=workdir)
    lines = runs.log_lines(workdir)
    logged = [line for line in lines if "seconds" in line]
    first = logged[0]
    last = logged[-1]
    seconds = last["seconds"] - first["seconds"]
    # The last state is evaluated after the last log line.
    evaluated = [line["evaluation/seconds"] for line in lines if "evaluation/seconds" in line and line["step"] < STEPS]
    return (last["step"] - first["step"]) / seconds, sum(evaluated) / seconds


def bare_speed(out: pathlib.Path) -> float:
    """Return the steps per second that the benchmark measures; it writes the JSON lines `out`."""
    words = [sys.executable, "-m", "logogan_jax.benchmark", f"--config={CONFIG}", "--seconds=5", f"--json={out}"]
    subprocess.run(words, check=True, cwd=ROOT, capture_output=True)
    return json.loads(out.read_text(encoding="utf-8"))["steps_per_second"]["median"]


def main() -> None:
    """Run the command."""
    parser(__doc__).parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for index in range(ROUNDS):
            training, evaluated = training_speed(folder / str(index))
            bare = bare_speed(folder / f"{index}.jsonl")
            rounds.append({"training": training, "bare": bare, "lost": 1 - training / bare, "evaluated": evaluated})
            print(rounds[-1], flush=True)
    lost, evaluated = (statistics.median(values[name] for values in rounds) for name in ("lost", "evaluated"))
    record = {
        "config": CONFIG, "steps": STEPS, "rounds": rounds,
        "lost": lost, "lost_to_evaluations": evaluated, "lost_to_the_rest": lost - evaluated,
    }  # fmt: skip
    write_record("pace-cpu", "python benchmarks/pace.py", record)
    print(f"A run loses {lost:.1%} of its time, {evaluated:.1%} of it to evaluations.")


if __name__ == "__main__":
    main()
