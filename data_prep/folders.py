"""A folder of files to a folder of PNGs: finished files are skipped, failed files are listed with the reason."""

import collections
import contextlib
import errno
import functools
import json
import pathlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from PIL import Image

from data_prep import listing, pool
from data_prep.pictures import convert, ink
from logogan_jax.core import files, progress
from logogan_jax.core.errors import UserError

# Path of a file -> [(suffix, picture)] of what is made of it.
Conversion = Callable[[pathlib.Path], list[tuple[str, Image.Image]]]


class FileResult(NamedTuple):
    """What became of a file: "written", "skipped", or the reason for a failure; blank pictures and those with words."""

    outcome: str
    blank: int = 0
    words: int = 0


def list_files(path: str | pathlib.Path) -> list[pathlib.Path]:
    """Relative paths of the files below a folder, except hidden files and those in hidden folders."""
    if "://" in str(path):
        raise UserError(f"{path} is a bucket: copy it to a folder of this machine, and give that")
    left_out: dict[str, str] = {}
    names = [pathlib.Path(name) for name in listing.image_names(listing.open_folder(path), left_out)]
    if left_out:
        print(listing.describe_left_out(path, left_out), flush=True)
    return names


def convert_folder(
    function: Conversion, path: str | pathlib.Path, names: Iterable[pathlib.Path], target: str | pathlib.Path, *,
    settings: dict[str, Any], first: str = "", left: str = "",
) -> str:  # fmt: skip
    """Write each picture of function(path / name) as target/STEM+suffix.png, on all cores.

    `names` are relative, and their sub-folders are kept. A file is finished, and skipped, if its output with the
    suffix `first` exists. A file that fails is a line in target/rejects.jsonl and never stops the others. `left` says
    what else is in the folder.

    Returns:
        A sentence with the totals.

    Raises:
        UserError: if `target` was made with other `settings`, which are {flag: value}.
    """
    path = files.expand(path)
    target = files.expand(target)
    names = [name for name in names if target not in (path / name).parents]
    if not names:
        raise UserError(f"--path={path} holds no file to work on")
    claim_folder(target, settings, path)
    work = functools.partial(_convert_file, function, path, target, first)
    counts = collections.Counter()
    rejects = []
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress.Bar("files", len(names), unit="files"))
        results = stack.enter_context(pool.map_ordered(work, output_names(names)))
        for done, (name, result) in enumerate(zip(names, results, strict=True), 1):
            result = FileResult(result.reason) if isinstance(result, pool.Failed) else result
            if result.outcome in ("written", "skipped"):
                counts.update({result.outcome: 1, "blank": result.blank, "words": result.words})
            else:
                rejects.append({"path": str(name), "reason": result.outcome})
            bar.update(done)
    with files.atomic_write(target / "rejects.jsonl") as partial:
        partial.write_text("".join(json.dumps(line) + "\n" for line in rejects), encoding="utf-8")
    skipped = f", {counts['skipped']} done before" if counts["skipped"] else ""
    reasons = " (reasons in rejects.jsonl there)" if rejects else ""
    notes = ink.describe(counts["blank"], counts["words"], target)
    return f"{counts['written']} files converted into {target}{skipped}, {len(rejects)} rejected{reasons}{left}.{notes}"


def claim_folder(target: pathlib.Path, settings: dict[str, Any], source: pathlib.Path | None = None) -> None:
    """Make a folder and record the settings it is made with, and the folder of its images; UserError on others."""
    make_writable(target)
    earlier = listing.read_settings(target)
    for name, value in settings.items():
        if earlier.get(name, value) != value:
            raise UserError(
                f"{target} was made with --{name}={earlier[name]}, not {value}: choose another --target_path"
            )
    listing.write_settings(target, settings, source)


def make_writable(folder: pathlib.Path, flag: str = "target_path") -> None:
    """Make a folder, if it is not there, and try to write into it; UserError, which names the `flag`, if it fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.try_to_write(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): choose another --{flag}") from None


def output_names(names: Iterable[pathlib.Path]) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """(name, name of its output without suffix) of relative paths; a.png and a.jpg become a_png and a_jpg."""
    names = list(names)
    stems = collections.Counter(name.with_suffix("") for name in names)
    taken = {stem for stem, count in stems.items() if count == 1}
    outputs = []
    for name in names:
        output = name.with_suffix("")
        if stems[output] > 1:
            output = name.with_name(f"{name.stem}_{name.suffix[1:]}" if name.suffix else name.name)
            while output in taken:
                output = output.with_name(f"{output.name}_")
            taken.add(output)
        outputs.append((name, output))
    return outputs


def _convert_file(
    function: Conversion, path: pathlib.Path, target: pathlib.Path, first: str, names: tuple[pathlib.Path, pathlib.Path]
) -> FileResult:
    """Convert one file, (name, output_name)."""
    name, output_name = names
    output = target / output_name
    try:
        if output.with_name(f"{output.name}{first}.png").exists():
            return FileResult("skipped")
        pictures = function(path / name)
        pngs = [(suffix, convert.encode_png(image)) for suffix, image in pictures]
        output.parent.mkdir(parents=True, exist_ok=True)
        # In reverse, because the first one marks the file as finished.
        for suffix, data in reversed(pngs):
            with files.atomic_write(output.with_name(f"{output.name}{suffix}.png")) as partial:
                partial.write_bytes(data)
    except convert.DECODE_ERRORS as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # the disk is full: that is not the picture's fault
        return FileResult(convert.describe_error(error))
    blank = sum(ink.is_blank(image) for _, image in pictures)
    return FileResult("written", blank, sum("words" in image.info for _, image in pictures))
