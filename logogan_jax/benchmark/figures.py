"""What a benchmark measured, as lines of text: a name, a figure with its unit, a remark."""

from collections.abc import Sequence
from typing import Any


def heading(row: dict[str, Any]) -> str:
    """Return one line that says what was timed, and on which device."""
    height, width, channels = row["image"]
    steps = f"{row['steps_per_dispatch']} step{'s' if row['steps_per_dispatch'] > 1 else ''} a dispatch"
    return (
        f"{row['config']}: {row['objective']} at {height} x {width} x {channels}, {row['model']} networks, "
        f"batch {row['batch_size']}, {row['dtype']}, {steps}, {row['source']} data, "
        f"on {row['devices']} x {row['device_kind']}"
    )


def table(row: dict[str, Any]) -> str:
    """Return the figures of a row, one a line."""
    pace = row["steps_per_second"]
    seconds = row["seconds"]
    side = row["product_side"]
    dispatches = f"{pace['turns']:,} dispatch{'es' if pace['turns'] > 1 else ''}"
    lines = [
        ("steps", f"{pace['median']:.4g} steps/s", f"{_range(pace)} in {pace['repeats']} repeats of {dispatches}"),
        ("real images", f"{row['real_images_per_second']:,.4g} images/s", f"batch {row['batch_size']}"),
        *((f"{name} updates", f"{each:.4g} updates/s", "") for name, each in row["updates_per_second"].items()),
        ("arithmetic", f"{row['model_flops_per_second'] / 1e12:.4g} TFLOP/s", row["formula"]),
        ("", f"{row['model_flops_per_step'] / 1e9:,.4g} GFLOP/step", ""),
        ("square product", f"{row['product_flops_per_second'] / 1e12:.4g} TFLOP/s", f"{row['dtype']}, side {side:,}"),
        ("ratio", f"{row['share_of_product']:.1%}", "arithmetic over square product"),
        ("peak memory", f"{row['peak_bytes'] / 2**20:,.0f} MiB", f"of a device, by {row['peak_bytes_by']}"),
        ("tracing", f"{seconds['tracing']:.1f} s", ""),
        ("compiling, cold", f"{seconds['compiling_cold']:.1f} s", ""),
        ("compiling, warm", f"{seconds['compiling_warm']:.1f} s", "read from the persistent cache"),
        ("input-bound", f"{row['input_bound_share']:.1%}", "of the time: what one feed, always the same, saves"),
    ]
    if row["predicted_seconds"]:
        predicted = 1 / row["predicted_seconds"]
        remark = f"by python -m logogan_jax.plan; measured are {pace['median'] / predicted:.0%} of it"
        lines.insert(1, ("predicted", f"{predicted:.4g} steps/s", remark))
    if "dollars_per_million" in row:
        remark = f"for a million real images, at ${row['dollars_per_hour']:.2f} an hour"
        lines.append(("cost", f"${row['dollars_per_million']:.2f}", remark))
    for place, peer in enumerate(sorted(row["peers"], key=lambda peer: peer["ratio"])):
        peer_pace = peer["steps_per_second"]
        prefix = "the fastest peer: " if place == 0 < len(row["peers"]) - 1 else ""
        remark = f"{_range(peer_pace)}, {prefix}{peer['peer']}; we are {peer['ratio']:.2f} times as fast"
        lines.append((peer["name"], f"{peer_pace['median']:.4g} steps/s", remark))
    return _aligned(lines)


def scaling(rows: Sequence[dict[str, Any]]) -> str:
    """Return a line for each row; the rows differ in their number of devices alone."""
    lines = []
    for row in rows:
        name = f"{row['devices']} device{'s' if row['devices'] > 1 else ''}"
        lines.append((name, f"{row['steps_per_second']['median']:.4g} steps/s", f"efficiency {row['efficiency']:.1%}"))
    if rows[0]["platform"] == "cpu":
        lines.append(("", "", "simulated devices share the cores: their efficiency shows only the overhead"))
    return _aligned(lines)


def _range(pace: dict[str, float]) -> str:
    return f"{pace['low']:.4g} to {pace['high']:.4g}"


def _aligned(lines: Sequence[tuple[str, str, str]]) -> str:
    left = max(len(name) for name, _, _ in lines)
    return "\n".join(f"  {name:{left}}  {figure:>16}  {remark}".rstrip() for name, figure, remark in lines)
