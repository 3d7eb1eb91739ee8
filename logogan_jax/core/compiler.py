"""Options with which XLA compiles the program that trains.

XLA's CPU backend has oneDNN's convolutions since JAX 0.12, and does not choose them by itself. They are faster than its
own ones, above all for the gradients of filters.
"""

import functools

import jax
import jax.numpy as jnp

from logogan_jax.core import target

# Convolutions and matrix products go to oneDNN where YNNPACK does not take them first.
_ONEDNN = {
    "xla_cpu_use_onednn": True,
    "xla_cpu_experimental_onednn_custom_call": True,
    "xla_cpu_experimental_ynn_fusion_type": "",
}


def options() -> dict[str, bool | str]:
    """Return the compiler options for the target."""
    return _ONEDNN if has_onednn() else {}


def has_onednn() -> bool:
    """Return whether programs are traced for a CPU whose convolutions are oneDNN's."""
    return target.is_cpu() and _compiles_to_onednn()


@functools.cache
def _compiles_to_onednn() -> bool:
    """Compile a convolution and look."""
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((16, 16, 16, 64), (3, 3, 64, 64))]
    layouts = ("NHWC", "HWIO", "NHWC")
    convolve = lambda x, w: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=layouts)
    try:
        compiled = jax.jit(convolve).lower(*shapes).compile(compiler_options=_ONEDNN)
    except jax.errors.JaxRuntimeError:  # a JAX that does not know one of the options
        return False
    return "onednn$convolution" in (compiled.as_text() or "")
