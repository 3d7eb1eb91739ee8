"""Measure what a training run loses to everything that is no step: logging, pictures, checkpoints, evaluations.

    python benchmarks/pace.py

Trains the quickstart ROUNDS times as a user starts it, but with a log line every EVERY steps. Between most log lines
there are steps alone. So what steps alone would have taken is the median over the NEAR lines before and after. These
are of the same half minute: the speed of a shared machine drifts. Compiling comes before the first log line and is not
counted. Writes benchmarks/results/pace-cpu.json.
"""

import itertools
import pathlib
import statistics
import tempfile
from typing import Any

import runs
from record import parser, write_record

CONFIG = "configs/quickstart.py"
EVERY = 10  # steps between log lines
NEAR = 15  # log lines, before and after
ROUNDS = 3


def lost(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Return of what a run logged {"seconds", "lost", "evaluated"}: its time, and shares of it.

    `lost` is the share that is no step, and `evaluated` that in which the devices evaluated pictures.
    """
    moments = [line["seconds"] for line in lines if "images_per_second" in line]
    taken = [end - start for start, end in itertools.pairwise(moments)]
    alone = [statistics.median(taken[max(0, i - NEAR) : i + NEAR + 1]) for i in range(len(taken))]
    last = max(line["step"] for line in lines)  # evaluated after the last log line
    evaluated = [line["evaluation/seconds"] for line in lines if "evaluation/seconds" in line and line["step"] < last]
    return {"seconds": sum(taken), "lost": 1 - sum(alone) / sum(taken), "evaluated": sum(evaluated) / sum(taken)}


def main() -> None:
    """Run the command."""
    parser(__doc__).parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        for index in range(ROUNDS):
            workdir = pathlib.Path(folder) / str(index)
            runs.train(f"--config={CONFIG}", f"--config.report.log_every={EVERY}", workdir=workdir)
            rounds.append(lost(runs.log_lines(workdir)))
            print(rounds[-1], flush=True)
    record = {"config": CONFIG, "every": EVERY, "rounds": rounds}
    record |= {name: statistics.median(found[name] for found in rounds) for name in ("lost", "evaluated")}
    write_record("pace-cpu", "python benchmarks/pace.py", record)
    print(f"A run loses {record['lost']:.1%} of its time, {record['evaluated']:.1%} of it to evaluations.")


if __name__ == "__main__":
    main()
