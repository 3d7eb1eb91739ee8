"""The same model in another framework, in a separate process that runs steps on request.

The scripts benchmarks/peer_*.py lie beside the package, and in a wheel inside it. Each prints one line of JSON when it
is warm. Then it reads numbers of steps, and prints one line of JSON when it has run them.
"""

import contextlib
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from ml_collections import ConfigDict

from logogan_jax.core import installation
from logogan_jax.core.errors import UserError

FOLDER = installation.shipped_path("benchmarks")
SIZES = (28, 56, 112)
# Config values of the models that the scripts build, by the names of networks and objective: size -> {key: value}.
COUNTERPARTS: dict[tuple[str, str], Callable[[int], dict[str, Any]]] = {
    ("wgan", "wgan_gp"): lambda size: {"model.kernel": 5 if size == 28 else 4, "objective.lazy": 1},
    ("dcgan", "gan"): lambda size: {"model.kernel": 6, "model.dropout": 0.4, "model.spectral": False},
}
END_TIMEOUT = 10.0  # seconds that a process has to end by itself


def _torch_ways(accelerator: bool, precisions: Sequence[str]) -> list[tuple[str, ...]]:
    modes = ("eager", "compile", "graph") if accelerator else ("eager",)
    return [(f"--mode={mode}", f"--precision={precision}") for mode in modes for precision in precisions]


def _keras_ways(_: bool, precisions: Sequence[str]) -> list[tuple[str, ...]]:
    backends = [backend for backend in ("jax", "torch") if importlib.util.find_spec(backend)]
    return [(f"--backend={backend}", f"--precision={precision}") for backend in backends for precision in precisions]


PACKAGES = {"torch": "torch", "keras": "keras optree"}
WAYS = {"torch": _torch_ways, "keras": _keras_ways}


def ways(name: str, platform: str, dtype: str) -> list[tuple[str, ...]]:
    """Return the flags of each way to run a peer that may be its fastest on a platform.

    bfloat16 is tried only where `dtype` is bfloat16. float32 on an accelerator is TF32, as in XLA. Raises a UserError
    where the peer is unknown or not installed.
    """
    if name not in WAYS:
        raise UserError(f"--peer is {name!r}: it should be one of {', '.join(WAYS)}")
    if importlib.util.find_spec(name) is None:
        raise UserError(f"--peer={name} needs {name}: pip install {PACKAGES[name]}")
    accelerator = platform != "cpu"
    single = "tf32" if accelerator else "float32"
    return WAYS[name](accelerator, [single, *(["bfloat16"] if dtype == "bfloat16" else [])])


def arguments(config: ConfigDict) -> list[str]:
    """Return the flags of a resolved config's model, objective and batch.

    Raises a UserError that names the first value that no peer has.
    """
    pair = (config.model.name, config.objective.name)
    data = config.data
    if pair not in COUNTERPARTS:
        known = ", ".join(f"{model} with {objective}" for model, objective in COUNTERPARTS)
        raise UserError(f"--peer has no {pair[0]} networks with the objective {pair[1]}: it knows {known}")
    if data.size not in SIZES or data.width not in (0, data.size):
        raise UserError(f"--peer has no images of {data.size} x {data.width or data.size}: it knows {SIZES}, squares")
    fixed = {
        "model.width": 64, "model.latent": 100, "data.channels": 3, "data.labels": False, "augment.policy": "",
        "mark.inks": 0, "objective.r1": 0.0, "objective.r2": 0.0,
    }  # fmt: skip
    for key, value in {**fixed, **COUNTERPARTS[pair](data.size)}.items():
        block, name = key.split(".")
        if config[block].get(name, value) != value:
            raise UserError(f"config.{key} is {config[block][name]!r}: --peer has {value!r}, and nothing else")
    updates = config.objective.get("critic_updates")
    extra = [f"--critic_updates={updates}"] if updates else []
    return [f"--model={pair[1]}", f"--size={data.size}", f"--batch={config.train.batch_size}", *extra]


def script(name: str) -> pathlib.Path:
    """Return the path of the script of a peer."""
    return FOLDER / f"peer_{name}.py"


@contextlib.contextmanager
def start(name: str, way: Sequence[str], model: Sequence[str]) -> Iterator["Peer"]:
    """Run a peer with the flags of a way and of a model until the end of the block; yield it when it is warm.

    Raises a UserError with the last line on stderr where the process ends by itself.
    """
    title = " ".join([name, *(flag.partition("=")[2] for flag in way)])
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [sys.executable, script(name), *model, *way], encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
        )  # fmt: skip
        with process:
            try:
                yield Peer(title, process, stderr)
            finally:
                _end(process)


class Peer:
    """A warm process that runs steps on request.

    Attributes:
        name: framework and flags, in one line.
        about: what the process says about itself, such as its version and its device.
    """

    def __init__(self, name: str, process: subprocess.Popen[str], stderr: IO[str]):
        self.name = name
        self._process = process
        self._stderr = stderr
        self.about = self._answer()

    def __call__(self, steps: int) -> tuple[int, float]:
        """Run steps; return how many were run, and the seconds that they took by the clock of the process."""
        with contextlib.suppress(BrokenPipeError):  # `_answer` raises where the process has ended
            print(steps, file=self._process.stdin, flush=True)
        answer = self._answer()
        return answer["steps"], answer["seconds"]

    def _answer(self) -> dict[str, Any]:
        """Return the next line of JSON; other lines are from libraries."""
        assert self._process.stdout is not None, "it is a pipe"
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        status = self._process.wait()
        self._stderr.seek(0)
        last_line = (self._stderr.read().strip().splitlines() or ["nothing"])[-1]
        raise UserError(f"the peer {self.name} ended with status {status} and said: {last_line}")


def _end(process: subprocess.Popen[str]) -> None:
    """End a peer by the end of its input, or kill it if it goes on."""
    assert process.stdin is not None, "it is a pipe"
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
