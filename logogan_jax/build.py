"""Where names become things: the one place that sees both a config and what it describes."""

import functools
import inspect
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from logogan_jax import augment, evaluation, keys, parallel, state, step
from logogan_jax.data import sources
from logogan_jax.data.shards import Part, Shards
from logogan_jax.errors import UserError
from logogan_jax.metrics import features, quality
from logogan_jax.networks import NETWORKS
from logogan_jax.objectives import OBJECTIVES
from logogan_jax.optimizers import OPTIMIZERS

_GIVEN = ("self", "rngs", "size", "channels", "dtype", "latent")  # arguments that come from elsewhere in the config
ROLES = ("generator", "critic")  # networks of a run; their order is part of the address of their first weights
SCANNED = 10  # steps that an accelerator runs in one program, at most


class Model(NamedTuple):
    """What a config says of learning and of pictures, without data or devices.

    `state` is the state at step 0, `graphs` the networks' static parts, and
    `generate(state, key, numbers)` a compiled function -> uint8[n, S, S, C].
    """

    objective: object
    optimizers: dict
    state: state.State
    graphs: dict
    generate: object


class Training(NamedTuple):
    """What the loop drives.

    `state` is on the devices; `program(count)` is a function of (state, feed) for `count` steps; `train`
    are the images of the source and `held_out` those that are only measured against, of a data set
    whose records have the digest `fingerprint`.
    """

    model: Model
    parallel: parallel.Parallel
    source: object
    state: state.State
    program: object
    per_dispatch: int
    train: Part
    held_out: Part
    fingerprint: str


def resolved(config):
    """The config with every "auto" that belongs to the recipe replaced by what this machine makes of it."""
    config = config.copy_and_resolve_references()
    if config.train.dtype == "auto":
        config.train.dtype = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return config


def model(config):
    """Networks, objective and optimisers of a resolved config."""
    _check(config)
    values = dict(config.model)
    room = _choose(NETWORKS, values.pop("name"), "config.model.name")
    dtype = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}.get(config.train.dtype)
    if dtype is None:
        raise UserError(f"config.train.dtype is {config.train.dtype!r}: it should be 'float32', 'bfloat16' or 'auto'")
    shape = {"size": config.data.size, "channels": config.data.channels, "dtype": dtype}
    objective = _named(OBJECTIVES, config.objective, "config.objective", latent=config.model.latent)
    optimizers = {role: _named(OPTIMIZERS, config.optimizer[role], f"config.optimizer.{role}") for role in ROLES}
    graphs = {}

    def begin():
        key = keys.at(jax.random.key(config.train.seed), keys.INIT)
        networks = {
            role: _network(room, role, values, shape, nnx.Rngs(keys.at(key, number)))
            for number, role in enumerate(ROLES)
        }
        first, static = state.initial(networks, optimizers, objective.averaged, config.train.seed)
        graphs.update(static)
        return first

    first = jax.jit(begin)()  # one program instead of one per weight
    for name in objective.independent:
        if first.stats[name]:
            raise UserError(
                f"config.objective.name is {config.objective.name!r}, whose {name} must treat every image on its "
                f"own, but that of config.model.name {config.model.name!r} has batch normalisation: choose another"
            )
    generate = step.make_generate(objective, graphs)
    side, made = config.data.size, jax.eval_shape(generate, first, jax.random.key(0), jnp.arange(1))
    assert made.shape == (1, side, side, config.data.channels), made.shape
    return Model(objective, optimizers, first, graphs, jax.jit(generate))


def _network(room, role, values, shape, rngs):
    """The network of a role, given the values of config.model that its class takes; only generators have latents."""
    takes = {name: value for name, value in values.items() if role == "generator" or name != "latent"}
    return _call(getattr(room, role.capitalize()), "config.model", **takes, **shape, rngs=rngs)


def training(config, devices=None):
    """Everything that trains a resolved config, on all local devices unless some are given."""
    made = model(config)
    batch_size = config.train.batch_size
    lanes = parallel.Parallel(config.train.parallel, batch_size, devices)
    shards = Shards(config.data.dir, size=config.data.size, channels=config.data.channels)
    train, held_out = shards.parts(config.data.held_out, evaluation.LEAST)
    if len(train) < batch_size:
        raise UserError(
            f"config.data.dir is {config.data.dir}, whose {len(train)} images to train on are fewer than one batch: "
            f"use --config.train.batch_size={_at_most(len(train), len(lanes.devices))} or add images"
        )
    name = config.data.source
    if name == "auto":
        name = sources.choose(len(train) * math.prod(shards.shape), lanes.devices[0])
    make = _choose(sources.SOURCES, name, "config.data.source")
    source = make(train, lanes, seed=config.train.seed, draws=made.objective.draws, batch_size=batch_size)
    program = programs(config, made, lanes, source)
    placed = lanes.place(made.state, parallel.WHOLE)

    return Training(made, lanes, source, placed, program, _per_dispatch(config), train, held_out, shards.fingerprint)


