"""One training step of one replica: the updates of every player in turn, then the moving average.

The step is written once, for one of the replicas that share a batch. data_parallel maps it over the devices; what the
replicas have to agree on is averaged over the axis data_parallel.AXIS.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from logogan_jax.core import images, prng, sums
from logogan_jax.data.batch import Batch
from logogan_jax.distributed import data_parallel
from logogan_jax.training.model import Model, merge, model_state_of
from logogan_jax.training.train_state import TrainState, flatten_with_names, update_ema

Metrics = dict[str, jax.Array]
Shares = dict[str, Any]  # by network: of which parameters each replica updates its share, as share_layout says
Updated = tuple[TrainState, Metrics]
TrainStep = Callable[[TrainState, Batch], Updated]


class UpdateBatch(NamedTuple):
    """The batch of one update, as a loss reads it: objectives/base.py says what the fields hold."""

    image: jax.Array
    label: jax.Array
    # Nobody searches a batch with tuple.index.
    index: jax.Array  # pyright: ignore[reportIncompatibleMethodOverride]
    fake: Any


Prepared = tuple[UpdateBatch, jax.Array]  # of all updates of a player, and the random keys of their losses


def make_train_step(model: Model, augment: Callable, shares: Shares, *, ema_images: float) -> TrainStep:
    """Make train_step(state, batch) -> (state, metrics) of one replica.

    `batch` holds this replica's rows of the batches of all updates, uint8[draws, b, H, W, C]. The new state and the
    metrics are the same on every replica. Metrics are float32[] by "player/name", means over the global batch and over
    the player's updates in the step.

    Args:
        model: networks, objective and optimizers.
        augment: function (keys[b], float32[b, H, W, C]) -> float32[b, H, W, C] for real images.
        shares: of which parameters each replica updates its share.
        ema_images: half-life of the averaged networks, in images.
    """
    own = [{name: shares[name] for name in player.trains} for player in model.objective.players]

    def train_step(state: TrainState, batch: Batch) -> Updated:
        seen: dict[str, list[jax.Array]] = {}
        for index, player in enumerate(model.objective.players):
            prepared = prepare_updates(model, augment, index, state, batch)
            # One after the other, not in a loop of the program: XLA fuses the end of an update with the beginning of
            # the next, and on a CPU its loops do not use the fast convolution.
            for update_index in range(player.updates):
                state, metrics = update_player(model, own[index], index, update_index, prepared, state)
                for name, value in metrics.items():
                    # A player that is updated several times, such as a Wasserstein critic, is logged by its mean over
                    # them: its last update alone would hide an update that went wrong.
                    seen.setdefault(name, []).append(value)
        # Once a step, not once an update: the average follows the generator, which most objectives update once.
        ema = update_ema(state, batch.image.shape[1], ema_images)
        # Counted last, so that all updates of a step draw from addresses of the same number.
        state = state._replace(ema=ema, step=state.step + 1)
        return state, {name: jnp.stack(values).mean() for name, values in seen.items()}

    return train_step


def prepare_updates(model: Model, augment: Callable, index: int, state: TrainState, batch: Batch) -> Prepared:
    """Return what the updates of one player in a step are made of and does not depend on one another.

    One pass of a generator for five critic updates needs a fifth of the kernels of five, and with batch statistics a
    fifth of the exchanges between devices. Each update's images keep statistics of their own.

    Args:
        model: networks, objective and optimizers.
        augment: the augmentation of real images.
        index: number of the player in the objective.
        state: the state before the player's first update.
        batch: this replica's rows of the batches of all updates of the step.

    Returns:
        The batches of the updates with float images and with what the player draws, [updates, b, ...], and the random
        keys of the losses, [updates, b].
    """
    player = model.objective.players[index]
    # A critic that is updated five times on one batch would overfit it: each update has its own, in order of play.
    first = sum(player.updates for player in model.objective.players[:index])
    # Keys belong to rows of the global batch, not to replicas: any number of devices draws the same numbers.
    rows = data_parallel.replica_rows(batch.label.shape[1])

    def prepare(update_index: jax.Array, batch: Batch) -> Prepared:
        # The step is part of the address, so a resumed run draws what an uninterrupted one would.
        key = prng.fold_in(jax.random.wrap_key_data(state.key), prng.STEP, state.step, index, update_index)
        augment_keys, loss_keys = prng.split(prng.per_example_keys(key, rows), 2)
        # Pixels become floats only here: until then they are bytes, a quarter of the memory and traffic.
        image = augment(augment_keys, images.to_float(batch.image))
        networks = merge(model.graphdefs, state.params, state.model_state)
        real = UpdateBatch(image, jnp.asarray(batch.label), jnp.asarray(batch.index), fake=None)
        return real._replace(fake=player.draw(networks, real, loss_keys)), loss_keys

    batches = jax.tree.map(lambda array: array[first : first + player.updates], batch)
    return jax.vmap(prepare)(jnp.arange(player.updates), batches)


def update_player(
    model: Model, shares: Shares, index: int, update_index: int, prepared: Prepared, state: TrainState
) -> Updated:
    """Update the networks that one player trains, once, on the batch of this update.

    Args:
        model: networks, objective and optimizers.
        shares: of the networks that the player trains.
        index: number of the player in the objective.
        update_index: number of the update among the player's updates in this step.
        prepared: the batches and keys of the player's updates, by `prepare_updates`.
        state: the state before.

    Returns:
        The state after it, and the metrics of this update.
    """
    player = model.objective.players[index]
    batch, keys = jax.tree.map(lambda array: array[update_index], prepared)
    # Differentiating this replica's own copy of the parameters keeps its gradients its own until they are averaged.
    params = data_parallel.to_varying(state.params)

    def loss_fn(trainable: dict[str, Any]) -> tuple[jax.Array, tuple[Metrics, dict[str, Any]]]:
        networks = merge(model.graphdefs, {**params, **trainable}, state.model_state)
        per_example_loss, metrics = player.loss(networks, batch, keys)
        # A loss already averaged, or in bfloat16, would train, only worse: this is the place to notice.
        assert per_example_loss.shape == keys.shape and per_example_loss.dtype == jnp.float32, player.name
        # A generator's batch statistics are those of its own updates, not of the critic's.
        model_state = {name: model_state_of(getattr(networks, name)) for name in player.trains}
        means = {name: value.mean() for name, value in {"loss": per_example_loss, **metrics}.items()}
        # Equal shares of rows on all replicas make the mean of their means that of the global batch.
        return per_example_loss.mean(), (means, model_state)

    # Only what this player trains is differentiated: no gradient is computed and dropped.
    trainable = {name: params[name] for name in player.trains}
    gradients, (metrics, model_state) = jax.grad(loss_fn, has_aux=True)(trainable)
    # Side by side, so that XLA can combine them: a small collective costs its latency, whatever its size.
    gradients, metrics = data_parallel.mean_share((gradients, metrics), (shares, data_parallel.REPLICATED))
    state = apply_gradients(model, shares, index, state, gradients)
    for name in player.trains:
        # Adaptive augmentation moves its probability, which is kept with the critic, after each update.
        update = player.update_model_state.get(name, lambda model_state, _: model_state)
        model_state[name] = update(model_state[name], metrics)
    state = state._replace(model_state={**state.model_state, **model_state})
    for name in player.trains:
        metrics |= gradient_norms(name, gradients[name], shares[name])
    return state, {f"{player.name}/{name}": value for name, value in metrics.items()}


def apply_gradients(
    model: Model, shares: Shares, index: int, state: TrainState, gradients: dict[str, Any]
) -> TrainState:
    """Return the state after the optimizers of the networks that a player trains have used their gradients.

    Gradients are this replica's shares. The replica updates its shares of the parameters and gathers those of the
    others. Every optimizer here treats each number on its own: the update of a share is the share of the update.
    """
    player = model.objective.players[index]
    # Not the copies of `to_varying`: shard_map has to know that the new ones are the same on every replica.
    params = dict(state.params)
    opt_state = dict(state.opt_state)
    for name, gradient in gradients.items():
        own = data_parallel.own_share(params[name], shares[name])
        updates, opt_state[name] = model.optimizers[name].update(gradient, opt_state[name], own)
        # After a roll-back the learning rates are lower: scaling the updates does it for every optimizer.
        own = optax.apply_updates(own, optax.tree.scale(state.lr_scale, updates))
        # A constraint on the weights, such as the clipping of the Wasserstein GAN.
        project = player.project.get(name, lambda params: params)
        params[name] = data_parallel.gather_shares(project(own), shares[name])
    return state._replace(params=params, opt_state=opt_state)


def gradient_norms(network: str, gradients: Any, shares: Any) -> Metrics:
    """Return the norm of each leaf of a network's averaged gradients, float32[] by "gradient/network/leaf"."""
    # One norm for each leaf: where a number is not finite, its name tells the layer.
    named = flatten_with_names(gradients)
    layout = data_parallel.broadcast_spec(shares, gradients)
    squares = data_parallel.sum_over_shares(sums.sums_of_squares([*named.values()]), layout)
    return {f"gradient/{network}/{name}": norm for name, norm in zip(named, jnp.sqrt(squares), strict=True)}
