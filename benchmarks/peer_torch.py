"""The walkthrough's DCGAN and WGAN-GP in PyTorch: what the step of logogan_jax is timed against.

    python benchmarks/peer_torch.py --model=wgan_gp --size=56 --batch=64 --precision=bfloat16

The layers, paddings, losses and optimisers are those of logogan_jax/networks and objectives: tests/test_peer.py loads
the same weights into both and compares outputs, first gradients and updates. PyTorch has the easier job: real images
are floats that lie on the device (no decoding, turning or mirroring), nothing is logged, no averaged generator is kept,
and learning rates do not decay. It is written to be fast: channels last, so that no layer reorders its input, real
and fake images in one critic pass, gradients of the weights in turn alone, one kernel per optimiser step where PyTorch
has one. `--mode`:

    eager      operators one by one
    compile    through torch.compile, CUDA graphs included, but for the critic's loss with gradient penalty: it is
               differentiated twice, which torch.compile cannot do
    graph      the whole step, second order and all, recorded once as a CUDA graph and played again; on CUDA alone

A step is `critic_updates` updates of the critic, each on real images and latents of its own, then one of the generator;
peer.py says how to ask for some.
"""

import functools
import sys

import peer

try:
    import torch
    import torch.nn.functional as F
    from torch_networks import networks
except ImportError as missing:
    sys.exit(f"error: PyTorch does not start ({missing}): pip install torch")


# ── losses and optimisers ───────────────────────────────────────────────────────────────────


def wgan_gp_critic_loss(critic, real, fake, mixing):
    """D(G(z)) - D(x) + 10 (|gradient of D between them| - 1)^2, its mean over the batch; mixing float32[n]."""
    on_real, on_fake = critic(torch.cat([real, fake])).chunk(2)
    mixing = mixing[:, None, None, None]
    between = (mixing * real + (1 - mixing) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norm = torch.linalg.vector_norm(gradient, dim=(1, 2, 3))
    return (on_fake - on_real + 10 * (norm - 1) ** 2).mean()


def wgan_gp_generator_loss(critic, fake):
    """-D(G(z)), its mean over the batch."""
    return -critic(fake).mean()


def gan_critic_loss(critic, real, fake, mixing):
    """Half of -log D(x) - log(1 - D(G(z))), its mean over the batch; nothing is mixed."""
    on_real, on_fake = critic(torch.cat([real, fake])).chunk(2)
    return 0.5 * (F.softplus(-on_real) + F.softplus(on_fake)).mean()


def gan_generator_loss(critic, fake):
    """-log D(G(z)), its mean over the batch."""
    return F.softplus(-critic(fake)).mean()


LOSSES = {
    "wgan_gp": (wgan_gp_critic_loss, wgan_gp_generator_loss),
    "gan": (gan_critic_loss, gan_generator_loss),
}


def optimisers(model, generator, critic, **values):
    """Those of the configs: Adam for wgan_gp, RMSprop as Keras has it for gan."""
    if model == "gan":
        make = lambda network, rate: torch.optim.RMSprop(network.parameters(), rate, alpha=0.9, eps=1e-7, **values)
        return make(generator, 1e-4), make(critic, 2e-4)
    make = lambda network: torch.optim.Adam(network.parameters(), 1e-4, (0.5, 0.9), fused=True, **values)
    return make(generator), make(critic)


# ── the step ────────────────────────────────────────────────────────────────────────────────


def losses(model, generator, critic, cast, compiled):
    """critic_loss(real, z, mixing) and generator_loss(z) of a model, in the context of `cast()`."""
    of_critic, of_generator = LOSSES[model]
    # The penalty is differentiated twice, so of that loss the fakes alone are compiled.
    whole = compiled if model == "gan" else lambda function: function
    part = compiled if model == "wgan_gp" else lambda function: function

    @part
    def fakes(z):
        with torch.no_grad():
            return generator(z)

    @whole
    def critic_loss(real, z, mixing):
        with cast():
            return of_critic(critic, real, fakes(z), mixing)

    @compiled
    def generator_loss(z):
        with cast():
            return of_generator(critic, generator(z))

    return critic_loss, generator_loss


def make_step(args, device):
    """A function of nothing that does one training step, on random images that are on the device."""
    made = networks(args.model, args.size, width=args.width)
    generator, critic = (network.to(device, memory_format=torch.channels_last) for network in made)
    shape = (peer.IMAGES, 3, args.size, args.size)
    data = torch.empty(shape, device=device, memory_format=torch.channels_last).uniform_(-1, 1)
    capturable = {"capturable": True} if args.mode == "graph" else {}
    generator_moves, critic_moves = optimisers(args.model, generator, critic, **capturable)
    cast = lambda: torch.autocast(device, torch.bfloat16, enabled=args.precision == "bfloat16")
    how = {"mode": "reduce-overhead"} if device == "cuda" else {}  # CUDA graphs
    compiled = functools.partial(torch.compile, **how) if args.mode == "compile" else lambda function: function
    critic_loss, generator_loss = losses(args.model, generator, critic, cast, compiled)

    def turn(optimiser, network, loss, *inputs):
        if args.mode == "compile":
            torch.compiler.cudagraph_mark_step_begin()  # what the last turn's graphs left in memory is done with
        optimiser.zero_grad(set_to_none=True)
        loss(*inputs).backward(inputs=list(network.parameters()))
        optimiser.step()

    def step():
        latents = lambda: torch.randn(args.batch, peer.LATENT, device=device)
        for _ in range(args.critic_updates):
            real = data[torch.randint(peer.IMAGES, (args.batch,), device=device)]
            turn(critic_moves, critic, critic_loss, real, latents(), torch.rand(args.batch, device=device))
        critic.requires_grad_(False)
        turn(generator_moves, generator, generator_loss, latents())
        critic.requires_grad_(True)

    return step


def recorded(step):
    """The step as one CUDA graph, which draws new numbers every time it is played."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


# ── the command ─────────────────────────────────────────────────────────────────────────────


def main():
    """The command."""
    parser = peer.flags(__doc__)
    parser.add_argument("--mode", choices=("eager", "compile", "graph"), default="eager")
    args, device = peer.parsed(parser), "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and (args.precision == "tf32" or args.mode == "graph"):
        sys.exit("error: --precision=tf32 and --mode=graph need a CUDA device, and PyTorch finds none: leave them out")
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = args.precision != "float32"
    torch.set_float32_matmul_precision("highest" if args.precision == "float32" else "high")
    step = make_step(args, device)
    step = recorded(step) if args.mode == "graph" else step
    wait, kind = (torch.cuda.synchronize, torch.cuda.get_device_name()) if device == "cuda" else (lambda: None, "cpu")
    peer.serve(step, wait, peer=f"torch {torch.__version__}", device=kind, mode=args.mode, precision=args.precision)


if __name__ == "__main__":
    main()
