"""Schedules of learning rates end with the run that the flags ask for, and an extended run is told."""

import pytest
from absl import flags
from conftest import ROOT, four, on_toy_networks, summary
from ml_collections import config_flags

from logogan_jax import loop
from logogan_jax.config import build_training, defaults, run_config, schedules
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import DatasetInfo


def parsed(name, *arguments):
    """A shipped config as the command gets it, after its flags."""
    values = flags.FlagValues()
    argv = ["train", f"--config={ROOT / 'configs' / name}.py", *arguments]
    config_flags.DEFINE_config_file("config", flag_values=values, lock_config=True, sys_argv=argv)
    values(argv)
    return build_training.resolve(values.config)


@pytest.mark.parametrize("name", ["r3gan56", "r3gan112", "lld_icon32", "lld_logo128"])
@pytest.mark.parametrize(
    "arguments", [(), ("--config.train.steps=4",), ("--config.train.steps=7", "--config.train.batch_size=8")]
)
def test_derived_values_follow_the_flags(name, arguments):
    config = parsed(name, *arguments)
    blocks = [block for block in config.optimizer.values() if "anneal_images" in block]
    assert {block.anneal_images for block in blocks} <= {config.train.steps * config.train.batch_size}
    assert blocks or name.startswith("lld_logo")
    assert not schedules.remarks(config)


def test_a_value_given_by_a_flag_is_that_of_one_network_alone():
    config = parsed("r3gan56", "--config.optimizer.critic.anneal_images=640", "--config.train.steps=20")
    assert config.optimizer.critic.anneal_images == 640
    assert config.optimizer.generator.anneal_images == 20 * 64
    (line,) = schedules.remarks(config)
    assert "critic ends at step 10 (config.optimizer.critic.anneal_images=640): 0.25 of the learning rate" in line


def test_a_schedule_that_a_config_file_has_worked_out_too_early_is_told():
    config = parsed("r3gan56", "--config.train.steps=4")
    for block in config.optimizer.values():
        block.anneal_images = 40_000 * 64
    assert len(schedules.remarks(config)) == 2
    assert "would end at step 40,000" in schedules.remarks(config)[0]


@pytest.mark.parametrize("steps", [12, 6])
def test_a_run_keeps_the_schedule_that_it_was_started_with(tmp_path, steps):
    info = DatasetInfo("0" * 64, 50, {})
    run_config.write(tmp_path, parsed("r3gan56", "--config.train.steps=8"), info)
    for _ in range(2):  # and when it is resumed once more
        config = schedules.keep(parsed("r3gan56", f"--config.train.steps={steps}"), tmp_path)
        assert config.optimizer.critic.anneal_images == config.optimizer.generator.anneal_images == 8 * 64
        run_config.check_resumable(tmp_path, config, info)
        assert len(schedules.remarks(config)) == 2
        run_config.write(tmp_path, config, info)
    with pytest.raises(UserError, match="anneal_images is 77"):  # given by hand, it is another recipe
        other = parsed("r3gan56", "--config.optimizer.critic.anneal_images=77", f"--config.train.steps={steps}")
        run_config.check_resumable(tmp_path, schedules.keep(other, tmp_path), info)


def test_a_run_whose_rates_have_fallen_to_zero_is_not_trained_on_in_vain():
    config = parsed("lld_icon32", "--config.train.steps=8")
    config.train.steps = 12
    for start in (0, 7):
        schedules.check(config, start, "runs/a")
    with pytest.raises(UserError, match=r"runs/a have fallen to 0 .*anneal_images.* after step 8: .*another --workdir"):
        schedules.check(config, 8, "runs/a")
    config.optimizer.generator.final = 0.1
    schedules.check(config, 8, "runs/a")


def falling(shards, steps, final):
    config = on_toy_networks(four(shards, **{"train.steps": steps}), "plain")
    for role in ("generator", "critic"):
        images = defaults.images_of_run(config)
        config.optimizer[role] = defaults.block(
            name="adam", learning_rate=1e-4, b1=0.5, b2=0.9, anneal="linear", anneal_images=images, final=final
        )
    return config


@pytest.mark.slow
def test_an_extended_run_is_told_where_its_schedule_ends(toy_networks, shards, tmp_path, capsys):
    loop.train(falling(shards, 2, 0.5), tmp_path / "half")
    assert "schedule" not in capsys.readouterr().err
    loop.train(falling(shards, 4, 0.5), tmp_path / "half")
    assert "schedule of the critic ends at step 2" in " ".join(capsys.readouterr().err.split())
    assert summary(tmp_path / "half")["step"] == 4


@pytest.mark.slow
def test_a_run_that_would_move_no_weight_is_one_line(toy_networks, shards, tmp_path, capsys):
    loop.train(falling(shards, 2, 0.0), tmp_path)
    with pytest.raises(UserError, match="nothing would be learnt after step 2"):
        loop.train(falling(shards, 4, 0.0), tmp_path)
    assert summary(tmp_path)["step"] == 2
    capsys.readouterr()
    loop.train(falling(shards, 2, 0.0), tmp_path)
    assert "its learning rates have fallen to 0" in capsys.readouterr().out


@pytest.mark.parametrize("images", [-1, -64])
def test_a_warm_up_below_zero_is_one_line(tiny, images):
    with pytest.raises(UserError, match=rf"warmup_images is {images}: it should be a number of images, or 0"):
        build_training.build(tiny("gan", optimizer__critic__warmup_images=images))
