"""Ten healthy runs and six that collapse, under the guard: who is warned of, rolled back, stopped.

    python benchmarks/guard.py

Healthy are the small runs of every objective with several seeds; planted to collapse the same with fifty times the
learning rates. Writes benchmarks/results/guard-cpu.json; ends with status 1 if a healthy run was warned of, or a
planted collapse was not acted on within 1,000 steps of its best state.
"""

import json
import pathlib
import sys
import tempfile

import small
from record import ROOT, stamp

from logogan_jax import __version__

SEEDS, COLLAPSES, TIMES = 5, 3, 50
RATES = {"dcgan": (4e-4, 8e-4), "wgan_gp": (4e-4, 4e-4)}  # of generator and critic in the small runs
STEPS = {"dcgan": 2500, "wgan_gp": 800}
WITHIN = 1000  # steps between the best state and what is done about a collapse


def one(objective, seed, rates, folder):
    """A run's flags, status and what the guard did."""
    generator, critic = (rate * rates for rate in RATES[objective])
    words = small.command(
        objective, f"--config.train.seed={seed}", f"--config.train.steps={STEPS[objective]}",
        f"--config.optimizer.generator.learning_rate={generator:g}",
        f"--config.optimizer.critic.learning_rate={critic:g}", f"--workdir={folder}",
    )  # fmt: skip
    status, said = small.run(words)
    found = small.summary(folder)
    kept = {name: found[name] for name in ("status", "step", "steps", "best", "events", "reason") if name in found}
    print(f"{objective} seed {seed} x{rates}: {found['status']} at step {found['step']}, {said}", flush=True)
    return {"objective": objective, "seed": seed, "rates": rates, "exit_status": status, **kept}


def acted_in_time(run):
    """Whether a run was rolled back or stopped soon enough after its best state."""
    acts = [event["step"] for event in run["events"] if event["action"] in ("roll back", "stop")]
    best = min(run["best"]["step"], acts[0]) if acts and "best" in run else 0
    return bool(acts) and acts[0] - best <= WITHIN


def main():
    """The command."""
    healthy, planted = [], []
    with tempfile.TemporaryDirectory() as folder:
        for objective in small.RUNS:
            for seed in range(COLLAPSES):
                planted.append(one(objective, seed, TIMES, pathlib.Path(folder) / f"x-{objective}-{seed}"))
        for objective in small.RUNS:
            for seed in range(SEEDS):
                healthy.append(one(objective, seed, 1, pathlib.Path(folder) / f"{objective}-{seed}"))
    record = {
        **stamp("python benchmarks/guard.py"),
        "version": __version__,
        "false_alarms": sum(bool(run["events"]) or run["status"] != "finished" for run in healthy),
        "caught": sum(acted_in_time(run) for run in planted),
        "healthy": healthy,
        "planted": planted,
    }
    path = ROOT / "benchmarks" / "results" / "guard-cpu.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    alarms, caught = record["false_alarms"], record["caught"]
    print(f"{len(healthy)} healthy runs: {alarms} false alarms; {caught} of {len(planted)} caught")
    sys.exit(record["false_alarms"] > 0 or record["caught"] < len(planted))


if __name__ == "__main__":
    main()
