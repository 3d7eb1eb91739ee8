"""Arrays of every kind and age become PNGs; nothing in a file is run, and nothing about its numbers is guessed."""

import builtins
import codecs
import contextlib
import copyreg
import io
import json
import os
import pickle
import re
import shlex
import signal
import struct
import subprocess
import time
import zipfile

import fork_server
import h5py
import numpy as np
import pytest
from conftest import ROOT, command, environment, pictures
from PIL import Image

from data_prep import import_arrays, write_tfrecords
from data_prep.arrays import interpret, pickles
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import TFRecordDataset

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 6, 8, 3)).astype(np.uint8)


def imported(*arguments):
    """Run the tool in this process -> what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        import_arrays.main([str(argument) for argument in arguments])
    return said.getvalue()


def refused(capsys, *arguments):
    """The one line with which the tool ends."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        imported(*arguments)
    line = capsys.readouterr().err.strip()
    assert left.value.code == 2 and line.startswith("error: ") and "\n" not in line, line
    return line


def spoilt(number, value):
    """The pixels as numbers, of which one of an image is no number."""
    array = PIXELS / 1.0
    array[number, 2, 1, 0] = value
    return array


def same(folder, pixels=PIXELS, prefix=""):
    found = pictures(folder)
    assert list(found) == [f"{prefix}{number:06d}.png" for number in range(len(pixels))]
    for image, wanted in zip(found.values(), pixels, strict=True):
        np.testing.assert_array_equal(image, wanted.squeeze())


# ── pickles ─────────────────────────────────────────────────────────────────────────────────


def python2(pixels, protocol):
    """What Python 2 wrote of an array of bytes, operation by operation."""
    shape = pixels.shape
    if protocol == 0:
        sides = b"".join(b"I%d\n" % side for side in shape[:-1]) + b"L%dL\n" % shape[-1]
        return (
            b"cnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n(I0\ntS'b'\ntRp3\n(I1\n(" + sides +
            b"tcnumpy\ndtype\np4\n(S'u1'\nI0\nI1\ntRp5\n(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'" +
            codecs.escape_encode(pixels.tobytes())[0] + b"'\np6\ntb."
        )  # fmt: skip
    sides = b"(" + b"".join(b"K" + bytes([side]) for side in shape) + b"t"
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01" +
        sides + b"q\x04cnumpy\ndtype\nq\x05U\x02u1K\x00K\x01\x87Rq\x06(K\x03U\x01|NNNJ\xff\xff\xff\xff" +
        b"J\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", pixels.nbytes) + pixels.tobytes() + b"tq\x07b."
    )  # fmt: skip


@pytest.mark.parametrize("protocol", [0, 2])
def test_pickles_of_python_2_are_read(tmp_path, protocol):
    data = python2(PIXELS, protocol)
    np.testing.assert_array_equal(pickle.loads(data, encoding="latin1"), PIXELS)  # the test's own bytes are right
    (tmp_path / "LLD-icon_data_0.pkl").write_bytes(data)
    imported("--filename", tmp_path / "LLD-icon_data_0.pkl", "--target_path", tmp_path / "out")
    same(tmp_path / "out")


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol_type_and_order_are_read(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    columns = np.asfortranarray(PIXELS.astype("<i8"))
    parts = (PIXELS[::2, :, ::2], PIXELS[:0], PIXELS[:, ::-1])
    for array in (PIXELS, PIXELS.astype(">f4"), PIXELS / 3, columns, *parts, PIXELS > 9):
        data = pickle.dumps(array, protocol)
        for name in (b"numpy.core.", b"numpy._core."):
            if protocol < 4:  # later ones note the length of names
                data = data.replace(b"numpy._core.", name)
            path.write_bytes(data)
            found = pickles.load(path)
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)


