"""The narrow runs: every objective at 28 pixels, with DCGAN networks of a quarter of their width, for a CPU.

    python -m logogan_jax.main --config=benchmarks/narrow.py:hinge --workdir=runs/hinge

Objective, optimisers, labels, conditioning and normalisation are those of the shipped config that CONFIGS names. The
learning rates are higher, because small networks train well with them. `python benchmarks/objectives.py` trains all.
"""

from ml_collections import ConfigDict

from logogan_jax.config import defaults, shipped

# For each objective: the shipped config, and the learning rates of its networks.
CONFIGS = {
    "gan": ("gan56", {"generator": 4e-4, "critic": 8e-4}),
    "minimax": ("minimax56", {"generator": 4e-4, "critic": 8e-4}),
    "cgan": ("cgan56", {"generator": 4e-4, "critic": 8e-4}),
    "can": ("can56", {"generator": 2e-4, "critic": 4e-4}),
    "hinge": ("hinge56", {"generator": 4e-4, "critic": 8e-4}),
    "projected": ("projected56", {"generator": 4e-4, "critic": 4e-4}),
    "lsgan": ("lsgan56", {"generator": 4e-4, "critic": 8e-4}),
    "wgan": ("wgan_clip56", {"generator": 2e-4, "critic": 2e-4}),
    "wgan_gp": ("wgan56", {"generator": 4e-4, "critic": 4e-4}),
    "r3gan": ("r3gan56", {"generator": 4e-4, "critic": 4e-4}),
    "vae": ("vae56", {"generator": 1e-3, "encoder": 1e-3}),
    "glo": ("glo56", {"generator": 1e-3, "codes": 3e-3}),
    "walkthrough_dcgan": ("walkthrough_dcgan56", {"generator": 4e-4, "critic": 4e-4}),
    "walkthrough_wgan": ("walkthrough_wgan56", {"generator": 4e-4, "critic": 4e-4}),
}
# Critics that are not the DCGAN's, and their values.
SMALL = {"projected": {"mixed_width": 16, "feature_side": 64}}
STEPS = 2_000


def get_config(objective: str) -> ConfigDict:
    """Return the narrow config of an objective."""
    name, rates = CONFIGS[objective]
    config = shipped.get_config(name)
    config.data.update(size=28, rotate=0.0, mirror=False)
    options = {key: config.model[key] for key in ("conditioning", "spectral") if key in config.model}
    name = config.model.name if config.model.name in SMALL else "dcgan"
    options |= SMALL.get(name, {})
    config.model = defaults.block(name=name, latent=64, width=16, kernel=4, dropout=0.0, **options)
    config.mark.inks = 0
    for role, rate in rates.items():
        config.optimizer[role].learning_rate = rate
    config.train.update(steps=STEPS, batch_size=32, ema_images=5_000)
    config.evaluate.update(every_images=16_000, samples=256)
    return config
