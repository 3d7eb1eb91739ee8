"""From a config to everything that trains it: model, devices, data, the runner of its steps, the evaluator."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from logogan_jax.config import registry, validate
from logogan_jax.config.build_model import build_model
from logogan_jax.config.build_networks import image_size, takes_inks, training_view
from logogan_jax.core import backend, target
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import download
from logogan_jax.data import augment, ink_counts, inks, sources, streaming
from logogan_jax.data.batch import Batch
from logogan_jax.data.dataset import DatasetInfo, Subset, TFRecordDataset
from logogan_jax.distributed import data_parallel, multihost
from logogan_jax.distributed.data_parallel import DataParallel
from logogan_jax.metrics import evaluator, features
from logogan_jax.metrics.evaluator import Evaluator
from logogan_jax.metrics.overfitting import CriticMeter
from logogan_jax.training import train_state
from logogan_jax.training.model import Model
from logogan_jax.training.schedule import Periods
from logogan_jax.training.step_runner import StepRunner
from logogan_jax.training.train_step import make_train_step


class Training(NamedTuple):
    """Everything that a config describes.

    Attributes:
        config: the resolved config.
        model: networks, objective and optimizers.
        parallel: the devices that share the batch.
        runner: compiles and runs the train step.
        state: the state of step 0, on the devices; the first step takes its buffers.
        train: the images that are trained on.
        held_out: the images that are only measured against.
        info: what is known of the data set.
        read_batch: function (step, count) -> Batch uint8[count, draws, B, H, W, C] of some steps, on the host.
        make_evaluator: function () -> what measures the generator, or None where nothing is measured.
        not_measured: why nothing is measured, in words, or "".
        warm_start: what is recorded of the weights that step 0 has, if they are those of another run.
    """

    config: ConfigDict
    model: Model
    parallel: DataParallel
    runner: StepRunner
    state: train_state.TrainState
    train: Subset
    held_out: Subset
    info: DatasetInfo
    read_batch: Callable[[int, int], Batch]
    make_evaluator: Callable[[], Evaluator | None]
    not_measured: str
    warm_start: Mapping[str, Any] = {}

    @property
    def images_per_step(self) -> int:
        """Real images that a step looks at."""
        return self.config.train.batch_size * self.model.objective.real_batches_per_step

    @property
    def periods(self) -> Periods:
        """Steps between log lines, evaluations, pictures and checkpoints."""
        report = self.config.report
        evaluate = 0 if self.not_measured else evaluation_period(self.config)
        return Periods(report.log_every, evaluate, report.samples_every, report.checkpoint_every)


def resolve(config: ConfigDict) -> ConfigDict:
    """Return the config, checked, with every "auto" that changes the result replaced by a value for this machine."""
    backend.check()
    config = config.copy_and_resolve_references()
    validate.check_values(config)
    if config.train.dtype == "auto":
        config.train.dtype = "float32" if target.is_cpu() else "bfloat16"
    return config


def open_dataset(config: ConfigDict) -> TFRecordDataset:
    """Return the images that a config trains on, brought to this machine if they are in a bucket."""
    folder = download.local_folder(config.data.dir)
    return TFRecordDataset(folder, size=image_size(config), channels=config.data.channels)


def split_dataset(config: ConfigDict) -> tuple[Subset, Subset, DatasetInfo]:
    """Return the images to train on, those held out, and what a run records of them."""
    dataset = open_dataset(config)
    train, held_out = dataset.split(config.data.held_out, evaluator.MIN_HELD_OUT)
    info = DatasetInfo(dataset.fingerprint, len(train), dataset.labels)
    return train, held_out, info._replace(inks=inks.dataset_inks(train)) if takes_inks(config) else info


def build(
    config: ConfigDict,
    devices: Sequence[Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
    warn: Callable[[str], None] = lambda line: None,
) -> Training:
    """Build everything that trains a config.

    Args:
        config: the config; `resolve` has been called for it, or is called here.
        devices: jax.Devices, all of all processes unless some are given.
        say: gets a line about each program that is compiled.
        warn: gets warnings.
    """
    config = resolve(config)
    train, held_out, info = split_dataset(config)
    _warn_of_colours(config, train, warn)
    model = build_model(config, info)
    _check_one_batch(config, len(train), len(jax.devices() if devices is None else devices))
    parallel = DataParallel(config.train.parallel, config.train.batch_size, devices)
    runner = make_runner(config, model, parallel, _source(config, model, train, parallel), say)
    read_batch = functools.partial(_read_batch, config, model, train)
    not_measured = _why_not_measured(config, held_out)
    make_evaluator = functools.partial(_evaluator, config, model, parallel, train, held_out, info, not_measured)
    state = parallel.device_put(model.init_state(), runner.layout)
    return Training(
        config, model, parallel, runner, state, train, held_out, info, read_batch, make_evaluator, not_measured
    )


def _warn_of_colours(config: ConfigDict, train: Subset, warn: Callable[[str], None]) -> None:
    """Tell where marks in one ink would leave out what most images show."""
    if not takes_inks(config):
        return
    counts = [ink_counts.count_inks(picture) for picture in train.pixels(ink_counts.ENOUGH)]
    share = ink_counts.share(counts, 1)
    if share < ink_counts.MOST:
        suits = ink_counts.choose_inks(counts)
        warn(
            f"warning: {share:.0%} of the images are marks in one flat colour, and config.mark.inks=1 draws no others: "
            f"--config.mark.inks={suits} draws {f'marks in {suits}' if suits else 'a colour for every pixel'}"
        )


def make_runner(
    config: ConfigDict,
    model: Model,
    parallel: DataParallel,
    source: sources.Source | type[sources.Source],
    say: Callable[[str], None] = lambda line: None,
) -> StepRunner:
    """Make what compiles and runs the steps of a model, on batches of a source."""
    augmentation = augment.pipeline(
        rotate_degrees=config.data.rotate,
        mirror=config.data.mirror,
        corners=config.data.corners,
        frozen=bool(config.data.same_batch_for),
    )
    view = training_view(config)
    prepare = lambda keys, images: view.of(augmentation(keys, images))
    shapes = jax.eval_shape(model.init_state)
    shares = data_parallel.share_layout(shapes.params, parallel.parts)
    return StepRunner(
        make_train_step(model, prepare, shares, ema_images=config.train.ema_images),
        source,
        parallel,
        train_state.layout(shapes, parallel.parts),
        steps_per_dispatch=validate.steps_per_dispatch(config),
        unroll=target.is_cpu(),
        say=say,
    )


def evaluation_period(config: ConfigDict) -> int:
    """Return the steps between two evaluations, which come between dispatches."""
    per_dispatch = validate.steps_per_dispatch(config)
    dispatches = config.evaluate.every_images / config.train.batch_size / per_dispatch
    return max(1, round(dispatches)) * per_dispatch


def _source(config: ConfigDict, model: Model, train: Subset, parallel: DataParallel) -> sources.Source:
    """Return where the batches come from."""
    name = config.data.source
    if name == "auto":
        # The first process decides: the memory of another may differ.
        nbytes = len(train) * math.prod(train.shape)
        name = multihost.run_on_primary(lambda: sources.choose(nbytes, sources.memory_bytes(jax.local_devices()[0])))
    constructor = registry.lookup(sources.SOURCES, name, "config.data.source")
    return constructor(
        train,
        parallel,
        seed=config.train.seed,
        needs_pixels=model.objective.uses_real_images,
        batch_size=config.train.batch_size,
        same_batch_for=config.data.same_batch_for,
    )


def _read_batch(config: ConfigDict, model: Model, train: Subset, step: int, count: int) -> Batch:
    return streaming.read_batches(
        train,
        seed=config.train.seed,
        step=step,
        count=count,
        shape=(model.objective.batches_per_step, config.train.batch_size),
        same_batch_for=config.data.same_batch_for,
    )


def _why_not_measured(config: ConfigDict, held_out: Subset) -> str:
    if not config.evaluate.every_images:
        return "config.evaluate.every_images is 0: nothing is measured"
    if not len(held_out):
        share = config.data.held_out
        least = evaluator.MIN_HELD_OUT
        return f"none held out (config.data.held_out is {share}; {least} are the least): nothing is measured"
    return ""


def _evaluator(
    config: ConfigDict, model: Model, parallel: DataParallel, train: Subset, held_out: Subset, info: DatasetInfo,
    not_measured: str,
) -> Evaluator | None:  # fmt: skip
    if not_measured:
        return None
    network = features.load_network(config.evaluate.features, "config.evaluate.features")
    reals = evaluator.embed_held_out(network, held_out, info.fingerprint)
    samples = config.evaluate.samples
    key = evaluator.sample_key(config.train.seed)
    meter = None
    if model.score:
        labels = np.asarray(model.labels(key, np.arange(samples)))
        meter = CriticMeter(model.score, train, held_out, labels, most=samples, parallel=parallel)
    return Evaluator(network, reals, model.generate, parallel, meter, samples=samples, key=key)


def _check_one_batch(config: ConfigDict, images: int, devices: int) -> None:
    """Raise a UserError if the images are fewer than one batch."""
    if images < config.train.batch_size:
        fitting = images // devices * devices
        smaller = f"use --config.train.batch_size={fitting}" if fitting else f"use fewer than {devices} devices"
        raise UserError(
            f"config.data.dir is {config.data.dir}, whose {images} images to train on are fewer than one batch: "
            f"{smaller} or add images"
        )
