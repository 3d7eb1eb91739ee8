"""Advice that a user follows is not refused by another rule."""

import re

import pytest
from conftest import four

from logogan_jax import loop
from logogan_jax.config import build_training, run_config
from logogan_jax.core.errors import Diverged, UserError
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.training.reporting.run_writer import RunWriter
from logogan_jax.training.rollback import DivergenceGuard

INFO = DatasetInfo("0" * 64, 50, {})


@pytest.mark.parametrize(
    ("batch", "lazy", "devices", "fitting"),
    [(32, 1, 3, 2), (30, 1, 4, 3), (7, 1, 4, 1), (8, 4, 4, 2), (8, 1, 3, 2)],
)
def test_a_run_resumed_on_devices_that_cannot_share_its_batch_is_told_how_many_can(
    tiny, tmp_path, batch, lazy, devices, fitting
):
    config = tiny("wgan_gp", train__batch_size=batch)
    config.objective.lazy = lazy
    run_config.check_devices(tmp_path, config, devices)  # a new run may change its batch
    run_config.write(tmp_path, config, INFO)
    with pytest.raises(UserError, match=rf"batches of {batch} images, which {devices} devices cannot") as caught:
        run_config.check_devices(tmp_path, config, devices)
    assert "batch_size" not in str(caught.value)
    visible = re.search(r"CUDA_VISIBLE_DEVICES=([\d,]+)", str(caught.value))[1].split(",")
    assert len(visible) == fitting
    run_config.check_devices(tmp_path, config, len(visible))  # who follows it goes on


def test_a_resume_with_another_batch_is_told_the_old_one_and_no_third(shards, tmp_path):
    run_config.write(tmp_path, build_training.resolve(four(shards)), INFO)
    with pytest.raises(UserError, match=r"config.train.batch_size is 30, but the run in .* was started with 8"):
        loop.train(four(shards, **{"train.batch_size": 30}), tmp_path)  # 30 is no multiple of 4 devices


def test_fewer_images_than_devices_are_not_advised_a_batch_that_is_larger_still(shards):
    config = four(shards, **{"train.batch_size": 4})
    with pytest.raises(UserError, match="3 images to train on are fewer than one batch: use fewer than 4 devices or"):
        build_training._check_one_batch(config, 3, 4)
    with pytest.raises(UserError, match="batch_size=4 or add images"):
        build_training._check_one_batch(four(shards), 6, 4)


def test_a_run_without_a_critic_that_diverges_is_advised_its_own_keys(tmp_path):
    guard = DivergenceGuard(
        "on", RunWriter(tmp_path, 0), None, None, None, init_state=None, place=None, say=print,
        networks=["encoder", "generator"],
    )  # fmt: skip
    with pytest.raises(Diverged, match=r"lower config.optimizer.encoder.learning_rate and config.optimizer.generator"):
        guard._stop(3, "it is planted")
