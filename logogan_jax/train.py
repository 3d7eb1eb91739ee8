"""The loop: build, restore what there is, then batch, step, and now and then a line, a picture, a checkpoint."""

import contextlib
import pathlib
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax import (
    build,
    checkpoint,
    clock,
    guard,
    keys,
    parallel,
    progress,
    recipe,
    report,
    rescue,
    summary,
    words,
)
from logogan_jax import state as states
from logogan_jax.dispatch import Dispatch
from logogan_jax.errors import Diverged
from logogan_jax.meter import Meter, summed
from logogan_jax.metrics.spread import spread
from logogan_jax.watch import Watch
from logogan_jax.workdir import owned

PICTURES = 64


class Run(NamedTuple):
    """A run under way, and where it reads, writes and listens."""

    config: object
    workdir: pathlib.Path
    made: build.Training
    checkpoints: checkpoint.Checkpoints
    reporter: report.Reporter
    watch: Watch
    dispatch: Dispatch
    bar: progress.Bar
    stop: checkpoint.StopRequest


def train(config, workdir):
    """Train a config in a folder, from its newest checkpoint if it has one, to the end or to a request to stop.

    Writes everything that the README lists below `workdir`; a UserError says what the user can mend.
    """
    workdir = pathlib.Path(workdir).expanduser()
    config = build.resolved(config)
    with contextlib.ExitStack() as stack:
        stack.enter_context(owned(workdir))
        stop = stack.enter_context(checkpoint.StopRequest())
        made = build.training(config)
        stack.enter_context(contextlib.closing(made.source))
        recipe.agree(workdir, config, made.about)
        checkpoints = checkpoint.Checkpoints(workdir / "checkpoints", config.report.keep)
        stack.enter_context(contextlib.closing(checkpoints))
        start, last = checkpoints.latest() or 0, config.train.steps
        if start >= last:
            print(f"{workdir} is finished at step {start}; a higher --config.train.steps trains it further.")
            return
        checkpoints.need_room(made.state, config.report.keep_best)
        measure, unmeasured = build.evaluation_of(config, made)
        recipe.write(workdir, config, made.about)
        reporter = stack.enter_context(contextlib.closing(report.Reporter(workdir, start)))
        watch = Watch(
            measure, reporter, period=build.evaluation_period(config, made), best=config.report.keep_best,
            largest_gap=guard.largest_gap(made.train.shape),
        )  # fmt: skip
        stack.enter_context(contextlib.closing(watch))
        bar = stack.enter_context(progress.Bar("step", last, start, unit="steps"))
        bar.say(words.greeting(config, workdir, made, start, unmeasured))
        dispatch = Dispatch(made.program, bar.say, last - start)
        run = Run(config, workdir, made, checkpoints, reporter, watch, dispatch, bar, stop)
        result = _go(run, start, last)
    print(words.farewell(workdir, result))


def _go(run, start, last):
    """Loop from a step on and write summary.json, however that ends -> the summary."""
    current = run.checkpoints.restore(start, run.made.state) if start else run.made.state
    began = time.perf_counter()
    try:
        current, number = _loop(run, rescue.lowered(run, current), start)
    except Diverged as error:
        step = run.reporter.events[-1]["step"]
        seconds = time.perf_counter() - began
        summary.write(run, seconds, status="stopped by the guard", step=step, reason=str(error))
        raise
    run.checkpoints.wait()
    status = "finished" if number >= last else f"stopped by {run.stop.by}"
    seconds = time.perf_counter() - began
    return summary.write(run, seconds, status=status, step=number, state_sha256=states.digest(current))


