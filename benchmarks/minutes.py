"""How long each shipped config takes on a CPU: its counted arithmetic at the pace that was measured for one of them.

    python benchmarks/minutes.py

Names of configs after it count these again and keep the others' rows.

Counts the floating-point operations of a step of every config as `python -m logogan_jax.benchmark` does, and holds them
to those of the run in benchmarks/results/wgan56-batch16-cpu.json, whose steps were timed. Writes
benchmarks/results/minutes-cpu.json; the configs' docstrings say the times, a test that they say these.
"""

import importlib
import json
import sys

import jax
from record import ROOT, stamp

from data_prep import make_logos
from logogan_jax.config import build_training
from logogan_jax.core import files
from logogan_jax.training import flops as arithmetic

TIMED = ROOT / "benchmarks" / "results" / "wgan56-batch16-cpu.json"
RESULTS = ROOT / "benchmarks" / "results" / "minutes-cpu.json"


def flops(name, **changes):
    """Floating-point operations of one step of a config, its steps, and the real images that a step looks at."""
    config = importlib.import_module(f"configs.{name}").get_config()
    config.update_from_flattened_dict(changes)
    data = config.data
    data.dir = str(make_logos.embedded_logos(size=data.size, width=data.width, channels=data.channels))
    config.train.dtype = "float32"
    made = build_training.training(build_training.resolved(config), devices=jax.devices()[:1])
    work = arithmetic.of(made.program(1), made.state, made.source.at(0, 1))
    images = config.train.batch_size * made.model.objective.real_batches_per_step
    return work, config.train.steps, images


def spoken(minutes):
    """Minutes as a person says them."""
    for unit, length in (("days", 1440), ("hours", 60), ("minutes", 1)):
        if minutes >= 1.5 * length:
            return f"{minutes / length:.0f} {unit}" if minutes >= 10 * length else f"{minutes / length:.1f} {unit}"
    return "a minute"


def main():
    """The command."""
    timed = json.loads(TIMED.read_text())
    each, _, images = flops("wgan56", **{"train.batch_size": 16})
    pace, rows = each * timed["images_per_second_median"] / images, {}
    names = sorted(
        path.stem for path in (ROOT / "configs").glob("[a-z]*[0-9].py")
    )  # quickstart has a record of its own
    known = json.loads(RESULTS.read_text())["rows"] if sys.argv[1:] else {}
    for name in names:
        rows[name] = known.get(name)
        if name in sys.argv or name not in known:
            each, steps, _ = flops(name)
            rows[name] = {"flops_per_step": each, "steps": steps, "minutes": each / pace * steps / 60}
        print(name, f"{rows[name]['flops_per_step']:.3g}", spoken(rows[name]["minutes"]), flush=True)
    record = {**stamp("python benchmarks/minutes.py"), "flops_per_second": pace, "of": timed["command"], "rows": rows}
    files.write_json(RESULTS, record)


if __name__ == "__main__":
    main()
