"""What the tests of tuning share: a plan, its stand-in for training, and looking at processes."""

import json
import pathlib
import time

from logogan_jax.tune import search_space

HERE = pathlib.Path(__file__).parent
FAKE_TRAINING = HERE / "fake_training.py"
CONFIG = HERE / "tuned_config.py"
EVALUATIONS = 4
BASE = {
    "optimizer.critic.learning_rate": 1e-4, "objective.critic_updates": 5, "train.steps": 8000, "train.batch_size": 64,
    "evaluate.every_images": 128_000, "evaluate.features": "efflite0", "data.held_out": 0.1, "report.keep": 3,
}  # fmt: skip
RANGES = {
    "optimizer.critic.learning_rate": search_space.log(1e-5, 1e-3),
    "objective.critic_updates": search_space.even(1, 5),
}


def starts(folder, number):
    """[(process id, arguments, GPUs)] of all starts of a trial's run."""
    path = folder / "trials" / f"{number:04d}" / "starts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
