"""Which values a config may have, checked before anything is built."""

import math

from ml_collections import ConfigDict

from logogan_jax.core import nested, target
from logogan_jax.core.errors import UserError
from logogan_jax.metrics import compute
from logogan_jax.networks import image_sizes

MAX_STEPS_PER_DISPATCH = 10  # on an accelerator, where nobody says how many

_AT_LEAST_ONE = (
    "data.size",
    "model.width",
    "model.latent",
    "model.kernel",
    "train.steps",
    "train.batch_size",
    "train.ema_images",
    "augment.adapt_images",
    "report.keep",
    "report.keep_best",
)
# Beyond these no program can be built: what is too much for a machine below them is found when it is built.
_AT_MOST = {
    "model.width": 65_536,
    "model.latent": 1_000_000,
    "model.kernel": 64,
    "objective.critic_updates": 1_000,
    "train.ema_images": 1 << 30,
}
# What each of these keys counts; 0 stands for none.
_AT_LEAST_ZERO = {
    "report.log_every": "steps",
    "report.samples_every": "steps",
    "report.checkpoint_every": "steps",
    "report.checkpoint_minutes": "minutes",
    "evaluate.every_images": "images",
    "data.same_batch_for": "steps",
    "train.freeze_critic": "layers",
}


def check_values(config: ConfigDict) -> None:
    """Raise a UserError that names the first key whose value cannot be."""
    for key in _AT_LEAST_ONE:
        block, name = key.split(".")
        if config[block].get(name, 1) < 1:
            raise UserError(f"config.{key} is {config[block][name]}: it should be at least 1")
    for key, most in _AT_MOST.items():
        block, name = key.split(".")
        if config[block].get(name, 1) > most:
            raise UserError(f"config.{key} is {config[block][name]}: it should be at most {most:,}")
    for key, unit in _AT_LEAST_ZERO.items():
        block, name = key.split(".")
        if not config[block][name] >= 0:  # nor NaN
            raise UserError(f"config.{key} is {config[block][name]}: it should be a number of {unit}, or 0")
    for key, value in nested.flatten(config.to_dict()).items():
        # Compared with anything, NaN is false: of some checks it would pass each.
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"config.{key} is {value}: it should be a finite number")
    if not 0 <= config.train.seed < 1 << 63:
        raise UserError(f"config.train.seed is {config.train.seed}: it should be from 0 to {(1 << 63) - 1}")
    _check_data(config.data)
    _check_augmentation(config.augment)
    _check_evaluation(config.evaluate)
    steps_per_dispatch(config)


def _check_data(data: ConfigDict) -> None:
    if data.width < 0:
        raise UserError(f"config.data.width is {data.width}: it should be a width in pixels, or 0 for squares")
    if data.channels not in (1, 3, 4):
        raise UserError(f"config.data.channels is {data.channels}: it should be 3 (RGB), 1 (grey) or 4 (RGBA)")
    image_sizes.base_and_doublings((data.size, data.width or data.size))
    if not 0 <= data.held_out < 1:
        raise UserError(f"config.data.held_out is {data.held_out}: it should be a share, at least 0 and below 1")


def _check_augmentation(augment: ConfigDict) -> None:
    if not 0 <= augment.strength <= 1:
        raise UserError(f"config.augment.strength is {augment.strength}: it should be from 0 to 1")
    if augment.adaptive and not augment.policy:
        raise UserError("config.augment.adaptive is True: it needs --config.augment.policy=logo, or another policy")


def _check_evaluation(evaluate: ConfigDict) -> None:
    if evaluate.samples < compute.MIN_IMAGES:
        raise UserError(f"config.evaluate.samples is {evaluate.samples}: it should be at least {compute.MIN_IMAGES}")
    if evaluate.guard not in ("on", "warn", "off"):
        raise UserError(f"config.evaluate.guard is {evaluate.guard!r}: it should be 'on', 'warn' or 'off'")


def steps_per_dispatch(config: ConfigDict) -> int:
    """Return how many steps one program has: pictures, log lines and checkpoints come between programs."""
    periods = [config.report.log_every, config.report.samples_every, config.report.checkpoint_every]
    common = math.gcd(*periods)
    count = config.train.steps_per_dispatch
    if count == 0:
        if target.is_cpu():
            return 1
        return max(n for n in range(1, MAX_STEPS_PER_DISPATCH + 1) if common % n == 0)
    if count < 1 or common % count:
        raise UserError(
            f"config.train.steps_per_dispatch is {count}: it should divide config.report.log_every, samples_every "
            f"and checkpoint_every ({', '.join(map(str, periods))}), or be 0 to choose by itself"
        )
    return count
