"""Which commands mend what is wrong with a set of images."""

import shlex
from typing import NamedTuple

from data_prep import arguments
from data_prep.doctor.findings import NO_LABEL
from data_prep.doctor.survey import Survey
from data_prep.pictures.convert import ImageSpec

_SIZES = (112, 56, 28)  # of the example configs
_MIN_SHARE = 0.05  # of the images; a problem of fewer gets no advice
_UNEVEN_RATIO = 10  # largest label over smallest label, from which on labels are uneven
_BAD = ("unreadable", "copies", "near copies", "nearly empty", "leaks")  # what --fix leaves out


class Advice(NamedTuple):
    """What is wrong, and the command that mends it."""

    text: str
    command: str


def give_advice(
    survey: Survey, summary: dict[str, dict[str, int]], spec: ImageSpec, *, path: str, against: str | None
) -> list[Advice]:
    """Return advice on the images of `path`, from their summary; nothing if there is nothing to mend."""
    candidates = [
        _advise_fix(summary["counts"], spec, path, against),
        _advise_padding(summary["counts"], spec, path),
        _advise_size(survey, summary["counts"], spec, path),
        _advise_labels(summary["labels"], spec, path),
    ]
    return [advice for advice in candidates if advice]


def nothing_to_mend(path: str, spec: ImageSpec, *, is_shards: bool) -> Advice:
    """Return what to do next with images that have no problem."""
    if is_shards:
        training = f"python -m logogan_jax.main {arguments.training_flags(path, spec)}"
        return Advice("Nothing to mend. Train on them", training)
    return Advice("Nothing to mend. Make shards of them", shards_command(path, spec))


def shards_command(path: str, spec: ImageSpec, **changes: str) -> str:
    """Return the command that makes shards of a folder by a spec; `changes` replace fields of the spec."""
    spec = spec._replace(**changes)
    return f"python -m data_prep.write_tfrecords --path={shlex.quote(path)} --target_path=shards {_flags(spec)}"


def _flags(spec: ImageSpec) -> str:
    return " ".join([arguments.size_flags(spec), *_fit_flags(spec)])


def _fit_flags(spec: ImageSpec) -> list[str]:
    return ["--fit=crop"] * (spec.fit == "crop") + ["--trim"] * spec.trim


def _advise_fix(counts: dict[str, int], spec: ImageSpec, path: str, against: str | None) -> Advice | None:
    bad = ", ".join(f"{name}: {counts[name]:,}" for name in _BAD if counts[name])
    if not bad:
        return None
    flags = _fit_flags(spec) + ([f"--against={shlex.quote(against)}"] if against else [])
    name = path.rstrip("/").rpartition("/")[2]
    clean = shlex.quote(f"{name}_clean" if name.strip(".~") else str(arguments.beside(path, "_clean", "fix")))
    command = " ".join([f"python -m data_prep.inspect_data --path={shlex.quote(path)}", *flags, f"--fix={clean}"])
    return Advice(f"Bad images ({bad}). Make a copy without them", command)


def _advise_padding(counts: dict[str, int], spec: ImageSpec, path: str) -> Advice | None:
    total = max(counts["images"], 1)
    if counts["long"] <= _MIN_SHARE * total or spec.fit != "crop":
        return None
    text = f"Longer than 5:3, so that they would lose their ends: {counts['long']:,} of {total:,} images"
    return Advice(f"{text}. Keep them whole", shards_command(path, spec, fit="pad"))


def _advise_size(survey: Survey, counts: dict[str, int], spec: ImageSpec, path: str) -> Advice | None:
    total = max(counts["images"], 1)
    if counts["too small"] <= _MIN_SHARE * total:
        return None
    for size in _SIZES:
        smaller = spec._replace(size=size, width=round(spec.width * size / spec.size))
        enlarged = sum(info.is_enlarged(smaller) for info in survey.infos.values())
        if enlarged <= _MIN_SHARE * total:
            break
    else:
        return None
    if smaller.size >= spec.size:
        return None
    text = f"Too small for {arguments.describe_size(spec)}: {counts['too small']:,} of {total:,} images"
    enough = arguments.describe_size(smaller).removesuffix(" pixels")
    return Advice(f"{text}. Nearly all have {enough}", shards_command(path, smaller))


def _advise_labels(labels: dict[str, int], spec: ImageSpec, path: str) -> Advice | None:
    command = f"{shards_command(path, spec)} --labels=none"
    sizes = [count for label, count in labels.items() if label != NO_LABEL]
    if sizes and NO_LABEL in labels:
        loose = f"Files beside the sub-folders, without a label: {labels[NO_LABEL]:,}"
        return Advice(f"{loose}. Move them into one, or do without labels", command)
    if len(sizes) > 1 and max(sizes) >= _UNEVEN_RATIO * min(sizes):
        uneven = f"The largest label has {max(sizes):,} images, the smallest {min(sizes):,}"
        return Advice(f"{uneven}. Gather more of the small ones, or do without labels", command)
    return None
