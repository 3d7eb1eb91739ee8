"""The data doctor: what a folder of images or of shards holds, what is wrong with it, and a cleaned copy.

    python -m data_prep.inspect_data --path=logos --size=56 --against=validation --fix=logos_clean

It counts formats, sizes, modes, labels and flat inks, and says which config.mark.inks suits the images. It finds
unreadable files, copies, near copies, images that are nearly empty, long or too small for --size, and images that are
also in a validation set. It writes report.html, report.json and images.jsonl (one line for each image). --fix copies
the good images and never changes --path.
"""

import argparse
import json
import pathlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

from data_prep import arguments, folders, listing
from data_prep.doctor import report_page
from data_prep.doctor.advice import give_advice, nothing_to_mend
from data_prep.doctor.findings import MEANING, choose_removed, find_problems, groups_with_labels, summarize
from data_prep.doctor.sources import ImageFolder, ShardRecords, open_source
from data_prep.doctor.survey import Survey, draw_squares, draw_whole
from data_prep.pictures.convert import ImageSpec
from data_prep.shards import output_folder
from logogan_jax.core import errors, files, progress
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem
from logogan_jax.data import ink_counts

_MAX_SAMPLE = 60  # images on the page that are drawn at random
_MAX_GROUPS = 24  # groups of copies on the page
_MAX_MEMBERS = 8  # images of one group on the page
_MAX_EXAMPLES = 24  # images of any other kind on the page
_DEFAULT_SIZE = 56  # pixels; for folders of images without --size

Source = ImageFolder | ShardRecords
Report = dict[str, Any]  # what report.json holds


def inspect(
    items: Source, spec: ImageSpec, *, path: str, against: Source | None = None, against_path: str | None = None
) -> tuple[Report, Survey, dict[int, dict[str, str]]]:
    """Look at all images.

    Returns:
        The report, the survey, and {number: {"reason": ...}} of the images that a cleaned copy leaves out.
    """
    ours = Survey(items, spec)
    theirs = Survey(against, spec) if against else None
    findings = find_problems(ours, spec, theirs)
    summary = summarize(ours, findings)
    names = lambda numbers: [ours.names[number] for number in numbers]
    images_path = "IMAGES" if items.metadata else path  # shards do not say from which folder they were made
    advice = give_advice(ours, summary, spec, path=images_path, against=against_path)
    report = {
        "path": path, "against": against_path, **spec._asdict(), **summary,
        "advice": advice or [nothing_to_mend(path, spec, is_shards=bool(items.metadata))],
        "head": ink_counts.describe([info.inks for info in ours.infos.values()]) if ours.infos else "",
        "mark.inks": ink_counts.choose_inks([info.inks for info in ours.infos.values()]),
        "meaning": MEANING,
        "unreadable": [{"path": ours.names[i], "reason": ours.reasons[i]} for i in findings.unreadable],
        "copies": [{"exact": group.exact, "paths": names(group.members)} for group in findings.groups],
        "leaks": [
            {"path": ours.names[i], "same_as": theirs.names[j]} for i, j in findings.leaks.items() if theirs
        ],
        "nearly empty": names(findings.empty), "too small": names(findings.enlarged), "long": names(findings.long),
        "animated": names(findings.animated),
        "copies under two labels": [names(group.members) for group in groups_with_labels(ours, findings)],
    }  # fmt: skip
    return report, ours, choose_removed(ours, findings, theirs, against_path)


def write_report(
    report: Report, survey: Survey, items: Source, against: Source | None, spec: ImageSpec, folder: pathlib.Path
) -> None:
    """Write report.json, images.jsonl and report.html into a folder."""
    shown = _choose_shown(report, survey)
    copies = {name for group in shown["copies"] for name in group["paths"]}
    leaks = {leak["path"] for leak in shown["leaks"]}
    squares = draw_squares(items, spec, {*shown["sample"], *copies, *leaks, *shown["nearly empty"]})
    whole = draw_whole(items, set(shown["long"]))
    theirs = draw_squares(against, spec, {leak["same_as"] for leak in shown["leaks"]}) if against else {}
    page = report_page.page(report, shown, squares, whole, theirs)
    store = filesystem.Folder(folder)
    store.write("images.jsonl", _to_jsonl(_image_lines(survey)))
    store.write("report.html", page.encode("utf-8", "backslashreplace"))
    store.write("report.json", files.to_json(report).encode())


def _choose_shown(report: Report, survey: Survey) -> dict[str, list[Any]]:
    """Return the names that the page shows pictures of, by the part of the page."""
    readable = [survey.names[number] for number in survey.infos]
    groups = report["copies"][:_MAX_GROUPS]
    return {
        "sample": sorted(random.Random(0).sample(readable, min(_MAX_SAMPLE, len(readable)))),
        "copies": [{**g, "paths": g["paths"][:_MAX_MEMBERS], "count": len(g["paths"])} for g in groups],
        **{key: report[key][:_MAX_EXAMPLES] for key in ("nearly empty", "long", "leaks")},
    }


def _image_lines(survey: Survey) -> Iterator[dict[str, Any]]:
    for number, info in survey.infos.items():
        fields = info._asdict() | {"digest": info.digest.hex(), "ink": round(info.ink, 5)}
        del fields["thumbnail"]
        yield {"path": survey.names[number], "label": survey.labels[number], **fields}


