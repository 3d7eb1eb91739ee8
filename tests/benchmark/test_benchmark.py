"""The benchmark: the step that trains, timed in turn with others, and what is said of it."""

import json
import subprocess
import types

import jax
import pytest
from conftest import ROOT, command, environment, four, on_toy_networks, run
from ml_collections import ConfigDict

from logogan_jax.benchmark import __main__ as benchmark
from logogan_jax.benchmark import figures, measurement, peers, stopwatch
from logogan_jax.config import build_training
from logogan_jax.core.errors import UserError
from logogan_jax.plan import targets
from logogan_jax.training import cpu_estimate, train_state

QUICK = {"repeats": 3, "seconds": 0.3}  # a shorter time is noise where other tests run


@pytest.fixture(scope="module")
def toy(shards, toy_networks):
    """A function (**changes by dotted key) -> resolved config of networks that compile in a second."""

    def make(**changes):
        config = on_toy_networks(four(shards))
        config.update_from_flattened_dict(changes)
        return build_training.resolve(config)

    return make


# ── a stopwatch ─────────────────────────────────────────────────────────────────────────────


def runner(name, seconds, log, units=1):
    """Turns that say that they take so many seconds each, for so many units."""
    waiting = iter(seconds)

    def turns(count):
        log.append((name, count))
        return count * units, count * next(waiting)

    return turns


def test_things_are_timed_in_turn_and_long_enough():
    log = []
    quick = runner("quick", [9.0, 0.5, 0.5, 0.25, 1.0], log, units=10)
    slow = runner("slow", [9.0, 5.0, 4.0, 4.0, 2.0], log)
    paces = stopwatch.in_turn([quick, slow], repeats=3, seconds=2.0)
    assert paces == [stopwatch.Pace(20.0, 10.0, 40.0, 3, 4), stopwatch.Pace(0.25, 0.25, 0.5, 3, 1)]
    warming, timed = log[:4], log[4:]
    assert warming == [("quick", 1), ("quick", 1), ("slow", 1), ("slow", 1)]
    assert timed == [("quick", 4), ("slow", 1)] * 3


@pytest.mark.slow
def test_a_product_has_a_rate():
    assert 1e8 < cpu_estimate.product_rate(cpu_estimate.TILE, "float32", calls=1) < 1e15
    rate, side = measurement.largest_rate("float32", jax.devices()[0])
    assert 1e8 < rate < 1e15 and side in measurement.SIDES["cpu"]


# ── a row ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def rows(toy):
    """Rows of a small GAN on one and on two devices."""
    config = toy(**{"objective.critic_updates": 2, "train.steps_per_dispatch": 2, "report.log_every": 2})
    first, second = (benchmark.measure(config, jax.devices()[:count], **QUICK) for count in (1, 2))
    return [benchmark.with_efficiency(row, first) for row in (first, second)]


def test_the_time_that_waits_for_input_is_what_a_constant_feed_saves():
    slow, quick = (lambda count, seconds=seconds: (count, count * seconds) for seconds in (0.010, 0.008))
    steps = types.SimpleNamespace(run=slow, run_on_one_feed=quick)
    pace, share, others = measurement.paces(steps, [slow], repeats=3, seconds=0.1)
    assert pace.median == pytest.approx(100) and share == pytest.approx(0.2) and len(others) == 1


