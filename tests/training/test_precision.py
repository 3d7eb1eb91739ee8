"""What bfloat16 may round, and what stays float32; the record that compares the two tells noise from a difference."""

import json
import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT, on_toy_networks, run, sgd

from logogan_jax.config import build_training
from logogan_jax.objectives import losses
from logogan_jax.training.train_state import flatten_with_names

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import precision

# With "gan" networks of two layers, one of which has batch statistics.
EACH = pytest.mark.parametrize(
    "objective", ["gan", *(pytest.param(name, marks=pytest.mark.slow) for name in ("wgan_gp", "r3gan"))]
)


@pytest.fixture
def training(tiny, toy_networks):
    """A function (objective, dtype, toy=False) -> Training on one device by descent, one update of each network."""

    def make(objective, dtype, toy=False):
        more = {"objective__critic_updates": 1} if objective == "wgan_gp" else {}
        config = tiny(objective, train__dtype=dtype, **more)
        if toy or objective == "gan":
            on_toy_networks(config)
        if objective == "r3gan":
            config.model = {"name": "r3gan", "latent": 8, "width": 4, "blocks": 1, "expansion": 1}
        return build_training.build(sgd(config, 1e-2), devices=jax.devices()[:1])

    return make


def equations(jaxpr):
    """Every equation of a jaxpr, those of its inner functions among them."""
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(equation.params, is_leaf=lambda value: hasattr(value, "eqns")):
            if hasattr(value, "eqns"):
                yield from equations(getattr(value, "jaxpr", value))


@pytest.fixture(scope="module")
def traced():
    return {}


@pytest.fixture
def step_of(training, traced):
    """A function objective -> (equations, shapes of the results) of a bfloat16 step, which is traced once."""

    def trace(objective):
        if objective not in traced:
            made = training(objective, "bfloat16")
            inputs = (made.state, made.runner.source.at(0, 1))
            jaxpr, shapes = jax.make_jaxpr(made.runner.program(1), return_shape=True)(*inputs)
            traced[objective] = list(equations(jaxpr.jaxpr)), shapes
        return traced[objective]

    return trace


@EACH
def test_state_and_metrics_stay_float32(step_of, objective):
    _, found = step_of(objective)
    wrong = {name: leaf.dtype for name, leaf in flatten_with_names(found).items()}
    wrong = {name: dtype for name, dtype in wrong.items() if jnp.issubdtype(dtype, jnp.floating) and dtype != "float32"}
    assert wrong == {} and len(found) == 2


@EACH
def test_products_are_taken_in_bfloat16(step_of, objective):
    found = [e for e in step_of(objective)[0] if e.primitive.name in PRODUCTS]
    assert len(found) > 10
    assert {str(operand.aval.dtype) for equation in found for operand in equation.invars} == {"bfloat16"}


PRODUCTS = ("dot_general", "conv_general_dilated")
SUMS = ("reduce_sum", "cumsum", "scatter-add", "psum", "psum_invariant")


@EACH
def test_long_sums_are_not(step_of, objective):
    # Such as a bias's gradient, over all pixels of a batch: added up in bfloat16, 400,000 ones come to 8,192.
    sums = [e for e in step_of(objective)[0] if e.primitive.name in SUMS]
    assert len(sums) > 10
    rounded = [e for e in sums if any(operand.aval.dtype == jnp.bfloat16 for operand in e.invars)]
    assert not [e for e in rounded if e.primitive.name != "reduce_sum" or terms(e) > 4]


def terms(equation):
    """How many numbers go into each of a reduce_sum."""
    return equation.invars[0].aval.size // equation.outvars[0].aval.size


def test_the_penalty_squares_and_sums_in_float32():
    # A pixel's gradient of 1/16 squared is 1/256, which a sum in bfloat16 stops noticing at 1.
    critic = lambda images: (images.astype(jnp.bfloat16) * jnp.bfloat16(0.0625)).sum((1, 2, 3)).astype(jnp.float32)
    square = losses.squared_gradient_norm(critic, jnp.ones((2, 56, 56, 3)))
    assert square.dtype == jnp.float32
    np.testing.assert_allclose(square, 56 * 56 * 3 / 256, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["gan", "wgan_gp"])
