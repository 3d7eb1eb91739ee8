"""The page of a run: what its config, its data and its machine say on it."""

import pathlib
import time

from ml_collections import ConfigDict

from logogan_jax.config import defaults, run_config
from logogan_jax.config.build_training import Training
from logogan_jax.core import files, images, locks
from logogan_jax.core.nested import flatten
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.training.reporting import run_page, run_writer, summary
from logogan_jax.training.reporting.cost import Budget
from logogan_jax.training.reporting.run_log import RunLog
from logogan_jax.training.reporting.run_page import About, Moment, Setting
from logogan_jax.training.reporting.run_writer import RunWriter
from logogan_jax.training.reporting.screen import Screen

_ENVIRONMENT = ("processes", "devices", "device_kind", "versions")  # of summary.json


def make_log(
    training: Training, folder: pathlib.Path, writer: RunWriter, screen: Screen, budget: Budget, start: int
) -> RunLog:
    """Return what writes the log lines, the pictures and the page of a run that goes on from a step."""
    return RunLog(
        writer,
        screen,
        budget,
        describe(folder.name, training.config, training.info),
        summary.describe_environment(training.parallel.devices),
        images_per_step=training.images_per_step,
        start=start,
        last=training.config.train.steps,
    )


def describe(name: str, config: ConfigDict, info: DatasetInfo) -> About:
    """Return what the page of the run `name` tells of its config and its data."""
    height, width = config.data.size, config.data.width or config.data.size
    subject = (
        f"{config.objective.name} with {config.model.name} networks on {info.images:,} images of {height} x {width} x "
        f"{config.data.channels}, batch {config.train.batch_size}"
    )
    return About(name, subject, settings(config), images.display_scale((height, width)))


def settings(config: ConfigDict) -> list[Setting]:
    """Return every key of a config beside its default, in the order of the config."""
    known = flatten(defaults.get_config().to_dict())
    show = lambda value: "" if value is None else value if isinstance(value, str) and value else repr(value)
    return [
        Setting(key, show(value), show(known.get(key)), key not in known or known[key] != value)
        for key, value in flatten(config.to_dict()).items()
    ]


def refresh(folder: pathlib.Path, *, in_bucket: bool) -> None:
    """Write the page of a run anew, whose evaluation.json is new; one that trains now does it itself, soon.

    Args:
        folder: of the run.
        in_bucket: whether it is a copy of the folder that training writes to.
    """
    lock = locks.try_lock(folder / ".lock")
    read = run_config.read(folder)
    if lock is None or read is None:
        return
    with lock:
        path = folder / run_page.NAME
        lines = run_writer.read_lines(folder / "metrics.jsonl")
        last = lines[-1]["step"] if lines else 0
        moment = run_page.read_moment(path) or _summarized(folder, last, read[0].train.steps)
        if moment.status == run_page.RUNNING and not in_bucket:
            moment = moment._replace(status="interrupted", step=max(last, moment.step))
        rolled_back = run_writer.read_lines(folder / run_writer.ROLLED_BACK)
        events = run_writer.read_lines(folder / "events.jsonl")
        moment = moment._replace(written=time.time())
        run_page.write(path, describe(folder.resolve().name, *read), moment, lines, rolled_back, events)


def _summarized(folder: pathlib.Path, step: int, steps: int) -> Moment:
    """Return what summary.json tells of a run that has no page yet."""
    found = files.read_object(folder / "summary.json")
    environment = {name: found[name] for name in _ENVIRONMENT if name in found}
    dollars = found.get("cost", {}).get("dollars")
    status = found.get("status", "interrupted")
    return Moment(status, found.get("step", step), steps, None, dollars, None, environment, 0.0)
