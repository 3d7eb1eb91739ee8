"""Spoil real logos in known ways, and measure which metrics notice.

    python benchmarks/sensitivity.py

The last 400 logos are spoilt in one way after the other and compared with all other logos, as generated pictures would
be. For reference, 50 random sets of 400 real logos are compared with the rest. Then copies of training logos are hidden
among the 400 and searched for. Writes benchmarks/results/sensitivity.json and the tables of docs/metrics.md, in about
ten minutes on two CPU cores. --features=ppocr measures the changes by the second judge, against 20 random sets, into
sensitivity-ppocr.json and its own table. With --source, an icon set instead of the embedded logos, it only writes
sensitivity-NAME.json.
"""

import pathlib
import sys
import tempfile
import time
from typing import Any

import jax
import numpy as np
from record import ROOT, parser, rewrite_table, write_record
from spoilers import CHANGES, PLANTS

from data_prep import make_logos
from data_prep.pictures.convert import ImageSpec
from logogan_jax.core import errors
from logogan_jax.data.dataset import TFRecordDataset
from logogan_jax.metrics import compute, features, memorization
from logogan_jax.metrics.features import Features

SIZE = 56  # pixels
HELD = 400  # logos that are spoilt
SPLITS = 50  # random sets of real logos
SET_SIZES = (50, 100, 200, 400, 800)  # logos in a set, to measure what a small set costs
FEWER_SPLITS = 20  # random sets of each of these sizes
PLANTED = HELD // 20
MORE_IS_WORSE = ("kid", "fd")  # of all other metrics, more is better


def load_logos(source: str | None) -> np.ndarray:
    """Return the embedded logos, or those of an icon set, as uint8[n, SIZE, SIZE, 3]."""
    with tempfile.TemporaryDirectory() as folder:
        if source:
            path = pathlib.Path(folder) / "shards"
            make_logos.make_dataset(source, path, ImageSpec(SIZE))
        else:
            path = make_logos.embedded_logos(size=SIZE, channels=3)
        found = TFRecordDataset(path, size=(SIZE, SIZE), channels=3)
        return found.images(np.arange(len(found)))[0]


def select(seen: Features, positions: slice | np.ndarray) -> Features:
    """Return the features of some images."""
    return Features(*(values[positions] for values in seen))


def measure(real: Features, fake: Features, network: str) -> dict[str, list[float]]:
    """Return {metric: [value, low, high]} of features of the network of a name."""
    return {name: list(estimate) for name, estimate in compute.compute_metrics(real, fake, name=network).items()}


def is_worse_higher(name: str) -> bool:
    """Return whether more of a metric, given by its full name, is worse."""
    return name.partition("_")[0] in MORE_IS_WORSE


def measure_real_sets(seen: Features, count: int, splits: int, network: str) -> dict[str, dict[str, float]]:
    """Compare random sets of `count` real logos with the rest: {metric: {"mean", "sd", "best", "worst"}}."""
    rng = np.random.default_rng(count)
    values = []
    for _ in range(splits):
        order = rng.permutation(len(seen.head))
        metrics = measure(select(seen, order[count:]), select(seen, order[:count]), network)
        values.append({name: value for name, (value, _, _) in metrics.items()})
    summary = {}
    for name in values[0]:
        column = sorted((value[name] for value in values), reverse=not is_worse_higher(name))
        summary[name] = {"mean": np.mean(column), "sd": np.std(column, ddof=1), "best": column[0], "worst": column[-1]}
    return summary


def measure_more(network: features.FeatureNetwork, pixels: np.ndarray, seen: Features) -> dict[str, Any]:
    """Return what the first judge alone is asked: which copies it finds, and what sets of other sizes give."""
    by_number = {str(count): measure_real_sets(seen, count, FEWER_SPLITS, network.name) for count in SET_SIZES}
    copies = find_hidden_copies(network, pixels, seen)
    return {"copies": copies, "fewer_splits": FEWER_SPLITS, "by_number": rounded(by_number)}


