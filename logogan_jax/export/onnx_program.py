"""A generator as a graph of ONNX: (latents float32[n, z], labels int32[n]) -> pictures uint8[n, H, W, C].

The program that JAX traces is translated primitive by primitive, for any n. Arithmetic is float32.
"""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import export
from jax.extend.core import Literal

from logogan_jax.config.build_model import build_model
from logogan_jax.config.restore import RestoredRun
from logogan_jax.core import images, target
from logogan_jax.core.errors import UserError
from logogan_jax.export.onnx_graph import Graph, refusal
from logogan_jax.export.onnx_primitives import TABLE
from logogan_jax.training import sampling
from logogan_jax.training.sampling import Latents
from logogan_jax.training.train_state import TrainState

PACKAGES = ("onnx",)
PLATFORMS = ()
OPSET = 18  # of the operators; runtimes read it since 2023
IR_VERSION = 8  # of the file, the one of that opset
CHECKED = 2  # pictures that are compared
CLOSE = 1.5  # grey levels: one, and what rounding makes of it where colours were divided by alpha
INLINED = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2")
Values = dict[str, tuple[type, list]]  # {name: (dtype, shape)}
USE = """\
```python
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession("{file}")
inputs = {{"latents": latents, "labels": labels}}  # float32[n, {size}] and int32[n]
(pictures,) = session.run(None, {{one.name: inputs[one.name] for one in session.get_inputs()}})  # uint8[n, H, W, C]
```"""


def write(run: RestoredRun, path: pathlib.Path, platform: str, size: int) -> dict[str, Any]:
    """Write the graph, and compare what is read back with the generator. Returns what the card says of the file."""
    run = in_float32(run)
    graph, inputs, outputs = translate(run.model.graphdefs, run.state, size)
    path.write_bytes(to_bytes(graph, inputs, outputs))
    check(run, path, size)
    told = {name: f"{dtype.__name__}[{', '.join(map(str, sides))}]" for name, (dtype, sides) in inputs.items()}
    return {"opset": OPSET, "ir_version": IR_VERSION, "inputs": told}


def in_float32(run: RestoredRun) -> RestoredRun:
    """Return a run whose networks compute in float32, as few programs that read ONNX compute in bfloat16."""
    if run.config.train.dtype == "float32":
        return run
    config = run.config.copy_and_resolve_references()
    config.train.dtype = "float32"
    return run._replace(model=build_model(config, run.info))


def translate(graphdefs: dict[str, nnx.GraphDef], state: TrainState, size: int) -> tuple[Graph, Values, Values]:
    """Return the graph that draws by the averaged networks of a state, its inputs and its output."""
    program = _trace(graphdefs, state, size)
    graph = Graph("latents")
    weights, _ = jax.tree_util.tree_flatten_with_path(state.ema)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in weights]
    graph.arrays.update({name: np.asarray(value) for name, (_, value) in zip(names, weights, strict=True)})
    (pixels,) = add_program(graph, program, [*names, "latents", "labels"])
    graph.keep_what_makes(graph.add("Identity", pixels, name="pictures"))
    inputs: Values = {"latents": (np.float32, ["n", size])}
    if any("labels" in node.inputs for node in graph.nodes):
        inputs["labels"] = (np.int32, ["n"])
    return graph, inputs, {"pictures": (np.uint8, ["n", *program.jaxpr.outvars[0].aval.shape[1:]])}


def _trace(graphdefs: dict[str, nnx.GraphDef], state: TrainState, size: int) -> Any:
    """Trace the generator to a jaxpr: (weights, latents, labels) -> pictures, of n pictures."""
    synthesize = sampling.make_synthesize(graphdefs)
    weights, structure = jax.tree.flatten(state.ema)
    (n,) = export.symbolic_shape("n")
    inputs = (jax.ShapeDtypeStruct((n, size), jnp.float32), jax.ShapeDtypeStruct((n,), jnp.int32))

    def program(weights: list, z: jax.Array, label: jax.Array) -> jax.Array:
        return synthesize(state._replace(ema=jax.tree.unflatten(structure, weights)), Latents(z, label))

    with target.tracing_for("onnx"):
        return jax.make_jaxpr(program)(weights, *inputs)


def add_program(graph: Graph, program: Any, inputs: list[str]) -> list[str]:
    """Add what a jaxpr computes to a graph. Returns the names of its outputs."""
    jaxpr = getattr(program, "jaxpr", program)
    known: dict[Any, str] = dict(zip(jaxpr.invars, inputs, strict=True))
    known |= {
        var: graph.constant(value) for var, value in zip(jaxpr.constvars, getattr(program, "consts", ()), strict=True)
    }

    def name_of(var: Any) -> str:
        if isinstance(var, Literal):
            aval: Any = var.aval
            return graph.constant(var.val, aval.dtype)
        return known[var]

    for equation in jaxpr.eqns:
        primitive = equation.primitive.name
        names = [name_of(var) for var in equation.invars]
        if primitive in INLINED:
            inner = next(value for value in equation.params.values() if hasattr(value, "eqns"))
            outputs = add_program(graph, inner, names)
        elif primitive in TABLE:
            made = TABLE[primitive](graph, equation, *names)
            outputs = [made] if isinstance(made, str) else made
        else:
            raise refusal(repr(primitive))
        known |= dict(zip(equation.outvars, outputs, strict=True))
    return [name_of(var) for var in jaxpr.outvars]


def to_bytes(graph: Graph, inputs: Values, outputs: Values) -> bytes:
    """Return a file of ONNX: the same bytes for the same graph."""
    from onnx import helper, numpy_helper

    number_of = helper.np_dtype_to_tensor_dtype
    nodes = []
    for node in graph.nodes:
        attributes: dict[str, Any] = {
            key: number_of(value) if isinstance(value, np.dtype) else value for key, value in node.attributes.items()
        }
        nodes.append(helper.make_node(node.operator, node.inputs, node.outputs, **attributes))
    taken, made = (
        [
            helper.make_tensor_value_info(name, number_of(np.dtype(dtype)), sides)
            for name, (dtype, sides) in values.items()
        ]
        for values in (inputs, outputs)
    )
    arrays = [numpy_helper.from_array(array, name) for name, array in graph.arrays.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "generator", taken, made, arrays),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="logogan_jax",
    )  # fmt: skip
    return model.SerializeToString(deterministic=True)


def check(run: RestoredRun, path: pathlib.Path, size: int) -> None:
    """Raise a UserError if a file is no graph of ONNX, or does not draw as the run does."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = onnx.load_from_string(path.read_bytes())
    onnx.checker.check_model(model, full_check=True)
    random = np.random.default_rng(0)
    labels = np.arange(CHECKED, dtype=np.int32) % max(len(run.info.labels), 1)
    drawn = Latents(random.standard_normal((CHECKED, size), np.float32), labels)
    inputs = {"latents": drawn.z, "labels": drawn.label}
    drawings: Any = ReferenceEvaluator(model).run(None, {one.name: inputs[one.name] for one in model.graph.input})
    found = np.asarray(drawings[0])
    with jax.default_matmul_precision("highest"):
        wanted = np.asarray(jax.jit(sampling.make_synthesize(run.model.graphdefs))(run.state, drawn))
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        raise UserError(f"--format=onnx: the file draws {found.dtype}{found.shape}: use --format=stablehlo")
    apart = np.abs(images.to_float(found) - images.to_float(wanted)).max() * 127.5
    if not apart <= CLOSE:
        raise UserError(
            f"--format=onnx: the file draws pictures up to {apart:.0f} grey levels away from those of the run: use "
            f"--format=stablehlo"
        )
