"""Train GANs on logos and other small image sets, in JAX."""

from logogan_jax.core import startup

__version__ = "0.1.0"

startup.check_system()
