"""What is wrong with a set of images, and the command that mends it."""

import collections
import itertools
import shlex
from typing import NamedTuple

from data_prep import arguments
from data_prep.doctor import duplicates, look

_SIDES = (16, 32, 64, 128, 256, 512, 1024, 2048)
_SHAPES = {"taller than 3:1": 1 / 3, "3:1 to 5:3 tall": 3 / 5, "about square": 5 / 3, "5:3 to 3:1 wide": 3}
_SIZES = (112, 56, 28)  # of the configs that there are
_FEW = 0.05  # share of the images below which nothing is advised
_UNEVEN = 10  # times the smallest label is in the largest, from which on it is told
MEANING = {
    "copy": "The pixels are the same, upright and on white, whatever the files' formats.",
    "near copy": f"The squares, at {duplicates.SIDE} x {duplicates.SIDE} pixels and moved over each other by less "
    f"than one of them, differ by less than {duplicates.NEAR:.0%} of the contrast of the fainter one, colours "
    f"included: saved again, scaled, or moved by a pixel.",
    "nearly empty": f"The pixels of the square differ from their commonest colour by less than {look.EMPTY:.1%} "
    f"of the full range on average: a blank, or a mark that cannot be seen.",
    "too small": "Fewer pixels than the square that is to be made, so they would be enlarged. Drawings never are.",
    "long": "More than 5/3 times as long one way as the square that is to be made, so a crop cuts much off.",
    "leak": "The same, or nearly, as an image of --against, so it would be trained on and tested on.",
}


class Group(NamedTuple):
    """Numbers of images that are copies of the first, which is the largest; `exact` if all have the same pixels."""

    members: list
    exact: bool


class Findings(NamedTuple):
    """Numbers of images by what is the matter with them, the worst first; leaks are {number: number of the other}."""

    unreadable: list
    empty: list
    groups: list
    leaks: dict
    enlarged: list
    long: list
    animated: list


def find(survey, frame, against=None):
    """Survey, ImageSpec, Survey that must hold no copies -> Findings."""
    known = [number for number, facts in enumerate(survey.facts) if facts]

    def worst(is_so, key):
        return sorted((i for i in known if is_so(survey.facts[i])), key=lambda i: key(survey.facts[i]))

    return Findings(
        unreadable=sorted(survey.reasons),
        empty=worst(lambda facts: facts.empty, lambda facts: facts.ink),
        groups=_groups(survey),
        leaks=_leaks(survey, against) if against else {},
        enlarged=worst(lambda facts: facts.enlarged(frame), lambda facts: min(facts.width, facts.height)),
        long=worst(lambda facts: facts.long(frame), lambda facts: -facts.elongation(frame)),
        animated=worst(lambda facts: facts.animated, lambda facts: facts.nbytes),
    )


def removed(survey, found, against_path=None, against=None):
    """{number: {"reason": ..., "same_as": ...}} of the images that a cleaned copy leaves out."""
    out = {number: {"reason": survey.reasons[number]} for number in found.unreadable}
    out |= {number: {"reason": "nearly empty"} for number in found.empty}
    out |= {i: {"reason": f"also in {against_path}", "same_as": against.names[j]} for i, j in found.leaks.items()}
    for group in found.groups:
        kept, *copies = [number for number in group.members if number not in out] or [None]
        for number in copies:
            same = survey.facts[number].digest == survey.facts[kept].digest
            out[number] = {"reason": "copy" if same else "near copy", "same_as": survey.names[kept]}
    return out


def summary(survey, found):
    """What is told of the whole set: counts, and histograms of formats, modes, sides, shapes and labels."""
    known = [facts for facts in survey.facts if facts]
    solid = [facts for facts in known if not facts.drawn]
    copies = sum(len(group.members) - 1 for group in found.groups)
    # Copies of copies: those that are left when each digest is counted once.
    exact = sum(len(group.members) - len({survey.facts[i].digest for i in group.members}) for group in found.groups)
    return {
        "counts": {
            "files": len(survey.names), "images": len(known), "unreadable": len(found.unreadable),
            "copies": exact, "near copies": copies - exact, "nearly empty": len(found.empty),
            "leaks": len(found.leaks), "too small": len(found.enlarged), "long": len(found.long),
            "animated": len(found.animated), "copies under two labels": len(two_labels(survey, found)),
        },
        "formats": _counted(facts.format for facts in known),
        "modes": _counted(facts.mode for facts in known),
        "widths": _sides(facts.width for facts in solid),
        "heights": _sides(facts.height for facts in solid),
        "shapes": _shapes(known),
        "labels": _counted(label or "(none)" for label in survey.labels),
    }  # fmt: skip


def two_labels(survey, found):
    """The groups whose members do not all have one label."""
    return [group for group in found.groups if len({survey.labels[number] for number in group.members}) > 1]


