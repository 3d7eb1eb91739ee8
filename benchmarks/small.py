"""The small runs: one for each objective that a CPU trains in minutes, at 28 pixels on the embedded logos."""

import shlex

_NARROW = "--config.model.width=16 --config.train.batch_size=32 --config.train.ema_images=5000"
# About five minutes of training on two cores. For each run: the name that readers know, and its flags.
RUNS = {
    "dcgan": (
        "DCGAN",
        "--config=configs/quickstart.py --config.mark.inks=0 --config.objective.r1=0.0 --config.objective.lazy=1 "
        "--config.train.ema_images=5000 --config.train.steps=8000",
    ),
    "wgan_gp": (
        "WGAN-GP",
        f"--config=configs/wgan28.py {_NARROW} --config.optimizer.generator.learning_rate=4e-4 "
        "--config.optimizer.critic.learning_rate=4e-4 --config.train.steps=2250 "
        "--config.evaluate.every_images=16000 --config.evaluate.samples=256",
    ),
}


def command(objective: str, *flags: str) -> list[str]:
    """Return the command line that trains an objective, as words; more flags override those of the small run."""
    return ["python", "-m", "logogan_jax.main", *shlex.split(RUNS[objective][1]), *flags]