@pytest.mark.slow
def test_a_row_says_what_a_step_costs(rows):
    for count, row in enumerate(rows, 1):
        pace = row["steps_per_second"]
        assert 0 < pace["low"] <= pace["median"] <= pace["high"] and pace["repeats"] == 3
        assert row["devices"] == count and row["batch_size"] == 8 and row["steps_per_dispatch"] == 2
        assert row["updates_per_second"] == {"critic": 2 * pace["median"], "generator": pace["median"]}
        assert row["real_images_per_second"] == 2 * 8 * pace["median"]
        assert row["model_flops_per_second"] == row["model_flops_per_step"] * pace["median"] > 0
        assert row["share_of_product"] == row["model_flops_per_second"] / row["product_flops_per_second"]
        assert -1 < row["input_bound_share"] < 1
        assert row["seconds"]["tracing"] > 0 and 0 < row["seconds"]["compiling_warm"] < row["seconds"]["compiling_cold"]
        assert row["predicted_seconds"] is None  # of a CPU
        assert row["peak_bytes"] > 1e5 and "compiler" in row["peak_bytes_by"]
    assert rows[0]["model_flops_per_step"] == rows[1]["model_flops_per_step"]
    assert rows[1]["efficiency"] == rows[1]["steps_per_second"]["median"] / 2 / rows[0]["steps_per_second"]["median"]
    json.dumps(rows)


@pytest.mark.slow
def test_every_line_of_the_table_has_a_figure(rows):
    row = benchmark.with_cost({**rows[0], "config": "tiny"}, 3.6)
    assert row["dollars_per_million"] == pytest.approx(1000 / row["real_images_per_second"])
    first, *lines = [figures.heading(row), *figures.table(row).splitlines()]
    assert first == (
        "tiny: gan at 28 x 28 x 3, toy networks, batch 8, float32, 2 steps a dispatch, resident data, on 1 x cpu"
    )
    units = ("steps/s", "images/s", "updates/s", "TFLOP/s", "GFLOP/step", "%", "MiB", " s", "$")
    assert all(any(unit in line for unit in units) for line in lines) and max(map(len, lines)) <= 120, lines
    names = (
        "steps",
        "critic updates",
        "generator updates",
        "arithmetic",
        "ratio",
        "peak memory",
        "input-bound",
        "cost",
    )
    assert all(any(line.strip().startswith(name) for line in lines) for name in names)
    scaled = figures.scaling(rows)
    assert "1 device " in scaled and "efficiency 100.0%" in scaled and "simulated" in scaled.splitlines()[-1]


@pytest.mark.slow
def test_on_a_known_device_the_prediction_stands_beside_the_measurement(toy, rows, monkeypatch):
    # As if this CPU were one: its programs have kernels and bytes, too.
    monkeypatch.setattr(targets, "of_device", lambda kind: targets.load()["h100"])
    config = toy(**{"objective.critic_updates": 2, "train.steps_per_dispatch": 2, "report.log_every": 2})
    steps = measurement.TrainingSteps(build_training.build(config, devices=jax.devices()[:1]))
    seconds = steps.predicted_seconds()
    assert 0 < seconds < 1
    row = {**rows[0], "config": "tiny", "predicted_seconds": seconds}
    (line,) = [line for line in figures.table(row).splitlines() if line.strip().startswith("predicted")]
    assert f"{1 / seconds:.4g} steps/s" in line and "logogan_jax.plan" in line


@pytest.mark.slow
def test_the_steps_that_are_timed_are_those_that_train(toy):
    config = toy(**{"train.steps_per_dispatch": 1})
    trained, _ = run(build_training.build(config), 3)
    steps = measurement.TrainingSteps(build_training.build(config))
    assert steps.run(2)[0] == 2 and steps.run(1)[0] == 1
    assert train_state.digest(steps._state) == train_state.digest(trained)
    steps.run_on_one_feed(1)
    assert steps._state.step == 4


@pytest.mark.slow
def test_compiling_leaves_the_cache_as_it_was(toy, tmp_path, request):
    made = build_training.build(toy())
    name, own = "jax_compilation_cache_dir", str(tmp_path / "compiled")  # other tests write to that of the session
    before = {name: jax.config.jax_compilation_cache_dir}
    request.addfinalizer(lambda: measurement._update(before))
    measurement._update({name: own})
    took = measurement.TrainingSteps(made).compile_seconds()
    assert jax.config.jax_compilation_cache_dir == own
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0.2
    assert not list((tmp_path / "compiled").glob("*"))
    assert took["compiling_warm"] < took["compiling_cold"]


