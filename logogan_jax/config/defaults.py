"""Every configuration key, declared once.

The blocks `model`, `objective` and `optimizer.*` are handed to the thing they name, so a config that
names another thing replaces the block; in every other block a config changes single values.
"""

from ml_collections import ConfigDict


def block(**values):
    """A replaceable block of a config: `config.objective = block(name="hinge")`."""
    return ConfigDict(values)


def get_config():
    """WGAN-GP at 56 px on the embedded logos, as the shipped configs start from it."""
    config = ConfigDict()
    _seen(config)
    _learned(config)
    _run(config)
    return config.lock()  # a config file that misspells a key fails as a flag does


def _seen(config):
    config.data = block(
        dir="",  # folder of TFRecord shards; empty: the embedded brand logos, made on first use
        size=56,  # height of the images in pixels: a small number times four, eight, ...
        width=0,  # and their width; 0: squares
        channels=3,  # 3 for RGB, 1 for grey, 4 for RGBA
        labels=False,  # whether networks are told the label of each image: sub-folders, or data_prep.cluster_labels
        source="auto",  # pixels on the device ("resident"), read from disk ("stream"), or by size ("auto")
        rotate=0.0,  # turn real images by up to this many degrees, white corners
        mirror=False,  # mirror half of the real images; letters turn with them
        held_out=0.1,  # share of the images that are only measured against; none of a set too small for that
        corners="white",  # what a turn uncovers; "edge" repeats the border as in 2018
        same_batch_for=0,  # steps that see one and the same batch, as in 2018; 0: every update draws its own
    )
    config.augment = block(
        policy="",  # what the critic looks through at all images: "logo", "diffaugment", "translation,cutout"
        strength=1.0,  # probability with which an image gets each of these
        adaptive=False,  # start at 0 and follow the critic's overfitting instead (ADA)
        adapt_images=500_000,  # images in which the strength can go from 0 to 1
    )


def _learned(config):
    config.model = block(
        name="wgan",  # a family of networks: see logogan_jax/networks
        latent=100,  # length of the latent vector z
        width=64,  # channels of the first critic layer; every other width follows from it
        kernel=4,  # side of the convolution filters
    )
    config.objective = block(
        name="wgan_gp",  # see logogan_jax/objectives
        critic_updates=5,  # critic updates for each generator update, every one on a fresh batch
        penalty=10.0,  # weight of the gradient penalty
        lazy=1,  # take it of every so many-th image, at so many times the weight
    )
    config.optimizer = ConfigDict()
    config.optimizer.generator = block(name="adam", learning_rate=1e-4, b1=0.5, b2=0.9)
    config.optimizer.critic = block(name="adam", learning_rate=1e-4, b1=0.5, b2=0.9)


def _run(config):
    config.train = block(
        steps=40_000,  # generator updates
        batch_size=64,  # images per update over all devices together
        seed=0,  # of initialisation, data order and every random draw
        dtype="auto",  # arithmetic of the networks: "float32", "bfloat16", or by device ("auto")
        ema_images=10_000,  # half-life of the averaged generator, in images
        parallel="shard_map",  # or "pmap": the same training by the older mapping
        steps_per_dispatch=0,  # steps in one program; 0: 1 on a CPU, up to 10 on an accelerator
    )
    config.report = block(
        log_every=50,  # steps between log lines
        samples_every=500,  # steps between pictures
        checkpoint_every=1_000,  # steps between checkpoints
        checkpoint_minutes=10.0,  # minutes between them, at most, to the next log line; 0: by steps alone
        keep=3,  # newest checkpoints kept of those by steps
        keep_best=1,  # and those of the best kernel distance
    )
    config.evaluate = block(
        every_images=128_000,  # images (generator updates x batch) between evaluations; 0: never
        samples=1_024,  # pictures drawn for one
        features="efflite0",  # the network that looks at them, or "inception:FILE"
        guard="on",  # what collapses is warned of, rolled back once, stopped; "warn": only warned of; "off"
    )
