"""The walkthrough's networks, their losses and optimisers in Keras 3, for whichever backend Keras was told to use.

Layers and losses are those of logogan_jax/networks and logogan_jax/objectives, written with what Keras has.
"""

import keras
from keras import layers, ops
from peer import DOUBLINGS, LATENT, kernel


def axis():
    """The axis of channels."""
    return 1 if keras.config.image_data_format() == "channels_first" else -1


def shape(side, channels):
    """The shape of a square image."""
    return (channels, side, side) if axis() == 1 else (side, side, channels)


def wgan_generator(size, width):
    """z [n, 100] -> images [n, size, size, 3] in [-1, 1]."""
    side = kernel("wgan_gp", size)
    leak = lambda: layers.LeakyReLU(negative_slope=0.3)
    normal = lambda of=-1: [layers.BatchNormalization(of, momentum=0.99, epsilon=1e-3), leak()]
    doubled = lambda features: [layers.Conv2DTranspose(features, side, 2, "same"), *normal(axis())]
    stem = [layers.Input((LATENT,)), layers.Dense(16 * width), leak(), layers.Dense(49 * 2 * width), *normal()]
    body = [layers.Reshape(shape(7, 2 * width)), *doubled(2 * width)]
    body += [layers.Conv2D(width, side, padding="same"), *normal(axis())]
    for _ in range(DOUBLINGS[size] - 1):
        body += doubled(width)
    out = [layers.Conv2D(3, side, padding="same"), layers.Activation("tanh", dtype="float32")]
    return keras.Sequential([*stem, *body, *out])


def wgan_critic(size, width):
    """Images [n, size, size, 3] -> scores [n, 1], high on reals."""
    side, he = kernel("wgan_gp", size), {"kernel_initializer": "he_normal"}
    leak = lambda: layers.LeakyReLU(negative_slope=0.3)
    convs = [layers.Input(shape(size, 3)), layers.Conv2D(width, side, padding="same"), leak()]
    convs += [layers.Conv2D(2 * width, side, 2, "valid", **he), leak()]
    convs += [layers.Conv2D(2 * width, side, 2, "same", **he), leak()]
    hidden = [layers.Flatten(), layers.Dense(16 * width, **he), leak()]
    return keras.Sequential([*convs, *hidden, layers.Dense(1, dtype="float32", **he)])


def dcgan_generator(size, width):
    """z [n, 100] -> images [n, size, size, 3] in [-1, 1]."""
    normal = lambda of=-1: [layers.BatchNormalization(of, momentum=0.9, epsilon=1e-3), layers.ReLU()]
    transposed = lambda features: layers.Conv2DTranspose(features, kernel("gan", size), padding="same")
    stem = [layers.Input((LATENT,)), layers.Dense(49 * 4 * width), *normal()]
    body = [layers.Reshape(shape(7, 4 * width)), layers.Dropout(0.4)]
    for features in [2 * width] + [width] * (DOUBLINGS[size] - 1):
        body += [layers.UpSampling2D(), transposed(features), *normal(axis())]
    body += [transposed(width // 2), *normal(axis())]
    return keras.Sequential([*stem, *body, transposed(3), layers.Activation("tanh", dtype="float32")])


def dcgan_critic(size, width):
    """Images [n, size, size, 3] -> logits [n, 1]."""
    convs = [layers.Input(shape(size, 3))]
    for times in (1, 2, 4, 8):
        convs += [layers.Conv2D(times * width, kernel("gan", size), 2, "same")]
        convs += [layers.LeakyReLU(negative_slope=0.2), layers.Dropout(0.4)]
    return keras.Sequential([*convs, layers.Flatten(), layers.Dense(1, dtype="float32")])


def networks(model, size, width=64):
    """Generator and critic of "wgan_gp" or "gan"."""
    if model == "gan":
        return dcgan_generator(size, width), dcgan_critic(size, width)
    return wgan_generator(size, width), wgan_critic(size, width)


def optimisers(model):
    """Those of the configs, for generator and critic."""
    if model == "gan":
        make = lambda rate: keras.optimizers.RMSprop(rate, rho=0.9, epsilon=1e-7)
        return make(1e-4), make(2e-4)
    make = lambda: keras.optimizers.Adam(1e-4, beta_1=0.5, beta_2=0.9, epsilon=1e-8)
    return make(), make()


def generator_loss(model, on_fake):
    """From the critic's scores [n, 1] of fake images."""
    return ops.mean(-on_fake if model == "wgan_gp" else ops.softplus(-on_fake))


def critic_loss(model, both, slope):
    """From the critic's scores [2 n, 1] of real images, then fake ones; with its gradients [n, ...] between them."""
    on_real, on_fake = ops.split(both, 2)
    if model == "gan":
        return 0.5 * ops.mean(ops.softplus(-on_real) + ops.softplus(on_fake))
    norm = ops.sqrt(ops.sum(ops.square(slope), axis=(1, 2, 3)))
    return ops.mean(on_fake - on_real) + 10 * ops.mean(ops.square(norm - 1))
