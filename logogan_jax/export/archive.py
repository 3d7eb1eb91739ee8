"""A generator as arrays and its config in a safetensors file, which outlasts versions of JAX."""

import pathlib
from typing import Any

import jax
import numpy as np

from logogan_jax.config import default_dataset
from logogan_jax.config.restore import RestoredRun
from logogan_jax.core import files, nested
from logogan_jax.core.errors import UserError

PACKAGES = ("safetensors",)
PLATFORMS = ()
USE = """\
```python
from safetensors import safe_open

with safe_open("{file}", framework="numpy") as file:
    config = file.metadata()["config"]  # JSON, as config.json of the run
    arrays = {{name: file.get_tensor(name) for name in file.keys()}}
```

The names are paths in the averaged networks: `params.generator....` are weights, and `model_state.generator....` are
batch statistics."""


def write(run: RestoredRun, path: pathlib.Path, platform: str, size: int, critic: bool = False) -> dict[str, Any]:
    """Write the averaged networks and the config, and read them back. Returns what the card says of the file.

    With `critic` the networks that are not averaged are written, too: a new run can start from all of them.
    """
    from safetensors import numpy as safetensors

    # Contiguous copies: safetensors writes the memory of an array as it lies, whatever its strides.
    state = run.state
    others = {"params": state.params, "model_state": state.model_state} if critic else {}
    networks = {part: {**others.get(part, {}), **averaged} for part, averaged in state.ema.items()}
    values = nested.flatten(jax.device_get(networks))
    arrays = {name: np.array(value, order="C", copy=True) for name, value in values.items()}
    config = run.config.to_dict()
    config["data"]["dir"] = default_dataset.portable(config["data"]["dir"])
    content = {"config": config, "data": run.info._asdict()}
    metadata = {"config": files.to_json(content), "step": str(run.step), "run": run.workdir.name}
    path.write_bytes(safetensors.save(arrays, metadata))  # its own save_file lets nobody else read the file
    check(path, arrays, metadata)
    return {"arrays": len(arrays), "parameters": sum(value.size for name, value in arrays.items() if "params." in name)}


def check(path: pathlib.Path, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Raise a UserError if a file does not hold just these arrays and this metadata."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        wrong = [] if file.metadata() == metadata else ["its metadata"]
        wrong += sorted(arrays.keys() ^ set(file.keys()))
        for name in arrays.keys() & set(file.keys()):
            found = file.get_tensor(name)
            same = found.dtype == arrays[name].dtype and found.shape == arrays[name].shape
            if not same or found.tobytes() != arrays[name].tobytes():
                wrong.append(name)
    if wrong:
        raise UserError(f"what was written was read back otherwise ({wrong[0]}): check the disk, and export again")
