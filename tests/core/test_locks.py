"""Locks keep a second process out, and are done without where the file system has none."""

import errno
import fcntl
import threading

import pytest

from data_prep.shards import output_folder
from logogan_jax.core import locks
from logogan_jax.core.errors import UserError
from logogan_jax.training.workdir import locked_folder


@pytest.fixture
def no_locks(monkeypatch):
    """A function that makes the file system answer every lock with an error of this number."""

    def answer(number):
        def flock(file, how):
            raise OSError(number, errno.errorcode[number])

        monkeypatch.setattr(fcntl, "flock", flock)

    return answer


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EIO])
def test_training_on_a_disk_without_locks_goes_on_with_a_warning(no_locks, tmp_path, capsys, number):
    no_locks(number)
    with locked_folder(tmp_path / "run"), locked_folder(tmp_path / "run"):
        said = capsys.readouterr().err
    assert said.startswith(f"warning: {tmp_path / 'run'} has no file locks ({errno.errorcode[number]})")
    assert said.count("\n") == 1, "once for a folder"


@pytest.mark.parametrize("number", [errno.EWOULDBLOCK, errno.EAGAIN])
def test_only_a_lock_that_another_process_holds_keeps_training_out(no_locks, tmp_path, number):
    no_locks(number)
    with pytest.raises(UserError, match="another process is training in"), locked_folder(tmp_path):
        pass


def test_shards_are_written_on_a_disk_without_locks(no_locks, tmp_path, capsys):
    no_locks(errno.ENOTSUP)
    with output_folder.create(tmp_path / "shards") as partial:
        (partial / "a").touch()
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["a"]
    assert "has no file locks" in capsys.readouterr().err


def test_a_second_command_waits_for_the_first_and_says_so(tmp_path, capsys):
    first = locks.try_lock(tmp_path / "lock")
    assert locks.try_lock(tmp_path / "lock") is None
    threading.Timer(0.2, first.close).start()
    locks.wait_for_lock(tmp_path / "lock", message="waiting").close()
    assert capsys.readouterr().err == "waiting\n"


def test_two_readers_share_a_lock(tmp_path):
    with locks.try_lock(tmp_path / "lock", shared=True), locks.try_lock(tmp_path / "lock", shared=True):
        assert locks.try_lock(tmp_path / "lock") is None


@pytest.mark.parametrize("place", ["/proc/none/a/shards", "file/shards", "file/a/shards"])
def test_a_place_for_shards_that_cannot_be_made_is_not_tried_for_ever(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    place = tmp_path / place  # of an absolute path, itself
    with pytest.raises(UserError, match=r"cannot be written \(.+\): choose another place"), output_folder.create(place):
        pass
