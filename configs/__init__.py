"""Experiments: each config holds only the values that differ from logogan_jax/config/defaults.py."""
