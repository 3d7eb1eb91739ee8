"""Stands for logogan_jax.main in the tests of tuning: four evaluations whose KID is known beforehand.

It goes on from its metrics.jsonl, and on SIGTERM it saves and ends. KID is best at 5 critic updates and at a rate of
3e-4. Environment variables change what it does: FAKE_PAUSE (seconds per evaluation), FAKE_FAILS (critic updates at
which it fails), FAKE_COLLAPSES (critic updates at which it diverges), FAKE_NO_KID (summary.json names no best).
"""

import json
import math
import os
import pathlib
import signal
import sys
import time

EVALUATIONS = 4
KID = "evaluation/kid_efflite0"


def main(flags):
    """Run with the flags of logogan_jax.main as a dictionary."""
    folder = pathlib.Path(flags["workdir"])
    folder.mkdir(parents=True, exist_ok=True)
    signals = []
    signal.signal(signal.SIGTERM, lambda *_: signals.append("SIGTERM"))
    append(folder / "starts.jsonl", [os.getpid(), sys.argv[1:], os.environ.get("CUDA_VISIBLE_DEVICES")])
    updates = float(flags.get("config.objective.critic_updates", 5))
    if str(updates) in os.environ.get("FAKE_FAILS", "").split():
        print("once upon a time")
        sys.exit("error: <b>updates</b> & $such$ are bad")
    kids, status = train(folder, flags, updates, signals)
    if str(updates) == os.environ.get("FAKE_COLLAPSES"):
        status = "diverged"
    write_summary(folder, flags, kids, status)


def train(folder, flags, updates, signals):
    """Write the evaluations that metrics.jsonl lacks -> (all KIDs, status of the run)."""
    rate = float(flags.get("config.optimizer.critic.learning_rate", 1e-4))
    steps = int(flags.get("config.train.steps", 400))
    lines = folder / "metrics.jsonl"
    before = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    kids = [line[KID] for line in before if "critic/loss" not in line]
    for number in range(len(kids) + 1, EVALUATIONS + 1):
        time.sleep(float(os.environ.get("FAKE_PAUSE", 0.01)))
        if signals:
            return kids, "stopped by SIGTERM"
        kids.append(0.01 + abs(math.log(rate / 3e-4)) / 20 + (5 - updates) / 10 + 0.5 / 2**number)
        append(lines, {"step": number * steps // 4 - 1, "critic/loss": 1.0})
        append(lines, {"step": number * steps // 4, KID: kids[-1], f"{KID}_low": kids[-1] - 1})
    return kids, "finished"


def write_summary(folder, flags, kids, status):
    best = None
    if kids and "FAKE_NO_KID" not in os.environ:
        interval = {"value": min(kids), "low": min(kids) - 0.01, "high": min(kids) + 0.01}
        best = {"step": int(flags.get("config.train.steps", 400)), "kid_efflite0": interval}
    summary = {"status": status, "reason": "KID rose <twice>", "step": 1, "best": best, "seconds": 90.0}
    (folder / "summary.json").write_text(json.dumps(summary))


def append(path, value):
    with open(path, "a") as file:
        file.write(json.dumps(value) + "\n")


if __name__ == "__main__":
    main(dict(flag.removeprefix("--").split("=", 1) for flag in sys.argv[1:]))
