"""A wider DCGAN at 28 pixels that draws marks, trained longer: what comes with the install as the pretrained generator.

    python -m logogan_jax.main --config=configs/mark28.py

Expect what the quickstart draws, cleaner: letters, rings, tiles and strips in one colour on white. It takes about an
hour on two CPU cores. `python -m logogan_jax.sample --pretrained` draws from it without any training.
"""

from logogan_jax.config import defaults, shipped


def get_config():
    """The quickstart with half again as many channels, three times as many steps, and rates that fall."""
    config = shipped.get_config("quickstart")
    config.model.width = 24
    config.train.steps = 12_000
    config.train.ema_images = 30_000
    for role in ("generator", "critic"):
        images = defaults.images_of_run(config)
        config.optimizer[role].update(anneal="cosine", anneal_images=images, final=0.1)
    config.evaluate.update(every_images=64_000, samples=512)
    return config
