"""Every configuration key, declared once.

The values of the blocks `model`, `objective` and `optimizer.*` go to the function or class that `name` selects. So a
config that selects another one replaces the whole block. In all other blocks a config changes single values.
"""

from typing import Any

from ml_collections import ConfigDict, FieldReference


def block(**values: Any) -> ConfigDict:
    """Return a block of a config, to replace another one: `config.objective = block(name="hinge")`."""
    return ConfigDict(values)


def images_of_run(config: ConfigDict) -> FieldReference:
    """Return steps x batch size, for a key of a config. It follows both, when flags change them later."""
    return config.train.get_ref("steps") * config.train.get_ref("batch_size")


def get_config() -> ConfigDict:
    """Return the locked config of WGAN-GP at 56 px on the embedded logos, from which all shipped configs start."""
    config = ConfigDict()
    _add_data(config)
    _add_model(config)
    _add_run(config)
    return config.lock()  # so that a config file with a misspelt key fails, as a flag does


def _add_data(config: ConfigDict) -> None:
    config.data = block(
        dir="",  # folder of TFRecord shards; empty: the embedded logos, which are drawn on first use
        size=56,  # height of the images in pixels: a number up to 15 times 4, 8, 16, ...
        width=0,  # width of the images in pixels; 0: the same as the height
        channels=3,  # 3 for RGB, 1 for grey, 4 for RGBA
        labels=False,  # networks get the label of each image: its sub-folder, or its group by data_prep.cluster_labels
        source="auto",  # pixels in device memory ("resident"), read from disk ("stream"), or by size ("auto")
        rotate=0.0,  # rotate real images by a random angle of at most this many degrees
        mirror=False,  # mirror half of the real images; letters are mirrored, too
        held_out=0.1,  # share of the images that only serve for evaluation; 0 images if the data set is too small
        corners="white",  # colour of the corners that rotation uncovers; "edge" repeats the border, as in 2018
        same_batch_for=0,  # number of steps that use the same batch, as in 2018; 0: every update draws its own
    )
    config.augment = block(
        policy="",  # augmentation of all images that the critic sees: "logo", "diffaugment", "translation,cutout"
        strength=1.0,  # probability with which an image gets each augmentation; with adaptive: the highest one
        adaptive=False,  # let the probability start at 0 and follow the critic's overfitting (ADA)
        adapt_images=500_000,  # with adaptive: images in which the probability can rise by 1
    )


def _add_model(config: ConfigDict) -> None:
    config.model = block(
        name="wgan",  # the networks: see logogan_jax/networks
        latent=100,  # length of the latent vector z
        width=64,  # channels of the first critic layer; all other widths follow from it
        kernel=4,  # side of the convolution filters
    )
    config.mark = block(
        inks=0,  # flat inks of the mark that the generator draws on its ground; 0: colours for every pixel
        scale=1,  # sides of the images over those of the fields that the trunk makes: 2 draws 56 pixels from 28
        colours="auto",  # of inks: "data" (of the images, for one ink), "network" (made from z), or by the inks
    )
    config.objective = block(
        name="wgan_gp",  # see logogan_jax/objectives
        critic_updates=5,  # critic updates for each generator update, each on a new batch
        penalty=10.0,  # weight of the gradient penalty
        lazy=1,  # n: compute the penalty for every n-th image, with n times the weight
    )
    config.optimizer = ConfigDict()
    config.optimizer.generator = block(name="adam", learning_rate=1e-4, b1=0.5, b2=0.9)
    config.optimizer.critic = block(name="adam", learning_rate=1e-4, b1=0.5, b2=0.9)


def _add_run(config: ConfigDict) -> None:
    config.train = block(
        steps=40_000,  # generator updates
        batch_size=64,  # images per update, over all devices together
        freeze_critic=0,  # first layers of the critic that stay as they come from --init_from (FreezeD), for few images
        seed=0,  # seed of initialisation, data order and every random draw
        dtype="auto",  # arithmetic of the networks: "float32", "bfloat16", or by device ("auto")
        ema_images=10_000,  # half-life of the generator's moving average (EMA), in images; at most 5 % of those seen
        parallel="shard_map",  # or "pmap": the same training with the older way to map over devices
        steps_per_dispatch=0,  # steps in one compiled program; 0: 1 on a CPU, up to 10 on an accelerator
    )
    config.report = block(
        log_every=50,  # steps between log lines; 0: one at the last step alone
        samples_every=500,  # steps between pictures; 0: one at the last step alone
        checkpoint_every=1_000,  # steps between checkpoints; 0: count minutes only; the last state is always saved
        checkpoint_minutes=10.0,  # most minutes between checkpoints, up to the next log line; 0: count steps only
        keep=3,  # number of newest checkpoints to keep
        keep_best=1,  # number of checkpoints with the best kernel distance to keep
    )
    config.evaluate = block(
        every_images=128_000,  # images (generator updates x batch size) between evaluations; 0: never evaluate
        samples=1_024,  # pictures drawn for one evaluation
        features="efflite0",  # the network that computes their features, or "inception:FILE"
        guard="on",  # on divergence: warn, roll back once, stop; "warn": only warn; "off"
    )
