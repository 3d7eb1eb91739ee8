"""Four simulated CPU devices, a cache of its own, a small data set of real drawings, and tiny configs."""

import contextlib
import functools
import gc
import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import types

os.environ["JAX_NUM_CPU_DEVICES"] = "4"
# Most of a test's time is compiling.
os.environ["XLA_FLAGS"] = " ".join([
    os.environ.get("XLA_FLAGS", ""),
    "--xla_backend_optimization_level=0",
    "--xla_cpu_opt_preset=CPU_OPT_PRESET_FAST_COMPILE",
])  # fmt: skip
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Commands that tests start share the bytecode of what they import: without it each compiles JAX's source for seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import fork_server
import jax
import numpy as np
import pytest
from absl import flags
from buckets import bucket, gs, machine, s3, where  # noqa: F401 - fixtures for all tests
from PIL import Image, ImageDraw
from toy_networks import PLAIN, SHARED, TOY, momentum

from data_prep import write_tfrecords
from data_prep.pictures.convert import ImageSpec, Item, encode_png
from logogan_jax import loop
from logogan_jax.config import build_training, defaults
from logogan_jax.distributed import data_parallel
from logogan_jax.networks import NETWORKS
from logogan_jax.objectives import OBJECTIVES
from logogan_jax.training.optimizers import OPTIMIZERS

# A shell that starts the tests in the background, or nohup, makes them deaf to signals, and with them the commands that
# they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def cache(request, tmp_path_factory):
    """Embedded data of this session and compiled programs of all, shared with the commands that tests start."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["LOGOGAN_CACHE"] = str(folder)
    compiled = str(request.config.cache.mkdir("compiled"))
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled
    jax.config.update("jax_compilation_cache_dir", compiled)
    # What the same tests compile again and again is small.
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    fork_server.USUAL.update(environment())
    yield folder
    fork_server.end()


def pytest_collection_finish():
    """What was imported stays until the end: the collector of garbage need not look through it again and again."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 50)


