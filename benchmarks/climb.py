"""Try what helps the quickstart, one change at a time at equal cost: results/climb-cpu.json and docs/quality.md.

    python benchmarks/climb.py --folder=DIR [--only=VARIANT,VARIANT] [--seeds=0,1]

The variants are configs: benchmarks/variants.py. Each trains as long as STEPS steps of the quickstart take: a variant
whose step costs more gets fewer. What a step costs is timed beside the quickstart's, in turn. Then 1,024 pictures of
the last step are compared with the held-out logos. docs/colours.png shows some variants side by side.

Two trainings run at a time, each on a core of its own. Every run is recorded as soon as it is measured, and what is
recorded is not run again.
"""

import concurrent.futures
import json
import os
import pathlib
import queue
import statistics
import subprocess
import sys
from typing import Any

import equal_minutes
from record import RESULTS, ROOT, machine, parser, rewrite_table, write_record
from variants import BASE, DATA, STEPS, TABLE, VARIANTS

from logogan_jax import load

SAMPLES = 1_024
JUDGES = ("efflite0", "ppocr")
ROUNDS = 3  # of timing a step, in turn with the quickstart's
SHOWN = ("colours-rgb", "colours-1", "colours-3")  # on docs/colours.png
SEED = 0  # of the runs that are shown


def python(words: list[str], core: int) -> str:
    """Run a module of ours on one core, and return what it printed; exit with its words if it fails."""
    # By a command that knows the networks of all variants.
    command = ["taskset", "-c", str(core), sys.executable, "benchmarks/minibatch_deviation.py", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"{' '.join(words)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def training_flags(variant: str, folder: pathlib.Path, core: int) -> list[str]:
    """Return the flags that train a variant, and make the data that it needs."""
    flags = [f"--config=benchmarks/variants.py:{variant}"]
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


def train(
    variant: str, seed: int, steps: int, folder: pathlib.Path, workdir: pathlib.Path, core: int, *flags: str
) -> None:
    """Train a variant on one core."""
    words = [f"--workdir={workdir}", f"--config.train.seed={seed}", f"--config.train.steps={steps}", *flags]
    python(["logogan_jax.main", *training_flags(variant, folder, core), *words], core)


def measure(variant: str, seed: int, steps: int, folder: pathlib.Path, core: int) -> dict[str, Any]:
    """Train a variant on one core and measure it: {"steps", "against": {metric: Estimate}, "copies": Estimate}."""
    workdir = folder / f"{variant}-{seed}"
    start = []
    if after := VARIANTS[variant].after:
        before = folder / f"{variant}-{seed}-before"
        train(BASE, seed, round(STEPS * after), folder, before, core)
        start = [f"--init_from={before}"]
    train(variant, seed, steps, folder, workdir, core, *start)
    words = [f"--workdir={workdir}", "--step=newest", f"--num_samples={SAMPLES}", f"--features={','.join(JUDGES)}"]
    python(["logogan_jax.evaluate", *words], core)
    found = json.loads((workdir / "evaluation.json").read_text(encoding="utf-8"))
    return {"steps": steps, "against": found["against"]["held out"], "copies": found["copies"]["share"]}


# ── the page ────────────────────────────────────────────────────────────────────────────────


def table(record: dict[str, Any]) -> str:
    """Write the variants as a table of Markdown, the best by KID first: means over the seeds, in brackets each seed."""
    metrics = ("kid_efflite0", "recall_efflite0", "coverage_efflite0", "kid_ppocr", "recall_ppocr")
    lines = [f"| change | cost of a step | {' | '.join(metrics)} | copies |".replace("_", " ")]
    lines.append("|---|---:|" + "---:|" * (len(metrics) + 1))

    def kid(name: str) -> float:
        return statistics.mean(run["against"][metrics[0]]["value"] for run in record[name]["runs"].values())

    for name in sorted(record, key=kid):
        runs = [run for _, run in sorted(record[name]["runs"].items())]
        cells = [VARIANTS[name].words if name != BASE else f"**{VARIANTS[name].words}**", f"{record[name]['cost']:.2f}"]
        for metric in metrics:
            values = [run["against"][metric]["value"] for run in runs]
            digits = 4 if metric == metrics[0] else 3
            each = ", ".join(f"{value:.{digits}f}" for value in values)
            cells.append(f"{statistics.mean(values):.{digits}f} ({each})")
        cells.append(f"{statistics.mean(run['copies']['value'] for run in runs):.1%}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_tables(record: dict[str, Any]) -> None:
    """Write the tables of docs/quality.md."""
    for name in sorted({VARIANTS[key].table for key in record}):
        rows = {key: row for key, row in record.items() if VARIANTS[key].table == name}
        rewrite_table("docs/quality.md", name, table(rows))


def draw_sheet(folder: pathlib.Path) -> None:
    """Draw the first pictures of the variants that are shown, of their last steps."""
    shown = [load(folder / f"{variant}-{SEED}", step="newest") for variant in SHOWN]
    equal_minutes.draw_sheet(ROOT / "docs" / "colours.png", [run.sample(equal_minutes.SHOWN**2) for run in shown])


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--folder", required=True, type=pathlib.Path, help="where the runs go")
    flags.add_argument("--only", default=",".join(VARIANTS), help="variants, comma-separated; default: all")
    flags.add_argument("--seeds", default="0,1", help="comma-separated")
    args = flags.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{TABLE}.json"
    record = json.loads(path.read_text(encoding="utf-8"))["variants"] if path.exists() else {}
    chosen = args.only.split(",")
    for variant in chosen:
        if variant not in record:
            ratio = cost(variant, args.folder, min(os.sched_getaffinity(0))) if VARIANTS[variant].other_step else 1.0
            record[variant] = {"cost": ratio, "machine": machine(), "runs": {}}
            print(variant, f"costs {ratio:.3f}", flush=True)
    cores: queue.SimpleQueue[int] = queue.SimpleQueue()
    for core in sorted(os.sched_getaffinity(0)):
        cores.put(core)

    def work(variant: str, seed: str) -> tuple[str, str, dict[str, Any]]:
        core = cores.get()
        try:
            length = VARIANTS[variant].length - VARIANTS[variant].after
            steps = round(STEPS * length / record[variant]["cost"])
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
            write_record(TABLE, "python benchmarks/climb.py --folder=RUNS", values)
            write_tables(finished)
    if set(SHOWN) <= {*chosen}:
        draw_sheet(args.folder)


if __name__ == "__main__":
    main()
