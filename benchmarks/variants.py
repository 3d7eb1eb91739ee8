"""The variants of the climb: the quickstart with one change each, as configs.

    python -m logogan_jax.main --config=benchmarks/variants.py:batch-16

`python benchmarks/climb.py` trains and compares them. The networks of `deviation` are in minibatch_deviation.py.
"""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from data_prep import make_logos
from logogan_jax.config import defaults, shipped

TABLE = "climb-cpu"
STEPS = 2_000  # of the quickstart: two thirds of its length
BASE = "quickstart"
COLOURS = "iconify-logos.tgz"  # what `npm pack @iconify-json/logos` writes, under this name in the folder of the runs


class Variant(NamedTuple):
    """A change to the quickstart.

    Attributes:
        words: what is changed.
        change: a function of the config.
        other_step: whether its step is another program, whose cost is timed.
        length: of the training, times that of the others.
        after: share of the length in which the quickstart is trained first; its weights are what it starts from.
        data: the set that it trains on, as of DATA; "" for the embedded logos.
        table: where it is shown: figures of other images are compared with one another only.
    """

    words: str
    change: Callable[[ConfigDict], Any]
    other_step: bool = False
    length: float = 1.0
    after: float = 0.0
    data: str = ""
    table: str = TABLE


def _rates(generator: float, critic: float) -> Callable[[ConfigDict], None]:
    def change(config: ConfigDict) -> None:
        config.optimizer.generator.learning_rate = generator
        config.optimizer.critic.learning_rate = critic

    return change


def _anneal(generator: float, critic: float) -> Callable[[ConfigDict], None]:
    def change(config: ConfigDict) -> None:
        for role, rate in (("generator", generator), ("critic", critic)):
            config.optimizer[role] = defaults.block(
                name="adam", learning_rate=rate, b1=0.5, b2=0.999, anneal="cosine",
                anneal_images=defaults.images_of_run(config), final=0.1,
            )  # fmt: skip

    return change


def _momentum(b1: float) -> Callable[[ConfigDict], None]:
    def change(config: ConfigDict) -> None:
        config.optimizer.generator.b1 = config.optimizer.critic.b1 = b1

    return change


def _objective(**values: Any) -> Callable[[ConfigDict], None]:
    def change(config: ConfigDict) -> None:
        config.objective = defaults.block(**values)

    return change


def _model(**values: Any) -> Callable[[ConfigDict], None]:
    return lambda config: config.model.update(values)


def _train(**values: Any) -> Callable[[ConfigDict], None]:
    return lambda config: config.train.update(values)


def _augment(strength: float) -> Callable[[ConfigDict], Any]:
    return lambda config: config.augment.update(policy="logo", strength=strength)


def _inks(count: int) -> Callable[[ConfigDict], Any]:
    return lambda config: config.mark.update(inks=count)


def _pixels_56(scale: int) -> Callable[[ConfigDict], None]:
    def change(config: ConfigDict) -> None:
        config.data.size = 56
        config.mark.scale = scale
        config.objective.r1 = 0.8  # that of mark56: four times the quickstart's, as there are four times the pixels

    return change


def _networks(**values: Any) -> Callable[[ConfigDict], None]:
    def change(config: ConfigDict) -> None:
        config.model = defaults.block(latent=64, **values)

    return change


def _both(first: Callable[[ConfigDict], Any], second: Callable[[ConfigDict], Any]) -> Callable[[ConfigDict], Any]:
    return lambda config: (first(config), second(config))


def _r3gan(config: ConfigDict) -> None:
    """Train R3GAN's networks by its objective, with the rates of its narrow run (narrow.py)."""
    _networks(name="r3gan", width=16, blocks=1, expansion=1)(config)
    _objective(name="r3gan", critic_updates=1, gamma=0.2, lazy=4)(config)
    for role in config.optimizer:
        config.optimizer[role] = defaults.block(name="adam", learning_rate=4e-4, b1=0.0, b2=0.99)


