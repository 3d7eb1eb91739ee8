"""What a training needs of an accelerator that is not here: `python -m logogan_jax.plan`.

targets.py describes the accelerators, step_shapes.py makes the step from shapes alone, hlo.py reads the program that
XLA compiles, costs.py counts it, prediction.py turns counts into seconds, and rows.py prints and records them.
"""
