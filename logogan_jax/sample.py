"""Draw logos from a run: python -m logogan_jax.sample --workdir=runs/quickstart --num=64 --seed=1 --out=DIR.

--model=FILE draws from an archive that logogan_jax.export wrote by --format=safetensors, without the run, and
--pretrained from the generator that comes with the install.

Picture 17 of --num=64 --seed=1 has the address 1:17, which pictures.json lists. --seeds=1:17 draws it again.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags

from logogan_jax.config import archived, copies, restore
from logogan_jax.config.drawer import MAX_SCALE, Drawer
from logogan_jax.config.restore import RestoredRun
from logogan_jax.core import backend, cli, outputs
from logogan_jax.core.errors import UserError
from logogan_jax.training.drawing import addresses, animation, latents, picture_files, svg_files, transparency
from logogan_jax.training.drawing.addresses import Address

MAX_WEBP = 16_383  # pixels of a side
_NEW_PICTURES = ("interpolate", "seeds", "seed", "label", "truncation", "scale", "format", "transparent", "nearest")
# Each of these flags says what makes no sense with the others in its row.
APART = {
    "reconstruct": ("shows given images again", (*_NEW_PICTURES, "no_copies")),
    "interpolate": ("shows what is between pictures", ("seeds", "seed", "format", "nearest", "no_copies")),
    "seeds": ("says which pictures to draw", ("num", "seed", "no_copies")),
    "best": ("is a step, as --step is", ("step",)),
    "model": ("is a run at one step", ("workdir", "step", "best", "pretrained")),
    "pretrained": ("is a run at one step", ("workdir", "step", "best")),
}


def define() -> None:
    """Define the flags of the command."""
    flags.DEFINE_string("workdir", None, "folder of the run to draw from")
    flags.DEFINE_string("model", None, "or an archive of a run: a file that logogan_jax.export wrote as safetensors")
    flags.DEFINE_bool("pretrained", False, "draw from the generator that comes with the install")
    flags.DEFINE_string("step", "best", "best, newest, or the number of a step that has a checkpoint")
    flags.DEFINE_bool("best", False, "the step with the best KID, which is also the default")
    flags.DEFINE_integer("num", 64, "how many pictures", lower_bound=1, upper_bound=addresses.MAX_PICTURES)
    flags.DEFINE_integer("seed", 0, "which pictures: the same seed draws the same")
    flags.DEFINE_string("seeds", None, "picture 0 of each seed, as 1,5,9-20; or pictures of a seed, as 1:17 or 1:0-63")
    flags.DEFINE_string("interpolate", None, "--num frames of an animation, from each of these pictures to the next")
    flags.DEFINE_string("out", None, "new folder for 00000.png, 00001.png, ..., grid.png and pictures.json")
    flags.DEFINE_string("label", None, "only of this label; default: all labels, as often as in the data")
    flags.DEFINE_float("truncation", 1.0, "below 1: z moves towards its mean, to this share of its distance")
    flags.DEFINE_integer(
        "scale", 1, "times the size of training: marks are drawn sharp, others enlarged", lower_bound=1,
        upper_bound=MAX_SCALE,
    )  # fmt: skip
    flags.DEFINE_enum("format", "png", ["png", "webp", "svg"], "of the files: webp is lossless, svg has flat colours")
    flags.DEFINE_bool("transparent", False, "a transparent ground: of marks exactly, else where it has one colour")
    flags.DEFINE_bool("reconstruct", False, "reconstructions of held-out images (vae), or of training images (glo)")
    flags.DEFINE_string("data", None, "where the images of the run lie now; default: where they were")
    flags.DEFINE_bool("nearest", False, "show the nearest training image of each picture, and whether it is copied")
    flags.DEFINE_bool("no_copies", False, "draw others instead of pictures that copy training images")


def check_flags() -> None:
    """Raise a UserError for flags that do not go together or have no meaning."""
    given = lambda name: flags.FLAGS[name].value != flags.FLAGS[name].default
    for name, (why, others) in APART.items():
        wrong = [f"--{other}" for other in others if given(other)]
        if given(name) and wrong:
            raise UserError(f"--{name} {why}: leave {' and '.join(wrong)}")
    latents.check_truncation(flags.FLAGS.truncation)
    if not (given("workdir") or given("model") or given("pretrained")):
        raise UserError(
            "--workdir is missing: give the folder of a run, --model=FILE, an archive of one, or --pretrained"
        )


def main() -> None:
    """Run the command."""
    check_flags()
    wanted = _wanted_addresses()
    backend.start()
    folder = outputs.folder_to_write("out", flags.FLAGS.out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--out={folder} is not an empty folder: choose a new one")
    model = archived.PRETRAINED if flags.FLAGS.pretrained else flags.FLAGS.model
    if model:
        run = archived.restore(model, flags.FLAGS.data, "model")
    else:
        run = restore.restore(flags.FLAGS.workdir, flags.FLAGS.step, flags.FLAGS.data)
    if flags.FLAGS.interpolate is not None:
        _interpolate(run, folder, wanted)
        return
    count, remark = _reconstruct(run, folder) if flags.FLAGS.reconstruct else _draw(run, folder, wanted)
    print(f"{count} pictures and grid.png of step {run.step} are in {flags.FLAGS.out}{remark}")


def _wanted_addresses() -> list[Address]:
    """Return the addresses of --interpolate, of --seeds, where each counts once, or of --num pictures of --seed."""
    if flags.FLAGS.interpolate is not None:
        return addresses.parse(flags.FLAGS.interpolate, "interpolate")
    if flags.FLAGS.seeds is None:
        return addresses.numbered(flags.FLAGS.seed, 0, flags.FLAGS.num)
    wanted = addresses.parse(flags.FLAGS.seeds, "seeds")
    if len(set(wanted)) < len(wanted):
        twice = next(address for i, address in enumerate(wanted) if address in wanted[:i])
        raise UserError(f"--seeds names picture {twice} more than once: leave one")
    return wanted


def _reconstruct(run: RestoredRun, folder: pathlib.Path) -> tuple[int, str]:
    """Write reconstructions. Returns their number, and a remark for the last line."""
    originals, pixels = restore.reconstruct(run, flags.FLAGS.num)
    folder.mkdir(parents=True, exist_ok=True)
    picture_files.write_pictures(folder, [f"{i:05d}" for i in range(len(pixels))], pixels)
    picture_files.write_pairs(folder / "grid.png", originals, pixels)
    return len(pixels), ", each in the grid after the image that it reconstructs"


def _interpolate(run: RestoredRun, folder: pathlib.Path, ends: Sequence[Address]) -> None:
    """Write the frames from each picture to the next as animations and as a sheet."""
    steps = round((flags.FLAGS.num - 1) / max(1, len(ends) - 1))
    if len(ends) < 2 or steps < 1:
        raise UserError(
            f"--interpolate={flags.FLAGS.interpolate} has {len(ends)} pictures for --num={flags.FLAGS.num} frames: "
            f"give two pictures or more, such as 1:17,5, and as many frames"
        )
    drawer = Drawer(run)
    drawn = drawer.latents(ends, drawer.label_number(flags.FLAGS.label), flags.FLAGS.truncation)
    frames = drawer.frames(drawn, steps, flags.FLAGS.scale, transparent=flags.FLAGS.transparent)
    _check_sides(frames)
    folder.mkdir(parents=True, exist_ok=True)
    animation.write(folder, frames)
    rows = [{"frame": i * steps, "picture": str(address)} for i, address in enumerate(ends)]
    facts = {"run": run.workdir.name, "step": run.step, "truncation": flags.FLAGS.truncation, "frames": len(frames)}
    picture_files.write_list(folder, rows, **facts)
    print(
        f"{len(frames)} frames of step {run.step} are in {flags.FLAGS.out}: animation.webp, animation.gif and sheet.png"
    )


def _draw(run: RestoredRun, folder: pathlib.Path, wanted: Sequence[Address]) -> tuple[int, str]:
    """Write new pictures. Returns their number, and a remark for the last line."""
    drawer = Drawer(run)
    label = drawer.label_number(flags.FLAGS.label)
    truncation = flags.FLAGS.truncation
    remark = ""
    finder = copies.CopyFinder(run) if flags.FLAGS.no_copies or flags.FLAGS.nearest else None
    if flags.FLAGS.no_copies:
        assert finder is not None
        wanted, left_out = copies.find_originals(
            drawer, finder, count=flags.FLAGS.num, seed=flags.FLAGS.seed, label=label, truncation=truncation
        )
        remark = f"; {left_out} copies of training images were left out"
    drawn = drawer.latents(wanted, label, truncation)
    transparent = flags.FLAGS.transparent
    pixels = drawer.paint(drawn, flags.FLAGS.scale, transparent=transparent)
    _check_sides(pixels)
    names = [f"{i:05d}" if flags.FLAGS.seeds is None else address.file_name for i, address in enumerate(wanted)]
    rows = _rows(run, names, wanted, drawn.label)
    folder.mkdir(parents=True, exist_ok=True)
    if flags.FLAGS.format == "svg":
        svg_files.write(folder, names, drawer.regions(drawn, flags.FLAGS.scale, transparent=transparent))
    else:
        picture_files.write_pictures(folder, names, pixels, flags.FLAGS.format)
    picture_files.write_grid(folder, pixels)
    if flags.FLAGS.nearest:
        assert finder is not None
        remark += _write_nearest(folder, names, rows, drawer.paint(drawn), finder)
    picture_files.write_list(folder, rows, run=run.workdir.name, step=run.step, truncation=truncation)
    needs_ground = transparent and not run.config.mark.inks and run.config.data.channels != 4
    opaque = int(transparency.opaque(pixels).sum()) if needs_ground else 0
    if opaque:
        remark += f"; {opaque} are opaque, for their ground has not one colour"
    return len(pixels), remark


def _write_nearest(
    folder: pathlib.Path,
    names: Sequence[str],
    rows: Sequence[dict[str, Any]],
    pixels: np.ndarray,
    finder: copies.CopyFinder,
) -> str:
    """Write the training images nearest to pictures, and into their rows which they are. Returns a remark."""
    nearest = finder.nearest(pixels)
    picture_files.write_nearest(folder, names, pixels, nearest.pixels, nearest.copied)
    for i, row in enumerate(rows):
        row["nearest"] = {
            "image": int(nearest.image[i]),
            "name": nearest.name[i],
            "distance": round(float(nearest.distance[i]), 3),
            "copied": bool(nearest.copied[i]),
        }
    return f"; {int(nearest.copied.sum())} count as copies of training images, see nearest.png"


def _check_sides(pixels: np.ndarray) -> None:
    """Raise a UserError if pictures are too large for their format."""
    side = max(pixels.shape[1:3])
    if side > MAX_WEBP and (flags.FLAGS.format == "webp" or flags.FLAGS.interpolate):
        raise UserError(f"--scale={flags.FLAGS.scale}: WebP has sides up to {MAX_WEBP} pixels, not {side}: lower it")


def _rows(
    run: RestoredRun, names: Sequence[str], wanted: Sequence[Address], labels: np.ndarray
) -> list[dict[str, Any]]:
    """Return what pictures.json says of each picture: its file, its address, and its label if the run has labels."""
    known = list(run.info.labels) if run.config.data.labels else []
    rows: list[dict[str, Any]] = [
        {"file": f"{name}.{flags.FLAGS.format}", "picture": str(address)}
        for name, address in zip(names, wanted, strict=True)
    ]
    if known:
        for row, label in zip(rows, labels, strict=True):
            row["label"] = known[label]
    return rows


def command() -> None:
    """Run this module as the command logogan-sample."""
    cli.run(main, define, required=["out"])


if __name__ == "__main__":
    command()
