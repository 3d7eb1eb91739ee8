"""Spoil real logos in known ways, and see which metrics notice.

    python benchmarks/sensitivity.py

The last 400 logos are spoilt in turn and held to all the others, as fakes would be; 50 random sets of 400, held to
the rest, say what real logos come to. Then copies of training logos are hidden among the 400 and searched for.
Writes benchmarks/results/sensitivity.json and the tables of docs/metrics.md, in about ten minutes on two CPU cores.
With --source, an icon set in the place of the embedded logos, it writes sensitivity-NAME.json alone.
"""

import argparse
import pathlib
import re
import sys
import tempfile
import time

import jax
import numpy as np
from record import ROOT, stamp
from spoilers import CHANGES, PLANTS

from data_prep import make_logos
from data_prep.pictures.convert import ImageSpec
from logogan_jax.core import errors, files
from logogan_jax.data.dataset import TFRecordDataset
from logogan_jax.metrics import compute, features, memorization
from logogan_jax.metrics.features import Features

SIZE, HELD, SPLITS = 56, 400, 50
NUMBERS, FEWER_SPLITS = (50, 100, 200, 400, 800), 20  # of how many logos a set may be, to see what that costs
PLANTED = HELD // 20
MORE_IS_WORSE = ("kid_efflite0", "fd_efflite0")  # of the others, less is


def logos(source):
    """uint8[n, S, S, 3] of the embedded logos, or of an icon set."""
    with tempfile.TemporaryDirectory() as folder:
        if source:
            path = pathlib.Path(folder) / "shards"
            make_logos.make_dataset(source, path, ImageSpec(SIZE))
        else:
            path = make_logos.embedded_logos(size=SIZE, channels=3)
        found = TFRecordDataset(path, size=(SIZE, SIZE), channels=3)
        return found.images(np.arange(len(found)))[0]


def taken(seen, positions):
    """The Features of some images."""
    return Features(*(values[positions] for values in seen))


def measured(real, fake):
    """{metric: [value, low, high]}."""
    return {name: list(found) for name, found in compute.compute_metrics(real, fake, name="efflite0").items()}


def real_sets(seen, count, splits):
    """What random sets of so many real logos come to against the rest: {metric: mean, sd, best and worst}."""
    random, values = np.random.default_rng(count), []
    for _ in range(splits):
        order = random.permutation(len(seen.head))
        found = measured(taken(seen, order[count:]), taken(seen, order[:count]))
        values.append({name: value for name, (value, _, _) in found.items()})
    told = {}
    for name in values[0]:
        column = sorted((value[name] for value in values), reverse=name not in MORE_IS_WORSE)
        told[name] = {"mean": np.mean(column), "sd": np.std(column, ddof=1), "best": column[0], "worst": column[-1]}
    return told


def noticed(found, null):
    """The same with z: standard deviations of real sets by which a value is worse than their mean."""
    told = {}
    for name, (value, low, high) in found.items():
        worse = (value - null[name]["mean"]) / null[name]["sd"] * (1 if name in MORE_IS_WORSE else -1)
        told[name] = {"value": value, "low": low, "high": high, "z": worse}
    return told


def hidden_copies(network, pixels, seen):
    """How many copies are found where one image in 20 is one, and how many others are taken for copies."""
    training, random = np.arange(len(pixels) - HELD), np.random.default_rng(2)
    detector = memorization.MemorizationDetector(pixels[training], taken(seen, training))
    told = {}
    for name, changes in PLANTS.items():
        chosen = random.choice(training, PLANTED, replace=False)
        plants = pixels[chosen]
        for change in changes:
            plants = change(plants)
        drawn, held = features.embed(network, plants), np.arange(len(training) + PLANTED, len(pixels))
        both = Features(*(np.concatenate(pair) for pair in zip(drawn, taken(seen, held), strict=True)))
        found = detector.find(np.concatenate([plants, pixels[held]]), both)
        nearness = np.minimum(found.distance_feature, found.distance_pixel)
        told[name] = {
            "planted": PLANTED,
            "found": int(found.copied[:PLANTED].sum()),
            "right_one": int((found.nearest_pixel[:PLANTED] == chosen).sum()),
            "greatest_distance": round(float(nearness[:PLANTED].max()), 3),
        }
    alarms = int(found.copied[PLANTED:].sum())
    return {"false_alarm_rate": detector.false_alarm_rate, "calibrated": detector.calibrated, "others": len(held),
            "false_alarms": alarms, "kinds": told}  # fmt: skip


# ── Tables ──────────────────────────────────────────────────────────────────────────────────