class Runs:
    """Pickled as a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def hostile(mark):
    """{what is named: a pickle that makes the file `mark` when it is run}."""
    shell = f"touch {mark}"
    system = f"{os.system.__module__}.system"
    inner = Runs(getattr, (Runs(__import__, ("os",)), "system"))
    return {
        system: pickle.dumps(Runs(os.system, (shell,))),
        "builtins.eval": pickle.dumps(Runs(eval, (f"open({str(mark)!r}, 'w')",))),
        "__builtin__.eval": pickle.dumps(Runs(eval, (f"open({str(mark)!r}, 'w')",)), 0),
        "builtins.getattr": pickle.dumps(inner, 4),
        "os.system": b"(S'" + shell.encode() + b"'\nios\nsystem\n.",
        "numpy.load": pickle.dumps(Runs(np.load, (str(mark),))),
        "numpy.ndarray.tofile": b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
        "numpy.testing.rundocs": b"cnumpy.testing\nrundocs\n.",
    }


def test_what_a_pickle_wants_to_run_is_named_and_not_run(tmp_path, capsys):
    mark = tmp_path / "mark"
    for number, (name, data) in enumerate(hostile(mark).items()):
        path = tmp_path / f"{number}.pkl"
        path.write_bytes(data)
        line = refused(capsys, "-f", path, "-tp", tmp_path / "out")
        assert f"it wants to run {name}: nothing of it was run" in line
    assert not mark.exists() and not (tmp_path / "out").exists()


def state(*, dtype=b"(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb", shape=b"(I4\nt", data=b"S'abcd'\n"):
    """A pickle of an array, of parts that may be wrong."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n" + shape + b"cnumpy\ndtype\n"
        + dtype + b"I00\n" + data + b"tb."
    )  # fmt: skip


