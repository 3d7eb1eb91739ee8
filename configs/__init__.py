"""Experiments: values only, each what differs from logogan_jax/config/defaults.py."""
