"""The loop: build, restore what there is, then batch, step, and now and then a line, a picture, a checkpoint."""

import contextlib
import pathlib
import time
from collections.abc import Callable
from typing import NamedTuple

import jax

from logogan_jax import (
    build,
    checkpoint,
    clock,
    cost,
    guard,
    hosts,
    looks,
    parallel,
    progress,
    recipe,
    report,
    rescue,
    stop,
    summary,
    words,
)
from logogan_jax import state as states
from logogan_jax.dispatch import Dispatch
from logogan_jax.errors import Diverged
from logogan_jax.watch import Watch
from logogan_jax.workdir import entered


class Run(NamedTuple):
    """A run under way, and where it reads, writes and listens; `keep` asks for a copy where the run is kept."""

    config: object
    workdir: pathlib.Path
    made: build.Training
    checkpoints: checkpoint.Checkpoints
    reporter: report.Reporter
    watch: Watch
    dispatch: Dispatch
    bar: progress.Bar
    stop: stop.StopRequest
    alarm: clock.Alarm
    purse: cost.Purse
    keep: Callable


def train(config, workdir, purse=cost.Purse()):  # noqa: B008 - a tuple
    """Train a config in a folder or bucket, from its newest checkpoint if any, to the end or to a request to stop.

    Writes everything that the README lists below `workdir`; a UserError says what the user can mend. Returns whether
    the run is as far as it should go; if not, the same call goes on.
    """
    named = workdir
    with contextlib.ExitStack() as stack:
        stack.enter_context(hosts.losses_named())
        config = build.resolved(config)
        workdir, keep = stack.enter_context(entered(named))
        asked = stack.enter_context(stop.StopRequest())
        made = build.training(config)
        stack.enter_context(contextlib.closing(made.source))
        recipe.agree(workdir, config, made.about)
        checkpoints = checkpoint.Checkpoints(
            workdir / "checkpoints", config.report.keep, every=config.report.checkpoint_every
        )
        stack.enter_context(contextlib.closing(checkpoints))
        start, last = checkpoints.latest() or 0, config.train.steps
        if start >= last:
            if hosts.leads():
                print(f"{named} is finished at step {start}; a higher --config.train.steps trains it further.")
            return True
        hosts.told(lambda: checkpoints.need_room(made.state, config.report.keep_best))
        measure, unmeasured = build.evaluation_of(config, made)
        recipe.write(workdir, config, made.about)
        reporter = stack.enter_context(contextlib.closing(report.Reporter(workdir, start)))
        purse = cost.checked(purse._replace(before=reporter.dollars), named)
        watch = Watch(
            measure, reporter, period=build.evaluation_period(config, made), best=config.report.keep_best,
            largest_gap=guard.largest_gap(made.train.shape),
        )  # fmt: skip
        stack.enter_context(contextlib.closing(watch))
        bar = progress.Bar("step", last, start, unit="steps", quiet=not hosts.leads())
        stack.enter_context(bar)
        bar.say(words.greeting(config, named, made, start, unmeasured))
        dispatch = Dispatch(made.program, bar.say, last - start)
        alarm = clock.Alarm(config.report.checkpoint_minutes)
        run = Run(config, workdir, made, checkpoints, reporter, watch, dispatch, bar, asked, alarm, purse, keep)
        result = _go(run, start, last)
    if hosts.leads():
        print(words.farewell(named, result))
    return not result["status"].startswith("stopped by SIG")


def _go(run, start, last):
    """Loop from a step on and write summary.json, however that ends -> the summary."""
    current = run.made.state
    if start:
        current = run.made.parallel.place(run.checkpoints.restore(start, current), parallel.WHOLE)
    began = time.perf_counter()
    try:
        current, number = _loop(run, rescue.lowered(run, current), start)
    except Diverged as error:
        step = run.reporter.events[-1]["step"]
        seconds = time.perf_counter() - began
        summary.write(run, seconds, status="diverged", step=step, reason=str(error))
        raise
    run.checkpoints.wait()
    status = "finished" if number >= last else f"stopped by {run.stop.by}"
    seconds = time.perf_counter() - began
    return summary.write(run, seconds, status=status, step=number, state_sha256=states.digest(current))


def _loop(run, current, number):
    """Steps from `number` until the last or a request to stop -> (state, number of steps done)."""
    made, watch, last, stopped = run.made, run.watch, run.config.train.steps, run.stop.reached(number)
    draw, reals = looks.pictures(made, run.config.train.seed)
    if number == 0:
        run.reporter.sheet(0, "reals", reals)
    with jax.transfer_guard("disallow"):
        if watch.owes(number, last):
            watch.begin(number, current, jax.device_get(draw(current)[0]))
        once, look = looks.Looks(run, draw, number, current), None
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
                stopped = run.stop.reached(number)
                look = once.take(number, current, stopped)
    watch.collect()
    run.reporter.curves()
    return current, number