def drawing(number, size=40, ground="white"):
    """A coloured mark on white, different for every number; on a transparent ground with ground=(0, 0, 0, 0)."""
    random = np.random.default_rng(number)
    image = Image.new("RGB" if ground == "white" else "RGBA", (size, size), ground)
    box = [*random.integers(2, size // 3, 2), *random.integers(size // 2, size - 2, 2)]
    shape = ImageDraw.Draw(image).ellipse if number % 2 else ImageDraw.Draw(image).rectangle
    shape([int(x) for x in box], fill=tuple(int(x) for x in random.integers(0, 200, 3)))
    return image


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Folder of 50 images at 28 pixels, RGB, two labels, in 3 shards."""
    folder = tmp_path_factory.mktemp("data") / "shards"
    items = [Item(f"{i}.png", i % 2, encode_png(drawing(i))) for i in range(50)]
    write_tfrecords.write(
        items, folder, spec=ImageSpec(28), name="drawings", labels=["box", "disc"], description="Drawings.",
        shards=3, workers=0,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def drawings(tmp_path_factory):
    """A function (height, width, channels, ground="white") -> folder of ten images of that form with two labels."""

    @functools.cache
    def make(height, width, channels, ground="white"):
        folder = tmp_path_factory.mktemp("drawings") / f"{height}x{width}x{channels}"
        items = [Item(f"{i}.png", i % 2, encode_png(drawing(i, ground=ground))) for i in range(10)]
        write_tfrecords.write(
            items, folder, spec=ImageSpec(height, channels, width=width), name="drawings", labels=["box", "disc"],
            description="Drawings.", workers=0,
        )  # fmt: skip
        return folder

    return make


WASSERSTEIN = ("wgan", "wgan_gp")  # whose tests run on the networks of that name


@pytest.fixture
def tiny(shards):
    """A function (objective, **overrides by dotted key) -> resolved config that compiles in seconds."""

    def make(objective="gan", **overrides):
        config = defaults.get_config()
        config.data.size, config.data.dir = 28, str(shards)
        if objective in WASSERSTEIN:
            config.model = defaults.block(name="wgan", latent=8, width=4, kernel=4)
            config.objective = defaults.block(name=objective, critic_updates=2)
        else:
            config.model = defaults.block(name="dcgan", latent=8, width=4, kernel=4, dropout=0.4)
            # Of the VAE's sum over pixels, thousands of nats, differences would be lost in rounding.
            small = {"vae": {"deviation": 4.0}, "walkthrough_wgan": {"critic_updates": 2}}.get(objective, {})
            config.objective = defaults.block(name=objective, **small)
        needs = OBJECTIVES[objective](latent=8, **({"classes": 2} if objective == "can" else {}))
        adam = {"name": "adam", "learning_rate": 1e-4, "b1": 0.5, "b2": 0.9}
        config.optimizer = defaults.block(**{role: dict(adam) for role in needs.networks})
        config.data.labels = needs.requires_labels
        config.train.update(steps=4, batch_size=8, ema_images=40)
        config.report.update(log_every=2, samples_every=4, checkpoint_every=2)
        for key, value in overrides.items():
            config.update_from_flattened_dict({key.replace("__", "."): value})
        return build_training.resolve(config)

    return make


def run(training, steps, state=None, start=0):
    """Drive a Training for some steps, one dispatch each -> (state, [metrics of each step])."""
    state, seen = training.state if state is None else state, []
    for number in range(start, start + steps):
        state, metrics = training.runner.program(1)(state, training.runner.source.at(number, 1))
        seen += metrics.by_step()
    return state, seen


def sgd(config, rate=3e-4, name="sgd"):
    """The config with plain gradient descent, which hides no factor in a gradient as Adam would."""
    for role in config.optimizer:
        config.optimizer[role] = defaults.block(name=name, learning_rate=rate)
    return config


def environment(**extra):
    """The environment for a command of ours started as a user would, in the repository's root, but compiled quickly."""
    clean = {name: value for name, value in os.environ.items() if name != "JAX_NUM_CPU_DEVICES"}
    return {**clean, "PYTHONPATH": str(ROOT), **extra}


def command(module, *arguments):
    """The command line of a module of ours."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def evaluate_command():
    """The command logogan_jax.evaluate, whose import would hide the function of that name."""
    return types.SimpleNamespace(**runpy.run_module("logogan_jax.evaluate"))


def pictures(folder):
    """{file name: uint8 pixels} of the PNGs in a folder."""
    return {path.name: np.asarray(Image.open(path)) for path in sorted(pathlib.Path(folder).glob("*.png"))}


# ── whole runs ──────────────────────────────────────────────────────────────────────────────

CONFIG = """
from logogan_jax.config import defaults

def get_config():
    config = defaults.get_config()
    config.data.size, config.data.dir = 28, {data!r}
    config.model = defaults.block(name="dcgan", latent=8, width=4, kernel=4, dropout=0.4)
    config.objective = defaults.block(name="gan", critic_updates=1)
    config.train.update(steps={steps}, batch_size=8)
    config.report.update(log_every=5, samples_every=200, checkpoint_every=10)
    return config
"""


def summary(workdir):
    return json.loads((pathlib.Path(workdir) / "summary.json").read_text())


def digest(workdir):
    found = summary(workdir)
    assert found["status"] == "finished"
    return found["state_sha256"]


def config_text(shards, steps, *lines):
    """A config file of a small DCGAN, with more lines at its end."""
    text = CONFIG.format(data=str(shards), steps=steps)
    return text.replace("    return config\n", "".join(f"    {line}\n" for line in (*lines, "return config")))


@pytest.fixture
def config_file(shards, tmp_path):
    """A function steps -> path of a config of a small DCGAN."""

    def write(steps=40, data=None, lines=()):
        path = tmp_path / f"tiny{steps}.py"
        path.write_text(config_text(data or shards, steps, *lines))
        return path

    return write


TRAIN = command("logogan_jax.main")
# The quickstart in small: commands that train these two steps share their compiled program.
SMALL = ("--config.train.steps=2", "--config.train.batch_size=8", "--config.model.width=4")
TOY_TRAIN = [sys.executable, str(ROOT / "tests" / "toy_command.py")]  # which knows the toy networks


def start(config, workdir, *flags, train=TRAIN, **extra):
    """The training command in a process of its own."""
    return fork_server.start(
        [*train, f"--config={config}", f"--workdir={workdir}", *flags],
        env=environment(**extra), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process, status=0):
    out, err = process.communicate(timeout=240)
    assert process.returncode == status, (process.returncode, out, err)
    return out + err


@contextlib.contextmanager
def devices(count):
    """Let what trains in this process find so many of its four devices only.

    A process that has no more devices than these may round otherwise.
    """
    found = jax.devices()[:count]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "devices", lambda: found)
        patch.setattr(jax, "device_count", lambda: count)
        yield


def read_config(path):
    """The config of a file, as a command reads it."""
    return runpy.run_path(str(path))["get_config"]()


@pytest.fixture(scope="module")
def toy_networks():
    """The networks of two layers have the names "toy" and "plain" in this process: commands do not know them.

    Several devices share their kernels, and "momentum" is an optimizer.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "toy", TOY)
        patch.setitem(NETWORKS, "plain", PLAIN)
        patch.setitem(OPTIMIZERS, "momentum", momentum)
        patch.setattr(data_parallel, "LEAST_SHARED", SHARED)
        yield


TOY_MODEL = 'config.model = defaults.block(name="toy", latent=8, width=16)'


def on_toy_networks(config, name="toy"):
    """The config with networks that are traced and compiled in a second, for tests of what goes on around them."""
    config.model = defaults.block(name=name, latent=8, width=16)
    return config


def four(shards, **changes):
    namespace = {}
    exec(CONFIG.format(data=str(shards), steps=4), namespace)  # the same config as the commands use
    config = namespace["get_config"]()
    config.report.update(log_every=1, samples_every=2, checkpoint_every=2, keep=2)
    config.update_from_flattened_dict(changes)
    return config


@pytest.fixture(scope="session")
def straight(shards, tmp_path_factory):
    """A finished run of four steps on four devices."""
    workdir = tmp_path_factory.mktemp("straight") / "run"
    loop.train(four(shards), workdir)
    return workdir


@pytest.fixture
def call(capsys):
    """A function (module, *flags) -> what a command prints that is run in this process; its errors are raised."""

    def called(module, *words):
        values = flags.FlagValues()
        with pytest.MonkeyPatch.context() as patch:
            for name in (
                "DEFINE_string",
                "DEFINE_integer",
                "DEFINE_float",
                "DEFINE_bool",
                "DEFINE_enum",
                "DEFINE_list",
            ):
                patch.setattr(flags, name, functools.partial(getattr(flags, name), flag_values=values))
            patch.setattr(flags, "FLAGS", values)
            module.define()
            values(["command", *words])
            capsys.readouterr()
            module.main()
        return capsys.readouterr().out

    return called


def failing(*arguments, module="logogan_jax.main", **extra):
    """The one line that a command leaves on stderr when it ends with status 2."""
    # These refuse most before they import what takes long.
    soon = module in ("logogan_jax.main", "logogan_jax.plan", "logogan_jax.tune")
    run = subprocess.run if soon else fork_server.run
    process = run(command(module, *arguments), env=environment(**extra), cwd=ROOT, text=True, capture_output=True)
    assert process.returncode == 2, process
    line = process.stderr.strip()
    assert line.startswith("error: ") and "\n" not in line, process.stderr
    return line
