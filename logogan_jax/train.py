"""The loop: build, restore what there is, then batch, step, and now and then a line, a picture, a checkpoint."""

import contextlib
import pathlib
import platform
import time

import jax
import numpy as np

import logogan_jax
from logogan_jax import build, checkpoint, clock, estimate, files, keys, parallel, progress, recipe, report, state
from logogan_jax.meter import Meter, summed
from logogan_jax.workdir import owned

PICTURES = 64
QUICK = "python -m logogan_jax.main --config=configs/quickstart.py"


def train(config, workdir):
    """Train a config in a folder, from its newest checkpoint if it has one, to the end or to a request to stop.

    Writes everything that the README lists below `workdir`; a UserError says what the user can mend.
    """
    workdir = pathlib.Path(workdir).expanduser()
    config = build.resolved(config)
    with contextlib.ExitStack() as stack:
        stack.enter_context(owned(workdir))
        stop = stack.enter_context(checkpoint.StopRequest())
        checkpoints = checkpoint.Checkpoints(workdir / "checkpoints", config.report.keep)
        stack.enter_context(contextlib.closing(checkpoints))
        made = build.training(config)
        stack.enter_context(contextlib.closing(made.source))
        recipe.agree(workdir, config, made.fingerprint)
        recipe.write(workdir, config, made.fingerprint)
        start, last = checkpoints.latest() or 0, config.train.steps
        if start >= last:
            print(f"{workdir} is finished at step {start}; a higher --config.train.steps trains it further.")
            return
        checkpoints.need_room(made.state)
        current = checkpoints.restore(start, made.state) if start else made.state
        reporter = stack.enter_context(contextlib.closing(report.Reporter(workdir, start)))
        bar = stack.enter_context(progress.Bar("step", last, start, unit="steps"))
        bar.say(_greeting(config, workdir, made, start))
        began = time.perf_counter()
        current, number = _loop(config, made, checkpoints, reporter, bar, stop, current, start)
        checkpoints.wait()
        elapsed = time.perf_counter() - began
        images = (number - start) * config.train.batch_size * made.model.objective.real_batches
        result = _summary(made, current, number, last, stop.by)
        result |= {"seconds": reporter.seconds + elapsed, "images_per_second": images / elapsed}
        files.write_json(workdir / "summary.json", result)
    print(_farewell(workdir, result))


def _loop(config, made, checkpoints, reporter, bar, stop, current, start):
    """Steps from `start` until the last or a request to stop -> (state, number of steps done)."""
    last, every, number = config.train.steps, config.report, start
    images_per_step = config.train.batch_size * made.model.objective.real_batches
    sheet = _sheet(made, config.train.seed)
    meter, speed, began = Meter(), clock.Throughput(start), time.perf_counter()
    dispatch = _Dispatch(made, bar, last - start)
    if start == 0:
        reporter.sheet(0, "reals", made.reals(PICTURES))
    with jax.transfer_guard("disallow"):
        while number < last and not stop:
            # Batch and step. Counting from multiples makes a resumed run dispatch the same programs.
            count = min(made.per_dispatch - number % made.per_dispatch, last - number)
            current, metrics = dispatch(count, current, made.source.at(number, count))
            meter.add(number, metrics)
            number += count
            bar.update(number)
            # Once in a while: log. What is not finite stops the run before it can reach a checkpoint.
            logs = clock.every(every.log_every, number, last)
            shows = clock.every(every.samples_every, number, last)
            saves = clock.every(every.checkpoint_every, number, last) or stop
            if logs or shows or saves:
                meter.settle(_advice(checkpoints))
            if logs:
                values = summed(meter.read())
                pace, left = speed.read(number, images_per_step, last)
                elapsed = reporter.seconds + time.perf_counter() - began
                reporter.scalars(number, {"seconds": elapsed, "images_per_second": pace, **values})
                bar.update(number, _line(values, pace, left))
            # Once in a while: show.
            if shows:
                reporter.sheet(number, f"samples/{number:06d}", jax.device_get(sheet(current)))
                reporter.curves()
            # Once in a while: save.
            if saves:
                checkpoints.save(number, current)
    return current, number


class _Dispatch:
    """Runs programs by number of steps, one ahead of the devices; the first of each size is compiled."""

    def __init__(self, made, bar, steps):
        self._made, self._bar, self._steps = made, bar, steps
        self._compiled, self._before = {}, None

    def __call__(self, count, current, feed):
        if count not in self._compiled:
            self._compiled[count] = self._compile(count, current, feed)
        result = self._compiled[count](current, feed)
        # The host stays at most one dispatch ahead, so that a request to stop is heard at once.
        jax.block_until_ready(self._before)
        self._before = result[1]
        return result

    def _compile(self, count, current, feed):
        lowered = self._made.program(count).lower(current, feed)
        if jax.default_backend() == "cpu" and not self._compiled:
            with jax.transfer_guard("allow"):
                seconds = estimate.seconds(lowered.cost_analysis()["flops"] / count)
            total = seconds * self._steps
            hint = f" Logos in minutes: {QUICK}" if total > 3600 else ""
            self._bar.say(f"On this CPU {self._steps:,} steps should take about {clock.spoken(total)}.{hint}")
        began = time.perf_counter()
        compiled = lowered.compile()
        self._bar.say(f"Compiled in {clock.spoken(time.perf_counter() - began)}.")
        return compiled


def _sheet(made, seed):
    """A function of the state that draws the run's own latents: always the same, at their own address."""
    key = keys.at(jax.random.key(seed), keys.GRID)
    key, numbers = made.parallel.place((key, np.arange(PICTURES)), parallel.WHOLE)
    return lambda current: made.model.generate(current, key, numbers)


def _advice(checkpoints):
    newest = checkpoints.latest()
    kept = f"The checkpoint of step {newest} is good" if newest else "No checkpoint was made yet"
    return f"{kept}; lower config.optimizer.critic.learning_rate and config.optimizer.generator.learning_rate"


def _greeting(config, workdir, made, start):
    devices, side = made.parallel.devices, config.data.size
    sizes = ", ".join(
        f"{name} {sum(leaf.size for leaf in jax.tree.leaves(params)):,}" for name, params in made.state.params.items()
    )
    return (
        f"{config.objective.name} at {side} x {side} x {config.data.channels}, weights: {sizes}\n"
        f"batch {config.train.batch_size}, {config.train.dtype}, on {len(devices)} x {devices[0].device_kind}\n"
        f"{f'Going on from step {start}' if start else 'Starting'} in {workdir}"
    )


def _line(values, pace, left):
    losses = ", ".join(f"{name[:-5]} {value:.3f}" for name, value in values.items() if name.endswith("/loss"))
    return f"{pace:,.0f} images/s, {clock.spoken(left)} left, {losses}"


def _summary(made, current, number, last, stopped_by):
    device = made.parallel.devices[0]
    return {
        "status": "finished" if number >= last else f"stopped by {stopped_by}",
        "step": number,
        "steps": last,
        "devices": len(made.parallel.devices),
        "device_kind": device.device_kind,
        "versions": {
            "logogan_jax": logogan_jax.__version__,
            "python": platform.python_version(),
            "jax": jax.__version__,
        },
        "data_fingerprint": made.fingerprint,
        "state_sha256": state.digest(current),
    }


def _farewell(workdir, result):
    if result["status"] != "finished":
        done = f"{result['status'].capitalize()} at step {result['step']} of {result['steps']}"
        return f"{done}; the same command goes on from there. Everything is in {workdir}"
    return f"Finished {result['steps']:,} steps in {clock.spoken(result['seconds'])}. Everything is in {workdir}"
