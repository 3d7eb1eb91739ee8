"""A repository whose large files were not fetched: what stands in their place is named, with what fetches them."""

import gzip
import io
import json
import shutil
import tarfile
import zipfile

import jax.numpy as jnp
import pytest
from conftest import drawing
from odd_files import RECT, SVG

from data_prep import download_images, icon_sets, import_arrays, inspect_data, make_logos, write_tfrecords
from data_prep.pictures.convert import encode_png
from logogan_jax.config import run_config
from logogan_jax.core import pointers
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import TFRecordDataset
from logogan_jax.metrics import torch_weights
from logogan_jax.training.checkpoints import Checkpoints, Damaged
from logogan_jax.training.reporting import run_writer

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
POINTERS = {
    "Git LFS": (LFS, "is a Git LFS pointer: run `git lfs pull` in its repository"),
    "git-annex": (b"/annex/objects/SHA256E-s9--ab\n", "is a git-annex pointer: run `git annex get` in its repository"),
    "a link of git-annex": (None, "is a git-annex pointer: run `git annex get` in its repository"),
}


@pytest.fixture(params=POINTERS)
def put(request):
    """A function that puts a pointer of some kind to a path and returns what is said of it."""
    content, message = POINTERS[request.param]

    def put(path):
        path.unlink(missing_ok=True)
        if content is None:
            path.symlink_to("../.git/annex/objects/1k/9X/SHA256E-s9--ab/SHA256E-s9--ab")
        else:
            path.write_bytes(content)
        return f"{path} {message}"

    return put


def line_of(capsys, main, *words):
    with pytest.raises(SystemExit) as left:
        main(list(map(str, words)))
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.endswith("1/1  ")]  # of a progress bar
    assert left.value.code == 2 and len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("which", ["*.tfrecord-00001-of-*", "metadata.json"])
def test_shards_that_were_not_fetched_are_named(shards, tmp_path, capsys, put, which):
    copy = tmp_path / "shards"
    shutil.copytree(shards, copy)
    message = put(next(copy.glob(which)))
    with pytest.raises(UserError) as error:
        TFRecordDataset(copy, size=(28, 28), channels=3)
    assert str(error.value) == message
    assert message in line_of(capsys, inspect_data.main, f"--path={copy}", f"--report={tmp_path / 'report'}")


@pytest.mark.parametrize("name", ["logos.zip", "logos.tgz", "icons.json", "icons.json.xz", "logos"])
def test_an_icon_set_that_was_not_fetched_is_named(tmp_path, capsys, put, name):
    message = put(tmp_path / name)
    words = (f"--source={tmp_path / name}", f"--target_path={tmp_path / 'out'}")
    line = line_of(capsys, make_logos.main, *words)
    assert str(tmp_path / name) in line and message.rpartition(" is ")[2] in line and not (tmp_path / "out").exists()


@pytest.mark.parametrize(("main", "flag"), [(import_arrays.main, "filename"), (download_images.main, "filename")])
def test_arrays_and_lists_that_were_not_fetched_are_named(tmp_path, capsys, put, main, flag):
    message = put(tmp_path / "x.npz")
    assert f"--{flag}={message}" in line_of(
        capsys, main, f"--{flag}={tmp_path / 'x.npz'}", f"--target_path={tmp_path}/o"
    )


def test_a_folder_is_asked_for_and_its_archive_was_not_fetched(tmp_path, capsys, put):
    put(tmp_path / "logos.zip")
    words = (f"--path={tmp_path / 'logos.zip'}", "--size=28", f"--target_path={tmp_path / 'out'}")
    line = line_of(capsys, write_tfrecords.main, *words)
    assert "logos.zip is not a folder but a git" in line.lower() and "unzip" not in line


def test_images_that_were_not_fetched_are_named(tmp_path, capsys, put):
    (tmp_path / "logos").mkdir()
    put(tmp_path / "logos" / "a.png")
    words = (f"--path={tmp_path / 'logos'}", "--size=28", f"--target_path={tmp_path / 'out'}")
    line = line_of(capsys, write_tfrecords.main, *words)
    assert "a.png: not an image but a git" in line.lower() and "in its repository" in line


