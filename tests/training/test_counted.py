"""What a training step costs, counted, is what the repository says; the counters count."""

import importlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from logogan_jax.config import build_training
from logogan_jax.training import flops

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import counted
import programs


def rows(names):
    """A test of each row, of which only the first is quick."""
    return pytest.mark.parametrize(
        "row", [pytest.param(row, marks=() if row == "quickstart" else pytest.mark.slow) for row in names]
    )


COMPILED = ("quickstart", "wgan56")  # minutes for all: `python benchmarks/counted.py --check` looks at the others, too


def held(row, counts):
    """Fail with what is not as recorded, and the command that accepts it."""
    record = counted.read()
    if told := counted.differences(row, counts, record):
        pytest.fail("\n".join(told), pytrace=False)
    if counted.versions() not in record["versions"]:
        pytest.skip(f"only limits and what holds for all versions: nothing is recorded for {counted.versions()}")


@rows(counted.ROWS)
def test_before_xla(row):
    held(row, counted.lowered(row))


@rows(COMPILED)
def test_on_one_device(row):
    held(row, counted.compiled(row))


@rows(COMPILED)
def test_on_several_devices(row):
    held(row, counted.shared(row))


@pytest.mark.slow
def test_the_loop_between_log_lines(tiny, tmp_path):
    held("loop", counted.loop(tiny(), tmp_path / "run"))


def test_every_row_is_recorded():
    record = counted.read()
    assert set(record["always"]) == set(counted.ROWS)
    assert record["versions"]
    for versions, rows in record["versions"].items():
        assert set(rows) == {*counted.ROWS, "loop"}, versions


def test_the_step_is_counted_as_it_trains(tiny):
    config = importlib.import_module("configs.quickstart").get_config()
    config.data.dir, config.train.batch_size = tiny().data.dir, counted.BATCH
    made = build_training.training(build_training.resolved(config), devices=jax.devices()[:1])
    step = counted.Abstract("quickstart", jax.devices()[:1])
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), tree)
    assert shapes(made.state) == shapes(step.made.state)
    real = flops.of(made.program(1), made.state, made.source.at(0, 1))
    assert real == flops.of(step.program, *step.arguments) > 0


# ── what is said of a difference ────────────────────────────────────────────────────────────


def record(**counts):
    return counted.recorded("wgan56", counts, {"always": {}, "versions": {}})


def test_a_difference_names_the_row_both_figures_and_the_command():
    (told,) = counted.differences("wgan56", {"compiled_bytes": 1_100}, record(compiled_bytes=1_000))
    assert told.startswith("wgan56: compiled_bytes was 1,000 and is 1,100 (+10.00%)")
    assert "python benchmarks/counted.py --only=wgan56" in told


def test_what_xla_makes_of_a_program_has_some_room_and_what_it_is_given_none():
    old = record(compiled_bytes=1_000, lowered_bytes=1_000, model_flops=1_000)
    assert not counted.differences("wgan56", {"compiled_bytes": 1_049}, old)
    assert counted.differences("wgan56", {"compiled_bytes": 949}, old)
    assert counted.differences("wgan56", {"lowered_bytes": 1_001}, old)
    assert counted.differences("wgan56", {"model_flops": 999}, old)


def test_other_versions_are_held_to_limits_and_to_what_the_model_is(monkeypatch):
    old = record(compiled_bytes=1_000, model_flops=1_000)
    monkeypatch.setattr(counted, "versions", lambda: "jax 9.9")
    assert not counted.differences("wgan56", {"compiled_bytes": 9_000, "model_flops": 1_000}, old)
    assert counted.differences("wgan56", {"model_flops": 1_001}, old)
    assert "at most 0" in counted.differences("wgan56", {"doubly_dilated": 1}, old)[0]
    assert counted.differences("wgan56", {"all_reduced_per_gradient": 1.06}, old)


# ── the counters count ──────────────────────────────────────────────────────────────────────


