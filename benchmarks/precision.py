"""Train WGAN-GP at 56 pixels in float32 and in bfloat16, three seeds each, and compare how well they do.

    python benchmarks/precision.py [--keep=DIR]

The networks are those of configs/wgan56.py at a quarter of their width, with a batch that a CPU can afford. XLA's CPU
backend rounds every product to bfloat16 as an accelerator would, but this is not faster. So the result says whether the
policy (bfloat16 products; float32 parameters, statistics, penalty norm, loss and optimiser) trains as well, and nothing
about speed.

Two quantities are judged: the kernel distance at the end, and the critic's mean loss in each quarter of the run. For
each, the means of the two precisions over the seeds should be no further apart than Student's t test allows for the
spread between seeds, at 5 % for all quantities together (each gets Bonferroni's share). `resolvable` is the smallest
difference that would fail. Other numbers of the critic are recorded beside these and not judged.

Writes benchmarks/results/precision-cpu.json, in about an hour on one core, and ends with status 1 if a quantity
differs. `--keep=DIR` keeps the runs with their pictures; finished runs in DIR are not run again, others are resumed.
"""

import pathlib
import shlex
import sys
import tempfile
from typing import Any

import numpy as np
import runs
from record import ROOT, parser, write_record

from logogan_jax import __version__

FLAGS = (
    "--config=configs/wgan56.py --config.model.width=16 --config.train.batch_size=16 --config.train.steps=1000 "
    "--config.optimizer.generator.learning_rate=4e-4 --config.optimizer.critic.learning_rate=4e-4 "
    "--config.report.log_every=25 --config.evaluate.every_images=16000 --config.evaluate.samples=1024 "
    "--config.evaluate.guard=warn"
)
PRECISIONS = ("float32", "bfloat16")
SEEDS = (0, 1, 2)
QUARTERS = 4
CURVES = ("critic/loss", "critic/wasserstein", "critic/gradient_norm", "generator/loss")
KID = "kid_efflite0"
SIGNIFICANCE = 0.05  # chance that equal precisions fail, for all judged quantities together


def train(precision: str, seed: int, workdir: pathlib.Path) -> dict[str, Any]:
    """Train a run to its end, unless it is finished already, and return its measurements."""
    flags = [*shlex.split(FLAGS), f"--config.train.dtype={precision}", f"--config.train.seed={seed}"]
    if not is_finished(workdir):
        runs.train(*flags, workdir=workdir)
        assert is_finished(workdir), (precision, seed)
    command = shlex.join(["python", "-m", "logogan_jax.main", *flags])
    return {"precision": precision, "seed": seed, "command": command, **measurements(runs.log_lines(workdir))}


def is_finished(workdir: pathlib.Path) -> bool:
    """Tell whether a run has reached its last step."""
    return (workdir / "summary.json").exists() and runs.summary(workdir)["status"] == "finished"


def measurements(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is compared: {KID: {"value", "low", "high"}, curve: [mean of each quarter of the run]}.

    A log line holds means over the steps since the line before it; every line stands for the same number of steps.
    """
    last = [line for line in lines if f"evaluation/{KID}" in line][-1]
    kid = {"value": last[f"evaluation/{KID}"]} | {end: last[f"evaluation/{KID}_{end}"] for end in ("low", "high")}
    curves = {name: [line[name] for line in lines if name in line] for name in CURVES}
    return {KID: kid} | {
        name: [float(part.mean()) for part in np.array_split(np.array(values), QUARTERS)]
        for name, values in curves.items()
    }


def quantities(run: dict[str, Any]) -> dict[str, float]:
    """Return a run's measurements by name: {KID: float, "critic/loss, quarter 1 of 4": float, ...}."""
    return {KID: run[KID]["value"]} | {
        f"{name}, quarter {i + 1} of {QUARTERS}": value for name in CURVES for i, value in enumerate(run[name])
    }


def is_judged(name: str) -> bool:
    """Tell whether the verdict depends on a quantity."""
    return name == KID or name.startswith("critic/loss")


def compare(trained: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Compare every quantity of the runs of both precisions: {quantity: see `t_test`}.

    Quantities that are not judged have no "same".
    """
    columns = {
        precision: [quantities(run) for run in trained if run["precision"] == precision] for precision in PRECISIONS
    }
    names = list(columns[PRECISIONS[0]][0])
    significance = SIGNIFICANCE / sum(map(is_judged, names))
    comparisons = {}
    for name in names:
        first, second = (np.array([values[name] for values in columns[precision]]) for precision in PRECISIONS)
        comparisons[name] = t_test(first, second, significance)
        if not is_judged(name):
            del comparisons[name]["same"]
    return comparisons


def t_test(first: np.ndarray, second: np.ndarray, significance: float) -> dict[str, Any]:
    """Compare the means of float arrays [seeds] by Student's two-sample t test.

    Returns:
        Both means by precision, "difference" (second minus first), "standard_error", "resolvable" (the smallest
        difference that fails), and "same", which is wrong with probability `significance` where the means are equal.
    """
    degrees = len(first) + len(second) - 2
    pooled = (np.sum((first - first.mean()) ** 2) + np.sum((second - second.mean()) ** 2)) / degrees
    error = float(np.sqrt(pooled * (1 / len(first) + 1 / len(second))))
    difference = float(second.mean() - first.mean())
    from scipy import stats  # takes seconds

    resolvable = float(stats.t.ppf(1 - significance / 2, degrees)) * error
    means = {precision: float(values.mean()) for precision, values in zip(PRECISIONS, (first, second), strict=True)}
    return means | {
        "difference": difference,
        "standard_error": error,
        "resolvable": resolvable,
        "same": abs(difference) <= resolvable,
    }


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--keep", type=pathlib.Path, help="folder that keeps the runs; finished ones are not run again")
    args = flags.parse_args()
    trained = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            for precision in PRECISIONS:
                workdir = (args.keep or pathlib.Path(folder)).absolute() / f"{precision}-{seed}"
                trained.append(train(precision, seed, workdir))
                print(precision, seed, trained[-1][KID], trained[-1]["critic/loss"], flush=True)
    comparisons = compare(trained)
    differing = [name for name, comparison in comparisons.items() if not comparison.get("same", True)]
    verdict = {"same": not differing, "differing": differing, "share_of_false_alarms": SIGNIFICANCE}
    record = {"version": __version__, "verdict": verdict, "comparisons": comparisons, "runs": trained}
    path = write_record("precision-cpu", "python benchmarks/precision.py", record)
    for name, values in comparisons.items():
        means = "  ".join(f"{precision} {values[precision]:.4g}" for precision in PRECISIONS)
        print(f"{name}: {means}  difference {values['difference']:.3g}, standard error {values['standard_error']:.3g}")
    print(f"differing: {', '.join(differing) or 'none'}; {path.relative_to(ROOT)}")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