VARIANTS = {
    BASE: Variant("the quickstart", lambda config: None),
    "whole": Variant("the whole quickstart: 3,000 steps", lambda config: None, length=1.5),
    "rates-4e-4": Variant("learning rates of 4e-4 and 8e-4, a third of the quickstart's", _rates(4e-4, 8e-4)),
    "rates-8e-4": Variant("learning rates of 8e-4 and 1.6e-3, two thirds of the quickstart's", _rates(8e-4, 1.6e-3)),
    "rates-16e-4": Variant("learning rates of 1.6e-3 and 3.2e-3, higher by a third", _rates(1.6e-3, 3.2e-3)),
    "annealed": Variant("rates that fall to a tenth by a cosine", _anneal(1.2e-3, 2.4e-3)),
    "annealed-4e-4": Variant("rates that fall from 4e-4 and 8e-4 to a tenth", _anneal(4e-4, 8e-4)),
    "no-momentum": Variant("Adam with b1 = 0", _momentum(0.0)),
    "r1-low": Variant("R1 of 0.05", _objective(name="gan", critic_updates=1, r1=0.05, lazy=4)),
    "batch-16": Variant("batches of 16", _train(batch_size=16), True),
    "batch-64": Variant("batches of 64", _train(batch_size=64), True),
    "width-24": Variant("one and a half times the width", _model(width=24), True),
    "resnet": Variant("residual networks, 32 wide", _networks(name="resnet", width=32), True),
    "r3gan": Variant("R3GAN: its networks, 16 wide, its objective and its Adam", _r3gan, True),
    "transposed": Variant(
        "the networks of the walkthrough's WGAN-GP, 16 wide: strided transposed convolutions",
        _networks(name="wgan", width=16, kernel=4), True,
    ),
    "ema-500": Variant("a moving average with a half-life of 500 images", _train(ema_images=500)),
    "augmented": Variant(
        "augmentations that suit logos, with a probability of 0.3", _augment(0.3), True
    ),
    "augmented-70": Variant(
        "augmentations that suit logos, with a probability of 0.7", _augment(0.7), True
    ),
    "deviation": Variant(
        "minibatch deviation in the critic, in groups of four images", _model(name="dcgan_deviation"), True
    ),
    "hinge": Variant(
        "the hinge loss and spectral normalisation, without R1",
        _both(_objective(name="hinge", critic_updates=1), _model(spectral=True)), True,
    ),
    "wgan-gp": Variant(
        "WGAN-GP with two critic updates", _objective(name="wgan_gp", critic_updates=2, penalty=10.0, lazy=1), True
    ),
    "clusters-16": Variant(
        "labels of 16 clusters", lambda config: config.data.update(labels=True), True, data="clusters"
    ),
    "colours-rgb": Variant("no inks: colours for every pixel", _inks(0), True, data="colours", table="colours-cpu"),
    "colours-1": Variant("one ink, with colours of the data", _inks(1), True, data="colours", table="colours-cpu"),
    "colours-3": Variant("three inks", _inks(3), True, data="colours", table="colours-cpu"),
    "pixels-56-by-1": Variant("fields of 56 x 56", _pixels_56(1), True, table="pixels-56-cpu"),
    "pixels-56-by-2": Variant("fields of 28 x 28", _pixels_56(2), True, table="pixels-56-cpu"),
    "pixels-56-fine": Variant(
        "fields of 28 x 28, after the quickstart for half of the time",
        _pixels_56(2), True, after=0.5, table="pixels-56-cpu",
    ),
}  # fmt: skip


# Of each set of data the command that makes it in a folder, but for its target.
DATA: dict[str, Callable[[pathlib.Path], list[str]]] = {
    "clusters": lambda folder: [
        "data_prep.cluster_labels", f"--path={make_logos.embedded_logos(size=28, channels=3)}", "--clusters=16"
    ],
    "colours": lambda folder: ["data_prep.make_logos", f"--source={folder / COLOURS}", "--size=28"],
}  # fmt: skip


def get_config(variant: str = BASE) -> ConfigDict:
    """Return the config of a variant, of STEPS steps unless a flag says otherwise."""
    config = shipped.get_config("quickstart")
    config.train.steps = STEPS
    config.evaluate.every_images = 0  # measured once, when it is done
    with config.unlocked():
        VARIANTS[variant].change(config)
    return config
