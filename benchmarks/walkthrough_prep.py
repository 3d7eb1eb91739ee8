"""Prepare images as the walkthrough of 2018 did, for prep.py: three loops in one process, rewritten from its text.

    python benchmarks/walkthrough_prep.py SVG_FOLDER NEW_FOLDER SIZE

SVG to PNG (CairoSVG), PNG to squares on white (Pillow's ImageOps.fit), squares to one pickled array of float32. There
is one difference: SVG files are drawn at SIZE instead of their own size. Everything else that the scripts did is here.
"""

import pathlib
import sys

import cairosvg
import numpy as np
from PIL import Image, ImageOps


def convert_svg_png(source: pathlib.Path, target: pathlib.Path, size: int) -> None:
    """Draw every SVG file as PNG: script 1_4."""
    target.mkdir(parents=True)
    for path in source.glob("*.svg"):
        out = str(target / f"{path.stem}.png")
        cairosvg.svg2png(url=str(path), write_to=out, output_width=size, output_height=size)


def resize_centre(source: pathlib.Path, target: pathlib.Path, size: int) -> None:
    """Make every PNG a square on white: script 1_5."""
    target.mkdir()
    for path in source.glob("*.png"):
        image = Image.open(path)
        if image.mode in ("RGBA", "LA") or (image.mode == "P" and "transparency" in image.info):
            image = image.convert("RGBA")
            ground = Image.new("RGB", image.size, (255, 255, 255))
            ground.paste(image, mask=image.getchannel("A"))
            image = ground
        ImageOps.fit(image.convert("RGB"), (size, size)).save(target / path.name)


def resize_to_array(source: pathlib.Path, target: pathlib.Path, size: int) -> None:
    """Pickle all squares as one shuffled array of float32: script 1_6."""
    np.random.seed(0)
    rows = np.stack([np.asarray(Image.open(path)).flatten() for path in source.iterdir()])
    np.random.shuffle(rows)
    rows.reshape(len(rows), size, size, 3).astype(np.float32).dump(target / f"X_train_{size}_{len(rows)}.pkl")


def main() -> None:
    """Run the command."""
    source, work = map(pathlib.Path, sys.argv[1:3])
    size = int(sys.argv[3])
    convert_svg_png(source, work / "png", size)
    resize_centre(work / "png", work / f"png_{size}", size)
    resize_to_array(work / f"png_{size}", work, size)


if __name__ == "__main__":
    main()
