"""From a config to a Model: networks, objective and optimizers, without data or devices."""

import functools
import shlex
from types import SimpleNamespace

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict

from logogan_jax.config import registry
from logogan_jax.config.build_networks import build_networks, image_size, training_view
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.distributed import data_parallel
from logogan_jax.networks.augmented_critic import adaptive_probability
from logogan_jax.objectives import OBJECTIVES
from logogan_jax.objectives.base import Batch, Loss, Metrics, Objective, Player
from logogan_jax.training import critic_scores, freezing, sampling, train_state
from logogan_jax.training.model import Model
from logogan_jax.training.optimizers import OPTIMIZERS
from logogan_jax.training.train_state import TrainState


def build_model(config: ConfigDict, info: DatasetInfo) -> Model:
    """Build the model that a resolved config describes, for a data set."""
    objective, label_counts = _objective(config, info)
    optimizers = _optimizers(config, objective)
    make_networks = functools.partial(build_networks, config, objective, info, len(label_counts))

    def init_state() -> TrainState:
        return train_state.init(make_networks(), optimizers, objective.ema_networks, config.train.seed)

    # Shapes alone: the static part of a network needs no weights.
    abstract = nnx.eval_shape(make_networks)
    graphdefs = {name: nnx.graphdef(network) for name, network in abstract.items()}
    _freeze(config, objective, abstract, optimizers)
    counts = list(label_counts.values()) or [1]
    generate = sampling.make_generate(objective, graphdefs, counts)
    labels = sampling.make_labels(counts)
    pictures = jax.eval_shape(generate, jax.eval_shape(init_state), jax.random.key(0), jnp.arange(1))
    assert pictures.shape == (1, *image_size(config), config.data.channels), pictures.shape
    score = None
    if "critic" in graphdefs:
        score = jax.jit(critic_scores.make_score(objective, graphdefs, training_view(config).of))
    # One program makes the first state, instead of one for each weight.
    return Model(objective, optimizers, graphdefs, jax.jit(init_state), jax.jit(generate), jax.jit(labels), score)


def _objective(config: ConfigDict, info: DatasetInfo) -> tuple[Objective, dict[str, int]]:
    """Return the objective, and the number of images of each label that its networks are given."""
    name = config.objective.get("name")
    label_counts = info.labels if config.data.labels else {}
    values = {"latent": config.model.latent, "classes": len(label_counts), "axis_name": data_parallel.AXIS}
    objective = registry.from_config(OBJECTIVES, config.objective, "config.objective", **values)
    for player in objective.players:
        if player.updates < 1:
            raise UserError(f"config.objective.critic_updates is {player.updates}: it should be at least 1")
    _check_labels(config, objective, info)
    if config.augment.policy and "critic" not in objective.networks:
        raise UserError(f"config.augment.policy is for a critic, and config.objective.name {name!r} has none: leave it")
    if config.augment.adaptive:
        if not objective.has_score_sign:
            raise UserError(
                f"config.augment.adaptive listens to the sign of a critic's scores, which says nothing with "
                f"config.objective.name {name!r}: use --config.augment.adaptive=False and a fixed strength"
            )
        objective = _with_adaptive_augmentation(config, objective)
    return objective, label_counts


def _check_labels(config: ConfigDict, objective: Objective, info: DatasetInfo) -> None:
    """Raise a UserError where labels are needed but not asked for, or asked for but not there."""
    if objective.requires_labels and not config.data.labels:
        name = config.objective.name
        raise UserError(f"config.objective.name is {name!r}, which needs labels: use --config.data.labels=True")
    if config.data.labels and not info.labels:
        folder = config.data.dir
        raise UserError(
            f"config.data.labels is True, but {folder} has no labels: sort the images into sub-folders and make the "
            f"shards again, or have them sorted by likeness: python -m data_prep.cluster_labels "
            f"--path={shlex.quote(folder)} --clusters=16 --target_path=NEW"
        )


def _with_adaptive_augmentation(config: ConfigDict, objective: Objective) -> Objective:
    """Return the objective, whose critic's players adapt the strength of the augmentation (ADA)."""
    images_per_update = _images_per_update(config, objective, "critic")
    augment = config.augment
    rule = adaptive_probability(
        images=augment.adapt_images, images_per_update=images_per_update, highest=augment.strength
    )

    def adapting(player: Player) -> Player:
        if "critic" not in player.trains:
            return player
        update_model_state = {**player.update_model_state, "critic": rule}
        return player._replace(loss=_logging_probability(player.loss), update_model_state=update_model_state)

    return objective._replace(players=tuple(map(adapting, objective.players)))


def _logging_probability(loss: Loss) -> Loss:
    """Return a critic's loss with one more metric: the probability of each augmentation in the update."""

    def logging(nets: SimpleNamespace, batch: Batch, keys: jax.Array) -> tuple[jax.Array, Metrics]:
        per_example, metrics = loss(nets, batch, keys)
        probability = nets.critic.augment_probability[...]
        return per_example, {**metrics, "augment_probability": jnp.broadcast_to(probability, per_example.shape)}

    return logging


def _freeze(config: ConfigDict, objective: Objective, networks: dict[str, nnx.Module], optimizers: dict) -> None:
    """Let the optimizer of the critic leave its first layers as they are."""
    count = config.train.freeze_critic
    if not count:
        return
    name = config.objective.name
    if "critic" not in networks:
        raise UserError(f"config.train.freeze_critic is {count}, and config.objective.name {name!r} has no critic")
    if any("critic" in player.project for player in objective.players):
        raise UserError(
            f"config.train.freeze_critic is {count}, but config.objective.name {name!r} clips all weights of its "
            f"critic: use --config.train.freeze_critic=0, or wgan_gp"
        )
    optimizers["critic"] = freezing.freeze(optimizers["critic"], freezing.first_layers(networks["critic"], count))


def _images_per_update(config: ConfigDict, objective: Objective, role: str) -> float:
    """Return how many images of a run, steps x batch, pass between two updates of a network."""
    return config.train.batch_size / sum(player.updates for player in objective.players if role in player.trains)


def _optimizers(config: ConfigDict, objective: Objective) -> dict:
    """Return the optimizer of each network."""
    for role in sorted({*objective.networks} ^ {*config.optimizer}):
        wrong = "is missing" if role in objective.networks else "has nothing to optimise"
        raise UserError(
            f"config.optimizer.{role} {wrong}: config.objective.name {config.objective.name!r} has the networks "
            f"{', '.join(objective.networks)}, and config.optimizer should name the same"
        )
    optimizers = {}
    for role in objective.networks:
        images_per_update = _images_per_update(config, objective, role)
        optimizers[role] = registry.from_config(
            OPTIMIZERS, config.optimizer[role], f"config.optimizer.{role}", images_per_update=images_per_update
        )
    return optimizers
