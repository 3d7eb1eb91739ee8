"""Arrays of images to PNGs: python -m data_prep.import_arrays --filename=X_train_56_1700.pkl --target_path=logos.

It reads pickled numpy arrays of Python 2 and 3 (nothing in them is run), .npy, .npz and HDF5, such as the files of the
Large Logo Dataset. It prints how it understands the numbers. Where they can be understood in two ways, --range and
--layout must say it. Labels become sub-folders. write_tfrecords reads the result.
"""

import argparse
import contextlib
import json
import pathlib
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from data_prep import folders, listing, pool
from data_prep.arrays import rows
from data_prep.arrays.array_files import open_arrays
from data_prep.arrays.interpret import RANGES, ArrayFile, crop, interpret, split_into_blocks, to_uint8
from data_prep.pictures import convert
from logogan_jax.core import errors, files, progress
from logogan_jax.core.errors import UserError

_MIN_FOR_POOL = 500  # images from which on starting processes saves time


def write(arrays: Sequence[ArrayFile], target: pathlib.Path) -> str:
    """Write the images as PNGs into a folder, with manifest.jsonl, and return the line of totals."""
    total = sum(len(array.contents.images) for array in arrays)
    counts = {"written": 0, "done": 0}
    rejects: list[dict[str, Any]] = []
    with (
        progress.Bar("images", total) as bar,
        files.atomic_write(target / "manifest.jsonl") as partial,
        open(partial, "w", encoding="utf-8") as manifest,
        pool.map_ordered(_save, _make_tasks(arrays, target), 0 if total < _MIN_FOR_POOL else None) as results,
    ):
        for number, result in enumerate(results, 1):
            outcome, line = result if not isinstance(result, pool.Failed) else (result.reason, {"image": number})
            if outcome in counts:
                counts[outcome] += 1
                manifest.write(json.dumps(line) + "\n")
            else:
                rejects.append({**line, "reason": outcome})
            bar.update(number)
    with files.atomic_write(target / "rejects.jsonl") as partial:
        partial.write_text("".join(json.dumps(line) + "\n" for line in rejects), encoding="utf-8")
    done_before = f", {counts['done']:,} done before" if counts["done"] else ""
    reasons = " (reasons in rejects.jsonl there)" if rejects else ""
    return f"{counts['written']:,} images written to {target}{done_before}, {len(rejects):,} rejected{reasons}."


class _Task(NamedTuple):
    """A PNG to write. Without pixels it is done, or `reason` says why it cannot be written."""

    path: pathlib.Path
    pixels: np.ndarray | None
    reason: str
    line: dict[str, Any]


def _make_tasks(arrays: Sequence[ArrayFile], target: pathlib.Path) -> Iterator[_Task]:
    for array in arrays:
        images, _, shapes, _ = array.contents
        for start, stop in split_into_blocks(images):
            block = None  # read only if an image of it is missing
            for number in range(start, stop):
                line = _manifest_line(array, number)
                path = target / line["path"]
                if path.exists():
                    yield _Task(path, None, "", line)
                    continue
                block = images[start:stop] if block is None else block
                pixels, reason = crop(to_uint8(block[number - start], array), shapes, number)
                yield _Task(path, pixels, reason, line)


def _manifest_line(array: ArrayFile, number: int) -> dict[str, Any]:
    images, labels, _, names = array.contents
    digits = max(6, len(str(len(images) - 1)))
    path = f"{array.prefix}{number:0{digits}d}.png"
    if labels is not None:
        path = f"{labels[number]:0{array.label_digits}d}/{path}"
    line = {"path": path, "file": array.path.name, "number": number}
    if names is not None:
        line["name"] = _to_text(names[number])
    return line


def _save(task: _Task) -> tuple[str, dict[str, Any]]:
    """Write one PNG, and return "written", "done" or the reason why not, and its line of the manifest."""
    if task.pixels is not None:
        task.path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_write(task.path) as partial:
            partial.write_bytes(convert.encode_png(convert.to_pillow(task.pixels)))
    return task.reason or ("done" if task.pixels is None else "written"), task.line


def _to_text(name: Any) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)


def _parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    description = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m data_prep.import_arrays", description=description)
    add = parser.add_argument
    add("-f", "--filename", nargs="+", required=True, help="pickled array, .npy, .npz or HDF5 file; or several")
    add("-tp", "--target_path", required=True, help="folder for the PNGs")
    add(
        "--layout", choices=("auto", "nhwc", "nchw"), default="auto",
        help="whether the channels are the last or the first axis of an image (default auto: by the shape)",
    )  # fmt: skip
    add(
        "--range", choices=("auto", *RANGES), default="auto",
        help="the numbers for black and white (default auto: by the least and the greatest number)",
    )  # fmt: skip
    add("--shape", metavar="HxWxC", help="of each image, if each is a row of numbers: 28x28, 32x32x3 or 3x32x32")
    add("--key", help="array of an .npz or HDF5 file (default: the only one of 4 dimensions)")
    add("--labels", metavar="PATH_IN_FILE", help="its array of class numbers, such as labels/resnet/rc_64 of LLD")
    return parser.parse_args(argv)


def _claim_target(target: pathlib.Path, args: argparse.Namespace, arrays: Sequence[ArrayFile]) -> None:
    """Make the folder, or go on in one of the same import; UserError if it holds other files."""
    if target.is_dir() and any(target.iterdir()) and "filename" not in listing.read_settings(target):
        raise UserError(f"--target_path={target} holds files that are not of an import: choose another folder")
    stamps = [f"{array.path.name} ({array.path.stat().st_size:,} bytes)" for array in arrays]
    settings = {
        "filename": stamps, "key": args.key, "labels": args.labels, "shape": args.shape,
        "layout": [array.layout for array in arrays], "range": [array.range for array in arrays],
    }  # fmt: skip
    folders.claim_folder(target, settings)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = _parse_args(argv)
    with errors.exit_on_error(), contextlib.ExitStack() as stack:
        paths = [files.expand(name) for name in args.filename]
        if len({path.stem for path in paths}) < len(paths):
            raise UserError("--filename: several files have the same name, so that their images would have, too")
        arrays = []
        for path in paths:
            contents = stack.enter_context(open_arrays(path, args.key, args.labels))
            prefix = f"{path.stem}_" if len(paths) > 1 else ""
            contents = contents._replace(images=rows.with_shape(path, contents.images, args.shape))
            arrays.append(interpret(path, contents, args.layout, args.range, prefix))
            print(arrays[-1])
        target = files.expand(args.target_path)
        _claim_target(target, args, arrays)
        print(write(arrays, target))
        print(f"Look at them: python -m data_prep.inspect_data --path={shlex.quote(str(target))}")


if __name__ == "__main__":
    main()