LIES = {
    "terabytes": state(shape=b"(L4000000000000L\nt"),
    "more than an index": state(shape=b"(L99999999999999999999999L\nI0\nt", data=b"S''\n"),
    "too few": state(shape=b"(I3\nt"),
    "negative": state(shape=b"(I-4\nt"),
    "no shape": state(shape=b"N"),
    "objects from bytes": state(dtype=b"(S'O8'\nI0\nI1\ntR", data=b"S'abcdabcd'\n", shape=b"(I1\nt"),
    "objects in fields": state(dtype=b"(S'V8'\nI0\nI1\ntR(I3\nS'|'\nN(S'a'\ntNI8\nI1\nI27\ntb"),
    "a larger item": state(dtype=b"(S'u1'\nI0\nI1\ntR(I3\nS'|'\n(S'u1'\nI9\ntNNI-1\nI-1\nI0\ntb"),
    "a number as data": state(data=b"I5\n"),
    "allocated at once": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(L4000000000000L\ntS'b'\ntR.",
    "an array of strides": b"cnumpy\nndarray\n((I4\ntS'u1'\nNI0\n(I999999\nttR.",
    "a dtype alone": b"cnumpy\ndtype\n(S'u1'\ntR.",
    "another encoding": b"c_codecs\nencode\n(Vabc\nVbz2_codec\ntR.",
    "a memo of 64 GiB": b"\x80\x02Nr\xff\xff\xff\xff.",
    "bytes of a terabyte": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"abc.",
    "a frame of a terabyte": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",
    "nothing": b"",
    "text": b"hello",
    "a list": pickle.dumps([1, 2]),
    "a dictionary": pickle.dumps({"a": 1}, 2),
    "a persistent id": b"Pabc\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "objects": pickle.dumps(np.array([1, "a", None], object)),
    "strings": pickle.dumps(np.array(["a", "b"])),
    "complex numbers": pickle.dumps(np.zeros(3, complex)),
    "attributes of ours": b"cnumpy\ndtype\n}S'code'\nS'x'\nsb.",
    "cut short": pickle.dumps(PIXELS)[:100],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_pickle_that_lies_is_one_line(tmp_path, lie):
    path = tmp_path / "x.pkl"
    path.write_bytes(LIES[lie])
    started = time.monotonic()
    with pytest.raises(UserError, match="is not a pickle of one numpy array of numbers") as said:
        pickles.load(path)
    assert "\n" not in str(said.value) and len(str(said.value)) < 500 + len(str(path))
    assert time.monotonic() - started < 2


def test_reading_pickles_takes_no_more_memory_than_they_have(tmp_path):
    for number, lie in enumerate(("terabytes", "a memo of 64 GiB", "bytes of a terabyte", "allocated at once")):
        (tmp_path / f"{number}.pkl").write_bytes(LIES[lie])
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "from data_prep.arrays import pickles\nfrom logogan_jax.core.errors import UserError\n"
        "for path in sys.argv[1:]:\n    try:\n        pickles.load(path)\n"
        "    except UserError as error:\n        assert 'Memory' not in str(error), error\n"
        "    else:\n        raise SystemExit(path)\n"
    )
    arguments = [command("x")[0], "-c", code, *map(str, sorted(tmp_path.glob("*.pkl")))]
    subprocess.run(arguments, check=True, env=environment(OPENBLAS_NUM_THREADS="1"), cwd=ROOT, timeout=60)


def test_no_registered_extension_is_run(tmp_path, monkeypatch):
    copyreg.add_extension("builtins", "eval", 1)
    try:
        monkeypatch.setitem(copyreg._extension_cache, 1, builtins.eval)
        text = f"open({str(tmp_path / 'mark')!r}, 'w')".encode()
        (tmp_path / "x.pkl").write_bytes(b"\x80\x02\x82\x01X" + struct.pack("<i", len(text)) + text + b"\x85R.")
        with pytest.raises(UserError, match="not a pickle of one numpy array"):
            pickles.load(tmp_path / "x.pkl")
        assert not (tmp_path / "mark").exists()
    finally:
        copyreg.remove_extension("builtins", "eval", 1)


# ── what the numbers mean ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["0..255", "0..1", "-1..1"])
@pytest.mark.parametrize("kind", ["<f4", "<f2", ">f8"])
def test_the_range_is_found_and_told(tmp_path, name, kind):
    low, high = interpret.RANGES[name]
    np.save(tmp_path / "x.npy", (PIXELS / 255.0 * (high - low) + low).astype(kind))
    said = imported("-f", tmp_path / "x.npy", "-tp", tmp_path / "out")
    assert f"5 images, each 6 x 8 x 3 (nhwc), {np.dtype(kind)} from {low} to {high}" in said
    found = np.stack(list(pictures(tmp_path / "out").values()))
    assert np.abs(found.astype(int) - PIXELS).max() <= (1 if kind == "<f2" else 0)


def test_the_walkthroughs_own_arrays_are_read(tmp_path):
    PIXELS.astype(np.float32).dump(tmp_path / "X_train_56_1700.pkl")
    said = imported("--filename", tmp_path / "X_train_56_1700.pkl", "--target_path", tmp_path / "logos")
    assert "float32 from 0 to 255" in said
    assert f"5 images written to {tmp_path}/logos, 0 rejected." in said
    same(tmp_path / "logos")


@pytest.mark.parametrize(
    ("array", "flags", "message"),
    [
        (PIXELS / 100, (), "numbers from 0 to 2.55: say what is black and what is white with --range="),
        (PIXELS - 200.0, (), "say what is black and what is white with --range="),
        (PIXELS * 257.0, (), "to 65535: say what is black and what is white"),
        (PIXELS / 1.0, ("--range=0..1",), "which are not in --range=0..1"),
        (PIXELS, ("--range=-1..1",), "holds uint8, which is from 0 to 255"),
        (spoilt(3, np.nan), (), "image 3 holds values that are no numbers"),
        (spoilt(4, -np.inf), ("--range=0..255",), "image 4 holds values that are no numbers"),
        (np.zeros((5, 3, 7, 3), np.uint8), (), "shape (5, 3, 7, 3): say which are the channels with --layout="),
        (np.zeros((5, 7, 7, 2), np.uint8), (), "it should have 4 dimensions, one of them 1, 3 or 4 channels"),
        (PIXELS, ("--layout=nchw",), "in the layout nchw: it should have 4 dimensions"),
        (PIXELS[0], (), "it should have 4 dimensions"),
        (np.uint8(3), (), "it should have 4 dimensions"),
        (PIXELS[:0], (), "not images of numbers"),
        (PIXELS * 1j, (), "not images of numbers"),
        (PIXELS, ("--key=a",), "--key=a is for files with several arrays"),
        (PIXELS, ("--labels=a",), "--labels=a is for files with several arrays"),
    ],
)  # fmt: skip
def test_what_the_numbers_do_not_tell_is_asked_for(tmp_path, capsys, array, flags, message):
    np.save(tmp_path / "x.npy", array)
    assert message in refused(capsys, "-f", tmp_path / "x.npy", "-tp", tmp_path / "out", *flags)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("array", "flags", "wanted"),
    [
        (np.moveaxis(PIXELS, -1, 1), (), PIXELS),
        (np.zeros((2, 3, 7, 3), np.uint8), ("--layout=nchw",), np.zeros((2, 7, 3, 3), np.uint8)),
        (PIXELS[..., :1], (), PIXELS[..., :1]),
        (PIXELS[..., 0], (), PIXELS[..., :1]),
        (PIXELS[..., 0] > 99, (), 255 * (PIXELS[..., :1] > 99)),
        (PIXELS[..., [0, 1, 2, 0]], (), PIXELS[..., [0, 1, 2, 0]]),
        (PIXELS / 100, ("--range=0..255",), (PIXELS / 100).round()),
        (PIXELS.astype(np.int64), (), PIXELS),
    ],
)
def test_every_layout_becomes_pictures(tmp_path, array, flags, wanted):
    np.save(tmp_path / "x.npy", array)
    imported("-f", tmp_path / "x.npy", "-tp", tmp_path / "out", *flags)
    same(tmp_path / "out", np.asarray(wanted, np.uint8))


