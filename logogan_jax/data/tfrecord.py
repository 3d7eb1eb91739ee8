"""TFRecord files of tf.train.Example, written and read without TensorFlow.

A record is its length (uint64, little endian), the masked CRC32C of those 8 bytes, the payload, and
the masked CRC32C of the payload. Every checksum is checked on reading.
"""

import functools
import hashlib
import os
import struct
import weakref
from typing import NamedTuple

import google_crc32c
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from logogan_jax.core.errors import UserError

_HEADER, _FOOTER = struct.Struct("<QI"), struct.Struct("<I")
_OPEN = 256  # files that are open at once
REMAKE = "make the shards again with python -m data_prep.write_tfrecords"


def masked_crc(data):
    """TFRecord's masked CRC32C of bytes, as uint32."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class Writer:
    """A TFRecord file in the making; use as a context manager."""

    def __init__(self, path):
        self._file = open(path, "wb")  # noqa: SIM115 - closed by its user
        self.count = self.nbytes = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Finish the file."""
        self._file.close()

    def flush(self):
        """Hand over to the system what has been written."""
        self._file.flush()

    def write(self, payload):
        """Append one record of bytes."""
        length = struct.pack("<Q", len(payload))
        self._file.write(length + _FOOTER.pack(masked_crc(length)) + payload + _FOOTER.pack(masked_crc(payload)))
        self.count += 1
        self.nbytes += len(payload)


class RecordIndex(NamedTuple):
    """Where the records of one file are: offset int64[n] and length int64[n] of payloads, and a digest."""

    path: str
    offsets: np.ndarray
    lengths: np.ndarray
    digest: str


def build_index(path):
    """Scan a file's record headers, checking each; the digest covers every length and payload checksum."""
    offsets, lengths, digest = [], [], hashlib.sha256()
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        at = 0
        while at < size:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                raise UserError(f"{path} is truncated in record {len(offsets)}, offset {at}: {REMAKE}")
            length, crc = _HEADER.unpack(header)
            if masked_crc(header[:8]) != crc:
                raise UserError(
                    f"{path} is not a TFRecord file or is corrupt: bad length checksum in record "
                    f"{len(offsets)}, offset {at}: {REMAKE}"
                )
            if at + _HEADER.size + length + _FOOTER.size > size:
                raise UserError(f"{path} is truncated in record {len(offsets)}, offset {at}: {REMAKE}")
            file.seek(length, os.SEEK_CUR)
            digest.update(header[:8] + file.read(_FOOTER.size))
            offsets.append(at + _HEADER.size)
            lengths.append(length)
            at += _HEADER.size + length + _FOOTER.size
    return RecordIndex(path, np.array(offsets, np.int64), np.array(lengths, np.int64), digest.hexdigest())


class FileHandles:
    """Indexed files, kept open to be read from by any thread; another process that is given them opens its own."""

    def __init__(self):
        self._open = functools.lru_cache(_OPEN)(_File)

    def __reduce__(self):
        return FileHandles, ()

    def read(self, where, number):
        """Payload of record `number` of an indexed file, its checksum checked."""
        offset, length = int(where.offsets[number]), int(where.lengths[number])
        file = self._open(where.path)  # a name of its own, so that it is not closed while it is read
        data = os.pread(file.number, length + _FOOTER.size, offset)
        if len(data) < length + _FOOTER.size:
            raise UserError(f"{where.path} is truncated in record {number}, offset {offset}: {REMAKE}")
        payload = data[:length]
        if masked_crc(payload) != _FOOTER.unpack_from(data, length)[0]:
            raise UserError(f"{where.path} is corrupt: bad checksum in record {number}, offset {offset}: {REMAKE}")
        return payload


class _File:
    """The number of an open file, which is closed once nobody holds this."""

    def __init__(self, path):
        self.number = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.number)


def read(where, number):
    """Payload of record `number` of an indexed file, as FileHandles.read, which is faster for many."""
    return FileHandles().read(where, number)


def _example_class():
    """tf.train.Example, described here because its own package needs TensorFlow."""
    file = descriptor_pb2.FileDescriptorProto(name="logogan_jax/example.proto", package="logogan_jax", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto

    def message(into, name):
        return into.add(name=name)

    def add(owner, name, number, kind, label=field.LABEL_OPTIONAL, of=None):
        return owner.field.add(name=name, number=number, type=kind, label=label, type_name=of)

    kinds = {"BytesList": field.TYPE_BYTES, "FloatList": field.TYPE_FLOAT, "Int64List": field.TYPE_INT64}
    for name, kind in kinds.items():
        add(message(file.message_type, name), "value", 1, kind, field.LABEL_REPEATED)
    feature = message(file.message_type, "Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("bytes_list", "float_list", "int64_list"), 1):
        of = "." + file.package + "." + "".join(part.title() for part in name.split("_"))
        add(feature, name, number, field.TYPE_MESSAGE, of=of).oneof_index = 0
    features = message(file.message_type, "Features")
    entry = message(features.nested_type, "FeatureEntry")
    entry.options.map_entry = True
    add(entry, "key", 1, field.TYPE_STRING)
    add(entry, "value", 2, field.TYPE_MESSAGE, of=f".{file.package}.Feature")
    add(features, "feature", 1, field.TYPE_MESSAGE, field.LABEL_REPEATED, f".{file.package}.Features.FeatureEntry")
    example = message(file.message_type, "Example")
    add(example, "features", 1, field.TYPE_MESSAGE, of=f".{file.package}.Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.Example"))


_Example = _example_class()


def encode(features):
    """{name: bytes | str | int} -> Example bytes, the same bytes every time."""
    example = _Example()
    for name, value in features.items():
        feature = example.features.feature[name]
        if isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.bytes_list.value.append(value.encode() if isinstance(value, str) else value)
    return example.SerializeToString(deterministic=True)


def decode(payload):
    """Example bytes -> {name: bytes | int} of the first value of each bytes or integer feature."""
    found = {}
    for name, feature in _Example.FromString(payload).features.feature.items():
        values = getattr(feature, feature.WhichOneof("kind") or "bytes_list").value
        if values:
            found[name] = values[0]
    return found


def decode_image(payload):
    """Example bytes -> (the bytes of its image, its label or 0), in half the time of `decode`; ValueError without."""
    try:
        feature = _Example.FromString(payload).features.feature
    except DecodeError as error:
        raise ValueError(error) from error
    image, label = feature["image"].bytes_list.value, feature["label"].int64_list.value
    if not image:
        raise ValueError("it has no image")
    return image[0], label[0] if label else 0
