"""Train WGAN-GP at 56 pixels in float32 and in bfloat16, three seeds each, and compare how well they do.

    python benchmarks/precision.py [--keep=DIR]

The networks of configs/wgan56.py at a quarter of their width, at a batch that a CPU can afford. XLA's CPU backend
rounds every product to bfloat16 as an accelerator would, but is no faster for it: this says whether the policy
(bfloat16 products; float32 parameters, statistics, penalty norm, loss and optimiser) trains as well, nothing of speed.

Judged are the kernel distance at the end and the critic's mean loss in each quarter of the run: the means of the two
precisions over the seeds should be no further apart than Student's t test allows for the spread between seeds, at
5 % for all of them together (Bonferroni's share for each). `resolvable` is the least difference that would have
failed. Other numbers of the critic are recorded beside these, not judged.

Writes benchmarks/results/precision-cpu.json, in about an hour on one core, and ends with status 1 if one differs.
`--keep=DIR` keeps the runs, with their sample sheets; finished runs in it are not run again, others are resumed.
"""

import argparse
import json
import pathlib
import shlex
import sys
import tempfile

import numpy as np
import small
from record import ROOT, stamp
from scipy import stats

from logogan_jax import __version__
from logogan_jax.core import files

RESULTS = ROOT / "benchmarks" / "results" / "precision-cpu.json"
FLAGS = (
    "--config=configs/wgan56.py --config.model.width=16 --config.train.batch_size=16 --config.train.steps=1000 "
    "--config.optimizer.generator.learning_rate=4e-4 --config.optimizer.critic.learning_rate=4e-4 "
    "--config.report.log_every=25 --config.evaluate.every_images=16000 --config.evaluate.samples=1024 "
    "--config.evaluate.guard=warn"
)
PRECISIONS, SEEDS, QUARTERS = ("float32", "bfloat16"), (0, 1, 2), 4
CURVES = ("critic/loss", "critic/wasserstein", "critic/gradient_norm", "generator/loss")
KID, SHARE = "kid_efflite0", 0.05


def command(precision, seed):
    """The command line that trains, as words."""
    return [
        "python", "-m", "logogan_jax.main", *shlex.split(FLAGS),
        f"--config.train.dtype={precision}", f"--config.train.seed={seed}",
    ]  # fmt: skip


def trained(precision, seed, workdir):
    """The numbers of a run, which is run, or run on, if it has not finished."""
    words = command(precision, seed)
    if not finished(workdir):
        status, said = small.run([*words, f"--workdir={workdir}"])
        assert status == 0 and finished(workdir), (precision, seed, said)
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {"precision": precision, "seed": seed, "command": shlex.join(words), **numbers(lines)}


def finished(workdir):
    """Whether a run has come to its end."""
    return (workdir / "summary.json").exists() and small.summary(workdir)["status"] == "finished"


def numbers(lines):
    """What is compared, of the lines of a log: {KID: {"value", "low", "high"}, curve: [mean of each quarter]}.

    A line holds means over the steps since the line before, and there are as many steps to every line.
    """
    last = [line for line in lines if f"evaluation/{KID}" in line][-1]
    kid = {part or "value": last[f"evaluation/{KID}{part and '_' + part}"] for part in ("", "low", "high")}
    curves = {name: [line[name] for line in lines if name in line] for name in CURVES}
    return {KID: kid} | {
        name: [float(part.mean()) for part in np.array_split(np.array(values), QUARTERS)]
        for name, values in curves.items()
    }


def quantities(run):
    """A run's numbers by name: {KID: float, "critic/loss, quarter 1 of 4": float, ...}."""
    return {KID: run[KID]["value"]} | {
        f"{name}, quarter {i + 1} of {QUARTERS}": value for name in CURVES for i, value in enumerate(run[name])
    }


def is_judged(name):
    """Whether the verdict hangs on a quantity."""
    return name == KID or name.startswith("critic/loss")


def compared(runs):
    """{quantity: its comparison} of the runs of both precisions."""
    columns = {
        precision: [quantities(run) for run in runs if run["precision"] == precision] for precision in PRECISIONS
    }
    names = list(columns[PRECISIONS[0]][0])
    judged = sum(map(is_judged, names))
    told = {}
    for name in names:
        first, second = (np.array([values[name] for values in columns[precision]]) for precision in PRECISIONS)
        told[name] = comparison(first, second, share=SHARE / judged)
        if not is_judged(name):
            del told[name]["same"]
    return told


def comparison(first, second, share):
    """Student's two-sample test of the means of float arrays [seeds], wrong in a `share` of equal pairs."""
    degrees = len(first) + len(second) - 2
    pooled = (np.sum((first - first.mean()) ** 2) + np.sum((second - second.mean()) ** 2)) / degrees
    error = float(np.sqrt(pooled * (1 / len(first) + 1 / len(second))))
    difference = float(second.mean() - first.mean())
    resolvable = float(stats.t.ppf(1 - share / 2, degrees)) * error
    means = {precision: float(values.mean()) for precision, values in zip(PRECISIONS, (first, second), strict=True)}
    return means | {
        "difference": difference,
        "standard_error": error,
        "resolvable": resolvable,
        "same": abs(difference) <= resolvable,
    }


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=pathlib.Path, help="folder that keeps the runs; those finished there are kept")
    args = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            for precision in PRECISIONS:
                workdir = (args.keep or pathlib.Path(folder)).absolute() / f"{precision}-{seed}"
                runs.append(trained(precision, seed, workdir))
                print(precision, seed, runs[-1][KID], runs[-1]["critic/loss"], flush=True)
    comparisons = compared(runs)
    differing = [name for name, found in comparisons.items() if not found.get("same", True)]
    verdict = {"same": not differing, "differing": differing, "share_of_false_alarms": SHARE}
    files.write_json(
        RESULTS,
        {**stamp("python benchmarks/precision.py"), "version": __version__, "verdict": verdict,
         "comparisons": comparisons, "runs": runs},
    )  # fmt: skip
    for name, found in comparisons.items():
        means = "  ".join(f"{precision} {found[precision]:.4g}" for precision in PRECISIONS)
        print(f"{name}: {means}  difference {found['difference']:.3g}, standard error {found['standard_error']:.3g}")
    print(f"differing: {', '.join(differing) or 'none'}; {RESULTS.relative_to(ROOT)}")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
