"""Learning rates that fall with a run: where they end, and what is said of a run that goes on beyond."""

import pathlib
from collections.abc import Iterator

from ml_collections import ConfigDict

from logogan_jax.config import run_config
from logogan_jax.core.errors import UserError


def keep(config: ConfigDict, folder: pathlib.Path) -> ConfigDict:
    """Return a resolved config in which rates that fall to the end of the run fall as they did before in a folder.

    So a run can be extended: its rates were made for the number of steps that it was started with.
    """
    before = run_config.read(folder)
    if before is None:
        return config
    config = config.copy_and_resolve_references()
    old = before[0].optimizer
    for role, block in _annealed(config):
        to_the_end = block.anneal_images == config.train.steps * config.train.batch_size
        if to_the_end and "anneal_images" in old.get(role, {}):
            block.anneal_images = old[role].anneal_images
    return config


def check(config: ConfigDict, start: int, workdir: str | pathlib.Path) -> None:
    """Raise a UserError if no weight would move after the step `start`."""
    if start and frozen(config, start):
        raise UserError(
            f"the learning rates of the run in {workdir} have fallen to 0 at the end of their schedule "
            f"(config.optimizer.*.anneal_images), so nothing would be learnt after step {start:,}: to train longer, "
            f"start another --workdir with --config.train.steps={config.train.steps}"
        )


def frozen(config: ConfigDict, step: int) -> bool:
    """Return whether all learning rates are 0 from a step on."""
    fallen = {role for role, block in _annealed(config) if not block.get("final", 0.0) and _end(config, block) <= step}
    return fallen == set(config.optimizer)


def remarks(config: ConfigDict) -> list[str]:
    """Return a line about each network whose learning rate does not fall just until the end of the run."""
    lines = []
    steps = config.train.steps
    for role, block in _annealed(config):
        key = f"config.optimizer.{role}.anneal_images={block.anneal_images}"
        end = _end(config, block)
        if end < steps:
            rest = f"{block.get('final', 0.0):g} of the learning rate is left"
            lines.append(f"The schedule of the {role} ends at step {end:,.0f} ({key}): {rest} until step {steps:,}.")
        elif end > steps:
            lines.append(f"The schedule of the {role} would end at step {end:,.0f} ({key}), after the run.")
    return lines


def _annealed(config: ConfigDict) -> Iterator[tuple[str, ConfigDict]]:
    """Yield the networks whose learning rate falls, with the block of their optimizer."""
    for role, block in config.optimizer.items():
        if block.get("anneal", "none") != "none":
            yield role, block


def _end(config: ConfigDict, block: ConfigDict) -> float:
    """Return the step at which a learning rate stops falling."""
    return block.anneal_images / config.train.batch_size
