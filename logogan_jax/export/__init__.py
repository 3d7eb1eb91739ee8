"""Averaged generators as files for other programs: `python -m logogan_jax.export`.

Each format is one file of this folder: archive.py writes safetensors, stablehlo.py writes programs of `jax.export`.
recipes.py says in plain JAX which latents a picture has, and card.py describes the file beside it.
"""