def advice(survey, found, told, frame, *, path, against):
    """[(what is wrong, the command that mends it), ...] of a folder, from Findings and their summary."""
    trim = " --trim" * frame.trim
    flags = " --fit=crop" * (frame.fit == "crop") + trim
    size, write = f" {arguments.size_flags(frame)}", write_command(path)
    fix = f"python -m data_prep.inspect_data --path={shlex.quote(path)}{flags}"
    fix += f" --against={shlex.quote(against)}" if against else ""
    fix += f" --fix={shlex.quote(path.rstrip('/').rpartition('/')[2] + '_clean')}"
    counts, lines = told["counts"], []
    total = max(counts["images"], 1)
    bad = {key: counts[key] for key in ("unreadable", "copies", "near copies", "nearly empty", "leaks") if counts[key]}
    if bad:
        spoken = ", ".join(f"{name}: {count:,}" for name, count in bad.items())
        lines.append((f"Bad images ({spoken}). Make a copy without them", fix))
    if counts["long"] > _FEW * total and frame.fit == "crop":
        share = f"Longer than 5:3, so that they would lose their ends: {counts['long']:,} of {total:,} images"
        lines.append((f"{share}. Keep them whole", f"{write}{size}{trim}"))
    if counts["too small"] > _FEW * total:
        smaller = (frame._replace(size=side, width=round(frame.width * side / frame.size)) for side in _SIZES)
        fits = next((one for one in smaller if _smaller(survey, one) <= _FEW * total), None)
        if fits and fits.size < frame.size:
            share = f"Too small for {arguments.describe_size(frame)}: {counts['too small']:,} of {total:,} images"
            has = arguments.describe_size(fits).removesuffix(" pixels")
            lines.append((f"{share}. Nearly all have {has}", f"{write} {arguments.size_flags(fits)}{flags}"))
    sizes = [count for label, count in told["labels"].items() if label != "(none)"]
    if sizes and "(none)" in told["labels"]:
        loose = f"Files beside the sub-folders, without a label: {told['labels']['(none)']:,}"
        lines.append((f"{loose}. Move them into one, or do without labels", f"{write}{size}{flags} --labels=none"))
    elif len(sizes) > 1 and max(sizes) >= _UNEVEN * min(sizes):
        uneven = f"The largest label has {max(sizes):,} images, the smallest {min(sizes):,}"
        more = f"{uneven}. Gather more of the small ones, or do without labels"
        lines.append((more, f"{write}{size}{flags} --labels=none"))
    return lines


def write_command(path):
    """The command that makes shards of a folder, without the flags that say of which kind."""
    return f"python -m data_prep.write_tfrecords --path={shlex.quote(path)} --target_path=shards"


def _groups(survey):
    visible = survey.visible()
    same = duplicates.exact([survey.facts[number].digest for number in visible])
    copies = {group[0]: group for group in same}
    once = sorted(set(range(len(visible))) - {number for group in same for number in group[1:]})
    near = [[once[place] for place in group] for group in duplicates.near(survey.thumbnails[visible][once])]
    alone = copies.keys() - {number for group in near for number in group}
    groups = [Group(copies[number], True) for number in alone]
    groups += [Group([member for number in group for member in copies.get(number, [number])], False) for group in near]
    sorted_groups = [
        group._replace(members=sorted((visible[number] for number in group.members), key=_preference(survey)))
        for group in groups
    ]
    return sorted(sorted_groups, key=lambda group: (-len(group.members), survey.names[group.members[0]]))


def _preference(survey):
    """Sorts drawings first, then images by their pixels, the exact before the lossy, then by their bytes."""

    def key(number):
        facts = survey.facts[number]
        return not facts.drawn, -facts.width * facts.height, facts.lossy, -facts.nbytes, survey.names[number]

    return key


def _leaks(survey, against):
    ours, theirs = survey.visible(), against.visible()
    digests = {against.facts[number].digest: number for number in reversed(theirs)}
    near = duplicates.shared(survey.thumbnails[ours], against.thumbnails[theirs])
    found = {ours[i]: theirs[j] for i, j in near.items()}
    return dict(sorted((found | {i: digests[d] for i in ours if (d := survey.facts[i].digest) in digests}).items()))


def _smaller(survey, frame):
    return sum(facts.enlarged(frame) for facts in survey.facts if facts)


def _counted(values):
    return dict(sorted(collections.Counter(values).items(), key=lambda entry: (-entry[1], entry[0])))


def _sides(values):
    counts = collections.Counter(sum(value > side for side in _SIDES) for value in values)
    names = [f"to {_SIDES[0]}", *(f"{low + 1} to {high}" for low, high in itertools.pairwise(_SIDES))]
    names.append(f"over {_SIDES[-1]}")
    return {name: counts[number] for number, name in enumerate(names)}


def _shapes(known):
    counts = collections.Counter(sum(f.width / f.height > limit for limit in _SHAPES.values()) for f in known)
    return {name: counts[number] for number, name in enumerate([*_SHAPES, "wider than 3:1"])}
