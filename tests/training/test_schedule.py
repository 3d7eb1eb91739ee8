"""What is due when: periods of 0 and below, and the last state of a run, which is always saved."""

import json

import pytest
from conftest import four, on_toy_networks, summary

from logogan_jax import loop
from logogan_jax.core.errors import UserError
from logogan_jax.training.checkpoints import Checkpoints
from logogan_jax.training.reporting import run_writer
from logogan_jax.training.schedule import CLOCK_PERIOD, Periods, Schedule


@pytest.mark.parametrize("name", ["log", "sample", "checkpoint"])
def test_a_period_of_zero_is_due_at_the_last_step_alone(name):
    schedule = Schedule(Periods(log=0, evaluate=0, sample=0, checkpoint=0), last=130)
    assert [step for step in range(131) if getattr(schedule, name)(step)] == [130]
    assert not any(schedule.evaluate(step) for step in range(131))


def test_a_run_without_log_lines_still_looks_at_the_clocks():
    schedule = Schedule(Periods(log=0, evaluate=0, sample=0, checkpoint=0), last=130)
    looks = [step for step in range(131) if schedule.clocks(step)]
    assert looks == [CLOCK_PERIOD, 2 * CLOCK_PERIOD, 130]
    assert [step for step in range(131) if schedule.any(step)] == looks
    often = Schedule(Periods(log=20, evaluate=0, sample=0, checkpoint=0), last=130)
    assert [step for step in range(131) if often.clocks(step)] == [20, 40, 60, 80, 100, 120, 130]


@pytest.mark.slow
def test_a_run_with_every_period_at_zero_leaves_its_last_state_and_goes_on_from_there(
    toy_networks, shards, tmp_path, capsys
):
    zeros = {f"report.{name}_every": 0 for name in ("log", "samples", "checkpoint")}
    for steps in (2, 4):
        config = four(shards, **zeros, **{"train.steps": steps, "evaluate.every_images": 0})
        loop.train(on_toy_networks(config), tmp_path)
        assert Checkpoints(tmp_path / "checkpoints", 1, read_only=True).steps()[-1] == steps
        assert summary(tmp_path)["status"] == "finished"
        assert run_writer.read_lines(tmp_path / "metrics.jsonl")[-1]["step"] == steps
        assert (tmp_path / f"samples/{steps:06d}.png").exists()
    assert "Going on from step 2" in capsys.readouterr().err
    assert json.loads((tmp_path / "config.json").read_text())["config"]["report"]["checkpoint_every"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"report.log_every": -1}, "config.report.log_every is -1: it should be a number of steps, or 0"),
        ({"report.samples_every": -5}, "config.report.samples_every is -5: it should be a number of steps, or 0"),
        ({"report.checkpoint_every": -1}, "config.report.checkpoint_every is -1: it should be a number of steps, or 0"),
        ({"evaluate.every_images": -1}, "config.evaluate.every_images is -1: it should be a number of images, or 0"),
        ({"report.checkpoint_minutes": -0.5}, "checkpoint_minutes is -0.5: it should be a number of minutes, or 0"),
        ({"report.checkpoint_minutes": float("nan")}, "checkpoint_minutes is nan: it should be a number of minutes"),
        ({"data.rotate": float("nan")}, "config.data.rotate is nan: it should be a finite number"),
        ({"model.dropout": float("nan")}, "config.model.dropout is nan: it should be a finite number"),
        ({"optimizer.critic.learning_rate": float("inf")}, "critic.learning_rate is inf: it should be a finite"),
        ({"objective.critic_updates": 0}, "config.objective.critic_updates is 0: it should be at least 1"),
        ({"objective.critic_updates": -2}, "config.objective.critic_updates is -2: it should be at least 1"),
        ({"train.steps_per_dispatch": -1}, "config.train.steps_per_dispatch is -1: it should divide"),
    ],
)
def test_a_period_below_zero_is_one_line_before_anything_is_made(shards, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        loop.train(four(shards, **changes), tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()
