"""Make the train step of a shipped config from shapes, without computing anything, so that counted.py can count it."""

from collections.abc import Sequence
from typing import Any

from logogan_jax.config import build_training, shipped
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.plan.step_shapes import StepShapes

BATCH = 16
IMAGES = 64  # in the data set


class AbstractStep(StepShapes):
    """The train step of a shipped config, at a small batch in float32, on some devices: nothing is computed."""

    def __init__(self, name: str, devices: Sequence[Any]):
        config = shipped.get_config(name)
        config.train.update(batch_size=BATCH, dtype="float32")
        labels = {"one": IMAGES // 2, "other": IMAGES // 2} if config.data.labels else {}
        super().__init__(build_training.resolve(config), DatasetInfo("", IMAGES, labels, ["#000000"]), devices, steps=1)
