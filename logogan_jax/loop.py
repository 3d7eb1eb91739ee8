"""The training loop: build, restore, then step after step; log, evaluate, sample and save now and then."""

import contextlib
import pathlib
from collections.abc import Callable, Sequence

import jax
from ml_collections import ConfigDict

from logogan_jax.config import build_run, memory, report_page, run_config, schedules, warm_start
from logogan_jax.config.build_training import Training, build, resolve
from logogan_jax.core import timing
from logogan_jax.core.errors import Diverged
from logogan_jax.distributed import data_parallel, multihost, preemption
from logogan_jax.training import train_state
from logogan_jax.training.checkpoints import Checkpoints
from logogan_jax.training.evaluation_monitor import EvaluationMonitor
from logogan_jax.training.limits import Limits
from logogan_jax.training.metric_accumulator import MetricAccumulator, join_gradient_norms
from logogan_jax.training.reporting import cost, messages
from logogan_jax.training.reporting.run_log import RunLog
from logogan_jax.training.reporting.run_writer import Callback, RunWriter
from logogan_jax.training.reporting.screen import Screen
from logogan_jax.training.rollback import DivergenceGuard
from logogan_jax.training.schedule import Schedule
from logogan_jax.training.train_state import TrainState
from logogan_jax.training.workdir import open_workdir


def train(
    config: ConfigDict, workdir: str | pathlib.Path, budget: cost.Budget = cost.Budget(), init_from: str = "",  # noqa: B008
    callbacks: Sequence[Callback] = (),
) -> bool:  # fmt: skip
    """Train a config in a folder or bucket, from its newest checkpoint, to the end or to a request to stop.

    Writes what the README lists into `workdir`; a UserError says what the user can mend. A new run starts from the
    weights of the run or archive `init_from`, if one is given. Callbacks are those of RunWriter.

    Returns whether the run is as far as it should go; if not, the same call goes on.
    """
    config = resolve(config)
    with memory.name_settings(config), multihost.name_lost_processes(), contextlib.ExitStack() as stack:
        enter = stack.enter_context
        run = enter(open_workdir(workdir))
        stop = enter(preemption.StopRequest())
        config = build_run.continue_config(config, run.folder, init_from)
        screen = Screen(config.train.steps, silent=not multihost.is_primary())

        # Build what the config describes, and restore the newest checkpoint.
        training = build(config, say=screen.say, warn=screen.warn)
        enter(contextlib.closing(training.runner.source))
        training = build_run.prepare_start(training, run.folder, init_from)
        checkpoints = enter(contextlib.closing(build_run.open_checkpoints(config, run)))
        restored = checkpoints.restore_newest(training.state, screen.warn)
        start = restored.step if restored else 0
        if start >= config.train.steps:
            return _say_finished(workdir, start, frozen=schedules.frozen(config, start))
        build_run.check_can_go_on(training, checkpoints, start, workdir)
        evaluator = training.make_evaluator()
        run_config.write(run.folder, config, training.info, training.warm_start)

        # What writes, measures and guards the run.
        writer = enter(contextlib.closing(RunWriter(run.folder, start, screen.warn, callbacks)))
        budget = cost.check_not_exhausted(budget._replace(spent_before=writer.dollars), workdir)
        log = enter(report_page.make_log(training, run.folder, writer, screen, budget, start))
        monitor = enter(contextlib.closing(build_run.make_monitor(training, evaluator, writer)))
        guard = build_run.make_guard(training, run.folder, writer, monitor, checkpoints, screen.warn)
        limits = Limits(stop, budget, timing.Timer(config.report.checkpoint_minutes))

        # Compile, then train.
        enter(screen)
        screen.say(build_run.startup_message(training, workdir, start))
        finish = build_run.summary_writer(training, run.folder, writer, monitor, budget, log)
        state = guard.first_state(restored, training.state if restored else warm_start.first_state(training))
        training.runner.compile(state, start, config.train.steps)
        if start == 0:
            log.write_pictures(0, "reals", build_run.real_pictures(training))
        try:
            state, step = train_loop(training, state, start, log, limits, monitor, guard, checkpoints, run.sync)
        except Diverged as error:
            finish(status="diverged", step=writer.events[-1]["step"], reason=str(error))
            raise
        checkpoints.wait()
        status = "finished" if step >= config.train.steps else f"stopped by {stop.reason}"
        result = finish(status=status, step=step, state_sha256=train_state.digest(data_parallel.make_readable(state)))
    screen.end(messages.final_message(workdir, result))
    return not status.startswith("stopped by SIG")


def train_loop(
    training: Training, state: TrainState, start: int, log: RunLog, limits: Limits, monitor: EvaluationMonitor,
    guard: DivergenceGuard, checkpoints: Checkpoints, sync: Callable[[], None],
) -> tuple[TrainState, int]:  # fmt: skip
    """Train from a step to the last, or to a request to stop; return the state and the number of steps done."""
    schedule = Schedule(training.periods, training.config.train.steps)
    accumulator = MetricAccumulator()
    take_snapshot = build_run.make_snapshot(training)
    with jax.transfer_guard("disallow"):
        good = (start, take_snapshot(state))  # the last step whose numbers were all finite
        if schedule.evaluate(start) and not monitor.measured(start):  # the run ended before it could say how
            monitor.start(start, good[1].state, good[1].pixels)
        log.restart(start)
        for step, metrics, snapshot in training.runner.lookahead(state, start, schedule, limits, take_snapshot):
            log.advance(step)
            accumulator.add(step, metrics)
            if snapshot is None:
                continue
            if monitor.log_finished():
                log.evaluated(step)

            # Check: a number that is not finite is dealt with before it can reach a checkpoint.
            rollback = None
            if bad := accumulator.fetch():
                rollback = guard.after_non_finite(bad, step, snapshot.state, good[0], good[1].state)

            # Log the means since the last line, then look whether the run diverges.
            elif schedule.log(step):
                diversity = float(jax.device_get(snapshot.diversity))
                log.write(step, join_gradient_norms(accumulator.mean()) | {"samples/diversity": diversity})
                rollback = guard.check(step, snapshot.state)
            if schedule.clocks(step):
                limits.check(schedule)
            if rollback:
                training.runner.restart(rollback.state, rollback.step)
                accumulator.clear()
                log.restart(rollback.step)
                good = (rollback.step, take_snapshot(rollback.state))
                continue
            good = (step, snapshot)

            # Evaluate: the devices draw and embed pictures, a thread measures them meanwhile.
            if schedule.evaluate(step):
                log.exclude(monitor.start(step, snapshot.state, snapshot.pixels))

            # Sample the same latents as always.
            if schedule.sample(step):
                log.write_pictures(step, f"samples/{step:06d}", jax.device_get(snapshot.pixels))
                log.write_plots()
                log.write_page(step)

            # Save.
            if schedule.checkpoint(step):
                checkpoints.save(step, snapshot.state, best=guard.steps_to_keep())
                limits.saved(schedule)
            sync()
    monitor.log_finished()
    log.write_plots()
    return training.runner.state, training.runner.step


def _say_finished(workdir: str | pathlib.Path, step: int, *, frozen: bool) -> bool:
    if multihost.is_primary():
        further = "its learning rates have fallen to 0" if frozen else "a higher --config.train.steps trains it further"
        print(f"{workdir} is finished at step {step}; {further}.")
    return True