def test_a_run_that_was_not_fetched_is_named(tmp_path, put):
    readers = {
        "config.json": run_config.read,
        "metrics.jsonl": lambda run: run_writer.read_lines(run / "metrics.jsonl"),
    }
    for name, read in readers.items():
        message = put(tmp_path / name)
        with pytest.raises(UserError) as error:
            read(tmp_path)
        assert str(error.value) == message
    message = put(tmp_path / "weights.pth")
    with pytest.raises(UserError) as error:
        torch_weights.load(tmp_path / "weights.pth")
    assert str(error.value) == message


def test_a_checkpoint_that_was_not_fetched_is_named(tmp_path, put):
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=1)
    state = {"weights": jnp.ones(9)}
    checkpoints.save(1, state)
    checkpoints.wait()
    largest = max((tmp_path / "checkpoints" / "1").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
    put(largest)
    put(tmp_path / "checkpoints" / "1" / "_CHECKPOINT_METADATA")
    with pytest.raises(Damaged, match=r"cannot be restored \(a git.* in its repository\)".replace("a git", "a [Gg]it")):
        checkpoints.restore(1, state)
    checkpoints.close()


def test_members_of_an_archive_that_were_not_fetched_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "repository.zip", "w") as archive:
        archive.writestr("repository/icons.json", LFS)
    with pytest.raises(UserError, match=r"its icons.json is a Git LFS pointer"):
        icon_sets.read_archive(tmp_path / "repository.zip")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", LFS)
    with pytest.raises(UserError, match=r"images.npy in .*x.npz is a Git LFS pointer"):
        list(import_arrays.open_arrays(tmp_path / "x.npz").__enter__())


def test_other_files_and_links_are_no_pointers(tmp_path):
    (tmp_path / "to nowhere").symlink_to("gone")
    (tmp_path / "to annex").symlink_to("annex/objects/x")
    (tmp_path / "text").write_bytes(b"version https")
    for name in ("to nowhere", "to annex", "text", "missing", ""):
        assert pointers.describe_file(tmp_path / name) == ""


# ── archives by any name ────────────────────────────────────────────────────────────────────


def zipped(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tarred(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def changed(data, place, new):
    return data[:place] + new + data[place + len(new) :]


DEFLATED = io.BytesIO()
with zipfile.ZipFile(DEFLATED, "w", zipfile.ZIP_DEFLATED) as packed:
    packed.writestr("a.svg", SVG.format(RECT) * 9)
DEFLATED = DEFLATED.getvalue()
CENTRAL = DEFLATED.index(b"PK\1\2")
DAMAGED = {
    "bytes": changed(DEFLATED, 40, b"\xff" * 9),
    "a password": changed(changed(DEFLATED, 6, b"\1"), CENTRAL + 8, b"\1"),
    "a packing that is unknown": changed(changed(DEFLATED, 8, b"\x61"), CENTRAL + 10, b"\x61"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_an_archive_that_cannot_be_unpacked_is_one_line(tmp_path, what):
    (tmp_path / "a.zip").write_bytes(DAMAGED[what])
    with pytest.raises(UserError, match=r"--source=.*a.zip cannot be read: .*"):
        icon_sets.read_archive(tmp_path / "a.zip")


MEMBERS = {"logo": SVG.format(RECT).encode(), "mark.dat": encode_png(drawing(1)), "LICENSE": b"free", "a.png": b"x"}
ICONS = json.dumps({"icons": {"a": {"body": "<path d='M0 0h9v9z'/>"}}}).encode()
FORMS = {
    "logos": zipped(MEMBERS), "logos.tgz": zipped(MEMBERS), "logos.zip": tarred(MEMBERS), "pack": tarred(MEMBERS),
    "icons": ICONS, "icons.txt": gzip.compress(ICONS), "icons.json.xz": ICONS,
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_an_archive_and_its_members_are_known_by_what_they_hold(tmp_path, name):
    (tmp_path / name).write_bytes(FORMS[name])
    names = [item.name for item in icon_sets.read_archive(tmp_path / name)]
    assert names == (["a.svg"] if name.startswith("icons") else ["logo", "mark.dat", "a.png"])
