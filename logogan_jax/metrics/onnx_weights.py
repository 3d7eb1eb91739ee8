"""Tensors out of an ONNX file, without ONNX's own package and without running the network that is in the file."""

import math
import pathlib
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from logogan_jax.core import pointers
from logogan_jax.core.errors import UserError

_FLOAT = 1  # ONNX's number for float32


def load(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Return {name: read-only float32 array} of the constants in an ONNX file."""
    pointers.refuse(path)
    if not path.is_file():
        raise UserError(f"{path} is not a file: it should be an ONNX file")
    try:
        model = _Model.FromString(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except DecodeError:
        raise UserError(f"{path} is not a whole ONNX file: if it was downloaded, download it again") from None
    constants = [(node.output[0], node.attribute[0].t) for node in model.graph.node if _is_constant(node)]
    found = [*constants, *((tensor.name, tensor) for tensor in model.graph.initializer)]
    return {name: _array(path, name, tensor) for name, tensor in found if tensor.data_type == _FLOAT}


def _is_constant(node: Any) -> bool:
    return node.op_type == "Constant" and len(node.output) == 1 and len(node.attribute) == 1


def _array(path: pathlib.Path, name: str, tensor: Any) -> np.ndarray:
    values = np.frombuffer(tensor.raw_data, "<f4") if tensor.raw_data else np.array(tensor.float_data, np.float32)
    if any(side < 0 for side in tensor.dims) or math.prod(tensor.dims) != len(values):
        raise UserError(f"{path}: its tensor {name[:80]!r} of shape {[*tensor.dims]} has {len(values):,} numbers")
    values = values.reshape(tensor.dims)
    values.flags.writeable = False
    return values


def _model_class() -> Any:
    """The message class onnx.ModelProto, with those of its fields that hold constants."""
    file = descriptor_pb2.FileDescriptorProto(name="logogan_jax/onnx.proto", package="logogan_jax", syntax="proto3")
    kind = descriptor_pb2.FieldDescriptorProto
    for message, fields in {
        "Tensor": [("dims", 1, kind.TYPE_INT64, True), ("data_type", 2, kind.TYPE_INT32, False),
                   ("float_data", 4, kind.TYPE_FLOAT, True), ("name", 8, kind.TYPE_STRING, False),
                   ("raw_data", 9, kind.TYPE_BYTES, False)],
        "Attribute": [("t", 5, "Tensor", False)],
        "Node": [("output", 2, kind.TYPE_STRING, True), ("op_type", 4, kind.TYPE_STRING, False),
                 ("attribute", 5, "Attribute", True)],
        "Graph": [("node", 1, "Node", True), ("initializer", 5, "Tensor", True)],
        "Model": [("graph", 7, "Graph", False)],
    }.items():  # fmt: skip
        owner = file.message_type.add(name=message)
        for name, number, type_, repeated in fields:
            label = kind.LABEL_REPEATED if repeated else kind.LABEL_OPTIONAL
            field = owner.field.add(name=name, number=number, label=label)
            if isinstance(type_, str):
                field.type = kind.TYPE_MESSAGE
                field.type_name = f".{file.package}.{type_}"
            else:
                field.type = type_
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.Model"))


_Model = _model_class()