# ── files ───────────────────────────────────────────────────────────────────────────────────


def test_npz_files_tell_what_is_in_them(tmp_path, capsys):
    np.savez_compressed(tmp_path / "x.npz", images=PIXELS, y=np.array([3, 0, 12, 3, 0]))
    imported("-f", tmp_path / "x.npz", "-tp", tmp_path / "out", "--labels", "y")
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png"))
    assert found == ["00/000001.png", "00/000004.png", "03/000000.png", "03/000003.png", "12/000002.png"]
    np.savez(tmp_path / "two.npz", a=PIXELS, b=255 - PIXELS)
    line = refused(capsys, "-f", tmp_path / "two.npz", "-tp", tmp_path / "out2")
    assert "has 2 arrays of 4 dimensions, not one: choose with --key among a, b" in line
    imported("-f", tmp_path / "two.npz", "-tp", tmp_path / "out2", "--key", "b")
    same(tmp_path / "out2", 255 - PIXELS)
    line = refused(capsys, "-f", tmp_path / "two.npz", "-tp", tmp_path / "out3", "--key", "c")
    assert "--key=c is not among the arrays of" in line


def test_files_that_are_broken_or_hold_objects_are_one_line(tmp_path, capsys):
    np.save(tmp_path / "objects.npy", np.array([Runs(os.system, (f"touch {tmp_path}/mark",))], object))
    np.savez(tmp_path / "objects.npz", a=np.full((1, 1, 1, 3), Runs(os.system, (f"touch {tmp_path}/mark",)), object))
    np.save(tmp_path / "whole.npy", PIXELS)
    whole = (tmp_path / "whole.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-9])
    (tmp_path / "claims.npy").write_bytes(
        whole.replace(b"(5, 6, 8, 3), }            ", b"(5, 6, 99999999999999, 3), }"[:27])
    )
    (tmp_path / "odd.npy").write_bytes(whole.replace(b"}", b"{"))
    with zipfile.ZipFile(tmp_path / "cut.npz", "w") as archive:
        archive.writestr("a.npy", whole[:-9])
    (tmp_path / "half.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:200])
    with h5py.File(tmp_path / "cut.h5", "w") as file:
        file.create_dataset("data", data=np.moveaxis(PIXELS, -1, 1), chunks=(1, 3, 6, 8), compression="gzip")
    damaged = bytearray((tmp_path / "cut.h5").read_bytes())
    (tmp_path / "cut2.h5").write_bytes(damaged[: len(damaged) // 2])
    for name in ("objects.npy", "objects.npz", "cut.npy", "claims.npy", "odd.npy", "cut.npz", "half.npz", "cut2.h5"):
        assert "cannot be read" in refused(capsys, "-f", tmp_path / name, "-tp", tmp_path / "out"), name
    assert "No such file" in refused(capsys, "-f", tmp_path / "none.npy", "-tp", tmp_path / "out")
    assert "Is a directory" in refused(capsys, "-f", tmp_path, "-tp", tmp_path / "out")
    assert not (tmp_path / "mark").exists() and not (tmp_path / "out").exists()


def lld(path, count=4):
    """A file like that of LLD-logo: zero-padded to one size, with shapes, names and clusters."""
    shapes = np.array([(3, 8, 6), (3, 5, 8), (3, 8, 8), (3, 9, 2)][:count])
    data = np.zeros((count, 3, 8, 8), np.uint8)
    for number, (_, height, width) in enumerate(shapes):
        data[number, :, :height, :width] = number + 1
    with h5py.File(path, "w") as file:
        file["data"], file["shapes"] = data, shapes
        file["meta_data/names"] = np.array([f"lögo {number}".encode() for number in range(count)])
        file["labels/resnet/rc_64"] = np.array([0, 63, 0, 7][:count])


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s123--4d7a.npy\n", "git annex get"),
    ],
)
def test_what_a_repository_keeps_in_place_of_a_file_is_told(tmp_path, capsys, content, advice):
    """Together with the command that fetches it."""
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    line = refused(capsys, "-f", path, "-tp", tmp_path / "out")
    assert f"--filename={path} is a git" in line.replace("Git LFS", "git") and f"run `{advice}` in its reposit" in line
    assert not (tmp_path / "out").exists()


def test_lld_files_are_cropped_named_and_labelled(tmp_path):
    lld(tmp_path / "LLD-logo.hdf5")
    arguments = ("-f", tmp_path / "LLD-logo.hdf5", "-tp", tmp_path / "out", "--labels", "labels/resnet/rc_64")
    assert "3 images written" in imported(*arguments)
    out = tmp_path / "out"
    assert {str(path.relative_to(out)): Image.open(path).size for path in out.rglob("*.png")} == {
        "00/000000.png": (6, 8), "63/000001.png": (8, 5), "00/000002.png": (8, 8),
    }  # fmt: skip
    assert (np.asarray(Image.open(tmp_path / "out" / "63" / "000001.png")) == 2).all()
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert lines[1] == {"path": "63/000001.png", "file": "LLD-logo.hdf5", "number": 1, "name": "lögo 1"}
    reject = json.loads((tmp_path / "out" / "rejects.jsonl").read_text())
    assert reject["number"] == 3 and reject["reason"] == "its shape is given as 9 x 2"


def test_an_lld_file_becomes_labelled_shards_by_the_commands_of_the_readme(tmp_path):
    labels = np.arange(40) % 3 * 15  # 0, 15, 30
    faces = np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32)).astype(np.uint8)
    with h5py.File(tmp_path / "LLD-icon.hdf5", "w") as file:
        file["data"], file["labels/resnet/rc_32"] = faces, labels
    text = (ROOT / "data_prep" / "README.md").read_text()
    commands = re.search(r"<!-- lld icon -->\n```sh\n(.*?)```", text, re.S).group(1).strip().splitlines()
    for line, module in zip(commands, (import_arrays, write_tfrecords), strict=False):
        python, dash, name, *flags = shlex.split(line)
        assert (python, dash, name) == ("python", "-m", module.__name__)
        with contextlib.chdir(tmp_path):
            module.main(flags)
    python, dash, name, config, where = shlex.split(commands[2])
    assert (python, dash, name, config) == ("python", "-m", "logogan_jax.main", "--config=configs/lld_icon32.py")
    opened = TFRecordDataset(tmp_path / where.removeprefix("--config.data.dir="), size=(32, 32), channels=3)
    assert opened.labels == {"00": 14, "15": 13, "30": 13}
    for position in range(40):
        image, label = opened.image(position)
        numbers = np.flatnonzero((faces == np.moveaxis(image, -1, 0)).all((1, 2, 3)))
        assert len(numbers) == 1 and labels[numbers[0]] == 15 * label


