"""Try what helps the quickstart, one change at a time at equal cost: results/climb-cpu.json and docs/quality.md.

    python benchmarks/climb.py --folder=DIR [--only=VARIANT,VARIANT] [--seeds=0,1]

This file is also a config: `python -m logogan_jax.main --config=benchmarks/climb.py:batch-16` trains one variant. Each
trains as long as STEPS steps of the quickstart take: a variant whose step costs more gets fewer. What a step costs is
timed beside the quickstart's, in turn. Then 1,024 pictures of the last step are compared with the held-out logos.

Two trainings run at a time, each on a core of its own. Every run is recorded as soon as it is measured, and what is
recorded is not run again.
"""

import concurrent.futures
import json
import math
import os
import pathlib
import queue
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from ml_collections import ConfigDict
from record import RESULTS, ROOT, parser, rewrite_table, write_record

from data_prep import make_logos
from logogan_jax.config import defaults, shipped

NAME = "climb-cpu"
STEPS = 2_000  # of the quickstart: two thirds of its length
SAMPLES = 1_024
JUDGES = ("efflite0", "ppocr")
ROUNDS = 3  # of timing a step, in turn with the quickstart's
BASE = "quickstart"
COLOURS = "iconify-logos.tgz"  # in the folder of the runs: what `npm pack @iconify-json/logos` writes, 2,064 logos


class Variant(NamedTuple):
    """A change to the quickstart.

    Attributes:
        words: what is changed.
        change: a function of the config.
        other_step: whether its step is another program, whose cost is timed.
        length: of the training, times that of the others.
        looks_through: a judge through which the critic looks, which may not judge the pictures.
        data: the set that it trains on, as of DATA; "" for the embedded logos.
        table: where it is shown: figures of other images are compared with one another only.
    """

    words: str
    change: Callable[[ConfigDict], Any]
    other_step: bool = False
    length: float = 1.0
    looks_through: str = ""
    data: str = ""
    table: str = NAME


def _rates(generator: float, critic: float) -> Callable[[ConfigDict], None]:
    def change(config: ConfigDict) -> None:
        config.optimizer.generator.learning_rate = generator
        config.optimizer.critic.learning_rate = critic

    return change


def _anneal(generator: float, critic: float) -> Callable[[ConfigDict], None]:
    def change(config: ConfigDict) -> None:
        for role, rate in (("generator", generator), ("critic", critic)):
            config.optimizer[role] = defaults.block(
                name="adam", learning_rate=rate, b1=0.5, b2=0.999, anneal="cosine",
                anneal_images=defaults.images_of_run(config), final=0.1,
            )  # fmt: skip

    return change


def _momentum(b1: float) -> Callable[[ConfigDict], None]:
    def change(config: ConfigDict) -> None:
        config.optimizer.generator.b1 = config.optimizer.critic.b1 = b1

    return change


def _objective(**values: Any) -> Callable[[ConfigDict], None]:
    def change(config: ConfigDict) -> None:
        config.objective = defaults.block(**values)

    return change


def _model(**values: Any) -> Callable[[ConfigDict], None]:
    return lambda config: config.model.update(values)


def _train(**values: Any) -> Callable[[ConfigDict], None]:
    return lambda config: config.train.update(values)


def _inks(count: int) -> Callable[[ConfigDict], Any]:
    return lambda config: config.mark.update(inks=count)


def _pixels_56(scale: int, r1: float) -> Callable[[ConfigDict], None]:
    def change(config: ConfigDict) -> None:
        config.data.size = 56
        config.mark.scale = scale
        config.objective.r1 = r1

    return change


def _projected(config: ConfigDict) -> None:
    """Let the critic look through EfficientNet-Lite0 at 64 pixels, a third of the side that it was trained for."""
    networks = {"mixed_width": 16, "feature_side": 64, "width": 16, "kernel": 4, "dropout": 0.0}
    config.model = defaults.block(name="projected", latent=64, **networks)
    config.objective = defaults.block(name="projected", critic_updates=1)
    for role in config.optimizer:
        config.optimizer[role] = defaults.block(name="adam", learning_rate=1e-3, b1=0.0, b2=0.99)


