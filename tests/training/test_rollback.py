"""A run that is killed while it goes back goes on from an older state, or starts anew, whatever it was doing."""

import contextlib
import json
import os
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logogan_jax.training import divergence
from logogan_jax.training.checkpoints import Checkpoints
from logogan_jax.training.reporting import run_writer
from logogan_jax.training.reporting.run_writer import RunWriter, read_lines
from logogan_jax.training.rollback import DivergenceGuard
from logogan_jax.training.train_state import TrainState
from logogan_jax.training.workdir import step_without_checkpoint

EVERY = 10  # steps between checkpoints
STEPS = range(EVERY, 60, EVERY)
EVENT = {"step": 50, "action": "warn", "sign": "gap", "reason": "it is planted"}


def state(step):
    return TrainState(*[np.float32(step)] * len(TrainState._fields))._replace(lr_scale=np.float32(1))


LIKE = jax.tree.map(jnp.asarray, state(0))


class Killed(BaseException):
    pass


class Monitor:
    """What a guard asks: a sign that lasts since a step."""

    def __init__(self, since):
        self.since = since

    def symptoms(self):
        return [divergence.Symptom("gap", "it is planted", True, self.since)]

    def best_steps(self):
        return []

    def cancel(self):
        pass


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """The folder of a run with five checkpoints and a log line for each step."""
    folder = tmp_path_factory.mktemp("grown") / "run"
    with contextlib.closing(Checkpoints(folder / "checkpoints", keep=5, every=EVERY)) as checkpoints:
        for step in STEPS:
            checkpoints.save(step, state(step))
    lines = [json.dumps({"step": step, "critic/gap": 101.0, "seconds": step / 7}) + "\n" for step in range(1, 51)]
    (folder / "metrics.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "events.jsonl").write_text(json.dumps(EVENT) + "\n", encoding="utf-8")
    return folder


@contextlib.contextmanager
def opened(folder, since):
    """What the next start of a run makes of its folder: (step, guard, writer, checkpoints)."""
    assert step_without_checkpoint(folder, EVERY) == 0, "the checkpoints are gone, it says"
    with contextlib.closing(Checkpoints(folder / "checkpoints", keep=5, every=EVERY)) as checkpoints:
        step = checkpoints.latest() or 0
        with contextlib.closing(RunWriter(folder, step)) as writer:
            guard = DivergenceGuard(
                "on", writer, Monitor(since), checkpoints, None,
                init_state=lambda: state(0), place=lambda state: state, say=lambda line: None,
            )  # fmt: skip
            yield step, guard, writer, checkpoints


@contextlib.contextmanager
def killed_at(monkeypatch, number):
    """Kill what changes a file or a folder for the `number`-th time, before it does so; yield the list of changes."""
    changes = []

    def killing(function):
        def call(*arguments, **named):
            if len(changes) == number:
                raise Killed
            changes.append(function.__name__)
            return function(*arguments, **named)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killing(os.replace))
        patch.setattr(pathlib.Path, "rename", killing(pathlib.Path.rename))
        patch.setattr(shutil, "rmtree", killing(shutil.rmtree))
        patch.setattr(run_writer, "_append_last_line", killing(run_writer._append_last_line))
        yield changes


@pytest.mark.parametrize(("since", "target"), [pytest.param(5, 0, marks=pytest.mark.slow), (31, 30)])
def test_a_run_killed_while_it_goes_back_finds_its_way_at_the_next_start(grown, tmp_path, monkeypatch, since, target):
    done = False
    number = 0
    found = set()
    while not done:
        folder = pathlib.Path(shutil.copytree(grown, tmp_path / str(number)))
        with opened(folder, since) as (_, guard, _, _), killed_at(monkeypatch, number) as changes:
            with contextlib.suppress(Killed):
                assert guard.check(50, LIKE).step == target
                done = True
            assert done or len(changes) == number
        with opened(folder, since) as (step, guard, writer, checkpoints):
            found.add((step, guard.rolled_back))
            assert step == target or not guard.rolled_back
            assert [line["step"] for line in writer.lines] == list(range(1, step + 1))  # what it is judged by
            restored = checkpoints.restore_newest(LIKE, print)
            first = guard.first_state(restored, "fresh")
            scale = divergence.LR_SCALE if guard.rolled_back else 1
            assert first == "fresh" if not step and scale == 1 else first.lr_scale == np.float32(scale)
            if not guard.rolled_back:
                assert guard.check(step, LIKE).step == target
        kept = [line["step"] for line in read_lines(folder / run_writer.ROLLED_BACK)]
        assert kept == list(range(target + 1, 51)), "each line that was rolled back is there once"
        number += 1
    assert number > 8 and {(50, False), (target, True)} <= found


def test_a_run_that_had_ended_and_went_back_to_its_beginning_since_starts_anew(grown, tmp_path):
    folder = pathlib.Path(shutil.copytree(grown, tmp_path / "run"))
    summary = {"status": "finished", "events": [EVENT]}
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    with opened(folder, 5) as (_, guard, writer, _):
        assert guard.check(50, LIKE).step == 0
        writer.write_scalars(1, {"critic/gap": 3.0})
    assert step_without_checkpoint(folder, EVERY) == 0
    # It ends once more, and its checkpoints are lost.
    summary["events"] = read_lines(folder / "events.jsonl")
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    assert step_without_checkpoint(folder, EVERY) == 1
