"""Draws pictures of a seed from an exported program, as a user without the library does.

python reader.py FILE SEED COUNT OUT.npy
"""

import json
import pathlib
import sys

import numpy as np

file, seed, count, out = sys.argv[1], *map(int, sys.argv[2:4]), sys.argv[4]
sys.modules["logogan_jax"] = None  # now its import fails
if file.endswith(".onnx"):
    sys.modules["jax"] = sys.modules["jaxlib"] = None

latents_of = json.loads(pathlib.Path(f"{file}.json").read_text())["latents"]
exec(latents_of["recipe"])  # defines latents and label
z = np.stack([latents(seed, i, **latents_of["arguments"]) for i in range(count)])  # noqa: F821
y = np.stack([label(seed, i, latents_of["label_bounds"]) for i in range(count)])  # noqa: F821
if file.endswith(".onnx"):
    import onnxruntime

    session = onnxruntime.InferenceSession(file)
    (pictures,) = session.run(None, {"latents": z, "labels": y})
else:
    import jax
    import jax.export

    program = jax.export.deserialize(bytearray(pathlib.Path(file).read_bytes()))
    pictures = np.asarray(program.call(z, y))
assert not [name for name in sys.modules if name.startswith("logogan_jax.")]
np.save(out, pictures)
