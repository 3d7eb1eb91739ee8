"""The loss of a player as the train step takes it."""

from logogan_jax.training.train_step import UpdateBatch


def loss_of(player, nets, batch, keys):
    """Return (per_example_loss float32[b], metrics): the player's loss on a batch with what the player draws for it."""
    real = UpdateBatch(batch.image, batch.label, batch.index, fake=None)
    return player.loss(nets, real._replace(fake=player.draw(nets, real, keys)), keys)