VARIANTS = {
    BASE: Variant("the quickstart", lambda config: None),
    "whole": Variant("the whole quickstart: 3,000 steps", lambda config: None, length=1.5),
    "rates-4e-4": Variant("learning rates of 4e-4 and 8e-4, a third of the quickstart's", _rates(4e-4, 8e-4)),
    "rates-8e-4": Variant("learning rates of 8e-4 and 1.6e-3, two thirds of the quickstart's", _rates(8e-4, 1.6e-3)),
    "rates-16e-4": Variant("learning rates of 1.6e-3 and 3.2e-3, higher by a third", _rates(1.6e-3, 3.2e-3)),
    "rates-equal": Variant("both learning rates 1.7e-3", _rates(1.7e-3, 1.7e-3)),
    "annealed": Variant("rates that fall to a tenth by a cosine", _anneal(1.2e-3, 2.4e-3)),
    "annealed-4e-4": Variant("rates that fall from 4e-4 and 8e-4 to a tenth", _anneal(4e-4, 8e-4)),
    "no-momentum": Variant("Adam with b1 = 0", _momentum(0.0)),
    "r1-low": Variant("R1 of 0.05", _objective(name="gan", critic_updates=1, r1=0.05, lazy=4)),
    "r1-high": Variant("R1 of 0.8", _objective(name="gan", critic_updates=1, r1=0.8, lazy=4)),
    "r1-r2": Variant("R1 and R2 of 0.2", _objective(name="gan", critic_updates=1, r1=0.2, r2=0.2, lazy=4), True),
    "latent-32": Variant("a latent vector of 32 numbers", _model(latent=32), True),
    "latent-128": Variant("a latent vector of 128 numbers", _model(latent=128), True),
    "batch-16": Variant("batches of 16", _train(batch_size=16), True),
    "batch-64": Variant("batches of 64", _train(batch_size=64), True),
    "width-12": Variant("three quarters of the width", _model(width=12), True),
    "width-24": Variant("one and a half times the width", _model(width=24), True),
    "filters-5": Variant("filters of 5 x 5", _model(kernel=5), True),
    "augmented": Variant(
        "augmentations that suit logos", lambda config: config.augment.update(policy="logo", strength=0.3), True
    ),
    "hinge": Variant("the hinge loss, without R1", _objective(name="hinge", critic_updates=1), True),
    "wgan-gp": Variant(
        "WGAN-GP with two critic updates", _objective(name="wgan_gp", critic_updates=2, penalty=10.0, lazy=1), True
    ),
    "relativistic": Variant(
        "R3GAN's objective", _objective(name="r3gan", critic_updates=1, gamma=0.2, lazy=4), True
    ),
    "projected": Variant("Projected GAN", _projected, True, looks_through="efflite0"),
    "clusters-16": Variant(
        "labels of 16 clusters", lambda config: config.data.update(labels=True), True, data="clusters"
    ),
    "colours-rgb": Variant("no inks: colours for every pixel", _inks(0), True, data="colours", table="colours-cpu"),
    "colours-1": Variant("one ink, with colours of the data", _inks(1), True, data="colours", table="colours-cpu"),
    "colours-2": Variant("two inks", _inks(2), True, data="colours", table="colours-cpu"),
    "colours-3": Variant("three inks", _inks(3), True, data="colours", table="colours-cpu"),
    "colours-4": Variant("four inks", _inks(4), True, data="colours", table="colours-cpu"),
    "pixels-56-r1-low": Variant("fields of 28 x 28, R1 of 0.2", _pixels_56(2, 0.2), True, table="pixels-56-cpu"),
    "pixels-56-by-1": Variant("fields of 56 x 56, R1 of 0.8", _pixels_56(1, 0.8), True, table="pixels-56-cpu"),
    "pixels-56-by-2": Variant("fields of 28 x 28, R1 of 0.8", _pixels_56(2, 0.8), True, table="pixels-56-cpu"),
    "pixels-56-r1-high": Variant("fields of 28 x 28, R1 of 3", _pixels_56(2, 3.0), True, table="pixels-56-cpu"),
}  # fmt: skip


# Of each set of data the command that makes it in a folder, but for its target.
DATA: dict[str, Callable[[pathlib.Path], list[str]]] = {
    "clusters": lambda folder: [
        "data_prep.cluster_labels", f"--path={make_logos.embedded_logos(size=28, channels=3)}", "--clusters=16"
    ],
    "colours": lambda folder: ["data_prep.make_logos", f"--source={folder / COLOURS}", "--size=28"],
}  # fmt: skip


def get_config(variant: str = BASE) -> ConfigDict:
    """Return the config of a variant, of STEPS steps unless a flag says otherwise."""
    config = shipped.get_config("quickstart")
    config.train.steps = STEPS
    config.evaluate.every_images = 0  # measured once, when it is done
    with config.unlocked():
        VARIANTS[variant].change(config)
    return config


# ── running ─────────────────────────────────────────────────────────────────────────────────


