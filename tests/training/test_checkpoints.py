"""Checkpoints that are damaged, half deleted, gone while they are read, or not copied with their run."""

import contextlib
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import digest, four

from logogan_jax import loop
from logogan_jax.config import restore
from logogan_jax.core.errors import UserError
from logogan_jax.training import train_state
from logogan_jax.training.checkpoints import Checkpoints, Damaged
from logogan_jax.training.reporting import run_writer
from logogan_jax.training.workdir import step_without_checkpoint


def state(step):
    return {"step": np.int32(step), "weights": np.random.default_rng(step).normal(size=(100, 100)).astype(np.float32)}


LIKE = jax.tree.map(jnp.asarray, state(0))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with the checkpoints 2, 4 and 6 of small states."""
    folder = tmp_path_factory.mktemp("saved") / "checkpoints"
    with contextlib.closing(Checkpoints(folder, keep=3)) as kept:
        for step in (2, 4, 6):
            kept.save(step, state(step))
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return pathlib.Path(shutil.copytree(saved, tmp_path / "checkpoints"))


def largest_file(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def empty_all(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(b"")


def alter(folder):
    """Change one byte of the numbers."""
    path = largest_file(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def truncate(folder):
    path = largest_file(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def exchange(folder):
    """Put the numbers of another step in their place, each file of which is whole."""
    shutil.rmtree(folder / "default")
    shutil.copytree(folder.parent / "2" / "default", folder / "default")


DAMAGES = {
    "every file emptied": empty_all,
    "the largest file emptied": lambda folder: largest_file(folder).write_bytes(b""),
    "cut": truncate,
    "a byte altered": alter,
    "the numbers of another step": exchange,
    "metadata emptied": lambda folder: (folder / "_CHECKPOINT_METADATA").write_bytes(b""),
    "metadata gone": lambda folder: (folder / "_CHECKPOINT_METADATA").unlink(),
    "half deleted": lambda folder: shutil.rmtree(folder / "default" / "d"),
    "an empty folder": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
    "names of arrays that are none": lambda folder: (folder / "default" / "_METADATA").write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_one_line_and_the_newest_good_one_is_taken(copy, damage):
    DAMAGES[damage](copy / "6")
    said = []
    with contextlib.closing(Checkpoints(copy, keep=3)) as kept:
        with pytest.raises(Damaged, match=r"checkpoints/6 cannot be restored \(.+\)") as caught:
            kept.restore(6, LIKE)
        assert "\n" not in str(caught.value)
        step, restored = kept.restore_newest(LIKE, said.append)
        assert step == 4
        np.testing.assert_array_equal(restored["weights"], state(4)["weights"])
        (line,) = said
        assert "checkpoints/6 cannot be restored" in line and "from step 4, the newest good" in line
        kept.save(6, state(6))  # the run comes by there again
        kept.wait()
        assert kept.restore_newest(LIKE, said.append).step == 6 and len(said) == 1


def test_a_request_to_stop_while_a_checkpoint_is_read_is_no_damage(copy, monkeypatch):
    def interrupted(*_, **__):
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("release unlocked lock")

    said = []
    with contextlib.closing(Checkpoints(copy, keep=3)) as kept:
        monkeypatch.setattr(kept._manager, "restore", interrupted)
        with pytest.raises(RuntimeError, match="release unlocked lock"):
            kept.restore_newest(LIKE, said.append)
    assert not said


def test_where_every_checkpoint_is_damaged_nothing_is_started_anew(copy):
    for step in (2, 4, 6):
        alter(copy / str(step))
    with contextlib.closing(Checkpoints(copy, keep=3)) as kept:
        with pytest.raises(UserError, match=r"checkpoints/6 cannot be restored .*no older one that is good"):
            kept.restore_newest(LIKE, print)
        assert kept.steps() == [2, 4, 6]


def test_a_roll_back_takes_an_older_checkpoint_where_its_own_is_damaged(copy):
    truncate(copy / "4")
    with contextlib.closing(Checkpoints(copy, keep=3)) as kept:
        assert kept.restore_newest(LIKE, lambda line: None, most=4).step == 2
        kept.delete_after(2)
        assert kept.steps() == [2]
        kept.delete_after(0)
        assert kept.restore_newest(LIKE, print, most=0) is None and kept.steps() == []


def test_a_checkpoint_of_an_older_version_has_no_digest_and_is_restored(copy):
    path = copy / "6" / "_CHECKPOINT_METADATA"
    about = json.loads(path.read_text())
    assert len(about.pop("custom_metadata")["sha256"]) == 64
    path.write_text(json.dumps(about))
    with contextlib.closing(Checkpoints(copy, keep=3)) as kept:
        assert kept.restore(6, LIKE)["step"] == 6


def test_the_only_checkpoint_stays_until_the_next_one_is_whole(tmp_path):
    with contextlib.closing(Checkpoints(tmp_path / "checkpoints", keep=1)) as kept:
        for step in (2, 4):
            kept.save(step, state(step))
            # What a kill would leave now: the one before is there, whole or not this one is.
            there = {path.name for path in (tmp_path / "checkpoints").iterdir()}
            assert step == 2 or "2" in there
        kept.wait()
        assert kept.steps() == [4]


def test_what_a_kill_left_half_deleted_is_cleared_away_and_counts_for_nothing(copy):
    (copy / "2").rename(copy / ".2.deleted")
    with contextlib.closing(Checkpoints(copy, keep=3, read_only=True)) as reader:
        assert reader.steps() == [4, 6]
    with contextlib.closing(Checkpoints(copy, keep=3)) as kept:
        assert kept.steps() == [4, 6]
    assert sorted(path.name for path in copy.iterdir()) == ["4", "6"]


def test_a_folder_of_checkpoints_removed_while_it_trains_is_made_anew(copy):
    with contextlib.closing(Checkpoints(copy, keep=2)) as kept:
        shutil.rmtree(copy)
        for step in (8, 10, 12):
            kept.save(step, state(step))
        kept.wait()
        assert kept.steps() == [10, 12]


# ── runs ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def run(straight, tmp_path):
    """A copy of a finished run of four steps, with the checkpoints 2 and 4."""
    return pathlib.Path(shutil.copytree(straight, tmp_path / "run"))


@pytest.mark.slow
def test_sampling_looks_again_where_training_has_deleted_what_it_found(run, monkeypatch):
    read = Checkpoints.restore

    def restored(self, step, like):
        if step == 4:  # while it reads, the run writes step 6 and deletes step 4
            (run / "checkpoints" / "4").rename(run / "checkpoints" / "6")
        return read(self, step, like)

    monkeypatch.setattr(Checkpoints, "restore", restored)
    assert restore.restore(str(run), "newest").step == 6


@pytest.mark.slow
def test_a_step_that_is_gone_when_it_is_read_names_those_that_are_there(run, monkeypatch):
    def gone(self, step, like):
        (run / "checkpoints" / "4").rename(run / "checkpoints" / "6")
        raise Damaged("gone")

    monkeypatch.setattr(Checkpoints, "restore", gone)
    with pytest.raises(UserError, match=r"--step=4 has no checkpoint in .*: there are 2, 6"):
        restore.restore(str(run), "4")


@pytest.mark.slow
def test_sampling_from_a_damaged_checkpoint_names_the_newest_good_one(run):
    alter(run / "checkpoints" / "4")
    with pytest.raises(UserError, match=r"checkpoints/4 cannot be restored .*: the newest good checkpoint is --step=2"):
        restore.restore(str(run), "newest")
    assert restore.restore(str(run), "2").step == 2


@pytest.mark.slow
def test_a_resume_takes_the_newest_good_checkpoint_and_ends_in_the_same_state(run, straight, shards, capsys):
    alter(run / "checkpoints" / "4")
    (run / "summary.json").unlink()
    loop.train(four(shards), run)
    said = " ".join(capsys.readouterr().err.split())
    assert "checkpoints/4 cannot be restored (its numbers" in said and "Going on from step 2" in said
    assert digest(run) == digest(straight)


@pytest.mark.slow
@pytest.mark.parametrize("left", ["no folder", "an empty folder", "an empty folder, no summary, a long log"])
def test_a_run_copied_without_its_checkpoints_is_one_line_and_keeps_its_log(run, shards, left):
    shutil.rmtree(run / "checkpoints")
    if left != "no folder":
        (run / "checkpoints").mkdir()
    if "no summary" in left:
        (run / "summary.json").unlink()
        lines = [json.dumps({"step": step, "critic/loss": 1.0}) + "\n" for step in range(1, 8)]
        (run / "metrics.jsonl").write_text("".join(lines))
    before = (run / "metrics.jsonl").read_bytes()
    for attempt in ("train", "train again", "sample"):
        with pytest.raises(UserError, match=r"has the log of [47] steps and no checkpoint: copy the run's folder chec"):
            restore.restore(str(run), "best") if attempt == "sample" else loop.train(four(shards), run)
        assert (run / "metrics.jsonl").read_bytes() == before


@pytest.mark.slow
def test_a_run_killed_before_its_first_checkpoint_starts_anew(run):
    (run / "summary.json").unlink()
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    assert len(run_writer.read_lines(run / "metrics.jsonl")) == 4
    assert step_without_checkpoint(run, checkpoint_every=2) == step_without_checkpoint(run, checkpoint_every=1000) == 0


def test_the_digest_of_a_checkpoint_sees_every_value_name_shape_and_dtype():
    large = np.zeros(train_state.PART // 4 + 3, np.float32)  # more than one part
    changed = large.copy()
    changed[-1] = 1e-30
    trees = [
        {"a": large}, {"a": changed}, {"b": large}, {"a": large[:-1]}, {"a": large[:, None]},
        {"a": large.view(np.int32)}, {"a": large, "b": np.zeros(())}, {"a": large, "b": np.ones((), bool)},
    ]  # fmt: skip
    assert len({train_state.digest_in_threads(tree) for tree in trees}) == len(trees)
    assert train_state.digest_in_threads({"a": large.copy()}) == train_state.digest_in_threads(trees[0])
