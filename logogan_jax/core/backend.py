"""The start of JAX in a command: what its environment asks for is there, and compiled programs are kept."""

import os

from logogan_jax.core import cache, installation
from logogan_jax.core.errors import UserError


def start() -> None:
    """Find JAX's devices and enable the cache of compiled programs; UserError as `check` raises it.

    Of several processes that train together, each calls this after multihost.initialize.
    """
    check()
    cache.enable_compilation_cache()


def check() -> None:
    """Raise a UserError if JAX has no device of the platform that JAX_PLATFORMS names, or computes in 64 bits."""
    import jax

    if jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue] - JAX makes it when it is imported
        raise UserError("JAX_ENABLE_X64 is on, but the networks are made of 32-bit numbers: unset it, or set it to 0")
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        platforms = jax.config.jax_platforms
        variable = "JAX_PLATFORMS" if platforms else "JAX_PLATFORM_NAME"  # the older one
        raise UserError(_describe(variable, platforms or os.environ.get(variable, ""), error)) from None


def _describe(variable: str, platforms: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200] or "JAX finds none"
    if not platforms:
        return f"JAX finds no device ({reason}): set JAX_PLATFORMS=cpu to train without an accelerator"
    extras = {"cuda": "cuda", "gpu": "cuda", "rocm": "", "tpu": "tpu"}
    wanted = next((name for name in platforms.split(",") if name in extras), None)
    if wanted is None:
        return f"{variable}={platforms} is no platform of JAX here ({reason}): set it to cpu, cuda or tpu, or unset it"
    install = f"install JAX for it by {installation.install_command(extras[wanted])}, " if extras[wanted] else ""
    return (
        f"{variable}={platforms}, but there is no such device here ({reason}): {install}check the driver, or set "
        f"JAX_PLATFORMS=cpu"
    )
