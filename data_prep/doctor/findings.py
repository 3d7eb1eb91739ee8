"""What is wrong with a set of images."""

import collections
import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from data_prep.doctor import duplicates, image_info
from data_prep.doctor.image_info import ImageInfo
from data_prep.doctor.survey import Survey
from data_prep.pictures.convert import ImageSpec
from logogan_jax.data import ink_counts

NO_LABEL = "(none)"  # the label of files beside the sub-folders, in the report
_SIDES = (16, 32, 64, 128, 256, 512, 1024, 2048)
_ASPECT_RATIOS = {"taller than 3:1": 1 / 3, "3:1 to 5:3 tall": 3 / 5, "about square": 5 / 3, "5:3 to 3:1 wide": 3}
MEANING = {
    "copy": "The pixels are the same, upright and on white, whatever the files' formats.",
    "near copy": f"The squares, at {duplicates.SIDE} x {duplicates.SIDE} pixels and shifted over each other by less "
    f"than one of them, differ by less than {duplicates.NEAR_THRESHOLD:.0%} of the contrast of the fainter one, "
    f"colours included: saved again, scaled, or shifted by a pixel.",
    "nearly empty": f"The pixels of the square differ from their median colour by less than "
    f"{image_info.EMPTY_INK:.1%} of the full range on average: a blank, or a mark that cannot be seen.",
    "too small": "The image has fewer pixels than the square needs, so it would be enlarged. Drawings never are.",
    "long": "The image is more than 5/3 times longer than the square one way, so a crop cuts much off.",
    "flat inks": "The fewest flat colours, up to three, that explain the image as the networks see it: its pixels are "
    "one of them or the white or transparent ground, and those on an edge a mix of two. Photographs need more.",
    "leak": "The image is the same, or nearly, as one of --against, so it would be used for training and for testing.",
}


class Group(NamedTuple):
    """Numbers of images that are copies of the first, which is the best; `exact` if all have the same pixels."""

    members: list[int]
    exact: bool


class Findings(NamedTuple):
    """Numbers of images by what is wrong with them, the worst first; `leaks` is {number: number in the other set}."""

    unreadable: list[int]
    empty: list[int]
    groups: list[Group]
    leaks: dict[int, int]
    enlarged: list[int]
    long: list[int]
    animated: list[int]


def find_problems(survey: Survey, spec: ImageSpec, against: Survey | None = None) -> Findings:
    """Return what is wrong with the images; `against` is a set that must hold no copy of them."""

    def worst_first(is_bad: Callable[[ImageInfo], bool], key: Callable[[ImageInfo], float]) -> list[int]:
        bad = [number for number, info in survey.infos.items() if is_bad(info)]
        return sorted(bad, key=lambda number: key(survey.infos[number]))

    return Findings(
        unreadable=sorted(survey.reasons),
        empty=worst_first(lambda info: info.is_empty, lambda info: info.ink),
        groups=_group_copies(survey),
        leaks=_find_leaks(survey, against) if against else {},
        enlarged=worst_first(lambda info: info.is_enlarged(spec), lambda info: min(info.width, info.height)),
        long=worst_first(lambda info: info.is_long(spec), lambda info: -info.elongation(spec)),
        animated=worst_first(lambda info: info.animated, lambda info: info.nbytes),
    )


def choose_removed(
    survey: Survey, findings: Findings, against: Survey | None = None, against_path: str | None = None
) -> dict[int, dict[str, str]]:
    """Return {number: {"reason": ..., "same_as": ...}} of the images that a cleaned copy leaves out."""
    removed = {number: {"reason": survey.reasons[number]} for number in findings.unreadable}
    removed |= {number: {"reason": "nearly empty"} for number in findings.empty}
    if against:
        reason = f"also in {against_path}"
        removed |= {i: {"reason": reason, "same_as": against.names[j]} for i, j in findings.leaks.items()}
    for group in findings.groups:
        members = [number for number in group.members if number not in removed]
        for number in members[1:]:
            exact = survey.infos[number].digest == survey.infos[members[0]].digest
            removed[number] = {"reason": "copy" if exact else "near copy", "same_as": survey.names[members[0]]}
    return removed