def test_gradients_agree_with_float32(training, objective):
    """Those of convolutions are looked at one by one, in tests/networks/test_conv.py."""
    moved = {}
    for dtype in ("float32", "bfloat16"):
        made = training(objective, dtype, toy=True)
        before = {name: np.asarray(leaf) for name, leaf in flatten_with_names(made.state.params).items()}
        after, _ = run(made, 1)
        moved[dtype] = {
            name: np.asarray(leaf) - before[name] for name, leaf in flatten_with_names(after.params).items()
        }
    exact, rounded = moved["float32"], moved["bfloat16"]
    critic = [name for name in exact if name.startswith("critic")]
    whole = math.hypot(*(np.linalg.norm(exact[name]) for name in critic))
    for name in critic:
        # Some gradients are differences of nearly equal numbers: the last bias of a Wasserstein critic has none.
        least = 0.002 * whole
        assert np.linalg.norm(rounded[name] - exact[name]) < 0.15 * np.linalg.norm(exact[name]) + least, name
    # Rounding goes through a whole critic, and batch normalisation of eight images, to the generator's gradient.
    one, other = (
        np.concatenate([leaf.ravel() for name, leaf in each.items() if name.startswith("generator")])
        for each in (exact, rounded)
    )
    assert one @ other > 0.97 * np.linalg.norm(one) * np.linalg.norm(other) > 0


# ── the record ──────────────────────────────────────────────────────────────────────────────


def runs(shift, spread):
    """Six runs whose bfloat16 half is shifted, with a spread between seeds."""
    made = []
    for name, offset in (("float32", 0.0), ("bfloat16", shift)):
        for seed in precision.SEEDS:
            value = 1.0 + spread * (seed - 1) + offset
            curves = {curve: [value] * precision.QUARTERS for curve in precision.CURVES}
            made.append({"precision": name, "seed": seed, precision.KID: {"value": value}, **curves})
    return made


def test_a_shift_within_the_seeds_spread_is_noise_and_one_beyond_it_a_difference():
    found = precision.compare(runs(0.1, 0.1))["kid_efflite0"]
    assert found["same"] and found["difference"] == pytest.approx(0.1)
    assert found["standard_error"] == pytest.approx(0.1 * (2 / 3) ** 0.5)
    assert found["resolvable"] == pytest.approx(4.604 * found["standard_error"], rel=1e-3)  # t of 4 degrees at 0.5 %
    assert not precision.compare(runs(0.5, 0.1))["critic/loss, quarter 4 of 4"]["same"]
    assert not precision.compare(runs(math.nan, 0.1))["kid_efflite0"]["same"]


def test_only_the_kernel_distance_and_the_critics_loss_are_judged():
    judged = {name for name, found in precision.compare(runs(0.0, 0.1)).items() if "same" in found}
    assert judged == {"kid_efflite0", *(f"critic/loss, quarter {i} of 4" for i in (1, 2, 3, 4))}


def test_curves_are_means_of_quarters(tmp_path):
    lines = [{"step": i, **dict.fromkeys(precision.CURVES, float(i))} for i in range(8)]
    lines.append({"step": 7, **{f"evaluation/kid_efflite0{part}": 0.5 for part in ("", "_low", "_high")}})
    found = precision.measurements(json.loads(json.dumps(lines)))
    assert found["critic/loss"] == [0.5, 2.5, 4.5, 6.5]
    assert found["kid_efflite0"] == {"value": 0.5, "low": 0.5, "high": 0.5}


def test_finished_runs_are_not_run_again(tmp_path, monkeypatch):
    (tmp_path / "summary.json").write_text(json.dumps({"status": "finished"}))
    lines = [{"step": i, **dict.fromkeys(precision.CURVES, 1.0)} for i in range(4)]
    lines.append({f"evaluation/kid_efflite0{part}": 0.5 for part in ("", "_low", "_high")})
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setattr(precision.runs, "run", lambda words: pytest.fail(f"{words} was run"))
    assert precision.train("bfloat16", 1, tmp_path)["kid_efflite0"]["value"] == 0.5
    (tmp_path / "summary.json").write_text(json.dumps({"status": "stopped by SIGTERM"}))
    with pytest.raises(pytest.fail.Exception, match="dtype=bfloat16"):
        precision.train("bfloat16", 1, tmp_path)
