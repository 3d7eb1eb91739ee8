"""Places that cannot hold a run are told before it begins."""

import builtins
import errno
import os

import pytest
from conftest import evaluate_command, failing

from data_prep import download_images
from logogan_jax import sample
from logogan_jax.core import files, outputs
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


def test_a_run_whose_folder_has_a_name_that_is_no_text_is_refused_before_anything_is_made(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9") / "run"  # as an old file system in Latin 1 has it
    with pytest.raises(UserError, match="has a name that is no text in UTF-8: choose another"), locked_folder(folder):
        pass
    assert not folder.parent.exists()


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


def test_a_device_or_a_folder_is_never_replaced_by_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, tmp_path / ".."):
        with pytest.raises(OSError), files.atomic_write(path):
            raise AssertionError
    assert pipe.is_fifo()


@pytest.mark.parametrize(("value", "message"), [
    ("", "is a folder: give the name of a file"),
    (".", "is a folder: give the name of a file"),
    ("{tmp}", "is a folder: give the name of a file"),
    ("{tmp}/no/a.json", r"there is no folder .*/no"),
    ("{tmp}/file/a.json", r"there is no folder .*/file"),
    ("/dev/null", "is no ordinary file: choose another name"),
    ("/proc/a.json", r"cannot be written \(.*\): choose another place"),
    ("{tmp}/" + "x" * 300, r"cannot be written \(File name too long\): choose another place"),
])  # fmt: skip
def test_a_file_that_cannot_be_written_is_known_before_the_work(tmp_path, value, message):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=rf"^--out=.*{message}"):
        outputs.file_to_write("out", value.format(tmp=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("value", "message"), [
    ("{tmp}/file", r"cannot be written \(.*/file is no folder\): choose another place"),
    ("{tmp}/file/a", r"cannot be written \(.*\): choose another place"),
    ("{tmp}/gone", r"cannot be written \(.*/gone is no folder\)"),
    ("/proc/none/a/b", r"cannot be written \(.*\): choose another place"),
    ("/dev/null", r"cannot be written \(/dev/null is no folder\)"),
    ("{tmp}/" + "x" * 300, r"cannot be written \(File name too long\): choose another place"),
])  # fmt: skip
def test_a_folder_that_cannot_be_written_is_known_before_the_work(tmp_path, value, message):
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to("nowhere")
    with pytest.raises(UserError, match=rf"^--out=.*{message}"):
        outputs.folder_to_write("out", value.format(tmp=tmp_path))


def test_places_that_can_be_written_are_left_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert outputs.folder_to_write("out", "~/a/b") == tmp_path / "a" / "b"
    assert outputs.file_to_write("out", "~/a.json") == tmp_path / "a.json"
    assert list(tmp_path.iterdir()) == []


UNWRITABLE = "/dev/null/a"


@pytest.mark.parametrize(("module", "flags"), [
    (evaluate_command(), ["--images=logos", "--against=logos", "--size=28", f"--out={UNWRITABLE}"]),
    (sample, ["--workdir=run", f"--out={UNWRITABLE}"]),
])  # fmt: skip
def test_commands_know_before_their_work_that_they_cannot_write(call, module, flags):
    """Everything that they are to read is missing, too, and is looked for later."""
    with pytest.raises(UserError, match=f"^{flags[-1]}"):
        call(module, *flags)


@pytest.mark.slow
@pytest.mark.parametrize("flag", [f"--json={UNWRITABLE}", f"--profile={UNWRITABLE}"])
def test_a_benchmark_knows_before_its_work_that_it_cannot_write(flag):
    assert failing("--config=quickstart", flag, module="logogan_jax.benchmark").startswith(f"error: {flag}")
