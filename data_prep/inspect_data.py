"""The data doctor: what a folder of images or of shards holds, what is wrong with it, and a cleaned copy.

    python -m data_prep.inspect_data --path=logos --size=56 --against=validation --fix=logos_clean

Counts formats, sizes, modes and labels, and finds what cannot be read, copies, near copies, near-empty and
long images, those too small for --size, and those that are in a validation set too. Writes report.html,
report.json and images.jsonl (a line for each image); --fix copies what is good and never touches --path.
"""

import argparse
import json
import pathlib
import random

from data_prep import arguments
from data_prep.doctor import findings, report_page, sources, survey
from data_prep.shards import output_folder
from logogan_jax.core import errors, files, progress
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem

_SAMPLE, _GROUPS, _MEMBERS, _ROW = 60, 24, 8, 24  # pictures on the page: at random, of copies, of all else
_SIZE = 56  # of the squares, if neither the flag nor shards say it


def inspect(items, frame, *, path, against=None, against_path=None):
    """Images or Records -> (report as a dictionary, Survey, {number: why} of what a cleaned copy leaves out)."""
    ours = survey.Survey(items, frame)
    theirs = survey.Survey(against, frame) if against else None
    found = findings.find(ours, frame, theirs)
    told = findings.summary(ours, found)
    out = findings.removed(ours, found, against_path, theirs)
    name = lambda numbers: [ours.names[number] for number in numbers]
    source = "IMAGES" if items.metadata else path  # what the shards were made from is not known
    advice = findings.advice(ours, found, told, frame, path=source, against=against_path)
    report = {
        "path": str(path), "against": against_path and str(against_path), **frame._asdict(), **told,
        "advice": advice or [_nothing(items, frame, path)],
        "meaning": findings.MEANING,
        "unreadable": [{"path": ours.names[i], "reason": ours.reasons[i]} for i in found.unreadable],
        "copies": [{"exact": group.exact, "paths": name(group.members)} for group in found.groups],
        "leaks": [{"path": ours.names[i], "same_as": theirs.names[j]} for i, j in found.leaks.items()],
        "nearly empty": name(found.empty), "too small": name(found.enlarged), "long": name(found.long),
        "animated": name(found.animated),
        "copies under two labels": [name(group.members) for group in findings.two_labels(ours, found)],
    }  # fmt: skip
    return report, ours, out


def write_report(report, ours, items, against, frame, target):
    """Write report.json, images.jsonl and report.html into a folder."""
    known = [name for name, facts in zip(ours.names, ours.facts, strict=True) if facts]
    sample = sorted(random.Random(0).sample(known, min(_SAMPLE, len(known))))
    shown = {
        "sample": sample,
        "copies": [{**g, "paths": g["paths"][:_MEMBERS], "count": len(g["paths"])} for g in report["copies"][:_GROUPS]],
        **{key: report[key][:_ROW] for key in ("nearly empty", "long", "leaks")},
    }
    copies = {name for group in shown["copies"] for name in group["paths"]}
    leaking = {leak["path"] for leak in shown["leaks"]}
    squares = {*sample, *copies, *leaking, *shown["nearly empty"]}
    drawn, whole = survey.pictures(items, frame, squares, set(shown["long"]))
    others = {leak["same_as"] for leak in shown["leaks"]}
    theirs = survey.pictures(against, frame, others)[0] if others else {}
    page = report_page.page(report, shown, drawn, whole, theirs)
    there = filesystem.Folder(target)
    there.write("images.jsonl", "".join(json.dumps(line) + "\n" for line in _lines(ours)).encode())
    there.write("report.html", page.encode("utf-8", "backslashreplace"))
    there.write("report.json", files.to_json(report).encode())


def write_clean(items, ours, out, target):
    """Copy all files that are not left `out` to a new folder, with removed.jsonl, which names the others."""
    left = [{"path": ours.names[number], **why} for number, why in sorted(out.items())]
    kept = [name for number, name in enumerate(ours.names) if number not in out]
    if not kept:
        raise UserError(f"--fix={target}: no image would be left of {items.store}, so nothing is written")
    names = [*kept, *items.manifests()]
    with output_folder.create(target) as partial, progress.Bar("copying", len(names), unit="files") as bar:
        copy = filesystem.Folder(partial)
        for name in copy.names():  # from a run that was stopped, which may have kept others
            (partial / name).unlink()
        for number, name in enumerate(names, 1):
            copy.write(name, items.store.read(name))
            bar.update(number)
        copy.write("removed.jsonl", "".join(json.dumps(line) + "\n" for line in left).encode())
    return f"{len(kept):,} images copied to {target}, {len(left):,} left out (reasons in removed.jsonl there)."


