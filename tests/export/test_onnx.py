"""A graph of ONNX draws what the generator draws, whatever its family, its pictures and its labels."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import on_toy_networks
from flax import nnx
from jax import export, lax

from logogan_jax.config.build_model import build_model
from logogan_jax.config.restore import RestoredRun
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.export import onnx_graph, onnx_primitives, onnx_program
from logogan_jax.networks import NETWORKS, mark
from logogan_jax.training import sampling
from logogan_jax.training.sampling import Latents
from logogan_jax.training.train_state import TrainState

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

LATENT = 6
INKS = np.array([[1, 0, 0], [0, 0.5, 0], [0, 0, 0.25]], np.float32)


def filled(shapes, seed=0):
    """A tree of arrays of these shapes, without compiling anything: weights as large as they are before training."""
    random = np.random.default_rng(seed)

    def fill(path, leaf):
        name = jax.tree_util.keystr(path[-1:], simple=True)
        if name in ("var", "table"):
            return random.random(leaf.shape, leaf.dtype) + 0.1
        if name == "sharpness":
            return np.full(leaf.shape, mark.SHARPNESS, leaf.dtype)
        deviation = 3 * np.prod(leaf.shape[:-1]) ** -0.5 if leaf.ndim > 1 else 0.3
        return (deviation * random.standard_normal(leaf.shape)).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(fill, shapes)


def a_state(ema):
    """A state that has averaged networks and nothing else."""
    return TrainState(**{field: ema if field == "ema" else None for field in TrainState._fields})


def generator(family, *, size, channels, classes=0, inks=0, table=None):
    """(graphdefs, state) of a narrow generator with numbers in it, which draws marks if it is given inks."""
    made = NETWORKS[family]["generator"]
    given = {
        "size": size, "channels": inks or channels, "latent": LATENT - (table is not None), "classes": classes,
        "width": 4, "kernel": 5, "dropout": 0.0, "blocks": 1, "expansion": 1, "axis_name": None, "dtype": jnp.float32,
    }  # fmt: skip
    taken = {key: value for key, value in given.items() if key in inspect.signature(made.__init__).parameters}

    def make():
        trunk = made(**taken, rngs=nnx.Rngs(0))
        if not inks:
            return trunk
        return mark.MarkGenerator(
            trunk, inks=inks, channels=channels, latent=LATENT, classes=classes, table=table, dtype=jnp.float32,
            rngs=nnx.Rngs(0),
        )  # fmt: skip

    graphdef, params, rest = nnx.split(nnx.eval_shape(make), nnx.Param, ...)
    ema = {
        "params": {"generator": filled(nnx.to_pure_dict(params))},
        "model_state": {"generator": filled(nnx.to_pure_dict(rest))},
    }
    return {"generator": graphdef}, a_state(ema)


def by_onnxruntime(content, **values):
    session = onnxruntime.InferenceSession(content)
    (found,) = session.run(None, {one.name: values[one.name] for one in session.get_inputs()})
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "values"),
    [
        ("dcgan", {"size": (28, 28), "channels": 3, "classes": 3}),
        ("wgan", {"size": (12, 24), "channels": 4}),
        ("resnet", {"size": (24, 12), "channels": 1, "classes": 2}),
        ("r3gan", {"size": (24, 12), "channels": 4, "classes": 2}),
        ("dcgan", {"size": (24, 12), "channels": 3, "inks": 1, "table": INKS}),
        ("wgan", {"size": (16, 16), "channels": 4, "inks": 3, "classes": 2}),
        pytest.param("resnet", {"size": (96, 192), "channels": 3}, marks=pytest.mark.slow),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(f"{key}" for key in value if key != "size"),
)
def test_onnxruntime_draws_the_pictures_of_each_generator(family, values):
    graphdefs, state = generator(family, **values)
    content = onnx_program.to_bytes(*onnx_program.translate(graphdefs, state, LATENT))
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    z = np.random.default_rng(1).standard_normal((5, LATENT), np.float32)
    label = np.arange(5, dtype=np.int32) % values.get("classes", 1)
    wanted = np.asarray(jax.jit(sampling.make_synthesize(graphdefs))(state, Latents(z, label)))
    found = by_onnxruntime(content, latents=z, labels=label)
    assert found.dtype == np.uint8 and found.shape == wanted.shape == (5, *values["size"], values["channels"])
    assert np.abs(found.astype(int) - wanted).max() <= 1 and wanted.std(axis=0).mean() > 4
    assert np.abs(by_onnxruntime(content, latents=z[:1], labels=label[:1]).astype(int) - wanted[:1]).max() <= 1
    inputs = [one.name for one in onnx.load_from_string(content).graph.input]
    assert inputs == (["latents", "labels"] if "classes" in values else ["latents"])


def test_the_same_weights_give_the_same_bytes_and_keep_their_names():
    made = [onnx_program.translate(*generator("wgan", size=(16, 16), channels=1), LATENT) for _ in range(2)]
    assert onnx_program.to_bytes(*made[0]) == onnx_program.to_bytes(*made[1])
    graph = made[0][0]
    assert "params.generator.out.kernel" in graph.arrays and "model_state.generator.norms.0.mean" in graph.arrays
    assert not {node.operator for node in graph.nodes} & {"ConvTranspose", "Resize"}


@pytest.mark.parametrize("objective", ["vae", "glo"])
def test_what_does_not_draw_is_left_out(tiny, toy_networks, tmp_path, objective):
    config = on_toy_networks(tiny(objective, train__dtype="bfloat16"))
    info = DatasetInfo("0" * 64, 50, {})
    model = build_model(config, info)
    state = a_state(filled(jax.eval_shape(model.init_state).ema))
    facts = onnx_program.write(
        RestoredRun(tmp_path, config, info, model, state, 0), tmp_path / "mine.onnx", "cpu", config.model.latent
    )  # and compares
    assert facts["inputs"] == {"latents": "float32[n, 8]"}
    names = [array.name for array in onnx.load(tmp_path / "mine.onnx").graph.initializer if "." in array.name]
    assert names and not [name for name in names if ".generator." not in name]


# ── each primitive ──────────────────────────────────────────────────────────────────────────

X = np.random.default_rng(2).uniform(0.1, 0.9, (3, 4, 6)).astype(np.float32)
FILTER = np.random.default_rng(3).standard_normal((3, 2, 3, 4)).astype(np.float32)
NHWC = ("NHWC", "HWIO", "NHWC")
FUNCTIONS = [
    lambda x: abs(x) + jnp.ceil(x) - jnp.floor(x) * jnp.cos(x) / jnp.exp(x) + jnp.log(x) + jnp.tanh(-x) + jnp.sin(x),
    lambda x: lax.erf(x) + lax.erfc(x) + lax.logistic(x) + jnp.sqrt(x) + lax.rsqrt(x) + jnp.sign(x) + x**x + x**3,
    lambda x: lax.square(x) + jnp.round(20 * x) + lax.integer_pow(x, -2) + lax.clamp(0.3, x, 0.6) + jnp.array(x),
    lambda x: jnp.where((x > 0.5) & ~(x >= 0.7) | (x < 0.2), x, 0) + jnp.where((x <= 0.4) ^ (x != 0.1), 1.0, x),
    lambda x: jnp.where(x == x, jnp.maximum(x, 0.5), 0) + jnp.minimum(x, 0.2) + (9 * x).astype(jnp.int32),
    lambda x: x.sum(1) + x.max((1,)) - x.min(1),
    lambda x: jnp.concatenate([x, jnp.broadcast_to(jnp.arange(6.0), x.shape)], 1).transpose(0, 2, 1)[:, ::-1, 1::2],
    lambda x: jnp.stack(lax.split(x, (1, 3), axis=1)[:1] * 2, 1).squeeze(2) + lax.slice_in_dim(x, 1, 4, 2, axis=1),
    lambda x: lax.pad(x, 2.0, ((0, 0, 0), (-1, 2, 0), (1, -3, 0))),
    lambda x: jnp.arange(24.0).reshape(6, 4)[(5 * x[:, 0, 0]).astype(jnp.int32)] + x[:, :, 2] + x[:, 1, 2:],
    lambda x: jnp.einsum("nij,nkj->nik", x, x) @ jnp.ones((4, 6)) + jnp.einsum("nij,ik->nkj", x, jnp.ones((4, 4))),
    lambda x: lax.conv_general_dilated(
        x[..., None] * jnp.ones(3), FILTER, (2, 1), ((-1, 2), (1, 0)), rhs_dilation=(1, 2), dimension_numbers=NHWC
    ),
    lambda x: lax.conv_general_dilated(
        x[..., None] * jnp.ones(6), FILTER, (1, 1), "SAME", dimension_numbers=NHWC, feature_group_count=2
    ),
    jax.checkpoint(nnx.gelu),
]  # fmt: skip


def translated(function, shape):
    """(jaxpr, file) of a function of one array, whose first side is any number."""
    sides = export.symbolic_shape("n, " + ", ".join(map(str, shape[1:])))
    program = jax.make_jaxpr(function)(jax.ShapeDtypeStruct(sides, jnp.float32))
    graph = onnx_graph.Graph("x")
    (name,) = onnx_program.add_program(graph, program, ["x"])
    graph.keep_what_makes(graph.add("Identity", name, name="y"))
    out = program.jaxpr.outvars[0].aval
    values = {"x": (np.float32, ["n", *shape[1:]])}, {"y": (out.dtype.type, ["n", *out.shape[1:]])}
    return program, onnx_program.to_bytes(graph, *values)


def primitives(jaxpr):
    """The names of the primitives of a jaxpr, with those inside of others."""
    inner = [value for equation in jaxpr.eqns for value in equation.params.values() if hasattr(value, "eqns")]
    return {equation.primitive.name for equation in jaxpr.eqns}.union(*map(primitives, inner))


def test_each_primitive_computes_what_it_computes_in_jax():
    seen = set()
    for number, wanted in enumerate(jax.jit(lambda x: [function(x) for function in FUNCTIONS])(X)):
        program, content = translated(FUNCTIONS[number], X.shape)
        seen |= primitives(program.jaxpr)
        found = by_onnxruntime(content, x=X)
        assert found.shape == wanted.shape and found.dtype == wanted.dtype, number
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5, err_msg=str(number))
    assert onnx_primitives.TABLE.keys() - seen == set(), "a translation is not tested"
