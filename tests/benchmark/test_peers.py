"""The yardsticks are what they claim to be: our networks, losses and updates, elsewhere."""

import importlib
import inspect
import json
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import wheels
from conftest import ROOT, environment
from flax import nnx
from jax.sharding import PartitionSpec as P
from losses_of_players import loss_of

from logogan_jax.config import build_model, build_training
from logogan_jax.core import prng
from logogan_jax.data.batch import Batch
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.distributed import data_parallel
from logogan_jax.networks import NETWORKS
from logogan_jax.training.model import merge
from logogan_jax.training.train_state import flatten_with_names

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import speed

CASES = [(kind, size) for kind in ("wgan_gp", "gan") for size in (28, 56, 112)]
EVERY = pytest.mark.parametrize(("kind", "size"), CASES)
WIDTH, BATCH = 4, 6
THEIRS = """
import contextlib, sys
import numpy as np, torch
from peer_torch import losses, optimisers
from torch_networks import networks

given, found = np.load(sys.argv[1]), {}
for case in given["cases"]:
    kind, size = case.split()
    with torch.device("meta"):
        for role, net in zip(("generator", "critic"), networks(kind, int(size))):
            found |= {f"{case}/shape/{role}/{name}": np.array(p.shape) for name, p in net.named_parameters()}
            found[f"{case}/dropout/{role}"] = getattr(net, "dropout", 0.0)
    here = lambda name: torch.tensor(given[f"{case}/{name}"])
    nets = dict(zip(("generator", "critic"), networks(kind, int(size), width=WIDTH, dropout=0.0)))
    for role, net in nets.items():
        weights = {name: here(f"{role}/{name}") for name, _ in net.named_parameters()}
        net.load_state_dict({**net.state_dict(), **weights})
        net.to(memory_format=torch.channels_last)
    generator, critic = nets.values()
    real, z = here("real").permute(0, 3, 1, 2), here("z")
    found[f"{case}/fake"] = generator(here("generator z")).permute(0, 2, 3, 1).detach()
    found[f"{case}/score"] = critic(real).detach()
    of_critic, of_generator = losses(kind, generator, critic, contextlib.nullcontext, lambda function: function)
    values = {"critic": of_critic(real, z, here("mixing")), "generator": of_generator(here("generator z"))}
    for role, value in values.items():
        found[f"{case}/loss/{role}"] = value.detach()
        value.backward(inputs=list(nets[role].parameters()))
        found |= {f"{case}/gradient/{role}/{name}": p.grad.numpy() for name, p in nets[role].named_parameters()}
    for role, optimiser in zip(nets, optimisers(kind, generator, critic)):
        for turn in range(2):
            for name, p in nets[role].named_parameters():
                p.grad = torch.empty_like(p).copy_((-0.3) ** turn * here(f"push/{role}/{name}"))  # laid out alike
            optimiser.step()
        found |= {f"{case}/moved/{role}/{name}": p.detach() for name, p in nets[role].named_parameters()}
np.savez(sys.argv[2], **found)
"""


def config_of(kind, size):
    return importlib.import_module(f"configs.{'wgan' if kind == 'wgan_gp' else 'dcgan'}{size}").get_config()


def theirs(kind, role, params):
    """Our parameters in PyTorch's names and layouts: {"out/kernel": [k, k, ...]} -> {"out.weight": [..., k, k]}."""
    found = {}
    for path, value in flatten_with_names(params).items():
        name = path.replace("/", ".").replace("kernel", "weight").replace("scale", "weight")
        if value.ndim == 2:
            value = value.T
        elif value.ndim == 4 and kind == "gan" and role == "generator":
            value = value[::-1, ::-1].transpose(2, 3, 0, 1)  # theirs are convolutions, by the filter turned half round
        elif value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        found[name] = value
    return found