def python(words: list[str], core: int) -> str:
    """Run a module of ours on one core, and return what it printed; exit with its words if it fails."""
    command = ["taskset", "-c", str(core), sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"{' '.join(words)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def training_flags(variant: str, folder: pathlib.Path, core: int) -> list[str]:
    """Return the flags that train a variant, and make the data that it needs."""
    flags = [f"--config=benchmarks/climb.py:{variant}"]
    if data := VARIANTS[variant].data:
        shards = folder / data
        if not shards.exists():
            python([*DATA[data](folder), f"--target_path={shards}"], core)
        flags.append(f"--config.data.dir={shards}")
    return flags


def step_seconds(variant: str, folder: pathlib.Path, core: int) -> float:
    """Time a step of a variant."""
    out = folder / "step.json"
    python(["logogan_jax.benchmark", *training_flags(variant, folder, core), f"--json={out}"], core)
    found = json.loads(out.read_text(encoding="utf-8").splitlines()[-1])
    out.unlink()
    return 1 / found["steps_per_second"]["median"]


def cost(variant: str, folder: pathlib.Path, core: int) -> float:
    """Return what a step of a variant takes over what the quickstart's takes: the median of some rounds."""
    return statistics.median(
        step_seconds(variant, folder, core) / step_seconds(BASE, folder, core) for _ in range(ROUNDS)
    )


def measure(variant: str, seed: int, steps: int, folder: pathlib.Path, core: int) -> dict[str, Any]:
    """Train a variant on one core and measure it: {"steps", "against": {metric: Estimate}, "copies": Estimate}."""
    judges = [name for name in JUDGES if name != VARIANTS[variant].looks_through]
    workdir = folder / f"{variant}-{seed}"
    flags = [f"--workdir={workdir}", f"--config.train.seed={seed}", f"--config.train.steps={steps}"]
    python(["logogan_jax.main", *training_flags(variant, folder, core), *flags], core)
    words = [f"--workdir={workdir}", "--step=newest", f"--num_samples={SAMPLES}", f"--features={','.join(judges)}"]
    python(["logogan_jax.evaluate", *words], core)
    found = json.loads((workdir / "evaluation.json").read_text(encoding="utf-8"))
    return {"steps": steps, "against": found["against"]["held out"], "copies": found["copies"]["share"]}


# ── the page ────────────────────────────────────────────────────────────────────────────────


def table(record: dict[str, Any]) -> str:
    """Write the variants as a table of Markdown, the best by KID first: means over the seeds, in brackets each seed.

    Those whose critic looks through the judge are last, without its figures.
    """
    metrics = ("kid_efflite0", "recall_efflite0", "coverage_efflite0", "kid_ppocr", "recall_ppocr")
    lines = [f"| change | cost of a step | {' | '.join(metrics)} | copies |".replace("_", " ")]
    lines.append("|---|---:|" + "---:|" * (len(metrics) + 1))

    def kid(name: str) -> float:
        found = [run["against"].get(metrics[0]) for run in record[name]["runs"].values()]
        return statistics.mean(each["value"] if each else math.inf for each in found)

    for name in sorted(record, key=kid):
        runs = [run for _, run in sorted(record[name]["runs"].items())]
        cells = [VARIANTS[name].words if name != BASE else f"**{VARIANTS[name].words}**", f"{record[name]['cost']:.2f}"]
        for metric in metrics:
            values = [run["against"][metric]["value"] for run in runs if metric in run["against"]]
            digits = 4 if metric == metrics[0] else 3
            each = ", ".join(f"{value:.{digits}f}" for value in values)
            cells.append(f"{statistics.mean(values):.{digits}f} ({each})" if values else "-")
        cells.append(f"{statistics.mean(run['copies']['value'] for run in runs):.1%}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_tables(record: dict[str, Any]) -> None:
    """Write the tables of docs/quality.md."""
    for name in sorted({VARIANTS[key].table for key in record}):
        rows = {key: row for key, row in record.items() if VARIANTS[key].table == name}
        rewrite_table("docs/quality.md", name, table(rows))


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--folder", required=True, type=pathlib.Path, help="where the runs go")
    flags.add_argument("--only", default=",".join(VARIANTS), help="variants, comma-separated; default: all")
    flags.add_argument("--seeds", default="0,1", help="comma-separated")
    args = flags.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{NAME}.json"
    record = json.loads(path.read_text(encoding="utf-8"))["variants"] if path.exists() else {}
    chosen = args.only.split(",")
    for variant in chosen:
        if variant not in record:
            ratio = cost(variant, args.folder, 0) if VARIANTS[variant].other_step else 1.0
            record[variant] = {"cost": ratio, "runs": {}}
            print(variant, f"costs {ratio:.3f}", flush=True)
    cores: queue.SimpleQueue[int] = queue.SimpleQueue()
    for core in sorted(os.sched_getaffinity(0)):
        cores.put(core)

    def work(variant: str, seed: str) -> tuple[str, str, dict[str, Any]]:
        core = cores.get()
        try:
            steps = round(STEPS * VARIANTS[variant].length / record[variant]["cost"])
            return variant, seed, measure(variant, int(seed), steps, args.folder, core)
        finally:
            cores.put(core)

    missing = [
        (variant, seed) for seed in args.seeds.split(",") for variant in chosen if seed not in record[variant]["runs"]
    ]
    with concurrent.futures.ThreadPoolExecutor(cores.qsize()) as pool:
        for done in concurrent.futures.as_completed([pool.submit(work, *each) for each in missing]):
            variant, seed, found = done.result()
            record[variant]["runs"][seed] = found
            print(variant, seed, found["against"]["kid_ppocr"], flush=True)
            finished = {name: row for name, row in record.items() if row["runs"]}
            values = {"steps": STEPS, "samples": SAMPLES, "variants": finished}
            write_record(NAME, "python benchmarks/climb.py --folder=RUNS", values)
            write_tables(finished)


if __name__ == "__main__":
    main()
