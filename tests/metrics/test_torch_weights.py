"""Weights files are read whole or refused in one line, and nothing in them is run."""

import hashlib
import io
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest

from logogan_jax.core.errors import UserError
from logogan_jax.metrics import efflite0, torch_weights

# ── weights files, written by hand ──────────────────────────────────────────────────────────


def name(dotted):
    module, _, attribute = dotted.rpartition(".")
    return b"c" + f"{module}\n{attribute}\n".encode()


def value(x):
    """A word, a number or a tuple of them as operations of a pickle."""
    return pickle.dumps(x, 2)[2:-1]


def storage(key, count, kind="torch.FloatStorage"):
    return b"(" + value("storage") + name(kind) + value(key) + value("cpu") + value(count) + b"tQ"


def tensor(row, shape, strides, offset=0):
    hooks = name("collections.OrderedDict") + b")R"
    arguments = row + value(offset) + value(shape) + value(strides) + b"\x89" + hooks
    return name("torch._utils._rebuild_tensor_v2") + b"(" + arguments + b"tR"


def parameter(made):
    return name("torch._utils._rebuild_parameter") + b"(" + made + b"\x88" + name("collections.OrderedDict") + b")RtR"


def state(**entries):
    items = b"".join(value(key) + made for key, made in entries.items())
    versions = b"}" + value("_metadata") + b"}sb"
    return b"\x80\x02" + name("collections.OrderedDict") + b")R(" + items + b"u" + versions + b"."


def old(path, main, rows, count=None):
    """A file as PyTorch wrote it before 1.6; `rows` are {key: numbers}."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, system)]
    parts += [main, pickle.dumps(list(rows), 2)]
    parts += [struct.pack("<q", len(row) if count is None else count) + row.tobytes() for row in rows.values()]
    path.write_bytes(b"".join(parts))
    return path


def new(path, main, rows, compression=zipfile.ZIP_STORED, order=None):
    """A file as PyTorch writes it since 1.6."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("weights/data.pkl", main)
        for key, row in rows.items():
            archive.writestr(f"weights/data/{key}", row.tobytes())
        if order:
            archive.writestr("weights/byteorder", order)
        archive.writestr("weights/version", "3\n")
    return path


FORMATS = pytest.mark.parametrize("write", [old, new])
ROWS = {"0": np.arange(12, dtype="<f4"), "1": np.array([7], "<i8"), "2": np.zeros(0, "<f2")}
MAIN = state(**{
    "layer.weight": parameter(tensor(storage("0", 12), (3, 2), (1, 4), offset=4)),
    "layer.whole": tensor(storage("0", 12), (12,), (1,)),
    "batches": tensor(storage("1", 1, "torch.LongStorage"), (), ()),
    "empty": tensor(storage("2", 0, "torch.HalfStorage"), (0, 3), (3, 1)),
})  # fmt: skip


def refusal(path):
    with pytest.raises(UserError) as caught:
        torch_weights.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@FORMATS
def test_both_formats_give_the_tensors_that_were_written(write, tmp_path):
    found = torch_weights.load(write(tmp_path / "w.pth", MAIN, ROWS))
    assert list(found) == ["layer.weight", "layer.whole", "batches", "empty"]
    np.testing.assert_array_equal(found["layer.weight"], [[4, 8], [5, 9], [6, 10]])
    np.testing.assert_array_equal(found["layer.whole"], np.arange(12))
    assert found["batches"] == 7 and found["batches"].shape == ()
    assert [found[key].dtype for key in found] == ["f4", "f4", "i8", "f2"] and found["empty"].shape == (0, 3)


def test_numbers_of_either_byte_order_are_read(tmp_path):
    rows = {key: row.astype(row.dtype.newbyteorder(">")) for key, row in ROWS.items()}
    found = torch_weights.load(new(tmp_path / "w.pth", MAIN, rows, order="big"))
    np.testing.assert_array_equal(found["layer.whole"], np.arange(12))
    assert "w.pth" in refusal(new(tmp_path / "w.pth", MAIN, rows, order="odd"))


def test_the_published_weights_are_read_whole():
    path = efflite0.weights_file("--features")
    found = torch_weights.load(path)
    assert len(found) == 296 and sum(array.size for array in found.values()) == 4_694_073
    assert found["_conv_stem.weight"].shape == (32, 3, 3, 3) and found["_fc.weight"].shape == (1000, 1280)
    # The same sum over what torch.load of PyTorch 2.13.0 makes of the file.
    parts = (f"{key}{found[key].shape}".encode() + found[key].tobytes() for key in sorted(found))
    expected = "d0108c5cd4eb204573cdac39b7691e4e40784dcde4ae3b493cf42ffeb370f441"
    assert hashlib.sha256(b"".join(parts)).hexdigest() == expected
    assert efflite0.PACKAGE not in sys.modules


# ── hostile weights files ───────────────────────────────────────────────────────────────────


class Command:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.marker}",)