class Ours:
    """Our side of a case: the networks of a config, narrow and without dropout, with noise on every weight."""

    def __init__(self, kind, size):
        config = config_of(kind, size)
        config.model.width = WIDTH
        if kind == "gan":
            config.model.dropout = 0.0
        config.train.update(dtype="float32", batch_size=BATCH)
        self.kind, self.model = kind, build_model.build_model(build_training.resolve(config), DatasetInfo("", 1, {}))
        random = np.random.default_rng(size)
        noisy = lambda p: np.asarray(p) + 0.1 * random.normal(size=p.shape).astype(np.float32)
        state = self.model.init_state()
        self.state = state._replace(params=jax.tree.map(noisy, state.params))
        self.push = jax.tree.map(lambda p: random.normal(size=p.shape).astype(np.float32), self.state.params)
        self.batch = Batch(
            image=random.uniform(-1, 1, (BATCH, size, size, 3)).astype(np.float32),
            label=np.zeros(BATCH, np.int32),
            index=np.arange(BATCH, dtype=np.int32),
        )
        # What the players draw from these keys, by the addresses at which they draw it.
        self.keys = prng.per_example_keys(jax.random.key(1), jnp.arange(BATCH))
        first, second, *_ = prng.split(self.keys, 4)
        prior = self.model.objective.prior
        self.given = {"z": prior(None, first), "mixing": prng.uniform(second), "real": self.batch.image}
        self.given["generator z"] = prior(None, prng.split(self.keys, 3)[0])
        for role, params in self.state.params.items():
            named = theirs(kind, role, params)
            self.given |= {f"{role}/{name}": value for name, value in named.items()}
            self.given |= {f"push/{role}/{name}": value for name, value in theirs(kind, role, self.push[role]).items()}

    def passes(self):
        """{"fake", "score", "loss/ROLE", "gradient/ROLE/NAME"}, as the training step has them on one device."""
        mesh = jax.make_mesh((1,), (data_parallel.AXIS,))
        found = jax.jit(jax.shard_map(self._passes, mesh=mesh, in_specs=P(), out_specs=P()))(self.state.params)
        named = {name: found[name] for name in ("fake", "score")}
        for role in ("critic", "generator"):
            named[f"loss/{role}"], gradient = found[role]
            gradient = jax.tree.map(np.asarray, gradient)
            named |= {f"gradient/{role}/{name}": g for name, g in theirs(self.kind, role, gradient).items()}
        return named

    def _passes(self, params):
        params = data_parallel.to_varying(params)
        nets = lambda params: merge(self.model.graphdefs, params, self.state.model_state)
        found = {
            "fake": nets(params).generator(self.given["generator z"], None, keys=self.keys, train=True),
            "score": nets(params).critic(self.batch.image, None, keys=self.keys, train=True),
        }
        for player in self.model.objective.players:
            loss = lambda own, p=player: loss_of(p, nets({**params, p.name: own}), self.batch, self.keys)[0].mean()
            found[player.name] = jax.value_and_grad(loss)(params[player.name])
        return data_parallel.pmean(found)

    def moved(self):
        """{"moved/ROLE/NAME"} after two updates by gradients that are given."""
        found = {}
        for role, optimizer in self.model.optimizers.items():

            @jax.jit
            def twice(params, push, optimizer=optimizer):
                moments = optimizer.init(params)
                for turn in range(2):
                    now = jax.tree.map(lambda g, turn=turn: (-0.3) ** turn * g, push)
                    changes, moments = optimizer.update(now, moments, params)
                    params = optax.apply_updates(params, changes)
                return params

            params = jax.tree.map(np.asarray, twice(self.state.params[role], self.push[role]))
            found |= {f"moved/{role}/{name}": value for name, value in theirs(self.kind, role, params).items()}
        return found


@pytest.fixture(scope="module")
def torch_environment(tmp_path_factory):
    """An environment in which PyTorch and its yardstick can be imported."""
    return beside(wheels.torch(tmp_path_factory))