def _loop(run, current, number):
    """Steps from `number` until the last or a request to stop -> (state, number of steps done)."""
    made, watch, last, stopped = run.made, run.watch, run.config.train.steps, bool(run.stop)
    draw, reals = _pictures(made, run.config.train.seed)
    if number == 0:
        run.reporter.sheet(0, "reals", reals)
    with jax.transfer_guard("disallow"):
        if watch.owes(number, last):
            watch.begin(number, current, jax.device_get(draw(current)[0]))
        looks, look = _Looks(run, draw, number, current), None
        while look or (number < last and not stopped):
            # The devices take up the next steps before the host looks at the last ones; an evaluation has them alone.
            going = number < last and not stopped and not (look and look.due.measures)
            if going:
                # Batch and step. Counting from multiples makes a resumed run dispatch the same programs.
                count = min(made.per_dispatch - number % made.per_dispatch, last - number)
                following, metrics = run.dispatch(count, current, made.source.at(number, count))
            back, look = look and looks.settle(look), None
            if back:
                current, number = back
            elif going:
                current = following
                looks.meter.add(number, metrics)
                number += count
                run.bar.update(number)
                stopped = bool(run.stop)
                due = _due(run, number, stopped)
                look = looks.take(number, due, current) if any(due) else None
    watch.collect()
    run.reporter.curves()
    return current, number


class _Look(NamedTuple):
    """The state of a step, whose own buffers the next step takes, and what is due of it, still on the devices."""

    number: int
    due: "_Due"
    state: states.State
    pixels: jax.Array
    diversity: jax.Array


class _Looks:
    """Once in a while: check, log, show, measure and save a step, while the devices go on with the next."""

    def __init__(self, run, draw, number, state):
        self._run, self._draw, self._began = run, draw, time.perf_counter()
        self._begin(number, _copy(state))

    def take(self, number, due, state):
        """The Look at a step, which the devices have not reached yet."""
        return _Look(number, due, _copy(state), *self._draw(state))

    def settle(self, look):
        """Do what is due of a Look -> None, or (state, step) to go back to and on from."""
        run, (number, due, state, pixels, diversity) = self._run, look
        # What is not finite is dealt with before it can reach a checkpoint, what is dying once it is logged.
        broken, back = self.meter.settle(), (state, number)
        run.watch.collect()
        if broken:
            back = rescue.mourn(run, broken, self._good, number, state)
        elif due.logs:
            values = summed(self.meter.read()) | {"samples/diversity": float(jax.device_get(diversity))}
            images_per_step = run.config.train.batch_size * run.made.model.objective.real_batches
            pace_and_left = self._speed.read(number, images_per_step, run.config.train.steps)
            _log(run, number, values, pace_and_left, time.perf_counter() - self._began)
            back = rescue.heed(run, number, state)
        if back[1] < number:
            self._begin(back[1], _copy(back[0]))
            return back
        self._good = number, state
        if due.measures:
            self._speed.pause(run.watch.begin(number, state, jax.device_get(pixels)))
        if due.shows:
            run.reporter.sheet(number, f"samples/{number:06d}", jax.device_get(pixels))
            run.reporter.curves()
        if due.saves:
            run.checkpoints.save(number, state, best=run.watch.best_steps())
        return None

    def _begin(self, number, state):
        self.meter, self._speed, self._good = Meter(), clock.Throughput(number), (number, state)


class _Due(NamedTuple):
    """What is done after a step."""

    logs: bool
    shows: bool
    measures: bool
    saves: bool


def _due(run, number, stopped):
    every, last, measures = run.config.report, run.config.train.steps, run.watch.due(number, run.config.train.steps)
    return _Due(
        logs=clock.every(every.log_every, number, last),
        shows=clock.every(every.samples_every, number, last),
        measures=measures,
        saves=measures or stopped or clock.every(every.checkpoint_every, number, last),
    )


def _log(run, number, values, pace_and_left, elapsed):
    pace, left = pace_and_left
    times = {"seconds": run.reporter.seconds + elapsed, "images_per_second": pace}
    run.reporter.scalars(number, times | values)
    run.bar.update(number, words.line(values, pace, left))


def _pictures(made, seed):
    """A function of the state -> (pictures of the run's own latents, how diverse they are), and real images.

    The latents are always the same, at their own address; the real images' diversity is 1.
    """
    reals = made.train.pixels(PICTURES)
    real = max(float(spread(reals)), 1e-6)
    key = keys.at(jax.random.key(seed), keys.GRID)
    key, numbers = made.parallel.place((key, np.arange(PICTURES)), parallel.WHOLE)

    @jax.jit
    def draw(state, key, numbers):
        pixels = made.model.generate(state, key, numbers)
        return pixels, spread(pixels) / real

    return lambda state: draw(state, key, numbers), reals


@jax.jit
def _copy(state):
    return jax.tree.map(jnp.copy, state)
