"""What is done once in a while: a check, a line, a picture, a measurement, a checkpoint."""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logogan_jax.core import prng, timing
from logogan_jax.distributed import data_parallel, multihost
from logogan_jax.metrics.pixel_diversity import mean_pairwise_distance
from logogan_jax.training import rollback
from logogan_jax.training import train_state as states
from logogan_jax.training.metric_accumulator import Meter, summed
from logogan_jax.training.reporting import messages

PICTURES = 64


class _Look(NamedTuple):
    """The state of a step, whose own buffers the next step takes, and what is due of it, still on the devices."""

    number: int
    due: "_Due"
    state: states.State
    pixels: jax.Array
    diversity: jax.Array


class Looks:
    """Once in a while: check, log, show, measure and save a step, while the devices go on with the next."""

    def __init__(self, run, draw, number, state):
        self._run, self._draw, self._began, self._overdue = run, draw, time.perf_counter(), False
        self._begin(number, _copy(state))

    def take(self, number, state, stopped):
        """The Look at a step, which the devices have not reached yet, or None if nothing is due."""
        due = _due(self._run, number, stopped or self._overdue)
        return _Look(number, due, _copy(state), *self._draw(state)) if any(due) else None

    def settle(self, look):
        """Do what is due of a Look -> None, or (state, step) to go back to and on from."""
        run, (number, due, state, pixels, diversity) = self._run, look
        # What is not finite is dealt with before it can reach a checkpoint, what is dying once it is logged.
        broken, back = self.meter.settle(), (state, number)
        run.watch.collect()
        if broken:
            back = rollback.mourn(run, broken, self._good, number, state)
        elif due.logs:
            values = summed(self.meter.read()) | {"samples/diversity": float(jax.device_get(diversity))}
            images_per_step = run.config.train.batch_size * run.made.model.objective.real_batches_per_step
            pace_and_left = self._speed.read(number, images_per_step, run.config.train.steps)
            _log(run, number, values, pace_and_left, time.perf_counter() - self._began)
            self._heed_clocks()
            back = rollback.heed(run, number, state)
        if back[1] < number:
            self._begin(back[1], _copy(back[0]))
            return back
        self._good = number, state
        if due.measures:
            self._speed.exclude(run.watch.begin(number, state, jax.device_get(pixels)))
        if due.shows:
            run.reporter.write_image_grid(number, f"samples/{number:06d}", jax.device_get(pixels))
            run.reporter.write_plots()
        if due.saves:
            run.checkpoints.save(number, state, best=run.watch.best_steps())
            run.alarm.reset()
            self._overdue = False
        run.keep()
        return None

    def _heed_clocks(self):
        """What the first process's clock says: whether a checkpoint is overdue, and whether the money is spent."""
        run = self._run
        self._overdue, spent = multihost.run_on_primary(lambda: (run.alarm.expired(), run.budget.exhausted()))
        if spent:
            run.stop.request(f"--max_cost={run.budget.max_cost:g}")

    def _begin(self, number, state):
        self.meter, self._speed, self._good = Meter(), timing.Throughput(number), (number, state)


class _Due(NamedTuple):
    """What is done after a step."""

    logs: bool
    shows: bool
    measures: bool
    saves: bool


def _due(run, number, now):
    every, last, measures = run.config.report, run.config.train.steps, run.watch.due(number, run.config.train.steps)
    return _Due(
        logs=timing.is_due(every.log_every, number, last),
        shows=timing.is_due(every.samples_every, number, last),
        measures=measures,
        saves=measures or now or timing.is_due(every.checkpoint_every, number, last),
    )


def _log(run, number, values, pace_and_left, elapsed):
    pace, left = pace_and_left
    times = {"seconds": run.reporter.seconds + elapsed, "images_per_second": pace}
    costs = {"dollars": run.budget.spent()} if run.budget.price else {}
    run.reporter.write_scalars(number, times | costs | values)
    run.bar.update(number, messages.progress(values, pace, left, run.budget))


def pictures(made, seed):
    """A function of the state -> (pictures of the run's own latents, how diverse they are), and real images.

    The latents are always the same, at their own address; the real images' diversity is 1.
    """
    reals = made.train.pixels(PICTURES)
    real = max(float(mean_pairwise_distance(reals)), 1e-6)
    key = prng.fold_in(jax.random.key(seed), prng.GRID)
    key, numbers = made.parallel.device_put((key, np.arange(PICTURES)), data_parallel.REPLICATED)

    @jax.jit
    def draw(state, key, numbers):
        pixels = made.model.generate(state, key, numbers)
        return pixels, mean_pairwise_distance(pixels) / real

    return lambda state: draw(state, key, numbers), reals


@jax.jit
def _copy(state):
    return jax.tree.map(jnp.copy, state)
