"""A run in one file, as `logogan_jax.export` writes it in safetensors: its config and the arrays of its networks."""

import hashlib
import json
import pathlib
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict
from safetensors import SafetensorError, safe_open

from logogan_jax.config import run_config
from logogan_jax.config.build_model import build_model
from logogan_jax.config.restore import RestoredRun
from logogan_jax.core import files, pointers
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.training.train_state import TrainState, flatten_with_names

PRETRAINED = "pretrained"  # the name of the archive that ships with the package
_SHIPPED = pathlib.Path(__file__).with_name("pretrained") / "pretrained.safetensors"


class Archive(NamedTuple):
    """What a file holds: the run's config and data, its name and step, and arrays by names with slashes."""

    path: pathlib.Path
    config: ConfigDict
    info: DatasetInfo
    run: str
    step: int
    arrays: dict[str, np.ndarray]

    def sha256(self) -> str:
        """Return the digest of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def is_pretrained(address: str) -> bool:
    """Return whether an address is the name of the shipped archive, and not that of a file or folder."""
    return address == PRETRAINED and not files.expand(address).exists()


def is_archive(address: str) -> bool:
    """Return whether an address is that of a file, or is called as archives are, and not that of a run."""
    if "://" in address:
        return False
    return files.expand(address).is_file() or address.endswith(".safetensors") or is_pretrained(address)


def read(address: str, flag: str) -> Archive:
    """Read the archive that is the value of a flag; UserError if it is none."""
    path = _SHIPPED if is_pretrained(address) else files.expand(address)
    pointers.refuse(path, flag)
    if not path.is_file():
        raise UserError(f"--{flag}={address}: there is no such file: give one that logogan_jax.export wrote")
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            arrays = {name.replace(".", "/"): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config, info = run_config.parse(json.loads(about["config"]))
        return Archive(path, config, info, about["run"], int(about["step"]), arrays)
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split()) or repr(error)
        raise UserError(
            f"--{flag}={address} is no archive of a run ({reason}): give a file that logogan_jax.export wrote by "
            f"--format=safetensors"
        ) from None


def restore(address: str, data: str | None, flag: str) -> RestoredRun:
    """Return the run of an archive, to draw from: its state holds the averaged networks alone.

    `data` is where its images lie now, if not where they were.
    """
    archive = read(address, flag)
    config = archive.config
    config.data.dir = data or config.data.dir
    model = build_model(config, archive.info)
    like = jax.eval_shape(model.init_state).ema
    named = flatten_with_names(like)
    wrong = [name for name, value in named.items() if getattr(archive.arrays.get(name), "shape", None) != value.shape]
    if wrong:
        raise UserError(
            f"--{flag}={address} has no {wrong[0]} as networks of this version need it: draw with the version of "
            f"logogan_jax that its card names"
        )
    ema = jax.tree.unflatten(jax.tree.structure(like), jax.device_put([archive.arrays[name] for name in named]))
    step, key, scale = jax.device_put((np.int32(archive.step), np.zeros(2, np.uint32), np.float32(1)))
    state = TrainState(step, key, scale, params={}, model_state={}, opt_state={}, ema=ema)
    return RestoredRun(archive.path, config, archive.info, model, state, archive.step)