def changes_table(record):
    """The metrics of every change in Markdown: bold where worse than of any set of real logos."""
    null = record["real_sets"]
    names = [name.removesuffix("_efflite0") for name in null]
    lines = [f"| 400 logos | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for key in ("mean", "worst"):
        cells = " | ".join(shown(name, value[key]) for name, value in null.items())
        lines.append(f"| real sets, {key} of {record['splits']} | {cells} |")
    for change, found in record["changes"].items():
        cells = []
        for name, value in found.items():
            text, sign = shown(name, value["value"]), 1 if name in MORE_IS_WORSE else -1
            cells.append(f"**{text}**" if sign * value["value"] > sign * null[name]["worst"] else text)
        lines.append(f"| {change} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shown(name, value):
    """A value with as many digits as its metric needs."""
    text = f"{value:.4f}" if name.startswith("kid") else f"{value:.3f}"
    return text if float(text) else text.removeprefix("-")


def numbers_table(record):
    """What the number of images costs, in Markdown: the mean and standard deviation of real sets of each size."""
    names = [name.removesuffix("_efflite0") for name in record["real_sets"]]
    lines = [f"| logos in a set | {' | '.join(names)} |", "|---:|" + "---:|" * len(names)]
    for count, found in record["by_number"].items():
        cells = [f"{shown(name, value['mean'])} ± {shown(name, value['sd'])}" for name, value in found.items()]
        lines.append(f"| {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def copies_table(record):
    """Copies planted and found, in Markdown."""
    hidden = record["copies"]
    lines = ["| copies of training logos | planted | found |", "|---|---:|---:|"]
    lines += [f"| {kind} | {found['planted']} | {found['found']} |" for kind, found in hidden["kinds"].items()]
    share = hidden["false_alarms"] / hidden["others"]
    stated = f"{hidden['false_alarm_rate']:.0%} stated"
    lines.append(f"| others, not copies | {hidden['others']} | {hidden['false_alarms']} ({share:.1%}; {stated}) |")
    return "\n".join(lines)


TABLES = {"sensitivity": changes_table, "numbers": numbers_table, "copies": copies_table}


def write_tables(path, record):
    """Put the tables between their markers in a Markdown file."""
    text = path.read_text()
    for marker, table in TABLES.items():
        between = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.S)
        text, count = between.subn(lambda found, table=table: f"{found[1]}{table(record)}\n{found[2]}", text)
        assert count == 1, marker
    with files.atomic_write(path) as partial:
        partial.write_text(text)


def rounded(value):
    """A tree of numbers with as many digits as mean something."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", help="an icon set (see data_prep.make_logos) in the place of the embedded logos")
    source = parser.parse_args().source
    began = time.perf_counter()
    with errors.exit_on_error():
        pixels, network = logos(source), features.load_network("efflite0")
        seen, training = features.embed(network, pixels), slice(0, len(pixels) - HELD)
        null, changes = real_sets(seen, HELD, SPLITS), {}
        for name, change in CHANGES.items():
            spoilt = change(pixels[-HELD:], pixels[training], np.random.default_rng(0))
            fake = features.embed(network, spoilt)
            changes[name] = noticed(measured(taken(seen, training), fake), null)
            print(name, {key: round(value["z"], 1) for key, value in changes[name].items()}, flush=True)
        hidden = hidden_copies(network, pixels, seen)
        by_number = {str(count): real_sets(seen, count, FEWER_SPLITS) for count in NUMBERS}
    stem = f"sensitivity-{pathlib.Path(source).name.split('.')[0]}" if source else "sensitivity"
    record = {
        **stamp("python benchmarks/sensitivity.py" + (f" --source={pathlib.Path(source).name}" if source else "")),
        "versions": {"python": sys.version.split()[0], "jax": jax.__version__, "numpy": np.__version__},
        "seconds": round(time.perf_counter() - began),
        "size": SIZE, "reals": len(pixels) - HELD, "fakes": HELD, "splits": SPLITS,
        "network": {"name": network.name, "sha256": network.digest},
        "real_sets": rounded(null), "changes": rounded(changes), "copies": hidden,
        "fewer_splits": FEWER_SPLITS, "by_number": rounded(by_number),
    }  # fmt: skip
    path = ROOT / "benchmarks" / "results" / f"{stem}.json"
    files.write_json(path, record)
    if not source:
        write_tables(ROOT / "docs" / "metrics.md", record)
    print(*(table(record) for table in TABLES.values()), path.relative_to(ROOT), sep="\n\n")


if __name__ == "__main__":
    main()
