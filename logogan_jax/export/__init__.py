"""Averaged generators as files for other programs: `python -m logogan_jax.export`.

Each format is one file of this folder: archive.py writes safetensors, stablehlo.py programs of `jax.export`, and
onnx_program.py graphs of ONNX, into which onnx_primitives.py and onnx_products.py translate what JAX traces.
recipes.py says in plain NumPy which latents a picture has, and card.py describes the file beside it.
"""