def test_arrays_that_lie_in_other_files_are_not_read(tmp_path, capsys):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(PIXELS[0]))
    np.save(tmp_path / "x.npy", PIXELS)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = PIXELS
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("outside", (1, 6, 8, 3), "u1", external=[(str(secret), 0, 144)])
        file["linked"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "data")
        layout = h5py.VirtualLayout((5, 6, 8, 3), "u1")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "data", (5, 6, 8, 3))
        file.create_virtual_dataset("virtual", layout)
    for flags in ((), ("--key=outside",), ("--key=linked",), ("--key=virtual",)):
        assert "none" in refused(capsys, "-f", tmp_path / "x.h5", "-tp", tmp_path / "out", *flags)


def test_several_files_share_a_folder_and_none_is_overwritten(tmp_path, capsys):
    np.save(tmp_path / "a.npy", PIXELS)
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(PIXELS[:2] / 255.0))
    arguments = ("-f", tmp_path / "a.npy", tmp_path / "b.pkl", "-tp", tmp_path / "out")
    assert "7 images written" in imported(*arguments)
    assert set(pictures(tmp_path / "out")) == {f"a_{n:06d}.png" for n in range(5)} | {"b_000000.png", "b_000001.png"}
    (tmp_path / "out" / "a_000002.png").unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}
    assert f"1 images written to {tmp_path}/out, 6 done before, 0 rejected." in imported(*arguments)
    assert before.items() <= {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}.items()
    assert len((tmp_path / "out" / "manifest.jsonl").read_text().splitlines()) == 7
    assert "was made with --filename=" in refused(capsys, "-f", tmp_path / "a.npy", "-tp", tmp_path / "out")
    assert "have the same name" in refused(capsys, "-f", tmp_path / "a.npy", tmp_path / "a.npy", "-tp", tmp_path / "o")
    Image.new("L", (4, 4)).save(tmp_path / "000000.png")
    assert "not of an import" in refused(capsys, "-f", tmp_path / "a.npy", "-tp", tmp_path)
    (tmp_path / "settings.json").write_text(json.dumps({"sources": ["../logos"]}), encoding="utf-8")  # of another tool
    assert "not of an import" in refused(capsys, "-f", tmp_path / "a.npy", "-tp", tmp_path)