def summarize(survey: Survey, findings: Findings) -> dict[str, dict[str, int]]:
    """Return counts of findings, and histograms of formats, modes, sides, shapes and labels."""
    infos = list(survey.infos.values())
    rasters = [info for info in infos if not info.is_vector]
    copies = sum(len(group.members) - 1 for group in findings.groups)
    distinct = lambda group: len({survey.infos[number].digest for number in group.members})
    exact = sum(len(group.members) - distinct(group) for group in findings.groups)
    return {
        "counts": {
            "files": len(survey.names), "images": len(infos), "unreadable": len(findings.unreadable),
            "copies": exact, "near copies": copies - exact, "nearly empty": len(findings.empty),
            "leaks": len(findings.leaks), "too small": len(findings.enlarged), "long": len(findings.long),
            "animated": len(findings.animated), "copies under two labels": len(groups_with_labels(survey, findings)),
        },
        "formats": _count(info.format for info in infos),
        "modes": _count(info.mode for info in infos),
        "widths": _histogram_of_sides(info.width for info in rasters),
        "heights": _histogram_of_sides(info.height for info in rasters),
        "shapes": _histogram_of_shapes(infos),
        "inks": ink_counts.tally(info.inks for info in infos),
        "labels": _count(
            label or NO_LABEL for number, label in enumerate(survey.labels) if label or number in survey.infos
        ),
    }  # fmt: skip


def groups_with_labels(survey: Survey, findings: Findings) -> list[Group]:
    """Return the groups of copies that have more than one label."""
    return [group for group in findings.groups if len({survey.labels[number] for number in group.members}) > 1]


def _group_copies(survey: Survey) -> list[Group]:
    """Return the groups of copies, the largest first.

    Exact copies are grouped by their digests. Only one image of each such group is compared with the others by its
    thumbnail, and then stands for its group.
    """
    visible = survey.visible()
    exact_groups = duplicates.group_exact([survey.infos[number].digest for number in visible])
    exact_copies = {group[0]: group for group in exact_groups}
    distinct = sorted(set(range(len(visible))) - {number for group in exact_groups for number in group[1:]})
    near_groups = [
        [distinct[place] for place in group] for group in duplicates.group_near(survey.thumbnails[visible][distinct])
    ]
    only_exact = exact_copies.keys() - {number for group in near_groups for number in group}
    groups = [Group(exact_copies[number], True) for number in only_exact]
    for near_group in near_groups:
        members = [member for number in near_group for member in exact_copies.get(number, [number])]
        groups.append(Group(members, False))
    best_first = [
        group._replace(members=sorted((visible[place] for place in group.members), key=_preference(survey)))
        for group in groups
    ]
    return sorted(best_first, key=lambda group: (-len(group.members), survey.names[group.members[0]]))


def _preference(survey: Survey) -> Callable[[int], tuple[Any, ...]]:
    """Return a sort key: drawings first, then more pixels, lossless formats, more bytes, names."""

    def key(number: int) -> tuple[Any, ...]:
        info = survey.infos[number]
        return not info.is_vector, -info.width * info.height, info.is_lossy, -info.nbytes, survey.names[number]

    return key


def _find_leaks(survey: Survey, against: Survey) -> dict[int, int]:
    """Return {number: number in the other set} of images that are in both, in order."""
    ours, theirs = survey.visible(), against.visible()
    near = duplicates.match_near(survey.thumbnails[ours], against.thumbnails[theirs])
    leaks = {ours[i]: theirs[j] for i, j in near.items()}
    by_digest = {against.infos[number].digest: number for number in reversed(theirs)}  # the first of copies wins
    for number in ours:
        if survey.infos[number].digest in by_digest:
            leaks[number] = by_digest[survey.infos[number].digest]
    return dict(sorted(leaks.items()))


def _count(values: Iterable[str]) -> dict[str, int]:
    """Return {value: count}, the most frequent first."""
    return dict(sorted(collections.Counter(values).items(), key=lambda entry: (-entry[1], entry[0])))


def _histogram_of_sides(values: Iterable[int]) -> dict[str, int]:
    names = [f"to {_SIDES[0]}", *(f"{low + 1} to {high}" for low, high in itertools.pairwise(_SIDES))]
    return _histogram(values, _SIDES, [*names, f"over {_SIDES[-1]}"])


def _histogram_of_shapes(infos: Iterable[ImageInfo]) -> dict[str, int]:
    ratios = (info.width / info.height for info in infos)
    return _histogram(ratios, _ASPECT_RATIOS.values(), [*_ASPECT_RATIOS, "wider than 3:1"])


def _histogram(values: Iterable[float], limits: Iterable[float], names: Iterable[str]) -> dict[str, int]:
    """Return {name: count} of values up to each of the limits; the last name is of those above all limits."""
    counts = collections.Counter(sum(value > limit for limit in limits) for value in values)
    return {name: counts[number] for number, name in enumerate(names)}