def add_z_scores(metrics: dict[str, list[float]], null: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Add z to metrics: how many standard deviations of the real sets a value is worse than their mean."""
    scored = {}
    for name, (value, low, high) in metrics.items():
        worse = (value - null[name]["mean"]) / null[name]["sd"] * (1 if is_worse_higher(name) else -1)
        scored[name] = {"value": value, "low": low, "high": high, "z": worse}
    return scored


def find_hidden_copies(network: features.FeatureNetwork, pixels: np.ndarray, seen: Features) -> dict[str, Any]:
    """Hide copies among other images, one in 20, and count the copies found and the other images taken for copies."""
    training = np.arange(len(pixels) - HELD)
    rng = np.random.default_rng(2)
    detector = memorization.MemorizationDetector(pixels[training], select(seen, training))
    others = np.arange(len(training) + PLANTED, len(pixels))
    kinds = {}
    false_alarms = 0
    for name, changes in PLANTS.items():
        chosen = rng.choice(training, PLANTED, replace=False)
        plants = pixels[chosen]
        for change in changes:
            plants = change(plants)
        drawn = features.embed(network, plants)
        both = Features(*(np.concatenate(pair) for pair in zip(drawn, select(seen, others), strict=True)))
        report = detector.find(np.concatenate([plants, pixels[others]]), both)
        distance = np.minimum(report.distance_feature, report.distance_pixel)
        kinds[name] = {
            "planted": PLANTED,
            "found": int(report.copied[:PLANTED].sum()),
            "right_one": int((report.nearest_pixel[:PLANTED] == chosen).sum()),
            "greatest_distance": round(float(distance[:PLANTED].max()), 3),
        }
        false_alarms = int(report.copied[PLANTED:].sum())  # the other images are the same for all kinds
    return {"false_alarm_rate": detector.false_alarm_rate, "calibrated": detector.calibrated, "others": len(others),
            "false_alarms": false_alarms, "kinds": kinds}  # fmt: skip


# ── Tables ──────────────────────────────────────────────────────────────────────────────────


def changes_table(record: dict[str, Any]) -> str:
    """Format the metrics of every change as Markdown, in bold where they are worse than for all sets of real logos."""
    null = record["real_sets"]
    names = [name.partition("_")[0] for name in null]
    lines = [f"| 400 logos | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for key in ("mean", "worst"):
        cells = " | ".join(format_value(name, value[key]) for name, value in null.items())
        lines.append(f"| real sets, {key} of {record['splits']} | {cells} |")
    for change, metrics in record["changes"].items():
        cells = []
        for name, value in metrics.items():
            text = format_value(name, value["value"])
            sign = 1 if is_worse_higher(name) else -1
            cells.append(f"**{text}**" if sign * value["value"] > sign * null[name]["worst"] else text)
        lines.append(f"| {change} | {' | '.join(cells)} |")
    return "\n".join(lines)


def format_value(name: str, value: float) -> str:
    """Format a value with four decimals for KID and with three for all other metrics."""
    text = f"{value:.4f}" if name.startswith("kid") else f"{value:.3f}"
    return text if float(text) else text.removeprefix("-")


def numbers_table(record: dict[str, Any]) -> str:
    """Format mean and standard deviation of the real sets of each size as Markdown."""
    names = [name.partition("_")[0] for name in record["real_sets"]]
    lines = [f"| logos in a set | {' | '.join(names)} |", "|---:|" + "---:|" * len(names)]
    for count, metrics in record["by_number"].items():
        cells = [
            f"{format_value(name, value['mean'])} ± {format_value(name, value['sd'])}"
            for name, value in metrics.items()
        ]
        lines.append(f"| {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def copies_table(record: dict[str, Any]) -> str:
    """Format the numbers of copies planted and found as Markdown."""
    copies = record["copies"]
    lines = ["| copies of training logos | planted | found |", "|---|---:|---:|"]
    lines += [f"| {kind} | {counts['planted']} | {counts['found']} |" for kind, counts in copies["kinds"].items()]
    share = copies["false_alarms"] / copies["others"]
    stated = f"{copies['false_alarm_rate']:.0%} stated"
    lines.append(f"| others, not copies | {copies['others']} | {copies['false_alarms']} ({share:.1%}; {stated}) |")
    return "\n".join(lines)


TABLES = {"sensitivity": changes_table, "numbers": numbers_table, "copies": copies_table}


def rounded(value: Any) -> Any:
    """Round all floats of a tree of dictionaries to five significant digits."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--source", help="an icon set (see data_prep.make_logos) instead of the embedded logos")
    flags.add_argument("--features", default="efflite0", choices=("efflite0", "ppocr"), help="the judge")
    args = flags.parse_args()
    source = args.source
    judge = "" if args.features == "efflite0" else args.features
    began = time.perf_counter()
    with errors.exit_on_error():
        pixels = load_logos(source)
        network = features.load_network(args.features)
        seen = features.embed(network, pixels)
        training = slice(0, len(pixels) - HELD)
        splits = FEWER_SPLITS if judge else SPLITS
        null = measure_real_sets(seen, HELD, splits, network.name)
        changes = {}
        for name, change in CHANGES.items():
            spoilt = change(pixels[-HELD:], pixels[training], np.random.default_rng(0))
            fake = features.embed(network, spoilt)
            changes[name] = add_z_scores(measure(select(seen, training), fake, network.name), null)
            print(name, {key: round(value["z"], 1) for key, value in changes[name].items()}, flush=True)
        more = {} if judge else measure_more(network, pixels, seen)
    command = "python benchmarks/sensitivity.py" + (f" --features={judge}" if judge else "")
    command += f" --source={pathlib.Path(source).name}" if source else ""
    record = {
        "versions": {"python": sys.version.split()[0], "jax": jax.__version__, "numpy": np.__version__},
        "seconds": round(time.perf_counter() - began),
        "size": SIZE, "reals": len(pixels) - HELD, "fakes": HELD, "splits": splits,
        "network": {"name": network.name, "sha256": network.digest},
        "real_sets": rounded(null), "changes": rounded(changes), **more,
    }  # fmt: skip
    stem = "-".join(filter(None, ("sensitivity", judge, source and pathlib.Path(source).name.split(".")[0])))
    path = write_record(stem, command, record)
    tables = {marker: table(record) for marker, table in TABLES.items() if more or marker == "sensitivity"}
    if not source:
        for marker, text in tables.items():
            marker = f"{marker}-{judge}" if judge else marker
            rewrite_table("docs/metrics.md", marker, f"{text}\n")
    print(*tables.values(), path.relative_to(ROOT), sep="\n\n")


if __name__ == "__main__":
    main()