@pytest.mark.slow
def test_a_stopped_import_goes_on(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(1).integers(0, 256, (4000, 64, 64, 3)).astype(np.uint8))
    arguments = command("data_prep.import_arrays", "-f", tmp_path / "x.npy", "-tp", tmp_path / "out")
    process = fork_server.start(arguments, env=environment(), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out" / "000300.png").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143 and "Traceback" not in said, said
    done = len(list((tmp_path / "out").glob("*.png")))
    assert 100 < done < 4000  # workers finish in any order
    finished = fork_server.run(arguments, env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert f"{4000 - done:,} images written to {tmp_path}/out, {done:,} done before" in finished.stdout
    assert len(pictures(tmp_path / "out")) == 4000 and not list((tmp_path / "out").glob(".*"))


# ── rows ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("numbers", "flags", "message"),
    [
        (784, (), "holds rows of 784 numbers: say which sides, as --shape=28x28 or --shape=14x14x4 or --shape=4x14x14"),
        (3072, (), "as --shape=32x32x3 or --shape=3x32x32"),
        (48 * 7, (), "say which sides, as --shape=HEIGHTxWIDTHxCHANNELS"),
        (784, ("--shape=28x29",), "is for rows of 812 numbers, but"),
        (784, ("--shape=28",), "--shape=28 should be HEIGHTxWIDTH"),
        (784, ("--shape=-28x-28",), "--shape=-28x-28 should be HEIGHTxWIDTH"),
    ],
)
def test_rows_of_numbers_need_the_sides_of_their_images(tmp_path, capsys, numbers, flags, message):
    np.save(tmp_path / "x.npy", np.zeros((3, numbers), np.uint8))
    assert message in refused(capsys, "-f", tmp_path / "x.npy", "-tp", tmp_path / "out", *flags)
    assert not (tmp_path / "out").exists()


def test_a_shape_is_for_rows_only(tmp_path, capsys):
    np.save(tmp_path / "x.npy", PIXELS)
    assert "array of the shape (5, 6, 8, 3)" in refused(
        capsys, "-f", tmp_path / "x.npy", "-tp", tmp_path / "out", "--shape=6x8x3"
    )


@pytest.mark.parametrize("kind", ["npy", "pkl", "h5"])
def test_rows_with_a_shape_become_pictures(tmp_path, kind):
    rows = PIXELS.reshape(5, -1)
    path = tmp_path / f"x.{kind}"
    if kind == "npy":
        np.save(path, rows)
    if kind == "pkl":
        path.write_bytes(pickle.dumps(rows))
    if kind == "h5":
        with h5py.File(path, "w") as file:
            file["rows"] = rows
    imported("-f", path, "-tp", tmp_path / "out", "--shape=6x8x3", *(["--key=rows"] if kind == "h5" else []))
    same(tmp_path / "out")
    planes = np.moveaxis(PIXELS, -1, 1).reshape(5, -1) / 255
    np.save(tmp_path / "planes.npy", planes)
    imported("-f", tmp_path / "planes.npy", "-tp", tmp_path / f"planes of {kind}", "--shape=3,6,8")
    same(tmp_path / f"planes of {kind}")
