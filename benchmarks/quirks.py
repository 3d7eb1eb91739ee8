"""Measure what each mistake of the 2018 scripts does to the pictures: narrow runs with one mistake at a time.

    python benchmarks/quirks.py [--missing] [--table]

`--missing` only trains what is not recorded yet, `--table` trains nothing. Writes benchmarks/results/quirks-cpu.json,
docs/quirks.png, and the table of docs/differences.md. The file is also a config:
`python -m logogan_jax.main --config=benchmarks/quirks.py:dcgan/same_batch --workdir=RUN`.
"""

import json
import pathlib
import sys
import tempfile

from ml_collections import ConfigDict

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # as a config, this file is imported from elsewhere

import narrow

from logogan_jax.config import defaults

STEPS = {"dcgan": 2_000, "wgan": 800}
# For each network pair: its objective without mistakes, and the options of the mistakes, switched off.
MODELS = {
    "dcgan": ("gan", dict(uniform_latents=False, fakes_at_inference=False, critic_in_both_turns=False)),
    "wgan": ("wgan_gp", dict(outputs=1, whole_batch=False, low_on_real=False, positive_latents=False)),
}
# For each run: the config values that make its mistake.
QUIRKS = {
    "dcgan/none": {},
    "dcgan/uniform_latents": {"objective.uniform_latents": True},
    "dcgan/fakes_at_inference": {"objective.fakes_at_inference": True},
    "dcgan/critic_in_both_turns": {"objective.critic_in_both_turns": True},
    "dcgan/same_batch": {"data.same_batch_for": STEPS["dcgan"]},
    "dcgan/turned": {"data.rotate": 20.0, "data.mirror": True},
    "dcgan/turned_edge": {"data.rotate": 20.0, "data.mirror": True, "data.corners": "edge"},
    "dcgan/no_average": {"train.ema_images": 1},
    "wgan/none": {},
    "wgan/outputs": {"objective.outputs": 3},
    "wgan/whole_batch": {"objective.whole_batch": True},
    "wgan/low_on_real": {"objective.low_on_real": True},
    "wgan/positive_latents": {"objective.positive_latents": True},
    "wgan/same_batch": {"data.same_batch_for": 4},
}


def get_config(name: str) -> ConfigDict:
    """Return the narrow config of a run, such as "dcgan/same_batch"."""
    model = name.split("/")[0]
    objective, options = MODELS[model]
    config = narrow.get_config(objective)
    config.objective = defaults.block(name=f"walkthrough_{model}", **options)
    config.train.steps = STEPS[model]
    config.evaluate.guard = "warn"
    config.update_from_flattened_dict(QUIRKS[name])
    return config


def strip_name(name: str) -> str:
    """Return the name under which objectives.py keeps the pictures of a run."""
    return f"quirk-{name.replace('/', '-')}"


def main() -> None:
    """Run the command."""
    import objectives
    from record import RESULTS, ROOT, parser, rewrite_table, write_record

    from logogan_jax import __version__

    flags = parser(__doc__)
    flags.add_argument("--missing", action="store_true", help="only train what is not recorded yet")
    flags.add_argument("--table", action="store_true", help="train nothing: draw pictures and table of the record")
    args = flags.parse_args()
    path = RESULTS / "quirks-cpu.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"rows": {}}
    names = [] if args.table else [name for name in QUIRKS if not (args.missing and name in record["rows"])]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            workdir = pathlib.Path(folder) / strip_name(name)
            row = objectives.train(f"benchmarks/quirks.py:{name}", workdir, strip_name(name))
            rows = {**record["rows"], name: row}
            record = {"version": __version__, "rows": {key: rows[key] for key in QUIRKS if key in rows}}
            write_record("quirks-cpu", "python benchmarks/quirks.py", record)
            print(name, row["kid_efflite0"], row["pairwise_distance"], row["events"], flush=True)
    strips = {"reals": "reals", **{name: strip_name(name) for name in record["rows"]}}
    objectives.draw_overview(strips, ROOT / "docs" / "quirks.png")
    rewrite_table("docs/differences.md", "quirks", objectives.table(record, head="run"))


if __name__ == "__main__":
    main()
