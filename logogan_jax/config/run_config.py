"""The config of a run as a file beside its checkpoints, and whether another config may resume the run."""

import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from logogan_jax.core import files, pointers
from logogan_jax.core.errors import UserError
from logogan_jax.core.nested import flatten
from logogan_jax.data.dataset import DatasetInfo

FORMAT = 2  # of what a run's folder holds; 1 had other names in its checkpoints

# Keys that change how, where or how long a run goes, and not what it computes beyond rounding.
RESUME_MAY_CHANGE = (
    "data.dir",
    "data.source",
    "train.steps",
    "train.parallel",
    "train.steps_per_dispatch",
    "report",
    "evaluate",
)


def write(
    workdir: pathlib.Path, config: ConfigDict, info: DatasetInfo, warm_start: Mapping[str, Any] | None = None
) -> None:
    """Write config.json: the config, what is known of the data set, and where a run starts from that starts warm."""
    content = {"format": FORMAT, "config": config.to_dict(), "data": info._asdict()}
    files.write_json(workdir / "config.json", content | ({"warm_start": warm_start} if warm_start else {}))


def read(workdir: pathlib.Path) -> tuple[ConfigDict, DatasetInfo] | None:
    """Return the config of the run in a folder and what is known of its data set; None where there is no run."""
    path = workdir / "config.json"
    pointers.refuse(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        config, info = parse(content)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a run's config ({error!r}): choose another --workdir") from None
    if content.get("format", 1) != FORMAT:
        raise UserError(
            f"{workdir} is a run of another version of logogan_jax (format {content.get('format', 1)}, this one has "
            f"{FORMAT}): use it with the version that trained it, or choose another --workdir"
        )
    return config, info


def parse(content: dict[str, Any]) -> tuple[ConfigDict, DatasetInfo]:
    """Return the config and what is known of the data set from the content of config.json, or of an archive."""
    config = ConfigDict(content["config"])
    # Runs from before there were marks draw none, and those from before anything could be frozen froze nothing.
    config.mark = ConfigDict({"inks": 0, "scale": 1, "colours": "auto", **content["config"].get("mark", {})})
    config.train = ConfigDict({"freeze_critic": 0, **content["config"]["train"]})
    return config, DatasetInfo(**{**content["data"], "inks": tuple(content["data"].get("inks", ()))})


def read_warm_start(workdir: pathlib.Path) -> dict[str, Any]:
    """Return what the run in a folder records of the weights that it started from; {} if they were random."""
    if read(workdir) is None:
        return {}
    return json.loads((workdir / "config.json").read_text(encoding="utf-8")).get("warm_start", {})


def check_resumable(workdir: pathlib.Path, config: ConfigDict, info: DatasetInfo) -> None:
    """Raise a UserError that names the key if the run in a folder would not be the same run with this config."""
    check_recipe(workdir, config)
    before = read(workdir)
    if before is None:
        return
    _, old_info = before
    if old_info.fingerprint != info.fingerprint:
        raise UserError(
            f"config.data.dir holds other images (fingerprint {info.fingerprint[:12]}) than the run in {workdir} was "
            f"started with ({old_info.fingerprint[:12]}): give the old data to resume it, or another --workdir to "
            f"start a new run"
        )


def check_recipe(workdir: pathlib.Path, config: ConfigDict) -> None:
    """Raise a UserError that names the key if a resolved config trains otherwise than the run in a folder."""
    before = read(workdir)
    if before is None:
        return
    old = flatten(before[0].to_dict())
    new = flatten(config.to_dict())
    for key in sorted(old.keys() | new.keys()):
        if key.startswith(RESUME_MAY_CHANGE) or old.get(key) == new.get(key):
            continue
        raise UserError(
            f"config.{key} is {new.get(key)!r}, but the run in {workdir} was started with {old.get(key)!r}: "
            f"give the old value to resume it, or another --workdir to start a new run"
        )


def check_devices(workdir: pathlib.Path, config: ConfigDict, devices: int) -> None:
    """Raise a UserError if the run in a folder cannot go on with this many devices; its batch cannot be changed."""
    batch = config.train.batch_size
    lazy = max(1, config.objective.get("lazy", 1))
    if read(workdir) is None or batch % (devices * lazy) == 0:
        return
    fitting = [count for count in range(1, devices) if batch % (count * lazy) == 0]
    if fitting:
        visible = ",".join(map(str, range(fitting[-1])))
        raise UserError(
            f"the run in {workdir} has batches of {batch} images, which {devices} devices cannot share: resume it with "
            f"{fitting[-1]} of them, as by CUDA_VISIBLE_DEVICES={visible}"
        )


def digest(config: ConfigDict) -> str:
    """Return the SHA-256, as hexadecimal, of everything in a config that decides what is computed."""
    values = flatten(config.to_dict())
    recipe = {key: value for key, value in values.items() if not key.startswith(RESUME_MAY_CHANGE)}
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
