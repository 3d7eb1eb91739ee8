"""Which values a config may have, told before anything is built."""

import math

import jax

from logogan_jax.core.errors import UserError
from logogan_jax.metrics import compute
from logogan_jax.networks import image_sizes

SCANNED = 10  # steps that an accelerator runs in one program, at most
_WHOLE = (
    "data.size", "model.width", "model.latent", "model.kernel", "train.steps", "train.batch_size",
    "augment.adapt_images", "report.log_every", "report.keep", "report.keep_best", "train.ema_images",
)  # fmt: skip


def values(config):
    """Raise a UserError that names the first key whose value cannot be."""
    for key in _WHOLE:
        block, name = key.split(".")
        if config[block].get(name, 1) < 1:
            raise UserError(f"config.{key} is {config[block][name]}: it should be at least 1")
    data, evaluate = config.data, config.evaluate
    if data.same_batch_for < 0:
        raise UserError(f"config.data.same_batch_for is {data.same_batch_for}: it should be a number of steps, or 0")
    if data.width < 0:
        raise UserError(f"config.data.width is {data.width}: it should be a width in pixels, or 0 for squares")
    if data.channels not in (1, 3, 4):
        raise UserError(f"config.data.channels is {data.channels}: it should be 3 (RGB), 1 (grey) or 4 (RGBA)")
    image_sizes.base_and_doublings((data.size, data.width or data.size))
    if not 0 <= data.held_out < 1:
        raise UserError(f"config.data.held_out is {data.held_out}: it should be a share, at least 0 and below 1")
    if not 0 <= config.augment.strength <= 1:
        raise UserError(f"config.augment.strength is {config.augment.strength}: it should be from 0 to 1")
    if config.augment.adaptive and not config.augment.policy:
        raise UserError("config.augment.adaptive is True: it needs --config.augment.policy=logo, or another policy")
    if evaluate.samples < compute.MIN_IMAGES:
        raise UserError(f"config.evaluate.samples is {evaluate.samples}: it should be at least {compute.MIN_IMAGES}")
    if config.report.checkpoint_minutes < 0:
        minutes = config.report.checkpoint_minutes
        raise UserError(f"config.report.checkpoint_minutes is {minutes}: it should be a number of minutes, or 0")
    if evaluate.guard not in ("on", "warn", "off"):
        raise UserError(f"config.evaluate.guard is {evaluate.guard!r}: it should be 'on', 'warn' or 'off'")
    steps_per_dispatch(config)


def steps_per_dispatch(config):
    """Steps in one program: pictures, log lines and checkpoints come between programs."""
    periods = [config.report.log_every, config.report.samples_every, config.report.checkpoint_every]
    common, count = math.gcd(*periods), config.train.steps_per_dispatch
    if count == 0:
        if jax.default_backend() == "cpu":
            return 1
        return max(n for n in range(1, SCANNED + 1) if common % n == 0)
    if count < 1 or common % count:
        raise UserError(
            f"config.train.steps_per_dispatch is {count}: it should divide config.report.log_every, samples_every "
            f"and checkpoint_every ({', '.join(map(str, periods))}), or be 0 to choose by itself"
        )
    return count
