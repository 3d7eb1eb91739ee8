"""A run restored from its folder: its config, its model, and the state of one of its checkpoints."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from logogan_jax.config import default_dataset, run_config
from logogan_jax.config.build_model import build_model
from logogan_jax.config.build_training import open_dataset
from logogan_jax.core import files, prng
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import sync
from logogan_jax.data.batch import Batch
from logogan_jax.data.dataset import DatasetInfo, Subset, TFRecordDataset
from logogan_jax.metrics import compute, evaluator, feature_cache
from logogan_jax.metrics.features import FeatureNetwork, Features
from logogan_jax.metrics.memorization import MemorizationDetector
from logogan_jax.training import divergence, sampling
from logogan_jax.training.checkpoints import Checkpoints, Damaged, Restored
from logogan_jax.training.model import Model
from logogan_jax.training.reporting import run_writer
from logogan_jax.training.train_state import TrainState
from logogan_jax.training.workdir import step_without_checkpoint

CHUNK = 64  # pictures drawn at a time
LOOKS = 10  # at the checkpoints of a run that is training, of which each may be gone when it is read


class RestoredRun(NamedTuple):
    """A run's folder, config, what is known of its data set, its model, and the state of a step."""

    workdir: pathlib.Path
    config: ConfigDict
    info: DatasetInfo
    model: Model
    state: TrainState
    step: int


class Images(NamedTuple):
    """Images uint8[n, H, W, C], and their features, which are empty where there are no images."""

    pixels: np.ndarray
    features: Features


def read_config(address: str) -> tuple[pathlib.Path, ConfigDict, DatasetInfo]:
    """Return the folder, the config and what is known of the data set of a run; UserError if there is no run."""
    workdir = sync.download_run(address)
    read = run_config.read(workdir)
    if read is None:
        raise UserError(f"--workdir={workdir} holds no run (no config.json): give the folder that training wrote to")
    return workdir, *read


def restore(address: str, step: str, data: str | None = None) -> RestoredRun:
    """Restore a run at a step: its number, "newest", or "best", which is the newest where nothing was measured.

    `data` is where its images lie now, if not where they were.
    """
    workdir, config, info = read_config(address)
    config.data.dir = data or config.data.dir
    model = build_model(config, info)
    with _without_warnings():
        checkpoints = Checkpoints(workdir / "checkpoints", config.report.keep, read_only=True)
    with contextlib.closing(checkpoints):
        restored = _read_checkpoint(workdir, config, checkpoints, step, model.init_state())
        return RestoredRun(workdir, config, info, model, restored.state, restored.step)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Let libraries log errors alone in this block: Orbax warns of being read-only, which it was asked for."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _read_checkpoint(
    workdir: pathlib.Path, config: ConfigDict, checkpoints: Checkpoints, step: str, like: TrainState
) -> Restored:
    """Restore the state of --step; look again where a run that is training has deleted it meanwhile."""
    for _ in range(LOOKS):
        kept = checkpoints.steps()
        if not kept:
            raise UserError(_no_checkpoint(workdir, config.report.checkpoint_every))
        number = _step_number(workdir, config, step, kept)
        if number not in kept:
            raise UserError(f"--step={step} has no checkpoint in {workdir}: there are {', '.join(map(str, kept))}")
        try:
            return Restored(number, checkpoints.restore(number, like))
        except Damaged as error:
            if number in checkpoints.steps():
                raise UserError(f"{error}: {_newest_good(checkpoints, number, like)}") from None
    raise UserError(f"the run in {workdir} deletes its checkpoints faster than they are read: give --step=newest")


def _no_checkpoint(workdir: pathlib.Path, checkpoint_every: int) -> str:
    last = step_without_checkpoint(workdir, checkpoint_every)
    if last:
        return f"{workdir} has the log of {last:,} steps and no checkpoint: copy the run's folder checkpoints, too"
    return f"{workdir} has no checkpoint yet: train it, or wait until its first one is written"


def _newest_good(checkpoints: Checkpoints, damaged: int, like: TrainState) -> str:
    """Return in words which checkpoint can be restored instead of a damaged one."""
    for step in reversed(checkpoints.steps()):
        with contextlib.suppress(Damaged):
            if step != damaged:
                checkpoints.restore(step, like)
                return f"the newest good checkpoint is --step={step}"
    return "no other checkpoint is good; bring back a copy of it"


