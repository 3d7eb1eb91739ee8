"""The loop: build, restore what there is, then batch, step, and now and then a line, a picture, a checkpoint."""

import contextlib
import pathlib
import time
from collections.abc import Callable
from typing import NamedTuple

import jax

from logogan_jax.config import build_model, build_training, run_config
from logogan_jax.core import progress, timing
from logogan_jax.core.errors import Diverged
from logogan_jax.distributed import data_parallel, multihost, preemption
from logogan_jax.training import divergence, periodic_actions, rollback
from logogan_jax.training import train_state as states
from logogan_jax.training.checkpoints import Checkpoints
from logogan_jax.training.evaluation_monitor import Watch
from logogan_jax.training.reporting import cost, messages, run_writer, summary
from logogan_jax.training.step_runner import Dispatch
from logogan_jax.training.workdir import entered


class Run(NamedTuple):
    """A run under way, and where it reads, writes and listens.

    `keep` asks for a copy where the run is kept, `beginning` makes the state of step 0 anew.
    """

    config: object
    workdir: pathlib.Path
    made: build_training.Training
    checkpoints: Checkpoints
    reporter: run_writer.RunWriter
    watch: Watch
    dispatch: Dispatch
    bar: progress.Bar
    stop: preemption.StopRequest
    alarm: timing.Timer
    budget: cost.Budget
    keep: Callable
    beginning: Callable


def train(config, workdir, budget=cost.Budget()):  # noqa: B008 - a tuple
    """Train a config in a folder or bucket, from its newest checkpoint if any, to the end or to a request to stop.

    Writes everything that the README lists below `workdir`; a UserError says what the user can mend. Returns whether
    the run is as far as it should go; if not, the same call goes on.
    """
    named = workdir
    with contextlib.ExitStack() as stack:
        stack.enter_context(multihost.name_lost_processes())
        config = build_training.resolved(config)
        workdir, keep = stack.enter_context(entered(named))
        asked = stack.enter_context(preemption.StopRequest())
        made = build_training.training(config)
        stack.enter_context(contextlib.closing(made.source))
        run_config.agree(workdir, config, made.about)
        checkpoints = Checkpoints(workdir / "checkpoints", config.report.keep, every=config.report.checkpoint_every)
        stack.enter_context(contextlib.closing(checkpoints))
        start, last = checkpoints.latest() or 0, config.train.steps
        if start >= last:
            if multihost.is_primary():
                print(f"{named} is finished at step {start}; a higher --config.train.steps trains it further.")
            return True
        multihost.run_on_primary(lambda: checkpoints.need_room(made.state, config.report.keep_best))
        measure, unmeasured = build_training.evaluation_of(config, made)
        run_config.write(workdir, config, made.about)
        reporter = stack.enter_context(contextlib.closing(run_writer.RunWriter(workdir, start)))
        budget = cost.check_not_exhausted(budget._replace(spent_before=reporter.dollars), named)
        watch = Watch(
            measure, reporter, period=build_training.evaluation_period(config, made), best=config.report.keep_best,
            largest_gap=divergence.largest_gap(made.train.shape),
        )  # fmt: skip
        stack.enter_context(contextlib.closing(watch))
        bar = progress.Bar("step", last, start, unit="steps", quiet=not multihost.is_primary())
        stack.enter_context(bar)
        bar.say(_startup_message(config, made, unmeasured))
        bar.say(messages.describe_start(named, start))
        dispatch = Dispatch(made.program, bar.say, last - start)
        alarm = timing.Timer(config.report.checkpoint_minutes)
        beginning = lambda: build_model.of(config, made.about).state
        run = Run(
            config, workdir, made, checkpoints, reporter, watch, dispatch, bar, asked, alarm, budget, keep, beginning
        )
        result = _go(run, start, last)
    if multihost.is_primary():
        print(messages.final_message(named, result))
    return not result["status"].startswith("stopped by SIG")


def _go(run, start, last):
    """Loop from a step on and write summary.json, however that ends -> the summary."""
    current = run.made.state
    if start:
        current = run.made.parallel.device_put(run.checkpoints.restore(start, current), data_parallel.REPLICATED)
    began = time.perf_counter()
    try:
        current, number = _loop(run, rollback.lowered(run, current), start)
    except Diverged as error:
        step = run.reporter.events[-1]["step"]
        seconds = time.perf_counter() - began
        _write_summary(run, seconds, status="diverged", step=step, reason=str(error))
        raise
    run.checkpoints.wait()
    status = "finished" if number >= last else f"stopped by {run.stop.reason}"
    seconds = time.perf_counter() - began
    return _write_summary(run, seconds, status=status, step=number, state_sha256=states.digest(current))


def _startup_message(config, training, not_evaluated):
    labels = len(training.about.labels) if config.data.labels else 0
    return "\n".join(
        (
            messages.describe_networks(
                config.objective.name, config.model.name, training.train.shape, training.state.params
            ),
            messages.describe_devices(config.train.batch_size, config.train.dtype, training.parallel.devices),
            messages.describe_data(len(training.train), labels, len(training.held_out), not_evaluated),
        )
    )


def _write_summary(run, seconds, **ending):
    images = run.dispatch.done * run.config.train.batch_size * run.made.model.objective.real_batches_per_step
    contents = {
        **ending,
        "steps": run.config.train.steps,
        **summary.describe_speed(images, seconds, run.watch.seconds, run.reporter.seconds),
        **run.watch.summary(),
        **summary.describe_cost(run.budget),
        "events": run.reporter.events,
        **summary.describe_environment(run.made.parallel.devices),
        "data_fingerprint": run.made.about.fingerprint,
    }
    summary.write(run.workdir, contents)
    return contents


def _loop(run, current, number):
    """Steps from `number` until the last or a request to stop -> (state, number of steps done)."""
    made, watch, last, stopped = run.made, run.watch, run.config.train.steps, run.stop.requested(number)
    draw, reals = periodic_actions.pictures(made, run.config.train.seed)
    if number == 0:
        run.reporter.write_image_grid(0, "reals", reals)
    with jax.transfer_guard("disallow"):
        if watch.owes(number, last):
            watch.begin(number, current, jax.device_get(draw(current)[0]))
        once, look = periodic_actions.Looks(run, draw, number, current), None
        while look or (number < last and not stopped):
            # The devices take up the next steps before the host looks at the last ones; an evaluation has them alone.
            going = number < last and not stopped and not (look and look.due.measures)
            if going:
                # Batch and step. Counting from multiples makes a resumed run dispatch the same programs.
                count = min(made.per_dispatch - number % made.per_dispatch, last - number)
                following, metrics = run.dispatch(count, current, made.source.at(number, count))
            back, look = look and once.settle(look), None
            if back:
                current, number = back
            elif going:
                current = following
                once.meter.add(number, metrics)
                number += count
                run.bar.update(number)
                stopped = run.stop.requested(number)
                look = once.take(number, current, stopped)
    watch.collect()
    run.reporter.write_plots()
    return current, number
