"""Arrays of images to PNGs: python -m data_prep.import_arrays --filename=X_train_56_1700.pkl --target_path=logos.

Reads pickled numpy arrays of Python 2 and 3 (nothing in them is run), .npy, .npz and HDF5, as those of the
Large Logo Dataset. What the numbers mean is told, not guessed in silence: --range and --layout say it where
the numbers do not. Labels become sub-folders; write_tfrecords reads the result.
"""

import argparse
import contextlib
import json
import pathlib
import shlex
from typing import NamedTuple

import numpy as np

from data_prep import folders, pool
from data_prep.arrays import array_files
from data_prep.pictures import convert
from logogan_jax.core import errors, files, progress
from logogan_jax.core.errors import UserError

RANGES = {"0..255": (0, 255), "0..1": (0, 1), "-1..1": (-1, 1)}
_SLACK = 0.002  # of a range, by which rounding may leave it
_DARK = 16  # numbers up to it that go beyond 1 may be very dark images of 0..255, or something else
_BLOCK = 16 << 20  # bytes that are read at once
_FEW = 500  # images for which no processes are started
_CHANNELS = (1, 3, 4)


class Array(NamedTuple):
    """Images of one file, and how they are to be understood."""

    path: pathlib.Path
    opened: array_files.Opened
    layout: str
    range: str
    prefix: str

    def __str__(self):
        low, high = RANGES[self.range]
        count, *sides = self.opened.images.shape
        sides = " x ".join(map(str, sides))
        kind = f"{self.opened.images.dtype} from {low} to {high}"
        return f"{self.path}: {count:,} images, each {sides} ({self.layout}), {kind}"


def understood(path, opened, layout, range, prefix=""):
    """Opened, and "auto" or what the user says -> Array; UserError if neither tells what the numbers mean."""
    images = opened.images
    if images.dtype.kind not in "biuf" or not images.size:
        raise UserError(f"{path} holds {images.dtype} values of the shape {images.shape}, not images of numbers")
    for flag, values in (("labels", opened.labels), ("names", opened.names), ("shapes", opened.shapes)):
        if values is not None and len(values) != len(images):
            raise UserError(f"{path} has {len(values)} {flag} for {len(images)} images")
    if opened.labels is not None and (opened.labels.dtype.kind not in "iu" or opened.labels.ndim != 1):
        kind = f"{opened.labels.dtype} of the shape {opened.labels.shape}"
        raise UserError(f"--labels: they should be one whole number for each image, but {path} has {kind}")
    layout = _layout(path, images.shape, layout)
    return Array(path, opened, layout, _range(path, images, range), prefix)


def write(arrays, target):
    """Write the images of Arrays as PNGs into a folder, with a line of manifest.jsonl each -> the line of totals."""
    total = sum(len(array.opened.images) for array in arrays)
    rejects, counts = [], {"written": 0, "done": 0}
    with (
        progress.Bar("images", total) as bar,
        files.atomic_write(target / "manifest.jsonl") as partial,
        open(partial, "w") as manifest,
        pool.map_ordered(_save, _tasks(arrays, target), 0 if total < _FEW else None) as outcomes,
    ):
        for number, result in enumerate(outcomes, 1):
            outcome, line = result if not isinstance(result, pool.Failed) else (result.reason, {"image": number})
            if outcome in counts:
                counts[outcome] += 1
                manifest.write(json.dumps(line) + "\n")
            else:
                rejects.append({**line, "reason": outcome})
            bar.update(number)
    with files.atomic_write(target / "rejects.jsonl") as partial:
        partial.write_text("".join(json.dumps(line) + "\n" for line in rejects))
    before = f", {counts['done']:,} done before" if counts["done"] else ""
    reasons = " (reasons in rejects.jsonl there)" if rejects else ""
    return f"{counts['written']:,} images written to {target}{before}, {len(rejects):,} rejected{reasons}."


class _Task(NamedTuple):
    """A PNG to write, unless there are no pixels: then it is done, or there is a reason why it cannot be."""

    path: pathlib.Path
    pixels: np.ndarray | None
    reason: str
    line: dict


def _tasks(arrays, target):
    for array in arrays:
        images, labels, shapes, names = array.opened
        digits, wide = max(6, len(str(len(images) - 1))), labels is not None and len(str(labels.max()))
        for start, stop in _blocks(images):
            block = None
            for number in range(start, stop):
                name = f"{array.prefix}{number:0{digits}d}.png"
                line = {"path": name, "file": array.path.name, "number": number}
                if labels is not None:
                    line["path"] = f"{labels[number]:0{wide}d}/{name}"
                if names is not None:
                    line["name"] = _text(names[number])
                path = target / line["path"]
                if path.exists():
                    yield _Task(path, None, "", line)
                    continue
                block = images[start:stop] if block is None else block
                pixels, reason = _cropped(_pixels(block[number - start], array), shapes, number)
                yield _Task(path, pixels, reason, line)


def _save(task):
    """_Task -> ("written", "done" or the reason why not, its line of the manifest)."""
    if task.pixels is not None:
        task.path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_write(task.path) as partial:
            partial.write_bytes(convert.encode_png(convert.to_pillow(task.pixels)))
    return task.reason or ("done" if task.pixels is None else "written"), task.line


