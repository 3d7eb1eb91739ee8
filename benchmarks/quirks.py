"""What each mistake of the scripts of 2018 does to the pictures: the small runs with one of them at a time.

    python benchmarks/quirks.py

`--missing` trains only what is not recorded yet, `--table` nothing. Writes benchmarks/results/quirks-cpu.json,
docs/quirks.png, and the table of docs/differences.md. It is a config, too:
`python -m logogan_jax.main --config=benchmarks/quirks.py:dcgan/same_batch --workdir=RUN`.
"""

import json
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))  # a config is imported from elsewhere

import narrow

from logogan_jax.config import defaults

STEPS = {"dcgan": 2_000, "wgan": 800}
FRAMES = {
    "dcgan": ("gan", dict(uniform_latents=False, fakes_at_inference=False, critic_in_both_turns=False)),
    "wgan": ("wgan_gp", dict(outputs=1, whole_batch=False, low_on_real=False, positive_latents=False)),
}
# What a quirk is called: what it sets in the objective or in another block.
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


def get_config(name):
    """The small run of a frame with one quirk: dcgan/same_batch."""
    frame = name.split("/")[0]
    objective, off = FRAMES[frame]
    config = narrow.get_config(objective)
    config.objective = defaults.block(name=f"walkthrough_{frame}", **off)
    config.train.steps, config.evaluate.guard = STEPS[frame], "warn"
    config.update_from_flattened_dict(QUIRKS[name])
    return config


def table(record):
    """The rows as Markdown."""
    lines = ["| run | KID | pairwise distance, of that of real logos |", "|---|---|---|"]
    for name, row in record["rows"].items():
        kid, far = row["kid_efflite0"], row["pairwise_distance"]
        value = f"{kid['']:.3f} ({kid['low']:.3f} to {kid['high']:.3f})"
        lines.append(f"| `{name}` | {value} | {far['samples'] / far['reals']:.0%} |")
    return "\n".join(lines) + "\n"


def main():
    """The command."""
    import objectives
    from record import ROOT, stamp

    from logogan_jax import __version__
    from logogan_jax.core import files

    path, page = ROOT / "benchmarks" / "results" / "quirks-cpu.json", ROOT / "docs" / "differences.md"
    record = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    with tempfile.TemporaryDirectory() as folder:
        wanted = [name for name in QUIRKS if "--missing" not in sys.argv or name not in record["rows"]]
        for name in [] if "--table" in sys.argv else wanted:
            kept = f"quirk-{name.replace('/', '-')}"
            workdir = pathlib.Path(folder) / kept
            record["rows"][name] = objectives.trained(f"benchmarks/quirks.py:{name}", workdir, kept)
            rows = {key: record["rows"][key] for key in QUIRKS if key in record["rows"]}
            record = {**record, **stamp("python benchmarks/quirks.py"), "version": __version__, "rows": rows}
            files.write_json(path, record)
            print(name, rows[name]["kid_efflite0"], rows[name]["pairwise_distance"], rows[name]["events"], flush=True)
    names = {name: f"quirk-{name.replace('/', '-')}" for name in record["rows"]}
    objectives.sheet({"reals": "reals", **names}, ROOT / "docs" / "quirks.png")
    shown = re.compile(r"(<!-- quirks -->\n).*?(<!-- /quirks -->)", re.S)
    page.write_text(shown.sub(lambda found: found[1] + table(record) + found[2], page.read_text()))


if __name__ == "__main__":
    main()
