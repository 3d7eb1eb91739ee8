"""The contract between what is learned and how: players, and a prior to sample from."""

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Player(NamedTuple):
    """One turn of a training step.

    `loss(nets, batch, keys) -> (each float32[b], notes {name: float32[b]})` sees this replica's images
    float32 [-1, 1], their labels and one key per row; `nets` calls networks by role. Only the networks that
    the player `trains` are differentiated and updated, `updates` times per step, each time on a fresh batch.
    After each update `project` maps a network's name to a function of its parameters, and `adapt` one to a
    function of (its statistics, the notes as means over the global batch).

    A critic that scores images notes as `gap` how far apart it scores real and fake ones, |D(x) - D(G(z))|,
    by which the guard sees it diverge.
    """

    name: str
    trains: tuple[str, ...]
    loss: Callable
    updates: int = 1
    project: Mapping[str, Callable] = {}
    adapt: Mapping[str, Callable] = {}
    reals: bool = True  # whether the loss looks at batch.image; counts the images per second


class Objective(NamedTuple):
    """Players in order of play, and `prior(nets, keys) -> z float32[b, latent]` for key[b].

    `networks` are the roles it needs, and `outputs` how many numbers one of them gives for an image, where that
    is not one. `independent` names those that must treat each image on its own, so may keep no statistics of
    batches; `averaged` those that are sampled from, as exponential moving averages: `prior` is given these.

    `labelled` says that it cannot do without labels, `conditional` which networks are told them if there are any.
    `signed` says that the critic's players note `sign`, the sign of the score of each real image, where a score
    of 0 means undecided: adaptive augmentation listens to it. `reconstruct(nets, batch, keys)` gives the images
    float32 [-1, 1] that the averaged networks make of a batch, of images held out or, with `remembers`, only of
    those trained on.
    """

    players: tuple[Player, ...]
    prior: Callable
    networks: tuple[str, ...] = ("generator", "critic")
    outputs: Mapping[str, int] = {}
    independent: tuple[str, ...] = ()
    averaged: tuple[str, ...] = ("generator",)
    labelled: bool = False
    conditional: tuple[str, ...] = ("generator", "critic", "encoder")
    signed: bool = False
    reconstruct: Callable | None = None
    remembers: bool = False

    @property
    def looks(self):
        """Whether somebody looks at the images of each batch that a step consumes, one per update, in order of play."""
        return tuple(player.reals for player in self.players for _ in range(player.updates))

    @property
    def draws(self):
        """Batches that a step consumes: one per update, in order of play."""
        return len(self.looks)

    @property
    def real_batches(self):
        """Batches of a step whose images somebody looks at."""
        return sum(self.looks)