def beside(folder):
    return environment(PYTHONPATH=os.pathsep.join(filter(None, [str(ROOT / "benchmarks"), str(ROOT), folder])))


@pytest.fixture(scope="module")
def ours():
    return {case: Ours(*case) for case in CASES}


@pytest.fixture(scope="module")
def found(torch_environment, ours, tmp_path_factory):
    """What PyTorch makes of every case: {"KIND SIZE/NAME": array}."""
    folder = tmp_path_factory.mktemp("peers")
    given = {f"{kind} {size}/{name}": x for (kind, size), case in ours.items() for name, x in case.given.items()}
    np.savez(folder / "given.npz", cases=[f"{kind} {size}" for kind, size in CASES], **given)
    code = [sys.executable, "-c", THEIRS.replace("WIDTH", str(WIDTH)), folder / "given.npz", folder / "found.npz"]
    subprocess.run(code, env=torch_environment, cwd=folder, check=True, timeout=900)
    return np.load(folder / "found.npz")


@pytest.mark.slow
@EVERY
def test_pytorch_has_our_outputs_losses_and_first_gradients(kind, size, found, ours):
    passes = {name: np.asarray(value) for name, value in ours[kind, size].passes().items()}
    for name, expected in passes.items():
        there, scale = found[f"{kind} {size}/{name}"], np.abs(expected).max()
        assert there.shape == expected.shape, name
        whole = name.rpartition("/")[0]
        largest = max(np.abs(other).max() for path, other in passes.items() if path.rpartition("/")[0] == whole)
        if scale > 1e-5 * largest:
            assert np.abs(there - expected).max() < 5e-5 * scale, name
        else:  # batch normalisation takes the bias before it away, the penalty that of the scores: rounding is left
            assert name.endswith("bias") and np.abs(there).max() < 1e-4 * largest, name


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wgan_gp", "gan"])
def test_pytorch_has_our_updates(kind, found, ours):
    for name, expected in ours[kind, 28].moved().items():
        before = ours[kind, 28].given[name.removeprefix("moved/")]
        there = found[f"{kind} 28/{name}"]
        # The second update goes back a little: both moments take part.
        np.testing.assert_allclose(there - before, expected - before, rtol=1e-3, atol=1e-7, err_msg=name)


def shapes(kind, size, role, **changes):
    """Our parameters of a config as arrays without memory."""
    config, name = config_of(kind, size), "wgan" if kind == "wgan_gp" else "dcgan"
    values = {"size": (size, size), "channels": 3, "dtype": jnp.float32, "axis_name": None, **config.model, **changes}
    values = {key: values[key] for key in inspect.signature(NETWORKS[name][role].__init__).parameters if key in values}
    net = nnx.eval_shape(lambda: NETWORKS[name][role](**values, rngs=nnx.Rngs(0)))
    return jax.tree.map(lambda p: np.broadcast_to(np.float32(0), p.shape), nnx.to_pure_dict(nnx.state(net, nnx.Param)))


@pytest.mark.slow
@EVERY
@pytest.mark.parametrize("role", ["generator", "critic"])
def test_pytorch_has_the_sizes_and_the_dropout_of_the_configs(kind, size, role, found):
    for name, value in theirs(kind, role, shapes(kind, size, role)).items():
        assert tuple(found[f"{kind} {size}/shape/{role}/{name}"]) == value.shape, name
    assert found[f"{kind} {size}/dropout/{role}"] == config_of(kind, size).model.get("dropout", 0.0)


# ── Keras ───────────────────────────────────────────────────────────────────────────────────