@FORMATS
@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_command_in_a_file_is_named_and_not_run(write, protocol, tmp_path):
    marker = tmp_path / "marker"
    hostile = pickle.dumps({"weight": Command(marker)}, protocol)
    line = refusal(write(tmp_path / "w.pth", hostile, {}))
    (tmp_path / "plain.pkl").write_bytes(hostile)
    plain = refusal(tmp_path / "plain.pkl")
    assert not marker.exists()
    if protocol:  # no name of the oldest is even read
        assert ".system'" in line and "nothing of it was run" in line and ".system'" in plain
    pickle.loads(hostile)  # it would have
    assert marker.exists()


ORDERED = name("collections.OrderedDict")
STRANGE = {
    "a function's attributes": name("torch._utils._rebuild_tensor_v2") + b"}" + value("__doc__") + value("x") + b"sb",
    "an attribute of a name": name("collections.OrderedDict.fromkeys") + value("x") + b"\x85R",
    "a loader": name("torch.load") + value("x") + b"\x85R",
    "a name that is not called": state(weight=name("os.system"))[2:-1],
    "a call of a word": value("collections.OrderedDict") + b")R",
    "a call of a storage's name": name("torch.FloatStorage") + value(3) + b"\x85R",
    "an object": b"}" + value("x") + ORDERED + b")\x81s",
    "deep tuples as a key": b"})" + b"\x85" * 200_000 + b"Ns",
    "another reference": value("storage") + b"Q",
    "no storage": tensor(value("x"), (1,), (1,)),
}


@FORMATS
@pytest.mark.parametrize("what", STRANGE)
def test_whatever_else_a_pickle_can_say_is_refused(write, what, tmp_path):
    doc = torch_weights._tensor.__doc__
    line = refusal(write(tmp_path / "w.pth", b"\x80\x02" + STRANGE[what] + b".", ROWS))
    assert torch_weights._tensor.__doc__ == doc
    wanted = {"a loader": "wants to run 'torch.load'", "a name that is not called": "wants to run 'os.system'"}
    assert wanted.get(what, "") in line


CLAIMS = {
    "more than the storage": ((13,), (1,), 0),
    "behind the end": ((4, 3), (3, 1), 1),
    "steps too long": ((2,), (12,), 0),
    "before the beginning": ((2,), (1,), -1),
    "steps backwards": ((2,), (-1,), 5),
    "no step": ((2**40,), (0,), 0),
    "a negative side": ((-1, -12), (12, 1), 0),
    "sides that overflow": ((2**40, 2**40), (2**40, 1), 0),
    "a side too many": ((3, 2), (1,), 0),
    "fractions": ((1.5,), (1,), 0),
}


@FORMATS
@pytest.mark.parametrize("what", CLAIMS)
def test_a_tensor_must_lie_in_its_storage(write, what, tmp_path):
    shape, strides, offset = CLAIMS[what]
    refusal(write(tmp_path / "w.pth", state(a=tensor(storage("0", 12), shape, strides, offset)), ROWS))


@FORMATS
@pytest.mark.parametrize("count", [11, 13, 2**62, -1])
def test_a_storage_must_be_as_long_as_it_claims(write, count, tmp_path):
    main = state(a=tensor(storage("0", count), (4,), (1,)))
    refusal(write(tmp_path / "w.pth", main, ROWS))
    refusal(old(tmp_path / "w.pth", main, ROWS, count=count))
    refusal(old(tmp_path / "w.pth", MAIN, ROWS, count=count))


def test_packed_archives_are_refused(tmp_path):
    rows = {"0": np.zeros(1_000_000, "f4")}
    main = state(a=tensor(storage("0", 1_000_000), (1_000_000,), (1,)))
    assert len(torch_weights.load(new(tmp_path / "w.pth", main, rows))["a"]) == 1_000_000
    assert "more bytes than it has" in refusal(new(tmp_path / "w.pth", main, rows, zipfile.ZIP_DEFLATED))


@FORMATS
def test_a_file_cut_short_anywhere_is_refused(write, tmp_path):
    whole = write(tmp_path / "whole.pth", MAIN, ROWS).read_bytes()
    for length in range(0, len(whole), 3):
        (tmp_path / "w.pth").write_bytes(whole[:length])
        refusal(tmp_path / "w.pth")


@FORMATS
def test_a_damaged_byte_never_does_more_than_change_what_is_read(write, tmp_path):
    whole, refused = write(tmp_path / "whole.pth", MAIN, ROWS).read_bytes(), 0
    for place in range(0, len(whole), 3):
        (tmp_path / "w.pth").write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
        try:
            torch_weights.load(tmp_path / "w.pth")
        except UserError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > len(whole) / 6


def test_other_files_are_no_weights(tmp_path):
    assert "not a file" in refusal(tmp_path / "nothing.pth")
    assert "not a file" in refusal(tmp_path)
    for data in (b"", b"PK", b"<html>not found</html>", b"\x89PNG\r\n", pickle.dumps([1, 2], 2)):
        (tmp_path / "w.pth").write_bytes(data)
        refusal(tmp_path / "w.pth")
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    (tmp_path / "w.pth").write_bytes(buffer.getvalue())
    assert "archive of something else" in refusal(tmp_path / "w.pth")
    assert "no tensor" in refusal(new(tmp_path / "w.pth", state(step=value(3)), {}))