def _to_jsonl(lines: Iterator[dict[str, Any]] | Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def write_clean(items: ImageFolder, survey: Survey, removed: dict[int, dict[str, str]], target: pathlib.Path) -> str:
    """Copy all files that are not `removed` to a new folder, with removed.jsonl, and return the line of totals."""
    removed_lines = [{"path": survey.names[number], **reason} for number, reason in sorted(removed.items())]
    kept = [name for number, name in enumerate(survey.names) if number not in removed]
    if not kept:
        raise UserError(f"--fix={target}: no image would be left of {items.store}, so nothing is written")
    names = [*kept, *listing.manifest_names(items.store)]
    with output_folder.create(target, "fix") as partial, progress.Bar("copying", len(names), unit="files") as bar:
        copy = filesystem.Folder(partial)
        for name in copy.names():  # of a run that was stopped, which may have kept other images
            copy.remove(name)
        for number, name in enumerate(names, 1):
            copy.write(name, items.store.read(name))
            bar.update(number)
        if isinstance(items.store, filesystem.Folder):
            listing.write_settings(partial, {}, items.store.path, target)
        copy.write("removed.jsonl", _to_jsonl(removed_lines))
    return f"{len(kept):,} images copied to {target}, {len(removed_lines):,} left out (reasons in removed.jsonl there)."


def format_report(report: Report) -> str:
    """Return the lines to print: counts, then advice."""
    formats = ", ".join(f"{name} {count:,}" for name, count in report["formats"].items())
    lines = [f"{report['path']}: {report['counts']['files']:,} files"]
    for name, count in report["counts"].items():
        if name != "files" and (count or name == "images"):
            lines.append(f"{count:>9,}  {name}" + (f"  ({formats})" if name == "images" and formats else ""))
    lines += [report["head"]] * bool(report["head"])
    return "\n".join([*lines, "", *(f"{text}\n    {command}" for text, command in report["advice"])])


def _read_spec(args: argparse.Namespace, items: Source) -> ImageSpec:
    """Return the ImageSpec of the flags, or of the shards; UserError if the two differ."""
    metadata = items.metadata or {}
    for flag, default in (("size", _DEFAULT_SIZE), ("channels", 3), ("width", 0)):
        value, held = getattr(args, flag), metadata.get(flag)
        if None not in (value, held) and value != held:
            raise UserError(f"--{flag}={value}, but {args.path} holds shards with {flag} {held}: leave the flag out")
        setattr(args, flag, (held or default) if value is None else value)
    return arguments.image_spec(args)


def _check_targets(args: argparse.Namespace, report_folder: pathlib.Path, items: Source) -> None:
    """Refuse folders that hold other files, and folders inside --path."""
    if args.fix and items.metadata:
        raise UserError(
            f"--fix={args.fix}: {args.path} holds shards, which cannot be taken apart: clean the folder of images "
            f"that they were made from, then run write_tfrecords again"
        )
    if not {path.name for path in _list_folder(report_folder)} <= {"report.html", "report.json", "images.jsonl"}:
        raise UserError(f"--report={report_folder} is a folder with something else in it: choose another")
    if args.fix:
        output_folder.refuse_full(files.expand(args.fix), "fix")
    for flag, target in (("report", report_folder), ("fix", args.fix)):
        if target and "://" not in args.path:
            target, path = files.expand(target).resolve(), files.expand(args.path).resolve()
            if path == target or path in target.parents:
                raise UserError(f"--{flag}={target} lies in --path={args.path}: choose a place outside of it")
    # Tried before all the work, not after it.
    if args.fix:
        fix = files.expand(args.fix).resolve()
        if fix in (report_folder.resolve(), *report_folder.resolve().parents):
            raise UserError(f"--report={report_folder} lies in --fix={args.fix}: choose a place outside of it")
        output_folder.check(files.expand(args.fix), "fix")
    folders.make_writable(report_folder, "report")


def _list_folder(path: pathlib.Path) -> list[pathlib.Path]:
    try:
        return list(path.iterdir()) if path.exists() else []
    except NotADirectoryError:
        raise UserError(f"{path} is a file, not a folder: choose another") from None


def _default_report_folder(path: str) -> str:
    """Return PATH_report; of a bucket, its last part in the working folder."""
    in_bucket = path.rstrip("/").rpartition("/")[2] if "://" in path else None
    return str(arguments.beside(in_bucket or path, "_report", "report"))


def _parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    description = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m data_prep.inspect_data", description=description)
    parser.add_argument("-p", "--path", required=True, help="folder or bucket of images, SVG too, or folder of shards")
    arguments.add_image_spec(parser, _DEFAULT_SIZE)
    parser.set_defaults(size=None, width=None, channels=None)  # None: not given, so that shards can say it
    parser.add_argument("--against", help="a second set, such as a validation set: images in both are leaks")
    parser.add_argument("--report", help="folder for the report (default: PATH_report)")
    parser.add_argument("--fix", metavar="DIR", help="new folder for a copy of the good images; PATH is not changed")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = _parse_args(argv)
    with errors.exit_on_error():
        items = open_source(args.path, "path")
        against = open_source(args.against, "against") if args.against else None
        spec = _read_spec(args, items)
        report_folder = files.expand(args.report or _default_report_folder(args.path))
        _check_targets(args, report_folder, items)
        report, survey, removed = inspect(items, spec, path=args.path, against=against, against_path=args.against)
        write_report(report, survey, items, against, spec, report_folder)
        print(format_report(report))
        print(f"\nReport: {report_folder / 'report.html'}")
        if isinstance(items, ImageFolder) and args.fix:
            print(write_clean(items, survey, removed, files.expand(args.fix)))


if __name__ == "__main__":
    main()