LAYERS = """
import json, sys
from keras_networks import networks

found = {}
for case in sys.argv[1:]:
    kind, size = case.split()
    nets = networks(kind, int(size), 4)
    found[case] = [[weight.shape for weight in net.trainable_weights] for net in nets]
    assert nets[0].output_shape[1:] == nets[1].input_shape[1:] == (int(size), int(size), 3)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def keras_environment(tmp_path_factory):
    """An environment in which Keras on JAX and its yardstick can be imported, compiling fast rather than well."""
    quickly = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    return {**beside(wheels.keras(tmp_path_factory)), **quickly}


@pytest.mark.slow
def test_keras_has_the_layers_of_the_configs(keras_environment):
    code = [sys.executable, "-c", LAYERS, *(f"{kind} {size}" for kind, size in CASES)]
    done = subprocess.run(code, env=keras_environment, text=True, capture_output=True, check=True, timeout=300)
    found = json.loads(done.stdout)
    for kind, size in CASES:
        for role, there in zip(("generator", "critic"), found[f"{kind} {size}"], strict=True):
            here = jax.tree.leaves(jax.tree.map(np.shape, shapes(kind, size, role, width=WIDTH)), is_leaf=is_shape)
            assert sorted(map(tuple, there)) == sorted(here), (kind, size, role)


def is_shape(value):
    return isinstance(value, tuple)


# ── both ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wgan_gp", "gan"])
@pytest.mark.parametrize("peer", ["torch", "keras"])
def test_a_peer_runs_the_steps_that_it_is_asked_for(peer, kind, request):
    flags = [f"--model={kind}", "--size=28", "--batch=2", "--width=4", "--critic_updates=2"]
    process = subprocess.Popen(
        [sys.executable, ROOT / "benchmarks" / f"peer_{peer}.py", *flags],
        env=request.getfixturevalue(f"{peer}_environment"), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        about = json.loads(process.stdout.readline())
        assert about["ready"] and about["peer"].startswith(peer) and about["precision"] == "float32"
        for steps in (3, 1):  # each answer comes before the next question
            print(steps, file=process.stdin, flush=True)
            answer = json.loads(process.stdout.readline())
            assert answer["steps"] == steps and 0 < answer["seconds"] < 100
        process.stdin.close()
        assert not process.stdout.read() and process.wait(60) == 0


# ── the runner ──────────────────────────────────────────────────────────────────────────────


def test_the_table_shows_the_fastest_way_of_each_peer():
    way = lambda name, median: {"name": name, "steps_per_second": {"median": median}, "ratio": 2 / median}
    row = {
        "config": "wgan56", "batch_size": 16, "dtype": "float32", "platform": "cpu", "device_kind": "cpu",
        "steps_per_second": {"median": 2.0}, "machine": {"processor": "Abacus", "cores": 2},
        "peers": [way("torch eager float32", 1.0), way("torch compile float32", 1.25)],
    }  # fmt: skip
    lines = speed.table([{"rows": {"wgan56-batch16": row}}]).splitlines()
    assert lines[2:] == ["| `wgan56` | 16, float32 | Abacus, 2 cores | 2 | 1.25 (compile float32) | 1.60 |  |  |"]
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")
    assert speed.table([]) == ""


def test_the_readme_shows_the_recorded_speeds():
    shown = re.search(r"<!-- speed -->\n(.*?)<!-- /speed -->", (ROOT / "README.md").read_text(), re.S).group(1)
    assert shown == speed.table(speed.read_records())


def test_a_record_has_every_row_with_its_command():
    for record in speed.read_records():
        (device,) = {"cpu" if row["platform"] == "cpu" else "accelerator" for row in record["rows"].values()}
        dtype, wanted = speed.ROWS[device]
        assert [*record["rows"]] == [f"{config}-batch{batch}" for config, batch in wanted]
        for (config, batch), row in zip(wanted, record["rows"].values(), strict=True):
            assert (row["config"], row["batch_size"], row["dtype"]) == (config, batch, dtype)
            assert f"configs/{config}.py" in row["command"] and not re.search(r"=/|/\w+/", row["command"])
            assert speed.fastest_mode(row, "torch"), row["peers_failed"]
        assert any(speed.fastest_mode(row, "keras") for row in record["rows"].values())
