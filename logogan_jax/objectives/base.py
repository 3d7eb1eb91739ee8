"""The contract between what is learned and how: players, and a prior to sample from."""

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Player(NamedTuple):
    """One turn of a training step.

    `loss(nets, batch, keys) -> (each float32[b], notes {name: float32[b]})` sees this replica's images
    float32 [-1, 1] and one key per row; `nets` calls networks by role. Only the networks that the
    player `trains` are differentiated and updated, `updates` times per step, each time on a fresh
    batch. `project` maps a network's name to a function of its parameters applied after each update.

    A critic that scores images notes as `gap` how far apart it scores real and fake ones, |D(x) - D(G(z))|,
    by which the guard sees it diverge.
    """

    name: str
    trains: tuple[str, ...]
    loss: Callable
    updates: int = 1
    project: Mapping[str, Callable] = {}
    reals: bool = True  # whether the loss looks at batch.image; counts the images per second


class Objective(NamedTuple):
    """Players in order of play, and `prior(keys) -> z float32[b, latent]` for key[b].

    `independent` names the networks that must treat each image on its own, so may hold no batch
    statistics; `averaged` names those that are sampled from, as exponential moving averages.
    """

    players: tuple[Player, ...]
    prior: Callable
    independent: tuple[str, ...] = ()
    averaged: tuple[str, ...] = ("generator",)

    @property
    def draws(self):
        """Batches that a step consumes: one per update, in order of play."""
        return sum(player.updates for player in self.players)

    @property
    def real_batches(self):
        """Batches of a step whose images somebody looks at."""
        return sum(player.updates for player in self.players if player.reals)
