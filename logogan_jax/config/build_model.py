"""What a config says of learning and of pictures, without data or devices."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from logogan_jax.config import registry
from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.distributed import data_parallel
from logogan_jax.networks import NETWORKS, ROLES, augmented_critic, diffaugment
from logogan_jax.networks.spectral_norm import PowerIterationVector
from logogan_jax.objectives import OBJECTIVES
from logogan_jax.training import train_state, train_step
from logogan_jax.training.optimizers import OPTIMIZERS

_DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


class Model(NamedTuple):
    """`objective`, `optimizers` by network, and the programs that need neither data nor devices.

    `state` is the state at step 0, `graphs` the networks' static parts, and
    `generate(state, key, numbers, label=None)` a compiled function -> uint8[n, H, W, C].
    """

    objective: object
    optimizers: dict
    state: train_state.State
    graphs: dict
    generate: object


def size_of(config):
    """(height, width) of a config's images."""
    return config.data.size, config.data.width or config.data.size


def of(config, about):
    """Networks, objective and optimisers of a resolved config, for data of which one knows About."""
    objective, labels = _objective(config, about)
    optimizers = _optimizers(config, objective)
    graphs = {}

    def begin():
        networks = _networks(config, objective, about.images, len(labels))
        first, static = train_state.initial(networks, optimizers, objective.ema_networks, config.train.seed)
        graphs.update(static)
        return first

    first = jax.jit(begin)()  # one program instead of one per weight
    generate = train_step.make_generate(objective, graphs, list(labels.values()) or [1])
    made = jax.eval_shape(generate, first, jax.random.key(0), jnp.arange(1))
    assert made.shape == (1, *size_of(config), config.data.channels), made.shape
    return Model(objective, optimizers, first, graphs, jax.jit(generate))


def _objective(config, about):
    """The objective, and how many images of each label its networks are told of."""
    name, labels = config.objective.get("name"), about.labels if config.data.labels else {}
    values = {"latent": config.model.latent, "classes": len(labels), "axis_name": data_parallel.AXIS}
    objective = registry.make(OBJECTIVES, config.objective, "config.objective", **values)
    if objective.requires_labels and not config.data.labels:
        raise UserError(f"config.objective.name is {name!r}, which needs labels: use --config.data.labels=True")
    if config.data.labels and not about.labels:
        where, few = config.data.dir, "--clusters=16 --target_path=NEW"
        raise UserError(
            f"config.data.labels is True, but {where} has no labels: sort the images into sub-folders and make the "
            f"shards again, or have them sorted by likeness: python -m data_prep.cluster_labels --path={where} {few}"
        )
    if config.augment.policy and "critic" not in objective.networks:
        raise UserError(f"config.augment.policy is for a critic, and config.objective.name {name!r} has none: leave it")
    if config.augment.adaptive:
        if not objective.has_score_sign:
            raise UserError(
                f"config.augment.adaptive listens to the sign of a critic's scores, which says nothing with "
                f"config.objective.name {name!r}: use --config.augment.adaptive=False and a fixed strength"
            )
        objective = _adaptive(config, objective)
    return objective, labels


def _adaptive(config, objective):
    """The objective whose players adapt the strength of what the critic looks through."""

    def listening(player):
        per_update = _images_per_update(config, objective, "critic")
        rule = augmented_critic.adaptive_probability(images=config.augment.adapt_images, images_per_update=per_update)
        if "critic" not in player.trains:
            return player
        return player._replace(update_model_state={**player.update_model_state, "critic": rule})

    return objective._replace(players=tuple(map(listening, objective.players)))


def _images_per_update(config, objective, role):
    """Images of a run, steps x batch, that pass between two updates of a network."""
    return config.train.batch_size / sum(player.updates for player in objective.players if role in player.trains)


def _optimizers(config, objective):
    """The optimiser of each network."""
    for role in sorted({*objective.networks} ^ {*config.optimizer}):
        wrong = "is missing" if role in objective.networks else "has nothing to optimise"
        raise UserError(
            f"config.optimizer.{role} {wrong}: config.objective.name {config.objective.name!r} has the networks "
            f"{', '.join(objective.networks)}, and config.optimizer should name the same"
        )
    return {
        role: registry.make(
            OPTIMIZERS, config.optimizer[role], f"config.optimizer.{role}",
            images_per_update=_images_per_update(config, objective, role),
        )
        for role in objective.networks
    }  # fmt: skip


def _networks(config, objective, images, classes):
    """{role: network} with their first weights, each of which has an address of its own."""
    name, values = config.model.get("name"), dict(config.model)
    offered = registry.choose(NETWORKS, values.pop("name", None), "config.model.name")
    kinds = {role: offered[role] for role in objective.networks}
    given = {
        "size": size_of(config), "channels": config.data.channels, "latent": values.pop("latent"), "images": images,
        "dtype": registry.choose(_DTYPES, config.train.dtype, "config.train.dtype"), "axis_name": data_parallel.AXIS,
    }  # fmt: skip
    taken = {role: registry.parameters(kind).keys() - given for role, kind in kinds.items()}
    for key in values.keys() - set().union(*taken.values()):
        takes = ", ".join(sorted(set().union(*taken.values()) - {"classes", "outputs", "rngs"}))
        raise UserError(f"config.model.{key} is no value of {name!r} networks here, which take: {takes}")
    first, networks = prng.fold_in(jax.random.key(config.train.seed), prng.INIT), {}
    for role, kind in kinds.items():
        networks[role] = registry.call(
            kind, "config.model", {key: value for key, value in values.items() if key in taken[role]}, **given,
            classes=classes if role in objective.conditioned_networks else 0, outputs=objective.outputs.get(role, 1),
            rngs=nnx.Rngs(prng.fold_in(first, ROLES.index(role))),
        )  # fmt: skip
    _keep_apart(config, objective, networks)
    if config.augment.policy:
        augment = diffaugment.parse_policy(config.augment.policy)
        probability = 0.0 if config.augment.adaptive else config.augment.strength
        networks["critic"] = augmented_critic.AugmentedCritic(networks["critic"], augment, probability)
    return networks


def _keep_apart(config, objective, networks):
    """Raise a UserError if a network mixes images that its objective wants each on its own."""
    for role in objective.per_example:
        if jax.tree.leaves(nnx.state(networks[role], nnx.Any(nnx.BatchStat, PowerIterationVector))):
            raise UserError(
                f"config.objective.name is {config.objective.name!r}, whose {role} must treat every image on its own, "
                f"but that of config.model has batch or spectral normalisation: do without, or choose another"
            )
