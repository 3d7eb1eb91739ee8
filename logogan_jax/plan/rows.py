"""An estimate as text, as a line of a table, and as JSON."""

import datetime
import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

from logogan_jax.core import timing
from logogan_jax.plan import prediction, targets
from logogan_jax.plan.estimate import Estimate, Memory

HOW = (
    "Predicted, not measured. The program that trains was compiled for the target, and its kernels were counted. A "
    f"kernel takes the longer of its traffic (at {prediction.TRAFFIC_SHARE:.0%} of the memory's rate) and its products "
    f"(at {prediction.ARITHMETIC_SHARE:.0%} of the matrix units' rate), and on a GPU "
    f"{prediction.LAUNCH_SECONDS * 1e6:g} microseconds to start; on a TPU it takes the cycles that its compiler "
    "expects. Pictures, evaluations and checkpoints come on top. cuDNN's workspace is not known before it runs."
)
_HEADER = ("target", "fits", "batch at most", "kernels", "GB a step", "ms a step", "steps/s", "hours", "$")


def describe(name: str, estimate: Estimate) -> str:
    """Return what a config needs of one target, in some lines."""
    counts = estimate.counts
    parts = estimate.prediction
    target = estimate.target
    every = estimate.devices * estimate.hosts
    hosts = f" on each of {estimate.hosts} hosts" if estimate.hosts > 1 else ""
    lines = [
        f"{name} on {estimate.devices} x {target.title}{hosts}, batch {estimate.batch_size}, {estimate.dtype}",
        f"compiles  in {estimate.compile_seconds:.0f} s on this machine",
        f"memory    {_memory(estimate.memory)}; {_fits(estimate)}",
        f"a step    {counts.kernels:,} kernels, {gigabytes(counts.bytes)} GB read and written, "
        f"{gigabytes(counts.product_bytes)} of them by kernels with products, "
        f"{estimate.flops / every / 1e12:.3g} TFLOP of products; {counts.copies:,} copies, {counts.pads:,} pads, "
        f"{counts.library_calls:,} calls into libraries, {counts.host_transfers:,} transfers to the host",
    ]
    if every > 1:
        lines.append(
            f"exchanges {counts.collectives:,} of {gigabytes(counts.exchanged_bytes)} GB in all: "
            f"{1e3 * parts.communication:.3g} ms a step, of which no kernel hides {1e3 * parts.exposed:.3g} ms"
        )
    lines += [
        f"predicted {1e3 * parts.step:.3g} ms a step, {rate(1 / parts.step)} steps/s (alone: products "
        f"{1e3 * parts.arithmetic:.3g} ms, traffic {1e3 * parts.traffic:.3g} ms, starts of kernels "
        f"{1e3 * parts.launches:.3g} ms)",
        f"the run   {estimate.steps:,} steps in {timing.format_duration(3600 * estimate.hours)}{_dollars(estimate)}",
    ]
    return "\n".join(lines)


def _memory(memory: Memory) -> str:
    return (
        f"{gigabytes(memory.needed)} GB of the {gigabytes(memory.usable)} that JAX takes of a device: state "
        f"{gigabytes(memory.state)}, images {gigabytes(memory.data)}, temporaries {gigabytes(memory.temporaries)}"
    )


def _fits(estimate: Estimate) -> str:
    largest = f"the largest batch is about {estimate.largest_batch:,}"
    if estimate.too_large:
        largest = f"batch {estimate.too_large:,} does not compile for want of memory, {largest}"
    if estimate.fits:
        return f"it fits, {largest}"
    if not estimate.largest_batch:
        return "it does not fit with any batch: use a smaller model, or another target"
    return f"it does not fit, {largest}: use --config.train.batch_size={estimate.largest_batch}"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a Markdown table of rows of `to_json`, the cheapest run first; those without a price come last."""
    ordered = sorted(rows, key=lambda row: (not row["fits"], not row["dollars"], row["dollars"] or 0, row["hours"]))
    cells = [_HEADER, tuple("---" for _ in _HEADER), *map(_cells, ordered)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    hosts = f" x {row['hosts']}" if row["hosts"] > 1 else ""
    return (
        f"{row['devices']}{hosts} x {targets.load()[row['target']].title}",
        "yes" if row["fits"] else "no",
        f"{row['largest_batch']:,}",
        f"{row['kernels']:,}",
        gigabytes(row["bytes"]),
        f"{1e3 * row['step_seconds']:.3g}",
        rate(1 / row["step_seconds"]),
        f"{row['hours']:.2f}",
        "?" if row["dollars"] is None else f"{row['dollars']:.2f}",
    )


def to_json(name: str, estimate: Estimate) -> dict[str, Any]:
    """Return a flat row: bytes and seconds in their names' units, a step's figures for one device."""
    counts = estimate.counts
    parts = estimate.prediction
    memory = estimate.memory
    return {
        "config": name,
        "target": estimate.target.name,
        "devices": estimate.devices,
        "hosts": estimate.hosts,
        "batch_size": estimate.batch_size,
        "dtype": estimate.dtype,
        "fits": estimate.fits,
        "largest_batch": estimate.largest_batch,
        "state_bytes": memory.state,
        "data_bytes": memory.data,
        "temporary_bytes": memory.temporaries,
        "usable_bytes": memory.usable,
        **vars(counts),
        "flops": estimate.flops,
        "step_seconds": parts.step,
        "arithmetic_seconds": parts.arithmetic,
        "traffic_seconds": parts.traffic,
        "launch_seconds": parts.launches,
        "communication_seconds": parts.communication,
        "exposed_seconds": parts.exposed,
        "steps": estimate.steps,
        "hours": estimate.hours,
        "dollars_per_hour": estimate.dollars_per_hour or None,
        "dollars": estimate.dollars if estimate.dollars_per_hour else None,
        "compile_seconds": estimate.compile_seconds,
        "compiler": versions(estimate.target.platform),
        "date": datetime.date.today().isoformat(),
    }


def versions(platform: str) -> dict[str, str]:
    """Return the versions of JAX and of the packages that compile for a platform."""
    names = ["jax", "jaxlib"]
    names += ["libtpu"] if platform == "tpu" else ["jax-cuda13-plugin", "nvidia-cudnn-cu13"]
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def gigabytes(nbytes: float) -> str:
    """Return bytes in units of 10^9."""
    return f"{nbytes / 1e9:.3g}"


def rate(value: float) -> str:
    """Return a number of three digits, or without a fraction."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _dollars(estimate: Estimate) -> str:
    if not estimate.dollars_per_hour:
        return "; no price is known, give --price"
    return f", ${estimate.dollars:,.2f} at ${estimate.dollars_per_hour:,.2f} an hour"
