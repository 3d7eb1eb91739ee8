"""Train GANs on logos and other small image sets, in JAX."""

__version__ = "0.1.0"
