"""A generator as a program of `jax.export`: (latents float32[n, z], labels int32[n]) -> pictures uint8[n, H, W, C].

The program holds the weights, and n may be any number. Whoever has JAX runs it, without this library:

    program = jax.export.deserialize(bytearray(open(FILE, "rb").read()))
    pictures = program.call(latents, labels)
"""

import datetime
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from logogan_jax.config.restore import RestoredRun
from logogan_jax.training import sampling
from logogan_jax.training.sampling import Latents

PACKAGES = ("flatbuffers",)  # which jax.export writes and reads by
PLATFORMS = ("cpu", "cuda", "tpu")
PROMISED = datetime.timedelta(days=182)  # of backward compatibility, from the release of the JAX that has written it
USE = """\
```python
import jax, jax.export, numpy as np

program = jax.export.deserialize(bytearray(open("{file}", "rb").read()))
pictures = np.asarray(program.call(latents, labels))  # uint8[n, H, W, C] of float32[n, {size}] and int32[n]
```

Besides JAX this needs the package `flatbuffers`. The program runs on {platform} alone."""


def write(run: RestoredRun, path: pathlib.Path, platform: str, size: int) -> dict[str, Any]:
    """Write the program of a platform for latents of a size. Returns what the card says of it."""
    synthesize = sampling.make_synthesize(run.model.graphdefs)
    state = run.state
    program = jax.jit(lambda z, label: synthesize(state, Latents(z, label)))
    (n,) = export.symbolic_shape("n")
    inputs = (jax.ShapeDtypeStruct((n, size), jnp.float32), jax.ShapeDtypeStruct((n,), jnp.int32))
    exported = export.export(program, platforms=[platform])(*inputs)
    path.write_bytes(exported.serialize())
    today = datetime.datetime.now(datetime.UTC).date()
    return {
        "platform": platform,
        "calling_convention_version": exported.calling_convention_version,
        "expiry": {
            "newer_jax": f"any released within six months of JAX {jax.__version__}",
            "older_jax": f"any released at most three weeks before JAX {jax.__version__}",
            "not_promised_after": str(today + PROMISED),  # that JAX was released before today
        },
    }
