"""The contract between objectives and the train step: players, and a prior to sample from."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol

import jax


class Batch(Protocol):
    """What a loss reads of a batch."""

    @property
    def image(self) -> jax.Array:
        """Images float32[b, H, W, C] in [-1, 1]."""
        ...

    @property
    def label(self) -> jax.Array:
        """Labels int32[b]; zeros where there are none."""
        ...

    @property
    def index(self) -> jax.Array:
        """Positions in the training set, int32[b]."""
        ...

    @property
    def fake(self) -> Any:
        """What the player's `draw` returned, as a rule generated images float32[b, H, W, C]."""
        ...


Metrics = dict[str, jax.Array]  # float32[b] by name: one number per image
Loss = Callable[[SimpleNamespace, Batch, jax.Array], tuple[jax.Array, Metrics]]
Draw = Callable[[SimpleNamespace, Batch, jax.Array], Any]
Prior = Callable[[SimpleNamespace, jax.Array], jax.Array]


class Player(NamedTuple):
    """One of the parties of a training step, such as the critic of a GAN.

    `loss(nets, batch, keys)` returns (per_example_loss float32[b], metrics {name: float32[b]}). `nets` holds the
    callable networks by role. `batch` holds the images of this replica as float32 in [-1, 1] and their labels. `keys`
    has one random key per row.

    `draw(nets, batch, keys)` returns what the loss finds in `batch.fake`: arrays [b, ...] that depend on no network
    which the player trains, such as generated images and random numbers. The step draws them for all updates of
    the player at once, and no gradient goes through them.

    Only the networks named in `trains` are differentiated and updated. They are updated `updates` times per step, each
    time on another batch. After each update `project` maps a network's name to a function of its parameters (the
    projection of projected gradient descent), which looks at no more than a row of an array at a time, because several
    devices share the rows; and `update_model_state` maps it to a function (model_state, metrics) ->
    model_state, whose metrics are means over the global batch.

    A critic's metric `gap` is |D(x) - D(G(z))| per image. A gap that grows without bound is a sign of divergence.
    """

    name: str
    trains: tuple[str, ...]
    loss: Loss
    updates: int = 1
    draw: Draw = lambda nets, batch, keys: None
    project: Mapping[str, Callable[[Any], Any]] = {}
    update_model_state: Mapping[str, Callable[[dict, Metrics], dict]] = {}
    uses_real_images: bool = True  # whether the loss reads batch.image; unread batches are not counted as images seen


def only_score(outputs: jax.Array) -> jax.Array:
    """Return what a critic with one output returns: float32[n] -> float32[n]."""
    return outputs


def zero_mean(nets: SimpleNamespace) -> float:
    """Return the mean of the prior N(0, I)."""
    return 0.0


class Objective(NamedTuple):
    """The players in order of play, and `prior(nets, keys)` -> z float32[b, latent] for key[b].

    Attributes:
      prior_mean: `prior_mean(nets)` -> float32[latent], or one number for all: the mean of a Gaussian prior, near which
        z is likeliest. None for a uniform prior, in which no z is likelier than another.
      networks: The roles that must be filled.
      outputs: The number of outputs of a network, where that is not one.
      per_example: The networks that must treat each image independently: they may have no batch statistics.
      ema_networks: The networks that are sampled from, as exponential moving averages. `prior` is called with these.
      requires_labels: Whether the objective cannot be trained without labels.
      conditioned_networks: The networks that are conditioned on the label where there are labels.
      score: `score(outputs)` -> float32[n]: of what a critic returns for n images, the one score of each. Most critics
        score real images high, and some score them low.
      has_score_sign: Whether critics report the metric `sign`, the sign of the score of each real image relative to the
        decision threshold. Adaptive augmentation needs it.
      reconstruct: `reconstruct(nets, batch, keys)` -> images float32 in [-1, 1], what the averaged networks make of the
        images of a batch. None where the objective cannot reconstruct.
      transductive: Whether only training images can be reconstructed, and no held-out ones.
    """

    players: tuple[Player, ...]
    prior: Prior
    prior_mean: Callable[[SimpleNamespace], jax.Array | float] | None = zero_mean
    networks: tuple[str, ...] = ("generator", "critic")
    outputs: Mapping[str, int] = {}
    per_example: tuple[str, ...] = ()
    ema_networks: tuple[str, ...] = ("generator",)
    requires_labels: bool = False
    conditioned_networks: tuple[str, ...] = ("generator", "critic", "encoder")
    score: Callable[[jax.Array], jax.Array] = only_score
    has_score_sign: bool = False
    reconstruct: Callable[[SimpleNamespace, Batch, jax.Array], jax.Array] | None = None
    transductive: bool = False

    @property
    def uses_real_images(self) -> tuple[bool, ...]:
        """Whether the images are read, of each batch that a step consumes: one per update, in order of play."""
        return tuple(player.uses_real_images for player in self.players for _ in range(player.updates))

    @property
    def batches_per_step(self) -> int:
        """The number of batches that a step consumes: one per update."""
        return len(self.uses_real_images)

    @property
    def real_batches_per_step(self) -> int:
        """The number of batches of a step whose images are read."""
        return sum(self.uses_real_images)