def test_a_device_that_tells_its_peak_is_believed_where_it_rose():
    class Device:
        def memory_stats(self):
            return {"peak_bytes_in_use": 5000}

    steps = object.__new__(measurement.TrainingSteps)
    assert measurement.TrainingSteps.peak_memory(steps, Device(), 4000) == (5000, "the device's own count")
    assert measurement.peak_bytes(jax.devices()[0]) == 0


# ── numbers of devices ──────────────────────────────────────────────────────────────────────


def test_numbers_of_devices(monkeypatch):
    asked = []
    monkeypatch.setattr(type(jax.config), "update", lambda _, *change: asked.append(change))
    monkeypatch.setattr(jax, "local_device_count", lambda: 4)
    assert benchmark.device_counts([], []) == [4] and benchmark.device_counts([], ["torch"]) == [1]
    assert benchmark.device_counts(["4", "1", "2"], ["torch"]) == [1, 2, 4]
    assert asked == [("jax_num_cpu_devices", 4)]
    for texts, given, said in (
        (["1", "8"], [], "--devices has 8, but there are 4"),
        (["two"], [], "--devices has 'two'"),
        (["0"], [], "--devices has '0'"),
        (["2"], ["torch"], "begin with 1"),
    ):
        with pytest.raises(UserError, match=said):
            benchmark.device_counts(texts, given)


# ── peers ───────────────────────────────────────────────────────────────────────────────────

PEER = """
import json, sys
print("a library says hello")
print(json.dumps({"peer": "fake 1.0", "device": "cpu", "mode": "eager", "ready": True}), flush=True)
for line in sys.stdin:
    if "--batch=13" in sys.argv:
        sys.exit("out of luck")
    with open(LOG, "a") as log:
        print(*sys.argv[1:], line.strip(), file=log)
    print(json.dumps({"steps": int(line), "seconds": int(line) / 100}), flush=True)
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A peer that says that it does 100 steps a second -> the file in which it keeps what it was asked."""
    log = tmp_path / "log"
    (tmp_path / "peer_torch.py").write_text(PEER.replace("LOG", repr(str(log))))
    monkeypatch.setattr(peers, "FOLDER", tmp_path)
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: name)
    return log


def test_a_peer_does_the_steps_that_it_is_asked_for(fake):
    with peers.start("torch", ["--mode=eager", "--precision=float32"], ["--model=gan", "--batch=8"]) as peer:
        assert peer.name == "torch eager float32" and peer.about["peer"] == "fake 1.0"
        assert peer(7) == (7, 0.07)
        (pace,) = stopwatch.in_turn([peer], repeats=3, seconds=0.5)
        assert pace.median == pytest.approx(100) and pace.turns == 50
        process = peer._process
    assert process.returncode == 0
    lines = fake.read_text().splitlines()
    assert lines[0] == "--model=gan --batch=8 --mode=eager --precision=float32 7"
    assert [line.split()[-1] for line in lines] == ["7", "1", "1", "50", "50", "50"]


def test_a_peer_that_ends_tells_why(fake):
    with (
        pytest.raises(UserError, match=r"peer torch eager ended with status 1 and said: out of luck"),
        peers.start("torch", ["--mode=eager"], ["--batch=13"]) as peer,
    ):
        peer(1)


@pytest.mark.slow
def test_a_peer_stands_beside_the_row(fake, toy):
    with peers.start("torch", ["--mode=eager"], []) as one, peers.start("torch", ["--mode=other"], []) as two:
        row = benchmark.measure(toy(), jax.devices()[:1], [one, two], **QUICK)
    assert [peer["name"] for peer in row["peers"]] == ["torch eager", "torch other"]
    for peer in row["peers"]:
        assert peer["peer"] == "fake 1.0" and peer["ratio"] == pytest.approx(row["steps_per_second"]["median"] / 100)
    asked = [line.split()[0] for line in fake.read_text().splitlines()]
    assert asked[4:] == ["--mode=eager", "--mode=other"] * 3
    last = figures.table(row).splitlines()[-2:]
    assert "fastest peer" in last[0] and "fastest peer" not in last[1] and "100 steps/s" in last[1]


