"""Compare a warm start with a cold one on 200 logos of one style: in how many steps it is as good.

    python benchmarks/warm_start.py --work=NEW_FOLDER [--seeds=0,1,2]

The set are the solid icons of Font Awesome (`pip install fontawesomefree`) at 28 pixels, drawn by make_logos: 200 to
train on, and all others to measure against. The other run is the quickstart on the embedded logos. A cold run and a
warm one of each seed have the same config, and the warm one has a third of the steps. Writes
benchmarks/results/warm-start-cpu.json: the kernel distance (KID) at each evaluation, and the first step at which a warm
run is as good as the best of its cold run. A stopped script goes on from where it was; --frozen=2 freezes layers of the
warm critics.
"""

import importlib.resources
import pathlib
from typing import Any

import record
import runs

from logogan_jax import __version__

STEPS = 1_800  # of a cold run
CONFIG = "--config=configs/quickstart.py"
IMAGES = 200  # to train on, nearly: the rest is held out
FLAGS = (
    "--config.augment.policy=logo", "--config.evaluate.every_images=6_400", "--config.evaluate.guard=warn",
    "--config.report.samples_every=0", "--config.report.checkpoint_every=100", "--config.report.log_every=50",
)  # fmt: skip
KID = "evaluation/kid_efflite0"


def make_set(work: pathlib.Path) -> tuple[pathlib.Path, int]:
    """Draw the solid icons into shards, unless they are there. Returns their folder, and how many there are."""
    icons = importlib.resources.files("fontawesomefree") / "static" / "fontawesomefree" / "svgs" / "solid"
    shards = work / "solid"
    if not shards.is_dir():
        status, line = runs.run(
            ["python", "-m", "data_prep.make_logos", f"--source={icons}", "--size=28", f"--target_path={shards}"]
        )
        assert status == 0, line
    return shards, sum(1 for file in icons.iterdir() if file.name.endswith(".svg"))


def curve(workdir: pathlib.Path) -> dict[int, float]:
    """Return the kernel distance of a run at each step that was evaluated."""
    return {line["step"]: line[KID] for line in runs.log_lines(workdir) if KID in line}


def first_as_good(warm: dict[int, float], cold: dict[int, float]) -> int | None:
    """Return the first step at which a warm run is as good as the best of a cold run, or None."""
    return next((step for step, value in sorted(warm.items()) if value <= min(cold.values())), None)


def compare(seed: int, shards: pathlib.Path, held_out: float, source: pathlib.Path, frozen: int) -> dict[str, Any]:
    """Train a cold and a warm run of a seed; return their curves and how they compare."""
    flags = [CONFIG, *FLAGS, f"--config.data.dir={shards}", f"--config.data.held_out={held_out:.4f}"]
    flags.append(f"--config.train.seed={seed}")
    folder = source.parent
    cold_run = folder / f"cold-{seed}"
    warm_run = folder / (f"warm-{seed}-frozen{frozen}" if frozen else f"warm-{seed}")
    _, cold_summary = runs.train(*flags, f"--config.train.steps={STEPS}", workdir=cold_run)
    warm_flags = [f"--init_from={source}", f"--config.train.freeze_critic={frozen}"]
    runs.train(*flags, f"--config.train.steps={STEPS // 3}", *warm_flags, workdir=warm_run)
    cold = curve(cold_run)
    warm = curve(warm_run)
    best = min(cold, key=lambda step: cold[step])
    reached = first_as_good(warm, cold)
    print(f"seed {seed}: cold {cold[best]:.4f} at step {best}, warm as good at step {reached}", flush=True)
    return {
        "seed": seed, "cold": cold, "warm": warm, "cold_best": cold[best], "cold_best_step": best,
        "warm_best": min(warm.values()), "warm_as_good_at": reached, "share_of_steps": reached and reached / best,
        "fingerprint": cold_summary["data_fingerprint"],
    }  # fmt: skip


def main() -> None:
    """Run the command."""
    parser = record.parser(__doc__)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder of the set and of the runs")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--frozen", type=int, default=0, help="layers of the warm critics that are frozen")
    args = parser.parse_args()
    work = args.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    shards, icons = make_set(work)
    source = work / "source"
    runs.train(CONFIG, workdir=source)
    name = f"warm-start-frozen{args.frozen}-cpu" if args.frozen else "warm-start-cpu"
    rows = []
    for seed in map(int, args.seeds.split(",")):
        rows.append(compare(seed, shards, 1 - IMAGES / icons, source, args.frozen))
        facts = {"version": __version__, "steps": STEPS, "icons": icons, "train": IMAGES}
        told = f"python benchmarks/warm_start.py --work=NEW_FOLDER --seeds={args.seeds}"
        told += f" --frozen={args.frozen}" if args.frozen else ""
        record.write_record(name, told, {**facts, "frozen": args.frozen, "source": runs.summary(source), "seeds": rows})


if __name__ == "__main__":
    main()
