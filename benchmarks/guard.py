"""Check the guard against diverging runs: ten healthy runs should be left alone, and six that collapse be caught.

    python benchmarks/guard.py

The healthy runs are the small runs (small.py) of every objective with several seeds. The others are the same with
learning rates that are fifty times as high, which makes them collapse. Writes benchmarks/results/guard-cpu.json. Ends
with status 1 if the guard warns of a healthy run, or if it does not act within 1,000 steps of the best state of a run
that collapses.
"""

import pathlib
import sys
import tempfile
from typing import Any

import runs
import small
from record import write_record

from logogan_jax import __version__

HEALTHY_SEEDS = 5
COLLAPSING_SEEDS = 3
RATE_FACTOR = 50  # times the learning rates of the small run
RATES = {"dcgan": (4e-4, 8e-4), "wgan_gp": (4e-4, 4e-4)}  # of generator and critic in the small runs
STEPS = {"dcgan": 2500, "wgan_gp": 800}
MAX_DELAY = 1000  # steps between the best state of a run and the guard's action


def train(objective: str, seed: int, rate_factor: int, workdir: pathlib.Path) -> dict[str, Any]:
    """Train a small run and return its settings, its status and what the guard did."""
    generator_rate, critic_rate = (rate * rate_factor for rate in RATES[objective])
    words = small.command(
        objective, f"--config.train.seed={seed}", f"--config.train.steps={STEPS[objective]}",
        f"--config.optimizer.generator.learning_rate={generator_rate:g}",
        f"--config.optimizer.critic.learning_rate={critic_rate:g}", f"--workdir={workdir}",
    )  # fmt: skip
    status, last_line = runs.run(words)
    summary = runs.summary(workdir)
    names = ("status", "step", "steps", "best", "events", "reason")
    kept = {name: summary[name] for name in names if name in summary}
    ending = f"{summary['status']} at step {summary['step']}"
    print(f"{objective} seed {seed} x{rate_factor}: {ending}, {last_line}", flush=True)
    return {"objective": objective, "seed": seed, "rates": rate_factor, "exit_status": status, **kept}


def acted_in_time(run: dict[str, Any]) -> bool:
    """Tell whether a run was rolled back or stopped within MAX_DELAY steps of its best state."""
    actions = [event["step"] for event in run["events"] if event["action"] in ("roll back", "stop")]
    if not actions:
        return False
    best = min(run["best"]["step"], actions[0]) if "best" in run else 0
    return actions[0] - best <= MAX_DELAY


def main() -> None:
    """Run the command."""
    healthy = []
    planted = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for objective in RATES:
            for seed in range(COLLAPSING_SEEDS):
                planted.append(train(objective, seed, RATE_FACTOR, folder / f"collapsing-{objective}-{seed}"))
        for objective in RATES:
            for seed in range(HEALTHY_SEEDS):
                healthy.append(train(objective, seed, 1, folder / f"{objective}-{seed}"))
    false_alarms = sum(bool(run["events"]) or run["status"] != "finished" for run in healthy)
    caught = sum(map(acted_in_time, planted))
    counts = {"version": __version__, "false_alarms": false_alarms, "caught": caught}
    write_record("guard-cpu", "python benchmarks/guard.py", {**counts, "healthy": healthy, "planted": planted})
    print(f"{len(healthy)} healthy runs: {false_alarms} false alarms; {caught} of {len(planted)} collapses caught")
    sys.exit(false_alarms > 0 or caught < len(planted))


if __name__ == "__main__":
    main()
