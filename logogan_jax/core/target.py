"""The kind of device that programs are traced for: the one that is here, or one that need not be.

Forms of arithmetic, dtypes and the size of programs differ between a CPU and an accelerator. Whoever chooses asks here,
never JAX's default backend: `plan` traces programs for accelerators on a machine that has none, and `export` traces
them for a file of ONNX.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

_PLATFORM: contextvars.ContextVar[str | None] = contextvars.ContextVar("platform", default=None)


def platform() -> str:
    """Return "cpu", "gpu", "tpu" or "onnx": the target inside of `tracing_for`, elsewhere JAX's default device."""
    return _PLATFORM.get() or jax.default_backend()


def is_cpu() -> bool:
    """Return whether programs are traced for a CPU."""
    return platform() == "cpu"


@contextlib.contextmanager
def tracing_for(platform: str) -> Iterator[None]:
    """Let programs be traced for a platform inside of the block, in this thread."""
    # JAX keeps what it has traced by shapes and functions alone, and would give it for another platform, too.
    jax.clear_caches()
    token = _PLATFORM.set(platform)
    try:
        yield
    finally:
        _PLATFORM.reset(token)
        jax.clear_caches()