def test_convolutions_dilated_on_both_sides_are_seen():
    def both(x, w, left, right):
        layout = ("NHWC", "HWIO", "NHWC")
        dilation = {"lhs_dilation": (left, left), "rhs_dilation": (right, right)}
        return lax.conv_general_dilated(x, w, (1, 1), [(0, 0)] * 2, dimension_numbers=layout, **dilation)

    x, w = jnp.ones((2, 9, 9, 3)), jnp.ones((3, 3, 3, 4))
    for left, right, count in ((2, 2, 1), (2, 1, 0), (1, 2, 0)):
        lowered = jax.jit(both, static_argnums=(2, 3)).lower(x, w, left, right)
        assert programs.doubly_dilated_in_stablehlo(lowered.as_text()) == count
        compiled = lowered.compile().as_text()
        assert "convolution(" in compiled and programs.doubly_dilated_in_hlo(compiled) == count


def test_calls_of_the_host_are_seen():
    quiet = jax.jit(lambda x: x + 1).lower(1.0).compile().as_text()
    shape = jax.ShapeDtypeStruct((), jnp.float32)
    loud = jax.jit(lambda x: jax.pure_callback(np.sin, shape, x) + 1).lower(1.0).compile().as_text()
    assert programs.host_operations(quiet) == 0 < programs.host_operations(loud)


def test_what_devices_tell_each_other_is_weighed():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])

    def replica(x):
        return lax.psum(x, "data"), lax.psum(x[:, :1].astype(jnp.bfloat16), "data")

    mapped = jax.jit(jax.shard_map(replica, mesh=mesh, in_specs=P("data"), out_specs=P()))
    text = mapped.lower(jnp.ones((2, 6))).compile().as_text()
    # XLA's CPU backend sums what is bfloat16 as float32.
    assert sum(programs.collective_bytes(text)) in (6 * 4 + 2, 6 * 4 + 4)
    line = "  %x = (f32[2,3]{1,0}, /*index=1*/s8[5]{0}, pred[]) all-reduce-start(%a, %b, %c), channel_id=1"
    assert programs.collective_bytes(line) == [24 + 5 + 1]


def test_what_is_not_donated_is_seen():
    state = jnp.ones((8,))
    for donated, left in (((0,), 0), ((), 32)):
        compiled = jax.jit(lambda s: s + 1, donate_argnums=donated).lower(state).compile()
        assert counted.size(state) - compiled.memory_analysis().alias_size_in_bytes == left


@pytest.mark.parametrize("extra", ["nothing", "a program", "a reading", "an array"])
def test_what_a_loop_does_beside_its_dispatches_is_seen(extra, tmp_path):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    placed = lambda x: jax.device_put(x, NamedSharding(mesh, P()))

    @jax.jit
    def replica(state, feed):
        return state + feed.sum()

    deeds = {
        "nothing": lambda state: None,
        "a program": lambda state: state + state,
        "a reading": lambda state: float(state),
        "an array": lambda state: placed(np.ones(5)),
    }
    state = replica(placed(np.float32(0)), placed(np.ones(4, np.float32)))
    deeds[extra](state)
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with jax.profiler.trace(str(tmp_path), profiler_options=options):
        for _ in range(3):
            state = replica(state, placed(np.ones(4, np.float32)))
            deeds[extra](state)
        jax.block_until_ready(state)
    (path,) = tmp_path.glob("**/*.xplane.pb")
    found = programs.count_between_log_lines(path, dispatches=3)
    if not found:
        pytest.skip("the traces of this JAX name things otherwise")
    plain = {"programs_per_dispatch": 1.0, "reads_per_dispatch": 0.0, "writes_per_dispatch": 1.0}
    beside = {"a program": ("programs_per_dispatch", 5 / 3), "a reading": ("reads_per_dispatch", 1.0),
              "an array": ("writes_per_dispatch", 2.0)}  # fmt: skip
    assert found == plain | dict([beside[extra]] if extra in beside else [])
