"""The same model in another framework, in a process of its own that runs steps when it is told to.

The scripts benchmarks/peer_*.py lie beside the package, and in a wheel inside it. Each prints one line of JSON when it
is warm, then one for every number of steps that it is sent.
"""

import contextlib
import importlib.util
import json
import subprocess
import sys
import tempfile

from logogan_jax.core import installation
from logogan_jax.core.errors import UserError

FOLDER = installation.shipped_path("benchmarks")
SIZES = (28, 56, 112)
# What the walkthrough's models have, by the names of networks and objective.
COUNTERPARTS = {
    ("wgan", "wgan_gp"): lambda size: {"model.kernel": 5 if size == 28 else 4, "objective.lazy": 1},
    ("dcgan", "gan"): lambda size: {"model.kernel": 6, "model.dropout": 0.4, "model.spectral": False},
}
PATIENCE = 10.0  # seconds that a process has to end


def _torch_ways(accelerator, precisions):
    modes = ("eager", "compile", "graph") if accelerator else ("eager",)
    return [(f"--mode={mode}", f"--precision={precision}") for mode in modes for precision in precisions]


def _keras_ways(_, precisions):
    backends = [backend for backend in ("jax", "torch") if importlib.util.find_spec(backend)]
    return [(f"--backend={backend}", f"--precision={precision}") for backend in backends for precision in precisions]


PACKAGES = {"torch": "torch", "keras": "keras optree"}
WAYS = {"torch": _torch_ways, "keras": _keras_ways}


def ways(name, platform, dtype):
    """The flags of each way in which a peer is fast on a platform, one of which is the fastest.

    In bfloat16 only where we are; float32 on an accelerator is TF32, as it is in XLA.
    """
    if name not in WAYS:
        raise UserError(f"--peer is {name!r}: it should be one of {', '.join(WAYS)}")
    if importlib.util.find_spec(name) is None:
        raise UserError(f"--peer={name} needs {name}: pip install {PACKAGES[name]}")
    accelerator = platform != "cpu"
    single = "tf32" if accelerator else "float32"
    return WAYS[name](accelerator, [single, *(["bfloat16"] if dtype == "bfloat16" else [])])


def arguments(config):
    """The flags of a resolved config's model, objective and batch, or a UserError that names what no peer has."""
    pair, data = (config.model.name, config.objective.name), config.data
    if pair not in COUNTERPARTS:
        known = ", ".join(f"{model} with {objective}" for model, objective in COUNTERPARTS)
        raise UserError(f"--peer has no {pair[0]} networks with the objective {pair[1]}: it knows {known}")
    if data.size not in SIZES or data.width not in (0, data.size):
        raise UserError(f"--peer has no images of {data.size} x {data.width or data.size}: it knows {SIZES}, squares")
    fixed = {"model.width": 64, "model.latent": 100, "data.channels": 3, "data.labels": False, "augment.policy": ""}
    for key, value in {**fixed, **COUNTERPARTS[pair](data.size)}.items():
        block, name = key.split(".")
        if config[block].get(name, value) != value:
            raise UserError(f"config.{key} is {config[block][name]!r}: --peer has {value!r}, and nothing else")
    updates = config.objective.get("critic_updates")
    own = [f"--critic_updates={updates}"] if updates else []
    return [f"--model={pair[1]}", f"--size={data.size}", f"--batch={config.train.batch_size}", *own]


def script(name):
    """The path of a peer."""
    return FOLDER / f"peer_{name}.py"


@contextlib.contextmanager
def started(name, way, model):
    """The Peer `name` by the flags of its way and of its model, warm, until the end of the block.

    A UserError tells the last line on stderr of one that ends by itself.
    """
    title = " ".join([name, *(flag.partition("=")[2] for flag in way)])
    with tempfile.TemporaryFile("w+") as stderr:
        process = subprocess.Popen(
            [sys.executable, script(name), *model, *way], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
        )  # fmt: skip
        with process:
            try:
                yield Peer(title, process, stderr)
            finally:
                _end(process)


class Peer:
    """A process that is warm and runs steps when it is told how many. `about` is what it says of itself."""

    def __init__(self, name, process, stderr):
        self.name, self._process, self._stderr = name, process, stderr
        self.about = self._answer()

    def __call__(self, steps):
        """(steps done, seconds that they took by its own clock)."""
        with contextlib.suppress(BrokenPipeError):  # the missing answer tells
            print(steps, file=self._process.stdin, flush=True)
        answer = self._answer()
        return answer["steps"], answer["seconds"]

    def _answer(self):
        """The next line of JSON; libraries may print others."""
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        status = self._process.wait()
        self._stderr.seek(0)
        said = (self._stderr.read().strip().splitlines() or ["nothing"])[-1]
        raise UserError(f"the peer {self.name} ended with status {status} and said: {said}")


def _end(process):
    """The end of its input ends a peer, and if not that, we do."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
