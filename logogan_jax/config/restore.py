"""A run opened again: its config, its model, and the state of one of its checkpoints."""

import contextlib
import pathlib
from typing import NamedTuple

import jax
import numpy as np

from logogan_jax.config import build_model, build_training, run_config
from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import sync
from logogan_jax.data.batch import Batch
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.metrics import compute, evaluator, feature_cache
from logogan_jax.metrics.features import Features
from logogan_jax.metrics.memorization import MemorizationDetector
from logogan_jax.training import divergence, train_state, train_step
from logogan_jax.training.checkpoints import Checkpoints
from logogan_jax.training.reporting import run_writer

CHUNK = 64  # pictures drawn at a time


class Opened(NamedTuple):
    """A run's folder, config, Model, what is known About its data, and the state of a step."""

    workdir: pathlib.Path
    config: object
    about: DatasetInfo
    model: build_model.Model
    state: train_state.State
    step: int


def config_of(workdir):
    """(folder, config, About its data) of the run in a folder; UserError if there is none."""
    workdir = sync.download_run(workdir)
    config, about = run_config.read(workdir)
    if config is None:
        raise UserError(f"--workdir={workdir} holds no run (no config.json): give the folder that training wrote to")
    return workdir, config, about


def opened(workdir, step):
    """The run in a folder at a step: its number, "newest", or "best", where nothing was measured the newest too."""
    workdir, config, about = config_of(workdir)
    checkpoints = Checkpoints(workdir / "checkpoints", config.report.keep, read_only=True)
    with contextlib.closing(checkpoints):
        kept = checkpoints.steps()
        if not kept:
            raise UserError(f"{workdir} has no checkpoint yet: train it, or wait until its first one is written")
        number = _chosen(workdir, config, step, kept)
        if number not in kept:
            raise UserError(f"--step={step} has no checkpoint in {workdir}: there are {', '.join(map(str, kept))}")
        made = build_model.of(config, about)
        return Opened(workdir, config, about, made, checkpoints.restore(number, made.state), number)


def draw(run, *, first, count, seed, label=None):
    """Pictures uint8[count, H, W, C] by the averaged generator: those numbered from `first` on of a seed.

    All of one label, by its number, or of all labels as often as they occur in the data.
    """
    key = prng.fold_in(jax.random.key(seed), prng.SAMPLE)
    asked = () if label is None else (np.full(CHUNK, label, np.int32),)
    starts = range(first, first + count, CHUNK)
    drawn = [run.model.generate(run.state, key, np.arange(at, at + CHUNK), *asked) for at in starts]
    return np.concatenate(jax.device_get(drawn))[:count]


def reconstructed(run, count):
    """(images, what the averaged networks make of them), both uint8[n, H, W, C], n at most `count`.

    Of images held out, or of those trained on where the objective knows no others. UserError if it knows none.
    """
    objective = run.model.objective
    if not objective.reconstruct:
        raise UserError(
            f"--reconstruct: config.objective.name is {run.config.objective.name!r}, which draws but does not "
            f"reconstruct: vae and glo do"
        )
    train, held_out = _parts(run)
    part = train if objective.transductive or not len(held_out) else held_out
    index = np.arange(min(count, len(part)))
    pixels, label = part.images(index)
    program = jax.jit(train_step.make_reconstruct(objective, run.model.graphs))
    batch = Batch(pixels, label, index.astype(np.int32))
    return pixels, np.asarray(program(run.state, batch, prng.fold_in(jax.random.key(0), prng.SAMPLE)))


class Images(NamedTuple):
    """Images uint8[n, S, S, C] of a run's data, and their Features."""

    pixels: np.ndarray
    seen: Features


def images(run, network):
    """(Images that a run was trained on, Images held out); their features are kept in the user's cache."""
    return tuple(_looked_at(part, run, network) for part in _parts(run))


def _parts(run):
    data, shards = run.config.data, build_training.shards_of(run.config)
    if shards.fingerprint != run.about.fingerprint:
        raise UserError(
            f"{data.dir} holds other images (fingerprint {shards.fingerprint[:12]}) than {run.workdir} was trained on "
            f"({run.about.fingerprint[:12]}): restore the old ones, or give images to measure against by --against=DIR"
        )
    return shards.split(data.held_out, evaluator.MIN_HELD_OUT)


def _looked_at(part, run, network):
    pixels = part.pixels() if len(part) else np.zeros((0, *part.shape), np.uint8)
    name = f"{run.about.fingerprint[:24]}-{part.start}+{len(part)}"
    return Images(pixels, feature_cache.load_or_embed(network, name, lambda: pixels) if len(part) else None)


def detector(trained, held_out):
    """The MemorizationDetector of copies of the Images that a run was trained on."""
    try:
        return MemorizationDetector(*trained, tuple(held_out) if len(held_out.pixels) else None)
    except ValueError as error:
        raise UserError(f"config.data.dir: {error}") from None


def _chosen(workdir, config, step, kept):
    if step.isdigit():
        return int(step)
    if step not in ("best", "newest"):
        raise UserError(f"--step is {step!r}: it should be best, newest, or the number of a step")
    lines = [line for line in run_writer.read_lines(workdir / "metrics.jsonl") if line["step"] in kept]
    kid = f"evaluation/{compute.metric_name('kid', config.evaluate.features.partition(':')[0])}"
    best = divergence.best(lines, kid) if step == "best" else None
    return best["step"] if best else kept[-1]
