"""The config of a run as a file beside its checkpoints, and whether another may resume it."""

import hashlib
import json

from ml_collections import ConfigDict

from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.core.nested import flatten
from logogan_jax.data.dataset import DatasetInfo

# Keys that change how, where or how long a run goes, and not what it computes beyond rounding.
FREE = ("data.dir", "data.source", "train.steps", "train.parallel", "train.steps_per_dispatch", "report", "evaluate")


def write(workdir, config, about):
    """Write config.json: the config, and what is to be known About the data it was trained on."""
    files.write_json(workdir / "config.json", {"config": config.to_dict(), "data": about._asdict()})


def read(workdir):
    """(config, About the data) of the run in a folder; (None, None) where there is none."""
    path = workdir / "config.json"
    try:
        found = json.loads(path.read_text())
        return ConfigDict(found["config"]), DatasetInfo(**found["data"])
    except FileNotFoundError:
        return None, None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a run's config ({error!r}): choose another --workdir") from None


def agree(workdir, config, about):
    """Raise a UserError that names the key if resuming the run in workdir with this config would be another run."""
    before, data = read(workdir)
    if before is None:
        return
    old, new = flatten(before.to_dict()), flatten(config.to_dict())
    for key in sorted(old.keys() | new.keys()):
        if key.startswith(FREE) or old.get(key) == new.get(key):
            continue
        raise UserError(
            f"config.{key} is {new.get(key)!r}, but the run in {workdir} was started with {old.get(key)!r}: "
            f"give the old value to resume it, or another --workdir to start a new run"
        )
    if data.fingerprint != about.fingerprint:
        raise UserError(
            f"config.data.dir holds other images (fingerprint {about.fingerprint[:12]}) than the run in {workdir} was "
            f"started with ({data.fingerprint[:12]}): give the old data to resume it, or another --workdir to start a "
            f"new run"
        )


def digest(config):
    """SHA-256, as hexadecimal, of everything in a config that decides what is computed."""
    kept = {key: value for key, value in flatten(config.to_dict()).items() if not key.startswith(FREE)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
