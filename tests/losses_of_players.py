"""The loss of a player as the train step takes it."""


def loss_of(player, nets, batch, keys):
    """Return (per_example_loss float32[b], metrics): the player's loss on a batch with what the player draws for it."""
    return player.loss(nets, batch._replace(fake=player.draw(nets, batch, keys)), keys)
