"""Run benchmarks/exported_reader.py where this library cannot be imported, nor JAX if the file is one of ONNX.

python reader.py FILE COUNT NEW_FOLDER
"""

import pathlib
import runpy
import sys

sys.modules["logogan_jax"] = None  # now its import fails
if sys.argv[1].endswith(".onnx"):
    sys.modules["jax"] = sys.modules["jaxlib"] = None
root = pathlib.Path(__file__).resolve().parent.parent.parent
runpy.run_path(str(root / "benchmarks" / "exported_reader.py"), run_name="__main__")
assert not [name for name in sys.modules if name.startswith("logogan_jax.")]
