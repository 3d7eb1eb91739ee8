"""Marks at 56 pixels, drawn from fields of 28 x 28: the quickstart's networks, twice as wide, trained much longer.

    python -m logogan_jax.main --config=configs/mark28.py --workdir=runs/mark28
    python -m logogan_jax.main --config=configs/mark56.py --init_from=runs/mark28

It starts from the weights of mark28. It trains without --init_from, too, but to worse pictures. About 32 minutes on two
CPU cores (estimated by benchmarks/minutes.py); two of an AMD EPYC server took 33, as
benchmarks/results/flagships-cpu.json says. No GPU has been timed yet. Expect discs, hexagons, tiles with a sign, and
single letters with smooth edges, as in docs/mark56.png.
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """Rates that fall by a cosine, and augmentations, without which the critic would memorise the logos."""
    config = shipped.get_config("quickstart")
    config.data.size = 56
    config.mark.scale = 2
    config.model.width = 32
    # Four times the quickstart's, as there are four times the pixels.
    config.objective.r1 = 0.8
    config.augment.update(policy="logo", strength=0.7)
    config.train.update(steps=16_000, ema_images=20_000)
    # Lower than the quickstart's: wide networks diverge at high rates.
    for role, rate in (("generator", 5e-4), ("critic", 1e-3)):
        config.optimizer[role] = defaults.block(
            name="adam", learning_rate=rate, b1=0.5, b2=0.999, anneal="cosine",
            anneal_images=defaults.images_of_run(config), final=0.1,
        )  # fmt: skip
    config.evaluate.update(every_images=64_000, samples=512)
    return config
