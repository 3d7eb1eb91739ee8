"""What a run prints for the person in front of it."""

import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from logogan_jax.core import timing
from logogan_jax.metrics import overfitting
from logogan_jax.networks.image_sizes import base_and_doublings
from logogan_jax.training.reporting.cost import Budget
from logogan_jax.training.reporting.log_lines import Lines


def describe_networks(objective: str, model: str, shape: tuple[int, int, int], params: Mapping[str, Any]) -> str:
    """Describe the objective, the image shape (H, W, C) and the number of weights of each network."""
    height, width, channels = shape
    # Any size is allowed: the line says where a generator starts, and how often it doubles that.
    (base_height, base_width), doublings = base_and_doublings((height, width))
    sizes = ", ".join(f"{name} {sum(leaf.size for leaf in jax.tree.leaves(tree)):,}" for name, tree in params.items())
    return (
        f"{objective} at {height} x {width} x {channels}, {base_height} x {base_width} doubled {doublings} times\n"
        f"{model} networks of {sizes} weights"
    )


def describe_devices(batch_size: int, dtype: str, devices: Sequence[Any]) -> str:
    """Describe the batch, its precision and the `jax.Device`s that share it."""
    processes = f", {jax.process_count()} processes" if jax.process_count() > 1 else ""
    return f"batch {batch_size}, {dtype}, on {len(devices)} x {devices[0].device_kind}{processes}"


def describe_data(images: int, labels: int, held_out: int, not_evaluated: str) -> str:
    """Describe the numbers of images and labels.

    `labels` is 0 for training without labels. `not_evaluated` is the reason if nothing will be evaluated, or "".
    """
    with_labels = f" with {labels} labels" if labels else ""
    evaluated = f"{held_out:,} held out to measure against"
    return f"{images:,} images{with_labels} to train on, {not_evaluated or evaluated}"


def describe_start(workdir: str | pathlib.Path, step: int) -> str:
    """Say where the run is, and the step from which it goes on."""
    return f"{f'Going on from step {step}' if step else 'Starting'} in {workdir}"


def progress(metrics: Mapping[str, float], images_per_second: float, seconds_left: float, budget: Budget) -> str:
    """Return the text of the progress bar: pace, time left, cost, and the loss of each player."""
    shown = ", ".join(f"{name} {value:.3f}" for name, value in losses(metrics).items())
    return f"{pace(images_per_second, seconds_left, budget)}, {shown}"


def pace(images_per_second: float, seconds_left: float, budget: Budget) -> str:
    """Return pace, time left, and cost as a text."""
    cost = f", ${budget.spent():,.2f} of ${budget.total(seconds_left):,.2f} spent" if budget.price else ""
    return f"{images_per_second:,.0f} images/s, {timing.format_duration(seconds_left)} left{cost}"


def losses(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the loss of each player by its name."""
    return {name.removesuffix("/loss"): value for name, value in metrics.items() if name.endswith("/loss")}


def describe_kid(line: Mapping[str, Any], kid: str) -> str:
    """Describe the kernel distance `kid` of an evaluation's log line."""
    known = f"{kid}_low" in line and f"{kid}_high" in line
    interval = f" ({line[f'{kid}_low']:.4f} to {line[f'{kid}_high']:.4f})" if known else ""
    return f"{line[kid]:.4f}{interval} at step {line['step']:,}"


def warn_of_overfitting(lines: Lines) -> str:
    """Return a warning if the newest evaluation of a log is the first one that shows an overfitting critic, or ""."""
    name = f"evaluation/{overfitting.NAME}"
    steps = [line["step"] for line in lines if line.get(f"{name}_low", 0.0) > overfitting.MUCH]
    newest = max((line["step"] for line in lines if name in line), default=None)
    if steps != [newest]:
        return ""
    value = next(line[name] for line in reversed(lines) if name in line)
    return (
        f"warning: at step {newest:,} the critic has memorised training images ({overfitting.NAME} is {value:.2f}, and "
        f"should be near 0): {overfitting.ADVICE}"
    )


def final_message(workdir: str | pathlib.Path, summary: Mapping[str, Any]) -> str:
    """Say how a run ended, from the contents of its summary.json."""
    cost = f" It cost ${summary['cost']['dollars']:,.2f}." if "cost" in summary else ""
    where = f"Everything is in {workdir}"
    if summary["status"] != "finished":
        ended = f"{summary['status'].capitalize()} at step {summary['step']} of {summary['steps']}"
        # Once the money is spent, the same command would not go on.
        command = "a higher --max_cost" if "--max_cost" in summary["status"] else "the same command"
        return f"{ended}; {command} goes on from there.{_best_step(summary)}{cost} {where}"
    duration = timing.format_duration(summary["seconds"])
    return (
        f"Finished {summary['steps']:,} steps in {duration}.{_best_step(summary)}{cost} {where}\n"
        f"How good they are, and whether they are copies: "
        f"python -m logogan_jax.evaluate --workdir={shlex.quote(str(workdir))}"
    )


def _best_step(summary: Mapping[str, Any]) -> str:
    """Describe the best state in the contents of summary.json; empty if none was evaluated."""
    if "best" not in summary:
        return ""
    best = summary["best"]
    name, estimate = next((name, value) for name, value in best.items() if name != "step")
    known = estimate["low"] is not None and estimate["high"] is not None
    interval = f" ({estimate['low']:.4f} to {estimate['high']:.4f})" if known else ""
    return f" Best at step {best['step']:,}: {name} {estimate['value']:.4f}{interval}."
