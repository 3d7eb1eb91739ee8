"""TFRecord files of tf.train.Example, written and read without TensorFlow.

A record is its length (uint64, little endian), the masked CRC32C of those 8 bytes, the payload, and the masked CRC32C
of the payload. Every checksum is checked on reading.
"""

import functools
import hashlib
import os
import struct
import weakref
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from logogan_jax.core import pointers
from logogan_jax.core.errors import UserError

MAX_OPEN_FILES = 256  # at once, by one FileHandles
REMAKE = "make the shards again with python -m data_prep.write_tfrecords"
_HEADER = struct.Struct("<QI")  # length of the payload and its checksum
_FOOTER = struct.Struct("<I")  # checksum of the payload


def masked_crc(data: bytes) -> int:
    """TFRecord's masked CRC32C of bytes, as uint32."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class Writer:
    """Writes a TFRecord file; use as a context manager. `count` and `nbytes` are of the payloads written so far."""

    def __init__(self, path: str | os.PathLike):
        self._file = open(path, "wb")  # noqa: SIM115 - close() closes it
        self.count = 0
        self.nbytes = 0

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def flush(self) -> None:
        """Hand what has been written to the operating system."""
        self._file.flush()

    def write(self, payload: bytes) -> None:
        """Append one record."""
        length = struct.pack("<Q", len(payload))
        self._file.write(length + _FOOTER.pack(masked_crc(length)) + payload + _FOOTER.pack(masked_crc(payload)))
        self.count += 1
        self.nbytes += len(payload)


class RecordIndex(NamedTuple):
    """Where the payloads of one file are: offsets int64[n] and lengths int64[n] in bytes, and a digest of all."""

    path: str
    offsets: np.ndarray
    lengths: np.ndarray
    digest: str


def build_index(path: str | os.PathLike) -> RecordIndex:
    """Scan the record headers of a file, checking each; UserError if one is corrupt or truncated.

    The digest covers every length and payload checksum, and so, without reading them, the payloads.
    """
    pointers.refuse(path)
    offsets: list[int] = []
    lengths: list[int] = []
    digest = hashlib.sha256()
    size = os.path.getsize(path)
    position = 0
    with open(path, "rb") as file:
        while position < size:
            header = file.read(_HEADER.size)
            place = f"record {len(offsets)}, offset {position}"
            if len(header) < _HEADER.size:
                raise UserError(f"{path} is truncated in {place}: {REMAKE}")
            length, crc = _HEADER.unpack(header)
            if masked_crc(header[:8]) != crc:
                raise UserError(
                    f"{path} is not a TFRecord file or is corrupt: bad length checksum in {place}: {REMAKE}"
                )
            if position + _HEADER.size + length + _FOOTER.size > size:
                raise UserError(f"{path} is truncated in {place}: {REMAKE}")
            file.seek(length, os.SEEK_CUR)
            digest.update(header[:8] + file.read(_FOOTER.size))
            offsets.append(position + _HEADER.size)
            lengths.append(length)
            position += _HEADER.size + length + _FOOTER.size
    return RecordIndex(str(path), np.array(offsets, np.int64), np.array(lengths, np.int64), digest.hexdigest())


class FileHandles:
    """Reads records of indexed files, which stay open; any thread may use it.

    When it is pickled, no file goes with it: the other process opens its own.
    """

    def __init__(self):
        self._open = functools.lru_cache(MAX_OPEN_FILES)(_OpenFile)

    def __reduce__(self):
        return FileHandles, ()

    def read(self, index: RecordIndex, number: int) -> bytes:
        """Payload of record `number` of an indexed file; UserError if its checksum is wrong."""
        offset = int(index.offsets[number])
        length = int(index.lengths[number])
        # The variable keeps the file open while it is read, should another thread drop it from the cache.
        file = self._open(index.path)
        data = os.pread(file.descriptor, length + _FOOTER.size, offset)
        if len(data) < length + _FOOTER.size:
            raise UserError(f"{index.path} is truncated in record {number}, offset {offset}: {REMAKE}")
        payload = data[:length]
        if masked_crc(payload) != _FOOTER.unpack_from(data, length)[0]:
            raise UserError(f"{index.path} is corrupt: bad checksum in record {number}, offset {offset}: {REMAKE}")
        return payload


class _OpenFile:
    """The descriptor of an open file, which is closed once nobody refers to this object."""

    def __init__(self, path: str):
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)


def read(index: RecordIndex, number: int) -> bytes:
    """Payload of record `number`, as FileHandles.read, which is faster for many records."""
    return FileHandles().read(index, number)


def _example_class() -> Any:
    """The message class tf.train.Example, described here because its own package needs TensorFlow."""
    file = descriptor_pb2.FileDescriptorProto(name="logogan_jax/example.proto", package="logogan_jax", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto

    def add(owner, name, number, kind, label=field.LABEL_OPTIONAL, type_name=None):
        return owner.field.add(name=name, number=number, type=kind, label=label, type_name=type_name)

    kinds = {"BytesList": field.TYPE_BYTES, "FloatList": field.TYPE_FLOAT, "Int64List": field.TYPE_INT64}
    for name, kind in kinds.items():
        add(file.message_type.add(name=name), "value", 1, kind, field.LABEL_REPEATED)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("bytes_list", "float_list", "int64_list"), 1):
        type_name = f".{file.package}." + "".join(word.title() for word in name.split("_"))
        add(feature, name, number, field.TYPE_MESSAGE, type_name=type_name).oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")  # how protobuf encodes a map
    entry.options.map_entry = True
    add(entry, "key", 1, field.TYPE_STRING)
    add(entry, "value", 2, field.TYPE_MESSAGE, type_name=f".{file.package}.Feature")
    entry_type = f".{file.package}.Features.FeatureEntry"
    add(features, "feature", 1, field.TYPE_MESSAGE, field.LABEL_REPEATED, entry_type)
    example = file.message_type.add(name="Example")
    add(example, "features", 1, field.TYPE_MESSAGE, type_name=f".{file.package}.Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.Example"))


_Example = _example_class()


def encode(features: dict[str, bytes | str | int]) -> bytes:
    """Serialize features as a tf.train.Example: the same bytes for the same features."""
    example = _Example()
    for name, value in features.items():
        feature = example.features.feature[name]
        if isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.bytes_list.value.append(value.encode() if isinstance(value, str) else value)
    return example.SerializeToString(deterministic=True)


def decode(payload: bytes) -> dict[str, Any]:
    """The first value of each bytes, integer or float feature of a serialized tf.train.Example."""
    features = {}
    for name, feature in _Example.FromString(payload).features.feature.items():
        values = getattr(feature, feature.WhichOneof("kind") or "bytes_list").value
        if values:
            features[name] = values[0]
    return features


def decode_image(payload: bytes) -> tuple[bytes, int]:
    """(encoded image, label or 0) of a serialized tf.train.Example, in half the time of `decode`.

    ValueError if it is no Example or has no image.
    """
    try:
        feature = _Example.FromString(payload).features.feature
    except DecodeError as error:
        raise ValueError(error) from error
    image = feature["image"].bytes_list.value
    label = feature["label"].int64_list.value
    if not image:
        raise ValueError("it has no image")
    return image[0], label[0] if label else 0
