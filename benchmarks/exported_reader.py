"""Draw the first pictures of seed 1 from a file of StableHLO or ONNX, without importing this library.

python benchmarks/exported_reader.py FILE COUNT NEW_FOLDER
"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image


def draw(file: pathlib.Path, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the pictures uint8[n, H, W, C] of latents and labels, as docs/export.md does."""
    if file.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(file)
        inputs = {"latents": z, "labels": y}
        return session.run(None, {one.name: inputs[one.name] for one in session.get_inputs()})[0]
    import jax.export

    return np.asarray(jax.export.deserialize(bytearray(file.read_bytes())).call(z, y))


def main() -> None:
    """Run the command."""
    file = pathlib.Path(sys.argv[1])
    numbers = range(int(sys.argv[2]))
    out = pathlib.Path(sys.argv[3])
    out.mkdir()
    recipe = json.loads(file.with_name(f"{file.name}.json").read_text(encoding="utf-8"))["latents"]
    known: dict = {}
    exec(recipe["recipe"], known)
    z = np.stack([known["latents"](1, number, **recipe["arguments"]) for number in numbers])
    y = np.stack([known["label"](1, number, recipe["label_bounds"]) for number in numbers])
    for number, pixels in zip(numbers, draw(file, z, y), strict=True):
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(out / f"{number:05d}.png")


if __name__ == "__main__":
    main()