def _blocks(images):
    """(start, stop) of parts of an array that take about _BLOCK bytes each."""
    step = max(1, _BLOCK // max(images[:1].nbytes, 1))
    return [(start, min(start + step, len(images))) for start in range(0, len(images), step)]


def _pixels(image, array):
    """One image as it is stored -> uint8[H, W, channels]."""
    if array.layout == "nchw":
        image = np.moveaxis(image, 0, -1)
    if image.dtype != np.uint8:
        low, high = RANGES[array.range]
        image = ((image.astype(np.float64) - low) * (255 / (high - low))).round().clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(image if image.ndim == 3 else image[..., None])


def _cropped(pixels, shapes, number):
    """Pixels without what pads them to the size of all -> (pixels, ""), or (None, the reason why not)."""
    if shapes is None:
        return pixels, ""
    _, height, width = (int(side) for side in shapes[number])
    if not (0 < height <= pixels.shape[0] and 0 < width <= pixels.shape[1]):
        return None, f"its shape is given as {height} x {width}"
    return pixels[:height, :width], ""


def _layout(path, shape, layout):
    """The layout that the user says, or else the only one in which a shape has 1, 3 or 4 channels."""
    fits = [name for name, axis in (("nhwc", -1), ("nchw", 1)) if len(shape) > 1 and shape[axis] in _CHANNELS]
    if len(shape) == 3 and layout == "auto" and not fits:
        return "nhw"
    said = f"{path} holds an array of the shape {tuple(shape)}"
    if len(shape) != 4 or not fits or (layout != "auto" and layout not in fits):
        told = "" if layout == "auto" else f" in the layout {layout}"
        raise UserError(f"{said}{told}: it should have 4 dimensions, one of them 1, 3 or 4 channels")
    if layout == "auto" and len(fits) > 1:
        raise UserError(f"{said}: say which are the channels with --layout=nhwc or --layout=nchw")
    return fits[0] if layout == "auto" else layout


def _range(path, images, asked):
    """The range that the user says, if no number is outside of it, or else that which the numbers show."""
    if images.dtype == np.uint8:
        if asked not in ("auto", "0..255"):
            raise UserError(f"--range={asked}, but {path} holds uint8, which is from 0 to 255: leave the flag out")
        return "0..255"
    low, high = _extent(path, images)
    fits = {name: a - _SLACK * (b - a) <= low and high <= b + _SLACK * (b - a) for name, (a, b) in RANGES.items()}
    said = f"{path} holds numbers from {low:g} to {high:g}"
    if asked != "auto":
        if not fits[asked]:
            raise UserError(f"{said}, which are not in --range={asked}: choose another, or scale them")
        return asked
    if fits["0..1"]:
        return "0..1"
    if fits["-1..1"]:
        return "-1..1"
    if not fits["0..255"] or high < _DARK:
        raise UserError(f"{said}: say what is black and what is white with --range={', '.join(RANGES)}, or scale them")
    return "0..255"


def _extent(path, images):
    """The least and the greatest number; UserError if there is one that is none."""
    low, high = np.inf, -np.inf
    for start, stop in _blocks(images):
        block = np.asarray(images[start:stop], np.float64).reshape(stop - start, -1)
        finite = np.isfinite(block).all(1)
        if not finite.all():
            number = start + int(finite.argmin())
            raise UserError(f"{path}: image {number} holds values that are no numbers (NaN or infinite): remove it")
        low, high = min(low, block.min()), max(high, block.max())
    return low, high


def _text(name):
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.import_arrays", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("-f", "--filename", nargs="+", required=True, help="pickled array, .npy, .npz or HDF5 file; or several")
    add("-tp", "--target_path", required=True, help="folder for the PNGs")
    add(
        "--layout", choices=("auto", "nhwc", "nchw"), default="auto",
        help="whether the channels come last or first in an image (default auto: by the shape)",
    )  # fmt: skip
    add(
        "--range", choices=("auto", *RANGES), default="auto",
        help="numbers that stand for black and white (default auto: by the least and the greatest)",
    )  # fmt: skip
    add("--key", help="array of an .npz or HDF5 file (default: the only one of 4 dimensions)")
    add("--labels", metavar="PATH_IN_FILE", help="its array of class numbers, as labels/resnet/rc_64 of LLD")
    args = parser.parse_args(argv)
    with errors.exit_on_error(), contextlib.ExitStack() as stack:
        paths = [pathlib.Path(name).expanduser() for name in args.filename]
        if len({path.stem for path in paths}) < len(paths):
            raise UserError("--filename: several files have the same name, so that their images would have, too")
        arrays = []
        for path in paths:
            found = stack.enter_context(array_files.opened(path, args.key, args.labels))
            prefix = f"{path.stem}_" if len(paths) > 1 else ""
            arrays.append(understood(path, found, args.layout, args.range, prefix))
            print(arrays[-1])
        target = pathlib.Path(args.target_path).expanduser()
        if target.is_dir() and any(target.iterdir()) and not (target / "settings.json").exists():
            raise UserError(f"--target_path={target} holds files that are not of an import: choose another folder")
        stamps = [f"{path.name} ({path.stat().st_size:,} bytes)" for path in paths]
        made = {"layout": [array.layout for array in arrays], "range": [array.range for array in arrays]}
        folders.claim_folder(target, {"filename": stamps, "key": args.key, "labels": args.labels, **made})
        print(write(arrays, target))
        print(f"Look at them: python -m data_prep.inspect_data --path={shlex.quote(str(target))}")


if __name__ == "__main__":
    main()
