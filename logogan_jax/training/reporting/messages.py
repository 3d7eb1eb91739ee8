"""What a run says to the person in front of it."""

import jax

from logogan_jax.core import timing
from logogan_jax.networks.image_sizes import base_and_doublings


def startup(config, workdir, made, start, unmeasured):
    """Model, devices and folder of a run that starts at a step; `unmeasured` says why nothing is evaluated, if so."""
    devices, (height, width, channels) = made.parallel.devices, made.train.shape
    sizes = ", ".join(
        f"{name} {sum(leaf.size for leaf in jax.tree.leaves(params)):,}" for name, params in made.state.params.items()
    )
    measured = f"{len(made.held_out):,} held out to measure against"
    (tall, wide), times = base_and_doublings((height, width))
    told = f" with {len(made.about.labels)} labels" if config.data.labels else ""
    together = f", {jax.process_count()} processes" if jax.process_count() > 1 else ""
    machine = f"{len(devices)} x {devices[0].device_kind}{together}"
    return (
        f"{config.objective.name} at {height} x {width} x {channels}, {tall} x {wide} doubled {times} times\n"
        f"{config.model.name} networks of {sizes} weights\n"
        f"batch {config.train.batch_size}, {config.train.dtype}, on {machine}\n"
        f"{len(made.train):,} images{told} to train on, {unmeasured or measured}\n"
        f"{f'Going on from step {start}' if start else 'Starting'} in {workdir}"
    )


def progress(values, pace, left, budget):
    """Pace, time left, what the run costs and losses, for the bar."""
    cost = f", ${budget.spent():,.2f} of ${budget.total(left):,.2f} spent" if budget.price else ""
    losses = ", ".join(f"{name[:-5]} {value:.3f}" for name, value in values.items() if name.endswith("/loss"))
    return f"{pace:,.0f} images/s, {timing.format_duration(left)} left{cost}, {losses}"


def best(summary):
    """The best state of a run's summary, in words; empty where none was measured."""
    if "best" not in summary:
        return ""
    step, (name, estimate) = summary["best"]["step"], next(reversed(summary["best"].items()))
    return f" Best at step {step:,}: {name} {estimate['value']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f})."


def final_message(workdir, summary):
    """How a run ended."""
    cost = f" It cost ${summary['cost']['dollars']:,.2f}." if "cost" in summary else ""
    if summary["status"] != "finished":
        done = f"{summary['status'].capitalize()} at step {summary['step']} of {summary['steps']}"
        more = "a higher --max_cost" if "--max_cost" in summary["status"] else "the same command"
        return f"{done}; {more} goes on from there.{best(summary)}{cost} Everything is in {workdir}"
    took = timing.format_duration(summary["seconds"])
    done = f"Finished {summary['steps']:,} steps in {took}.{best(summary)}{cost} Everything is in {workdir}"
    return f"{done}\nHow good they are, and whether they are copies: python -m logogan_jax.evaluate --workdir={workdir}"