def seed_key(seed: int) -> jax.Array:
    """Return the key of a seed's pictures."""
    return prng.fold_in(jax.random.key(seed), prng.SAMPLE)


def draw(run: RestoredRun, *, count: int, seed: int) -> np.ndarray:
    """Draw the first pictures uint8[count, H, W, C] of a seed by the averaged generator."""
    key = seed_key(seed)
    starts = range(0, count, CHUNK)
    chunks = [run.model.generate(run.state, key, np.arange(start, start + CHUNK)) for start in starts]
    return np.concatenate(jax.device_get(chunks))[:count]


def reconstruct(run: RestoredRun, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images and their reconstructions by the averaged networks, both uint8[n, H, W, C], n at most `count`.

    The images are held-out ones, or training images where the objective knows no others. UserError if the objective
    does not reconstruct.
    """
    objective = run.model.objective
    if not objective.reconstruct:
        raise UserError(
            f"--reconstruct: config.objective.name is {run.config.objective.name!r}, which draws but does not "
            f"reconstruct: vae and glo do"
        )
    train, held_out = subsets(run)
    subset = train if objective.transductive or not len(held_out) else held_out
    index = np.arange(min(count, len(subset)))
    pixels, label = subset.images(index)
    program = jax.jit(sampling.make_reconstruct(objective, run.model.graphdefs))
    batch = Batch(pixels, label, index.astype(np.int32))
    return pixels, np.asarray(program(run.state, batch, seed_key(0)))


def real_images(run: RestoredRun, network: FeatureNetwork) -> tuple[Images, Images]:
    """Return the images that a run was trained on and those held out; their features stay in the user's cache."""
    train, held_out = subsets(run)
    return _embedded(train, run, network), _embedded(held_out, run, network)


def training_dataset(run: RestoredRun) -> TFRecordDataset:
    """Return the data set of a run, at whose beginning are the images that it was trained on."""
    return subsets(run)[0].dataset


def memorization_detector(train: Images, held_out: Images) -> MemorizationDetector:
    """Return a detector of copies of training images."""
    try:
        return MemorizationDetector(*train, held_out if len(held_out.pixels) else None)
    except ValueError as error:
        raise UserError(f"config.data.dir: {error}") from None


def _has_data(run: RestoredRun) -> bool:
    """Return whether the images of a run can be where its config says; those that ship with the package can."""
    folder = run.config.data.dir
    return "://" in folder or files.expand(folder).is_dir() or default_dataset.is_embedded(folder)


def subsets(run: RestoredRun) -> tuple[Subset, Subset]:
    """Return the images that a run was trained on and those held out; UserError where they are not here."""
    if not _has_data(run):
        raise UserError(
            f"{run.workdir} was trained on the images in {run.config.data.dir}, which is no folder here: say where "
            f"they lie now by --data=DIR"
        )
    default_dataset.replace_missing(run.config)
    dataset = open_dataset(run.config)
    if dataset.fingerprint != run.info.fingerprint:
        raise UserError(
            f"{run.config.data.dir} holds other images (fingerprint {dataset.fingerprint[:12]}) than {run.workdir} was "
            f"trained on ({run.info.fingerprint[:12]}): say where the old ones lie now by --data=DIR, or "
            f"measure against others by --against=DIR"
        )
    return dataset.split(run.config.data.held_out, evaluator.MIN_HELD_OUT)


def _embedded(subset: Subset, run: RestoredRun, network: FeatureNetwork) -> Images:
    if not len(subset):
        empty = np.zeros((0, 0), np.float32)
        return Images(np.zeros((0, *subset.shape), np.uint8), Features(empty, empty))
    pixels = subset.pixels()
    name = f"{run.info.fingerprint[:24]}-{subset.start}+{len(subset)}"
    return Images(pixels, feature_cache.load_or_embed(network, name, lambda: pixels))


def _step_number(workdir: pathlib.Path, config: ConfigDict, step: str, kept: list[int]) -> int:
    if step.isdigit():
        return int(step)
    if step not in ("best", "newest"):
        raise UserError(f"--step is {step!r}: it should be best, newest, or the number of a step")
    lines = [line for line in run_writer.read_lines(workdir / "metrics.jsonl") if line["step"] in kept]
    kid = f"evaluation/{compute.metric_name('kid', config.evaluate.features.partition(':')[0])}"
    best = divergence.best_line(lines, kid) if step == "best" else None
    return best["step"] if best else kept[-1]
