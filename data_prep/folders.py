"""A folder of files to a folder of PNGs: what is done is skipped, what fails is listed with its reason."""

import collections
import contextlib
import errno
import functools
import json
import pathlib

from data_prep import pool
from data_prep.pictures import convert
from logogan_jax.core import files, progress
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem


def list_files(path):
    """Files below a folder, as paths relative to it, without those that are hidden or in hidden folders."""
    folder = filesystem.Folder(path)
    if not folder.exists():
        raise UserError(f"--path={path} is not a folder")
    return [pathlib.Path(name) for name in filesystem.image_names(folder)]


def convert_folder(function, path, names, target, *, settings, first=""):
    """Write function(path / name) -> [(suffix, Pillow image)] as target/STEM+suffix.png; return the line of totals.

    `names` are relative, and sub-folders are kept. A file whose output with the suffix `first` is there
    is done and skipped; one that fails is a line in target/rejects.jsonl and never stops the others.
    A folder that was made with other `settings` (a dictionary of flags) is left alone: UserError.
    """
    path, target = pathlib.Path(path).expanduser(), pathlib.Path(target).expanduser()
    names = [name for name in names if target not in (path / name).parents]
    if not names:
        raise UserError(f"--path={path} holds no file to work on")
    claim_folder(target, settings)
    work = functools.partial(_one, function, path, target, first)
    counts, rejects = {"written": 0, "skipped": 0}, []
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress.Bar("files", len(names), unit="files"))
        outcomes = stack.enter_context(pool.map_ordered(work, output_names(names)))
        for done, (name, outcome) in enumerate(zip(names, outcomes, strict=True), 1):
            if outcome in counts:
                counts[outcome] += 1
            else:
                why = outcome.reason if isinstance(outcome, pool.Failed) else outcome
                rejects.append({"path": str(name), "reason": why})
            bar.update(done)
    with files.atomic_write(target / "rejects.jsonl") as partial:
        partial.write_text("".join(json.dumps(line) + "\n" for line in rejects))
    before = f", {counts['skipped']} done before" if counts["skipped"] else ""
    reasons = " (reasons in rejects.jsonl there)" if rejects else ""
    return f"{counts['written']} files converted into {target}{before}, {len(rejects)} rejected{reasons}."


def claim_folder(target, settings):
    """Make the folder and note what it is made with; refuse one that was made with something else."""
    path = target / "settings.json"
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{target} cannot be written ({error.strerror}): choose another --target_path") from None
    made = json.loads(path.read_text()) if path.exists() else {}
    for name, value in settings.items():
        if made.get(name, value) != value:
            raise UserError(f"{target} was made with --{name}={made[name]}, not {value}: choose another --target_path")
    files.write_json(path, settings)


def output_names(names):
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
    try:
        if out.with_name(f"{out.name}{first}.png").exists():
            return "skipped"
        pngs = [(suffix, convert.encode_png(image)) for suffix, image in function(path / name)]
        out.parent.mkdir(parents=True, exist_ok=True)
        for suffix, data in reversed(pngs):  # the first, which says that the file is done, comes last
            with files.atomic_write(out.with_name(f"{out.name}{suffix}.png")) as partial:
                partial.write_bytes(data)
    except convert.DECODE_ERRORS as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # not this picture's fault
        return convert.describe_error(error)
    return "written"