def test_the_ways_of_a_peer(fake, monkeypatch):
    assert peers.ways("torch", "cpu", "float32") == [("--mode=eager", "--precision=float32")]
    assert [way[1] for way in peers.ways("torch", "cpu", "bfloat16")] == ["--precision=float32", "--precision=bfloat16"]
    on_gpu = peers.ways("torch", "gpu", "bfloat16")
    assert ("--mode=compile", "--precision=tf32") in on_gpu and ("--mode=graph", "--precision=bfloat16") in on_gpu
    with pytest.raises(UserError, match="one of torch, keras"):
        peers.ways("jax", "cpu", "float32")
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install torch"):
        peers.ways("torch", "cpu", "float32")


def shipped(name, **changes):
    spoken = {}
    exec((ROOT / "configs" / f"{name}.py").read_text(), spoken)
    config = ConfigDict(spoken["get_config"]())
    config.update_from_flattened_dict({key.replace("__", "."): value for key, value in changes.items()})
    return config


def test_a_peer_is_told_the_model_or_there_is_none():
    wgan = ["--model=wgan_gp", "--size=56", "--batch=16", "--critic_updates=5"]
    assert peers.arguments(shipped("wgan56", train__batch_size=16)) == wgan
    assert peers.arguments(shipped("dcgan112")) == ["--model=gan", "--size=112", "--batch=256", "--critic_updates=1"]
    for config, said in (
        (shipped("quickstart"), "config.model.width is 16"),
        (shipped("wgan28", model__kernel=4), "config.model.kernel is 4"),
        (shipped("wgan56", objective__lazy=4), "config.objective.lazy is 4"),
        (shipped("wgan56", mark__inks=1), "config.mark.inks is 1"),
        (shipped("dcgan56", objective__r1=0.2), "config.objective.r1 is 0.2"),
        (shipped("gan56"), "config.model.kernel is 4"),
        (shipped("hinge56"), "no dcgan networks with the objective hinge"),
        (shipped("wgan56", data__width=28), "no images of 56 x 28"),
        (shipped("wgan56", data__size=224), "no images of 224 x 224"),
    ):
        with pytest.raises(UserError, match=said):
            peers.arguments(config)


# ── the command ─────────────────────────────────────────────────────────────────────────────


def test_a_wrong_flag_is_told_before_anything_is_timed(tmp_path, monkeypatch):
    given = types.SimpleNamespace(json=str(tmp_path / "none" / "out.json"), profile=None)
    monkeypatch.setattr(benchmark.flags, "FLAGS", given)
    with pytest.raises(UserError, match="there is no folder"):
        benchmark.main()


@pytest.mark.slow
def test_the_command(shards, tmp_path):
    out, trace = tmp_path / "out.jsonl", tmp_path / "trace"
    out.write_text('{"from": "before"}\n')
    flags = ("--devices=1,2", "--seconds=0.01", "--repeats=3", "--price=2.5", f"--json={out}", f"--profile={trace}")
    keys = (f"--config.data.dir={shards}", "--config.train.batch_size=4")
    words = command("logogan_jax.benchmark", f"--config={ROOT / 'tests' / 'toy_config.py'}", *keys, *flags)
    done = subprocess.run(words, env=environment(), cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    before, first, second = map(json.loads, out.read_text().splitlines())
    assert before == {"from": "before"}
    assert first["devices"] == 1 and second["devices"] == 2 and first["efficiency"] == 1
    assert first["config"] == "toy_config" and first["overrides"]["train.batch_size"] == 4 and first["batch_size"] == 4
    assert first["versions"]["jax"] == jax.__version__ and first["peers_failed"] == []
    assert done.stdout.count("toy_config: gan") == 2 and "efficiency" in done.stdout and str(trace) in done.stdout
    assert "$2.50 an hour" in done.stdout and len(list(trace.rglob("perfetto_trace.json.gz"))) == 2
