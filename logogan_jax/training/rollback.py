"""What is done about a run that is dying: warn, go back once with a lower rate, stop."""

import jax
import numpy as np

from logogan_jax.core.errors import Diverged
from logogan_jax.distributed import data_parallel
from logogan_jax.training import divergence, nonfinite

ADVICE = (
    "lower config.optimizer.critic.learning_rate and config.optimizer.generator.learning_rate, and train "
    "in another --workdir"
)


def heed(run, number, state):
    """Warn of what the log shows at a step and act on what has lasted -> (state, step) to go on from."""
    if run.config.evaluate.guard == "off":
        return state, number
    signs = run.watch.signs()
    for sign in signs:
        if sign.name not in _warned(run.reporter.events):
            run.reporter.write_event(number, "warn", sign=sign.name, reason=sign.reason)
            run.bar.say(f"Warning at step {number:,}: {sign.reason}.")
    if run.config.evaluate.guard == "on" and signs and signs[0].lasting:
        return _act(run, number, state, f"step {number}: {signs[0].reason}")
    return state, number


def mourn(run, broken, good, number, state):
    """Keep the step whose number is not finite, then act -> (state, step) to go on from."""
    again = "-again" if _rolled_back(run.reporter.events) else ""
    folder = nonfinite.keep(run, good, broken, f"{broken.step:06d}{again}")
    run.bar.say(f"What made it is in {folder}: python -m logogan_jax.replay --workdir={run.workdir}")
    if run.config.evaluate.guard == "on":
        return _act(run, number, state, str(broken))
    return _stop(run, number, f"{broken}: training has diverged")


def lowered(run, state):
    """A restored state, with the rate of a run that has been rolled back."""
    if not _rolled_back(run.reporter.events):
        return state
    return state._replace(rate=run.made.parallel.device_put(np.float32(divergence.LOWER), data_parallel.REPLICATED))


def _act(run, number, state, reason):
    if _rolled_back(run.reporter.events):
        return _stop(run, number, f"{reason}, once more")
    kept = run.checkpoints.steps()
    # A checkpoint that a clock or a stop asked for is none to go back to: what is done here depends on no clock.
    kept = [step for step in kept if step in run.watch.best_steps() or step % run.config.report.checkpoint_every == 0]
    back = next((step for step in run.watch.best_steps() if step in kept), kept[-1] if kept else 0)
    # Newer states go first: whoever is killed between these lines finds an old run that will be judged again.
    if back:
        state = run.made.parallel.device_put(run.checkpoints.back_to(back, state), data_parallel.REPLICATED)
    else:
        state = _beginning(run)
    run.reporter.truncate_after(back)
    run.watch.forget()
    run.reporter.write_event(number, "roll back", to=back, rate=divergence.LOWER, reason=reason)
    run.bar.say(f"{reason}. Going back to step {back:,} with {divergence.LOWER} times the learning rates.")
    return lowered(run, state), back


def _beginning(run):
    with jax.transfer_guard("allow"):
        return run.made.parallel.device_put(run.beginning(), data_parallel.REPLICATED)


def _stop(run, number, reason):
    run.reporter.write_event(number, "stop", reason=reason)
    raise Diverged(f"{reason}: {ADVICE}")


def _warned(events):
    """Signs that were warned of since the last roll-back."""
    since = max((i + 1 for i, event in enumerate(events) if event["action"] == "roll back"), default=0)
    return {event["sign"] for event in events[since:] if event["action"] == "warn"}


def _rolled_back(events):
    return any(event["action"] == "roll back" for event in events)
