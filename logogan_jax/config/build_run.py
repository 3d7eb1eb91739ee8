"""From a Training and a folder to what saves, measures, guards and reports a run."""

import math
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from logogan_jax.config import run_config, schedules, warm_start
from logogan_jax.config.build_training import Training
from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.distributed import data_parallel, multihost
from logogan_jax.metrics.evaluator import Evaluator
from logogan_jax.metrics.pixel_diversity import mean_pairwise_distance
from logogan_jax.training import divergence, sampling
from logogan_jax.training.checkpoints import Checkpoints
from logogan_jax.training.evaluation_monitor import EvaluationMonitor
from logogan_jax.training.nonfinite import NonFiniteRecorder
from logogan_jax.training.reporting import cost, messages, summary
from logogan_jax.training.reporting.run_log import RunLog
from logogan_jax.training.reporting.run_writer import RunWriter
from logogan_jax.training.rollback import DivergenceGuard
from logogan_jax.training.train_state import TrainState
from logogan_jax.training.workdir import Workdir, step_without_checkpoint

PICTURES = 64  # in each picture of samples/


def continue_config(config: ConfigDict, folder: pathlib.Path, init_from: str = "") -> ConfigDict:
    """Return a resolved config as it goes on with the run in a folder, if there is one; UserError if it cannot."""
    warm_start.check(folder, init_from)
    config = schedules.keep(config, folder)
    run_config.check_recipe(folder, config)
    run_config.check_devices(folder, config, jax.device_count())
    return config


def prepare_start(training: Training, folder: pathlib.Path, init_from: str) -> Training:
    """Return a Training whose step 0 is that of the run in a folder; UserError if that run has other data."""
    run_config.check_resumable(folder, training.config, training.info)
    return warm_start.prepare(training, folder, init_from)


def check_can_go_on(training: Training, checkpoints: Checkpoints, start: int, workdir: str | pathlib.Path) -> None:
    """Raise a UserError if nothing would be learnt after the step `start`, or if the disk has too little room."""
    schedules.check(training.config, start, workdir)
    multihost.run_on_primary(lambda: checkpoints.need_room(training.state, training.config.report.keep_best))


def real_pictures(training: Training) -> np.ndarray:
    """Return real images uint8[n, H, W, C], as many as a run draws, to compare its pictures with."""
    return training.train.pixels(PICTURES)


def make_snapshot(training: Training) -> Callable[[TrainState], sampling.Snapshot]:
    """Return a function from a state to its snapshot, whose pictures are always of the same latents."""
    key = prng.fold_in(jax.random.key(training.config.train.seed), prng.GRID)
    key, numbers = training.parallel.device_put((key, np.arange(PICTURES)), data_parallel.REPLICATED)
    return sampling.make_snapshot(training.model.generate, key, numbers, spread(real_pictures(training)))


def spread(pixels: np.ndarray) -> float:
    """Return the mean distance between images, or NaN where all are equal: nothing can be compared with them."""
    return float(mean_pairwise_distance(pixels)) if (pixels != pixels[:1]).any() else math.nan


def open_checkpoints(config: ConfigDict, run: Workdir) -> Checkpoints:
    """Return the checkpoints of a run; UserError if they are gone and its log is there, as after an incomplete copy."""
    multihost.run_on_primary(lambda: _check_checkpoints(run))
    return Checkpoints(run.folder / "checkpoints", config.report.keep, every=config.report.checkpoint_every)


def _check_checkpoints(run: Workdir) -> None:
    before = run_config.read(run.folder)
    if before is None or run.in_bucket:  # which may have the log of a machine that was lost before its first checkpoint
        return
    last = step_without_checkpoint(run.folder, before[0].report.checkpoint_every)
    if last:
        raise UserError(
            f"{run.folder} has the log of {last:,} steps and no checkpoint: copy the run's folder checkpoints there to "
            f"go on, or choose another --workdir to start a new run"
        )


def make_monitor(training: Training, evaluator: Evaluator | None, writer: RunWriter) -> EvaluationMonitor:
    """Return what evaluates a run and judges its log."""
    return EvaluationMonitor(
        evaluator,
        writer,
        keep_best=training.config.report.keep_best,
        max_score_gap=divergence.max_score_gap(training.train.shape),
    )


def make_guard(
    training: Training,
    folder: pathlib.Path,
    writer: RunWriter,
    monitor: EvaluationMonitor,
    checkpoints: Checkpoints,
    say: Callable[[str], None],
) -> DivergenceGuard:
    """Return what rolls a run back, or stops it, when it diverges."""

    def init_state() -> TrainState:
        with jax.transfer_guard("allow"):  # the loop allows no transfer that is not asked for
            return training.model.init_state()

    def place(state: TrainState) -> TrainState:
        return training.parallel.device_put(state, training.runner.layout)

    last = training.config.train.steps
    recorder = NonFiniteRecorder(folder / "nonfinite", training.runner, training.read_batch, last=last)
    return DivergenceGuard(
        training.config.evaluate.guard,
        writer,
        monitor,
        checkpoints,
        recorder,
        init_state=init_state,
        place=place,
        say=say,
        networks=sorted(training.config.optimizer),
    )


def startup_message(training: Training, workdir: str | pathlib.Path, start: int) -> str:
    """Return what a run prints first: model, devices, data and folder."""
    config = training.config
    labels = len(training.info.labels) if config.data.labels else 0
    shape = training.train.shape
    return "\n".join(
        [
            messages.describe_networks(config.objective.name, config.model.name, shape, training.state.params),
            messages.describe_devices(config.train.batch_size, config.train.dtype, training.parallel.devices),
            messages.describe_data(len(training.train), labels, len(training.held_out), training.not_measured),
            *([] if start else warm_start.describe(training.warm_start)),
            *schedules.remarks(config),
            messages.describe_start(workdir, start),
        ]
    )


def summary_writer(
    training: Training,
    folder: pathlib.Path,
    writer: RunWriter,
    monitor: EvaluationMonitor,
    budget: cost.Budget,
    log: RunLog,
) -> Callable[..., dict[str, Any]]:
    """Return a function (status=, step=, ...) that writes summary.json and the run's page, and returns the first.

    Its clock starts now.
    """
    began = time.perf_counter()

    def write(**ending: Any) -> dict[str, Any]:
        seconds = time.perf_counter() - began
        images = training.runner.steps_run * training.images_per_step
        content = {
            **ending,
            "steps": training.config.train.steps,
            **summary.describe_speed(images, seconds, monitor.seconds, writer.seconds),
            **monitor.summary(),
            **summary.describe_cost(budget),
            "events": writer.events,
            **summary.describe_environment(training.parallel.devices),
            "data_fingerprint": training.info.fingerprint,
        }
        summary.write(folder, content)
        log.write_page(ending["step"], ending["status"])
        return content

    return write
