"""One training step, written once for one replica: every player's turn, then the moving average."""

import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from logogan_jax.core import images, prng
from logogan_jax.data.batch import Batch
from logogan_jax.distributed import data_parallel
from logogan_jax.training import scan, sums
from logogan_jax.training.train_state import paths

EMA_WARMUP = 0.05  # the half-life is at most this share of the images seen, so early pictures are not of the start


def merge(graphs, params, stats):
    """Callable networks by role; `copy` because batch norm would otherwise write into another trace."""
    pieces = {name: (graphs[name], nnx.State(params[name]), nnx.State(stats[name])) for name in graphs}
    return SimpleNamespace(**{name: nnx.merge(*parts, copy=True) for name, parts in pieces.items()})


def statistics(net):
    """The running statistics that a call left in a network."""
    return nnx.to_pure_dict(nnx.split(net, nnx.Param, ...)[2])


def averaged(state, rows, ema_images):
    """The next moving average of the sampled networks: half-life in images, `rows` of them on this replica."""
    size = rows * jax.lax.axis_size(data_parallel.AXIS)
    seen = (state.step + 1).astype(jnp.float32) * size
    decay = jnp.exp(-math.log(2) * size / jnp.minimum(ema_images, EMA_WARMUP * seen))
    now = {part: {name: getattr(state, part)[name] for name in state.ema[part]} for part in state.ema}
    return jax.tree.map(lambda old, new: new + decay * (old - new), state.ema, now)


def make_step(objective, graphs, optimizers, *, augment, ema_images):
    """step(state, batch) -> (state, metrics) for one replica of the axis parallel.AXIS.

    `batch` holds this replica's rows of every draw; the state and the metrics (float32 scalars by
    name, means over the global batch and over a player's updates) are the same on every replica.
    """

    def update(player, number, state, batch, turn):
        """One update of one player on its batch of b rows."""
        rows = data_parallel.replica_rows(batch.image.shape[0])
        key = prng.fold_in(jax.random.wrap_key_data(state.key), prng.STEP, state.step, number, turn)
        augment_keys, loss_keys = prng.split(prng.per_example_keys(key, rows), 2)
        batch = batch._replace(image=augment(augment_keys, images.to_float(batch.image)))

        def loss(trained):
            nets = merge(graphs, {**params, **trained}, state.stats)
            each, notes = player.loss(nets, batch, loss_keys)
            assert each.shape == rows.shape and each.dtype == jnp.float32, (player.name, each)
            stats = {name: statistics(getattr(nets, name)) for name in player.trains}
            notes = {name: note.mean() for name, note in {"loss": each, **notes}.items()}
            return each.mean(), (notes, stats)

        params = data_parallel.to_varying(state.params)
        own = {name: params[name] for name in player.trains}
        gradients, (notes, stats) = jax.grad(loss, has_aux=True)(own)
        gradients, notes = data_parallel.pmean((gradients, notes))
        moved, opt = {}, {}
        for name in player.trains:
            changes, opt[name] = optimizers[name].update(gradients[name], state.opt[name], state.params[name])
            after = optax.apply_updates(state.params[name], optax.tree.scale(state.rate, changes))
            moved[name] = player.project.get(name, lambda p: p)(after)
            stats[name] = player.update_model_state.get(name, lambda s, _: s)(stats[name], notes)
        for name in player.trains:
            leaves = paths(gradients[name])
            notes |= {f"gradient/{name}/{leaf}": jnp.sqrt(sums.square_sum(g)) for leaf, g in leaves.items()}
        state = state._replace(
            params={**state.params, **moved}, stats={**state.stats, **stats}, opt={**state.opt, **opt}
        )
        return state, {f"{player.name}/{name}": note for name, note in notes.items()}

    def step(state, batch):
        metrics, first = {}, 0
        for number, player in enumerate(objective.players):

            def turn(state, i, number=number, player=player, first=first):
                one = Batch(*(x[first + i] for x in batch))
                return update(player, number, state, one, i)

            state, notes = scan.repeat(turn, state, player.updates)
            metrics |= {name: note.mean() for name, note in notes.items()}
            first += player.updates
        state = state._replace(ema=averaged(state, batch.image.shape[1], ema_images), step=state.step + 1)
        return state, metrics

    return step


def make_replica(step, source, count):
    """replica(state, feed) -> (state, metrics[count]): `count` steps of one replica in one program."""

    def replica(state, feed):
        return scan.repeat(lambda state, i: step(state, source.batch(feed, i)), state, count)

    return replica


def make_generate(objective, graphs, labels):
    """generate(state, key, numbers int32[n], label=None) -> uint8[n, H, W, C]: pictures by the averaged networks.

    `labels` are how often each label occurs in the data, [1] without labels; a picture's own is drawn by that,
    unless it is asked for: label int32[n]. Picture i is the same whatever others are asked for with it.
    """
    below = np.cumsum(labels)[:-1] / np.sum(labels)  # all labels but the last: no rounding leads beyond it

    def generate(state, key, numbers, label=None):
        nets = merge({name: graphs[name] for name in state.ema["params"]}, state.ema["params"], state.ema["stats"])
        rows = prng.per_example_keys(key, numbers)
        if label is None:
            drawn = prng.uniform(prng.per_example_keys(prng.fold_in(key, prng.LABEL), numbers))
            label = jnp.searchsorted(below, drawn, side="right").astype(jnp.int32)
        return images.to_uint8(nets.generator(objective.prior(nets, rows), label, train=False))

    return generate


def make_reconstruct(objective, graphs):
    """reconstruct(state, batch, key) -> uint8[b, H, W, C]: what the averaged networks make of uint8 images."""

    def reconstruct(state, batch, key):
        nets = merge({name: graphs[name] for name in state.ema["params"]}, state.ema["params"], state.ema["stats"])
        rows = prng.per_example_keys(key, jnp.arange(len(batch.index)))
        return images.to_uint8(objective.reconstruct(nets, batch._replace(image=images.to_float(batch.image)), rows))

    return reconstruct
