"""Make the train step of a shipped config from shapes, without computing anything, so that counted.py can count it."""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from logogan_jax.config import build_training, shipped
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.plan.step_shapes import StepShapes

BATCH = 16
DEVICES = 8  # at most
IMAGES = 64  # in the data set


def batch_size(config: ConfigDict) -> int:
    """Return a small batch for a config, of which every device has enough images for a lazy penalty."""
    return max(BATCH, DEVICES * config.objective.get("lazy", 1))


class AbstractStep(StepShapes):
    """The train step of a shipped config, at a small batch in float32, on some devices: nothing is computed."""

    def __init__(self, name: str, devices: Sequence[Any], **changes: Any):
        """Make the step of a config by its name, with `changes` by dotted key."""
        config = shipped.get_config(name)
        config.train.update(batch_size=batch_size(config), dtype="float32")
        config.update_from_flattened_dict(changes)
        labels = {"one": IMAGES // 2, "other": IMAGES // 2} if config.data.labels else {}
        super().__init__(
            build_training.resolve(config), DatasetInfo("", IMAGES, labels, ("#000000",)), devices, steps=1
        )