def programs(config, made, lanes, source):
    """program(count), a compile-ready function of (state, feed) for `count` steps of a Model."""
    view = augment.pipeline(rotate_degrees=config.data.rotate, mirror=config.data.mirror)
    one = step.make_step(made.objective, made.graphs, made.optimizers, augment=view, ema_images=config.train.ema_images)

    @functools.cache
    def program(count):
        return lanes.program(step.make_replica(one, source, count), source.specs)

    return program


def evaluation_of(config, made):
    """The Evaluation of a Training, or why there is none, in words."""
    values = config.evaluate
    if not values.every_images:
        return None, "config.evaluate.every_images is 0: nothing is measured"
    if not len(made.held_out):
        share, least = config.data.held_out, evaluation.LEAST
        return None, f"none held out (config.data.held_out is {share}; {least} are the least): nothing is measured"
    network = features.network(values.features, "config.evaluate.features")
    reals = evaluation.held_out(network, made.held_out, made.fingerprint)
    which = {"samples": values.samples, "seed": config.train.seed}
    return evaluation.Evaluation(network, reals, made.model.generate, made.parallel, **which), ""


def evaluation_period(config, made):
    """Steps between evaluations: whole dispatches."""
    dispatches = config.evaluate.every_images / config.train.batch_size / made.per_dispatch
    return max(1, round(dispatches)) * made.per_dispatch


def _check(config):
    whole = ("data.size", "model.width", "model.latent", "model.kernel", "train.steps", "train.batch_size",
             "report.log_every", "report.keep", "report.keep_best", "train.ema_images")  # fmt: skip
    for key in whole:
        block, name = key.split(".")
        if config[block].get(name, 1) < 1:
            raise UserError(f"config.{key} is {config[block][name]}: it should be at least 1")
    if config.data.channels not in (1, 3):
        raise UserError(f"config.data.channels is {config.data.channels}: it should be 3 (RGB) or 1 (grey)")
    if not 0 <= config.data.held_out < 1:
        raise UserError(f"config.data.held_out is {config.data.held_out}: it should be a share, at least 0 and below 1")
    if config.evaluate.samples < quality.LEAST:
        raise UserError(f"config.evaluate.samples is {config.evaluate.samples}: it should be at least {quality.LEAST}")
    if config.evaluate.guard not in ("on", "warn", "off"):
        raise UserError(f"config.evaluate.guard is {config.evaluate.guard!r}: it should be 'on', 'warn' or 'off'")
    _per_dispatch(config)


def _per_dispatch(config):
    """Steps in one program: pictures, log lines and checkpoints come between programs."""
    periods = [config.report.log_every, config.report.samples_every, config.report.checkpoint_every]
    common, count = math.gcd(*periods), config.train.steps_per_dispatch
    if count == 0:
        if jax.default_backend() == "cpu":
            return 1
        return max(n for n in range(1, SCANNED + 1) if common % n == 0)
    if count < 1 or common % count:
        raise UserError(
            f"config.train.steps_per_dispatch is {count}: it should divide config.report.log_every, samples_every "
            f"and checkpoint_every ({', '.join(map(str, periods))}), or be 0 to choose by itself"
        )
    return count


def _at_most(images, devices):
    return max(devices, images // devices * devices)


def _choose(table, name, key):
    if name not in table:
        raise UserError(f"{key} is {name!r}: it should be one of {', '.join(sorted(table))}")
    return table[name]


def _named(table, block, key, **given):
    values = dict(block)
    return _call(_choose(table, values.pop("name", None), f"{key}.name"), key, **given, **values)


def _call(function, key, **values):
    """Call with a config block's values; a value that the function does not take is the user's mistake."""
    known = inspect.signature(function.__init__ if isinstance(function, type) else function).parameters
    for name in values:
        if name not in known:
            takes = ", ".join(k for k, p in known.items() if k not in _GIVEN)
            raise UserError(f"{key}.{name} is not a value of {function.__name__}, which takes: {takes}")
    missing = [k for k, p in known.items() if p.default is p.empty and k not in {**values, "self": None}]
    if missing:
        raise UserError(f"{key}.{missing[0]} is missing: {function.__name__} needs it")
    return function(**values)