def table(report):
    """The lines that are printed: counts, advice."""
    formats = ", ".join(f"{name} {count:,}" for name, count in report["formats"].items())
    lines = [f"{report['path']}: {report['counts']['files']:,} files"]
    for name, count in report["counts"].items():
        if name != "files" and (count or name == "images"):
            lines.append(f"{count:>9,}  {name}" + (f"  ({formats})" if name == "images" and formats else ""))
    return "\n".join([*lines, "", *(f"{text}\n    {command}" for text, command in report["advice"])])


def _nothing(items, frame, path):
    if items.metadata:
        return "Nothing to mend. Train on them", f"python -m logogan_jax.main {arguments.training_flags(path, frame)}"
    flags = f" {arguments.size_flags(frame)}" + " --fit=crop" * (frame.fit == "crop") + " --trim" * frame.trim
    return "Nothing to mend. Make shards of them", findings.write_command(path) + flags


def _lines(ours):
    for name, label, facts in zip(ours.names, ours.labels, ours.facts, strict=True):
        if facts:
            rest = facts._asdict() | {"digest": facts.digest.hex(), "ink": round(facts.ink, 5)}
            rest.pop("thumbnail")
            yield {"path": name, "label": label, **rest}


def _frame(args, items):
    """The ImageSpec of the flags; of shards, that which they were made with."""
    made = items.metadata or {}
    for flag, default in (("size", _SIZE), ("channels", 3), ("width", 0)):
        given, there = getattr(args, flag), made.get(flag)
        if None not in (given, there) and given != there:
            raise UserError(f"--{flag}={given}, but {args.path} holds shards with {flag} {there}: leave the flag out")
        setattr(args, flag, (there or default) if given is None else given)
    return arguments.image_spec(args)


def _check_targets(args, report, items):
    """Refuse folders that hold something else, or lie within one another."""
    if args.fix and items.metadata:
        raise UserError(
            f"--fix={args.fix}: {args.path} holds shards, which cannot be taken apart: clean the folder of images "
            f"that they were made from, then run write_tfrecords again"
        )
    if not {path.name for path in _listed(report)} <= {"report.html", "report.json", "images.jsonl"}:
        raise UserError(f"--report={report} is a folder with something else in it: choose another")
    if args.fix and _listed(pathlib.Path(args.fix).expanduser()):
        raise UserError(f"--fix={args.fix} is not an empty folder: remove it or choose another")
    for flag, target in (("report", report), ("fix", args.fix)):
        if target and "://" not in args.path:
            target, path = (pathlib.Path(where).expanduser().resolve() for where in (target, args.path))
            if path == target or path in target.parents:
                raise UserError(f"--{flag}={target} lies in --path={args.path}: choose a place outside of it")


def _listed(path):
    try:
        return list(path.iterdir()) if path.exists() else []
    except NotADirectoryError:
        raise UserError(f"{path} is a file, not a folder: choose another") from None


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.inspect_data", description=__doc__.splitlines()[0])
    parser.add_argument("-p", "--path", required=True, help="folder or bucket of images, SVG too, or folder of shards")
    arguments.add_image_spec(parser, _SIZE)
    parser.set_defaults(size=None, width=None, channels=None)
    parser.add_argument("--against", help="another folder or shards, as for validation: what is in both is a leak")
    parser.add_argument("--report", help="folder for the report (default: PATH_report)")
    parser.add_argument("--fix", metavar="DIR", help="new folder for a copy without what is bad; PATH is not touched")
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        items = sources.open_source(args.path, "path")
        against = sources.open_source(args.against, "against") if args.against else None
        frame = _frame(args, items)
        here = args.path.rstrip("/")
        here = here.rpartition("/")[2] if "://" in here else here
        report = pathlib.Path(args.report or f"{here}_report").expanduser()
        _check_targets(args, report, items)
        found, ours, out = inspect(items, frame, path=args.path, against=against, against_path=args.against)
        write_report(found, ours, items, against, frame, report)
        print(table(found))
        print(f"\nReport: {report / 'report.html'}")
        if args.fix:
            print(write_clean(items, ours, out, pathlib.Path(args.fix).expanduser()))


if __name__ == "__main__":
    main()
