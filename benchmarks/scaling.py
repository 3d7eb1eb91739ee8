"""Predict how much quicker several devices that are not here are than one, and write results/scaling.json.

    python benchmarks/scaling.py [--only=CONFIG] [--target=h100] [--devices=8] [--batch=64]

The step of a shipped config is compiled in bfloat16 for one device at a batch size, and for several at as many times
that batch: see logogan_jax/plan. Each takes a minute or more. Nothing is timed. `efficiency` is the predicted step of
one device over that of several. `tried` in the record holds other forms of the step, compiled in the same way when the
one of today was chosen.
"""

import json
import os
from typing import Any

from logogan_jax.plan import targets

if __name__ == "__main__":
    os.environ.update(targets.ENVIRONMENT)  # before JAX is imported

from counted_targets import IMAGES, compiler
from record import RESULTS, parser, write_record

from logogan_jax.config import shipped
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.plan import estimate

NAME = "scaling"


def predict(config: str, target: str, devices: int, batch_size: int) -> dict[str, Any]:
    """Compile a config for some devices, and return counts and milliseconds of a step."""
    values = shipped.get_config(config)
    values.train.batch_size = batch_size
    info = DatasetInfo("", IMAGES, {}, ("#000000",))
    found = estimate.estimate(values, info, targets.load()[target], devices=devices, hosts=1, dollars_per_hour=0.0)
    return {
        "batch": batch_size,
        "kernels": found.counts.kernels,
        "bytes": found.counts.bytes,
        "exchanges": found.counts.collectives,
        "exchanged_bytes": found.counts.exchanged_bytes,
        "exchange_ms": round(found.prediction.communication * 1e3, 3),
        "exposed_ms": round(found.prediction.exposed * 1e3, 3),
        "step_ms": round(found.prediction.step * 1e3, 3),
    }


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--only", default="wgan56", help="a shipped config")
    flags.add_argument("--target", default="h100", help="a target of logogan_jax.plan")
    flags.add_argument("--devices", type=int, default=8, help="number of devices")
    flags.add_argument("--batch", type=int, default=64, help="batch size of one device")
    args = flags.parse_args()
    path = RESULTS / f"{NAME}.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"rows": {}, "tried": {}}
    one = predict(args.only, args.target, 1, args.batch)
    several = predict(args.only, args.target, args.devices, args.batch * args.devices)
    row = {"compiler": compiler(args.target), "one": one, "several": several}
    row["efficiency"] = round(one["step_ms"] / several["step_ms"], 3)
    rows = {**record["rows"], f"{args.only} on {args.devices} x {args.target}": row}
    write_record(NAME, "python benchmarks/scaling.py", {"dtype": "bfloat16", "rows": rows, "tried": record["tried"]})
    print(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
