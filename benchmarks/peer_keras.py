"""The walkthrough's DCGAN and WGAN-GP as a user of Keras 3 writes them: its own layers, a training loop of one's own.

    pip install keras optree
    python benchmarks/peer_keras.py --model=wgan_gp --size=56 --batch=64 --precision=bfloat16 --backend=jax

The step is that of keras.io's "Writing a training loop from scratch". In JAX: stateless calls and one jax.jit of the
whole step, its state donated (Keras's own `fit` carries one optimiser there, and a GAN has two). In PyTorch:
backward(), operators one by one, and channels first, as Keras recommends there. As in peer_torch.py, real images are
floats that lie on the device, nothing is logged, nothing is averaged, rates do not decay.
"""

import os
import sys

import peer


def jax_turns(model, batch, generator, critic, moves, critic_moves):
    """One update of the critic and one of the generator: functions of (weights, other variables, moments) of both."""
    import jax
    from keras_networks import critic_loss, generator_loss

    def critic_turn(first, second, real, key):
        latents, mixing = jax.random.split(key)
        fake, rest = generator.stateless_call(
            *first[:2], jax.random.normal(latents, (batch, peer.LATENT)), training=True
        )

        def loss(weights):
            score = lambda x: critic.stateless_call(weights, second[1], x, training=True)
            both, other = score(jax.numpy.concatenate([real, fake]))
            if model == "gan":
                return critic_loss(model, both, None), other
            weight = jax.random.uniform(mixing, (batch, 1, 1, 1))
            slope = jax.grad(lambda x: score(x)[0].sum())(weight * real + (1 - weight) * fake)
            return critic_loss(model, both, slope), other

        gradients, other = jax.grad(loss, has_aux=True)(second[0])
        weights, moments = critic_moves.stateless_apply(second[2], gradients, second[0])
        return (first[0], rest, first[2]), (weights, other, moments)

    def generator_turn(first, second, key):
        def loss(weights):
            z = jax.random.normal(key, (batch, peer.LATENT))
            fake, rest = generator.stateless_call(weights, first[1], z, training=True)
            on_fake, other = critic.stateless_call(*second[:2], fake, training=True)
            return generator_loss(model, on_fake), (rest, other)

        gradients, (rest, other) = jax.grad(loss, has_aux=True)(first[0])
        weights, moments = moves.stateless_apply(first[2], gradients, first[0])
        return (weights, rest, moments), (second[0], other, second[2])

    return critic_turn, generator_turn


def jax_step(args):
    """Functions of nothing: one training step, and waiting for the device; with the device's name."""
    import functools

    import jax
    from keras_networks import networks, optimisers, shape

    jax.config.update("jax_default_matmul_precision", "highest" if args.precision == "float32" else "default")
    nets, moves = networks(args.model, args.size, args.width), optimisers(args.model)
    for net, optimiser in zip(nets, moves, strict=True):
        optimiser.build(net.trainable_variables)
    critic_turn, generator_turn = jax_turns(args.model, args.batch, *nets, *moves)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, data):
        first, second, key = state
        for _ in range(args.critic_updates):
            key, which, rest = jax.random.split(key, 3)
            real = data[jax.random.randint(which, (args.batch,), 0, peer.IMAGES)]
            first, second = critic_turn(first, second, real, rest)
        key, rest = jax.random.split(key)
        return *generator_turn(first, second, rest), key

    values = lambda variables: [variable.value for variable in variables]
    state = [
        (values(net.trainable_variables), values(net.non_trainable_variables), values(optimiser.variables))
        for net, optimiser in zip(nets, moves, strict=True)
    ]
    state.append(jax.random.key(0))
    data = jax.random.uniform(jax.random.key(1), (peer.IMAGES, *shape(args.size, 3)), minval=-1, maxval=1)

    def run():
        state[:] = step(tuple(state), data)

    return run, lambda: jax.block_until_ready(state), jax.devices()[0].device_kind


def torch_step(args):
    """Functions of nothing: one training step, and waiting for the device; with the device's name."""
    import keras
    import torch
    from keras_networks import critic_loss, generator_loss, networks, optimisers, shape

    device, n = ("cuda" if torch.cuda.is_available() else "cpu"), args.batch
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = args.precision != "float32"
    torch.set_float32_matmul_precision("highest" if args.precision == "float32" else "high")
    keras.config.set_image_data_format("channels_first")
    (generator, critic), (moves, critic_moves) = networks(args.model, args.size, args.width), optimisers(args.model)
    data = torch.empty((peer.IMAGES, *shape(args.size, 3)), device=device).uniform_(-1, 1)
    latents = lambda: torch.randn(n, peer.LATENT, device=device)

    def update(optimiser, network, loss):
        network.zero_grad()
        weights = network.trainable_variables
        loss.backward(inputs=[weight.value for weight in weights])
        with torch.no_grad():
            optimiser.apply([weight.value.grad for weight in weights], weights)

    def step():
        for _ in range(args.critic_updates):
            real = data[torch.randint(peer.IMAGES, (n,), device=device)]
            with torch.no_grad():
                fake = generator(latents(), training=True)
            slope = None
            if args.model == "wgan_gp":
                weight = torch.rand(n, 1, 1, 1, device=device)
                between = (weight * real + (1 - weight) * fake).requires_grad_()
                score = critic(between, training=True).sum()
                (slope,) = torch.autograd.grad(score, between, create_graph=True)
            both = critic(torch.cat([real, fake]), training=True)
            update(critic_moves, critic, critic_loss(args.model, both, slope))
        on_fake = critic(generator(latents(), training=True), training=True)
        update(moves, generator, generator_loss(args.model, on_fake))

    if device == "cpu":
        return step, lambda: None, "cpu"
    return step, torch.cuda.synchronize, torch.cuda.get_device_name()


def main():
    """The command."""
    parser = peer.flags(__doc__)
    parser.add_argument("--backend", choices=("jax", "torch"), default="jax", help="what Keras computes with")
    args = peer.parsed(parser)
    os.environ["KERAS_BACKEND"] = args.backend
    try:
        import keras
    except ImportError as error:
        sys.exit(f"error: Keras does not start on {args.backend} ({error}): pip install keras optree {args.backend}")
    if args.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    keras.utils.set_random_seed(0)
    step, wait, device = {"jax": jax_step, "torch": torch_step}[args.backend](args)
    mode = {"jax": "jit", "torch": "eager"}[args.backend]
    peer.serve(step, wait, peer=f"keras {keras.__version__} on {args.backend}", device=device, mode=mode,
                precision=args.precision)  # fmt: skip


if __name__ == "__main__":
    main()
