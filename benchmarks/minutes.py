"""Estimate how long each shipped config trains on a CPU, from its counted arithmetic and one measured speed.

    python benchmarks/minutes.py [NAME ...]

Counts the floating-point operations (FLOP) of a step of every config, as `python -m logogan_jax.benchmark` does. The
speed in FLOP a second is that of the run in benchmarks/results/wgan56-batch16-cpu.json, whose steps were timed. With
NAMEs of configs, only these are counted again and the other rows are kept. Writes benchmarks/results/minutes-cpu.json.
The docstrings of the configs state these times, and a test compares them.
"""

import json
from typing import Any

import jax
from record import RESULTS, ROOT, parser, write_record

from data_prep import make_logos
from logogan_jax.config import build_training, shipped
from logogan_jax.training import flops

TIMED = RESULTS / "wgan56-batch16-cpu.json"
OUT = RESULTS / "minutes-cpu.json"


def count(name: str, **changes: Any) -> tuple[int, int, int]:
    """Count the work of a shipped config, with some of its values changed.

    Returns:
        The FLOP of one step, the number of steps, and the real images that one step sees.
    """
    config = shipped.get_config(name)
    config.update_from_flattened_dict(changes)
    data = config.data
    data.dir = str(make_logos.embedded_logos(size=data.size, width=data.width, channels=data.channels))
    config.train.dtype = "float32"
    training = build_training.build(build_training.resolve(config), devices=jax.devices()[:1])
    work = flops.count_flops(training.runner.program(1), training.state, training.runner.source.at(0, 1))
    images = config.train.batch_size * training.model.objective.real_batches_per_step
    return work, config.train.steps, images


def format_minutes(minutes: float) -> str:
    """Return minutes in words, in the largest unit that fits: "3.8 days", "16 hours"."""
    for unit, length in (("days", 1440), ("hours", 60), ("minutes", 1)):
        if minutes >= 1.5 * length:
            return f"{minutes / length:.0f} {unit}" if minutes >= 10 * length else f"{minutes / length:.1f} {unit}"
    return "a minute"


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("names", nargs="*", metavar="NAME", help="configs to count again; by default all")
    again = flags.parse_args().names
    timed = json.loads(TIMED.read_text(encoding="utf-8"))
    timed_work, _, images = count("wgan56", **{"train.batch_size": 16})
    speed = timed_work * timed["images_per_second_median"] / images
    known = json.loads(OUT.read_text(encoding="utf-8"))["rows"] if again else {}
    rows = {}
    # The quickstart's name has no number: it has a record of its own.
    for name in sorted(path.stem for path in (ROOT / "configs").glob("[a-z]*[0-9].py")):
        if name in known and name not in again:
            rows[name] = known[name]
        else:
            work, steps, _ = count(name)
            rows[name] = {"flops_per_step": work, "steps": steps, "minutes": work / speed * steps / 60}
        print(name, f"{rows[name]['flops_per_step']:.3g}", format_minutes(rows[name]["minutes"]), flush=True)
    values = {"flops_per_second": speed, "of": timed["command"], "rows": rows}
    write_record("minutes-cpu", "python benchmarks/minutes.py", values)


if __name__ == "__main__":
    main()
