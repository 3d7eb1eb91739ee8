"""A folder of files to a folder of PNGs: what is done is skipped, what fails is listed with its reason."""

import collections
import contextlib
import functools
import json
import pathlib

from data_prep import convert, pool
from logogan_jax import files, progress
from logogan_jax.errors import UserError


def visible(path):
    """Files below a folder, as sorted paths relative to it, without those that are hidden or in hidden folders."""
    path = pathlib.Path(path).expanduser()
    if not path.is_dir():
        raise UserError(f"--path={path} is not a folder")
    names = sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())
    return [name for name in names if not any(part.startswith(".") for part in name.parts)]


def transform(function, path, names, target, *, first="", workers=None):
    """Write function(path / name) -> [(suffix, Pillow image)] as target/STEM+suffix.png; return the line of totals.

    `names` are relative, and sub-folders are kept. A file whose output with the suffix `first` is there
    is done and skipped; one that fails is a line in target/rejects.jsonl and never stops the others.
    """
    path, target = pathlib.Path(path).expanduser(), pathlib.Path(target).expanduser()
    names = [name for name in names if target not in (path / name).parents]
    if not names:
        raise UserError(f"--path={path} holds no file to work on")
    work = functools.partial(_one, function, path, target, first)
    counts, rejects = {"written": 0, "skipped": 0}, []
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress.Bar("files", len(names), unit="files"))
        outcomes = stack.enter_context(pool.ordered(work, outputs(names), workers))
        for done, (name, outcome) in enumerate(zip(names, outcomes, strict=True), 1):
            if outcome in counts:
                counts[outcome] += 1
            else:
                rejects.append({"path": str(name), "reason": outcome})
            bar.update(done)
    target.mkdir(parents=True, exist_ok=True)
    with files.whole(target / "rejects.jsonl") as partial:
        partial.write_text("".join(json.dumps(line) + "\n" for line in rejects))
    before = f", {counts['skipped']} done before" if counts["skipped"] else ""
    reasons = " (reasons in rejects.jsonl there)" if rejects else ""
    return f"{counts['written']} files converted into {target}{before}, {len(rejects)} rejected{reasons}."


def outputs(names):
    """(name, its output without suffix) of relative paths; a.png and a.jpg become a_png and a_jpg."""
    plain = lambda name: name.with_suffix("")
    stems = collections.Counter(map(plain, names))
    return [
        (name, plain(name) if stems[plain(name)] == 1 else name.with_name(f"{name.stem}_{name.suffix[1:]}"))
        for name in names
    ]


def _one(function, path, target, first, names):
    """Convert one file -> "written", "skipped", or the reason why not."""
    name, out = names[0], target / names[1]
    if out.with_name(f"{out.name}{first}.png").exists():
        return "skipped"
    try:
        pngs = [(suffix, convert.png(image)) for suffix, image in function(path / name)]
    except convert.UNREADABLE as error:
        return convert.reason(error)
    out.parent.mkdir(parents=True, exist_ok=True)
    for suffix, data in reversed(pngs):  # the first, which says that the file is done, comes last
        with files.whole(out.with_name(f"{out.name}{suffix}.png")) as partial:
            partial.write_bytes(data)
    return "written"
