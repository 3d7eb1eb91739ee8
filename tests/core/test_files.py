"""Places that cannot hold a run are told before it begins."""

import builtins
import errno
import os

import pytest

from data_prep import download_images
from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.training.workdir import locked_folder

BUCKET = r"--workdir=.* cannot append to files or replace them \(.*\), such as a mounted bucket: .*s3://.*MOUNT_CACHED"


@pytest.fixture
def mounted_bucket(monkeypatch):
    """A function that makes the file system refuse to append to files that are there, as mounted buckets do."""

    def mount(number):
        really_open = builtins.open

        def refuse(path, mode="r", *arguments, **values):
            if "a" in mode and os.path.exists(path):
                raise OSError(number, os.strerror(number), str(path))
            return really_open(path, mode, *arguments, **values)

        monkeypatch.setattr(builtins, "open", refuse)

    return mount


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EPERM, errno.ENOSYS, errno.EINVAL])
@pytest.mark.parametrize("before", [False, True])
def test_a_run_in_a_mounted_bucket_is_led_to_the_bucket_itself(mounted_bucket, tmp_path, number, before):
    if before:
        (tmp_path / ".lock").touch()
    mounted_bucket(number)
    with pytest.raises(UserError, match=BUCKET), locked_folder(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_mount_that_loses_what_is_appended_or_cannot_replace_files_is_told_too(monkeypatch, tmp_path):
    def replace(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(files.os, "replace", replace)
    with pytest.raises(UserError, match=BUCKET), locked_folder(tmp_path):
        pass


def test_a_probe_that_a_killed_run_left_is_no_foreign_file(tmp_path):
    (tmp_path / ".probe").touch()
    with locked_folder(tmp_path):
        pass
    assert not (tmp_path / ".probe").exists()


def test_downloads_into_a_mounted_bucket_are_led_to_the_bucket_itself(mounted_bucket, tmp_path):
    (tmp_path / "items.csv").write_text("name,link\na.png,https://example.org/a.png\n")
    mounted_bucket(errno.EOPNOTSUPP)
    with pytest.raises(UserError, match=r"cannot be written \(Operation not supported\): .*s3://"):
        download_images.download(tmp_path / "items.csv", tmp_path / "raw")
