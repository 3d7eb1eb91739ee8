"""Where names become things: the one place that sees both a config and what it describes."""

import functools
import math
from typing import NamedTuple

import jax

from logogan_jax.config import build_model, registry, validate
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import download
from logogan_jax.data import augment, sources
from logogan_jax.data.dataset import DatasetInfo, Subset, TFRecordDataset
from logogan_jax.distributed import data_parallel, multihost
from logogan_jax.metrics import evaluator, features
from logogan_jax.training import train_state, train_step


class Training(NamedTuple):
    """What the loop drives.

    `state` is on the devices; `program(count)` is a function of (state, feed) for `count` steps; `train`
    are the images of the source and `held_out` those that are only measured against, of a data set
    of which `about` tells the rest.
    """

    model: build_model.Model
    parallel: data_parallel.DataParallel
    source: object
    state: train_state.State
    program: object
    per_dispatch: int
    train: Subset
    held_out: Subset
    about: DatasetInfo


def resolved(config):
    """The config, checked, with every "auto" that belongs to the recipe replaced by what this machine makes of it."""
    config = config.copy_and_resolve_references()
    validate.values(config)
    if config.train.dtype == "auto":
        config.train.dtype = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return config


def shards_of(config):
    """The shards that a config trains on, brought to this machine if they are in a bucket."""
    return TFRecordDataset(
        download.local_folder(config.data.dir), size=build_model.size_of(config), channels=config.data.channels
    )


def training(config, devices=None):
    """Everything that trains a resolved config, on all local devices unless some are given."""
    shards, batch_size = shards_of(config), config.train.batch_size
    train, held_out = shards.split(config.data.held_out, evaluator.MIN_HELD_OUT)
    about = DatasetInfo(shards.fingerprint, len(train), shards.labels)
    made = build_model.of(config, about)
    parallel = data_parallel.DataParallel(config.train.parallel, batch_size, devices)
    if len(train) < batch_size:
        raise UserError(
            f"config.data.dir is {config.data.dir}, whose {len(train)} images to train on are fewer than one batch: "
            f"use --config.train.batch_size={_at_most(len(train), len(parallel.devices))} or add images"
        )
    name = config.data.source
    if name == "auto":
        # The first process decides: the memory of another may differ.
        name = multihost.run_on_primary(
            lambda: sources.choose(len(train) * math.prod(shards.shape), jax.local_devices()[0])
        )
    source = registry.choose(sources.SOURCES, name, "config.data.source")(
        train, parallel, seed=config.train.seed, needs_pixels=made.objective.uses_real_images, batch_size=batch_size,
        same_batch_for=config.data.same_batch_for,
    )  # fmt: skip
    program = programs(config, made, parallel, source)
    placed = parallel.device_put(made.state, data_parallel.REPLICATED)
    return Training(
        made, parallel, source, placed, program, validate.steps_per_dispatch(config), train, held_out, about
    )


def programs(config, made, parallel, source):
    """program(count), a compile-ready function of (state, feed) for `count` steps of a Model."""
    data = config.data
    view = augment.pipeline(
        rotate_degrees=data.rotate, mirror=data.mirror, corners=data.corners, frozen=bool(data.same_batch_for)
    )
    one = train_step.make_step(
        made.objective, made.graphs, made.optimizers, augment=view, ema_images=config.train.ema_images
    )

    @functools.cache
    def program(count):
        return parallel.map_and_jit(train_step.make_replica(one, source, count), source.specs)

    return program


def evaluation_of(config, made):
    """The Evaluation of a Training, or why there is none, in words."""
    values = config.evaluate
    if not values.every_images:
        return None, "config.evaluate.every_images is 0: nothing is measured"
    if not len(made.held_out):
        share, least = config.data.held_out, evaluator.MIN_HELD_OUT
        return None, f"none held out (config.data.held_out is {share}; {least} are the least): nothing is measured"
    network = features.load_network(values.features, "config.evaluate.features")
    reals = evaluator.embed_held_out(network, made.held_out, made.about.fingerprint)
    which = {"samples": values.samples, "seed": config.train.seed}
    return evaluator.Evaluator(network, reals, made.model.generate, made.parallel, **which), ""


def evaluation_period(config, made):
    """Steps between evaluations: whole dispatches."""
    dispatches = config.evaluate.every_images / config.train.batch_size / made.per_dispatch
    return max(1, round(dispatches)) * made.per_dispatch


def _at_most(images, devices):
    return max(devices, images // devices * devices)
