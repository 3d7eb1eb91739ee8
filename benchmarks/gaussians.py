"""Train small networks on eight Gaussians in the plane: which objectives cover all modes, and which do not.

    python benchmarks/gaussians.py

This is the standard toy problem of Metz et al. 2017 (arXiv 1611.02163). Small perceptrons learn a ring of eight
Gaussians by the same train step as logos; a point is an image of one pixel with two channels. Networks, Adam and
batch size are the same for all objectives. Each is trained with one critic update per generator update and with five.
A mode is covered if at least 1 % of 2,500 samples lie within three standard deviations of its centre. Writes
benchmarks/results/gaussians-cpu.json and docs/gaussians.png, in about three minutes on two CPU cores.
"""

import itertools
import pathlib
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from record import ROOT, parser, write_record

from logogan_jax.core import files, images, plotting
from logogan_jax.data.batch import Batch
from logogan_jax.distributed import data_parallel
from logogan_jax.objectives import OBJECTIVES
from logogan_jax.training import sampling, step_runner, train_state, train_step
from logogan_jax.training.model import Model

MODES = 8
RADIUS = 0.75  # in [-1, 1], where pixel values are 0.008 apart
DEVIATION = 0.02
LATENT = 8
WIDTH = 64
BATCH = 128
ADAM = {"learning_rate": 1e-3, "b1": 0.5, "b2": 0.9}
EMA_IMAGES = 50 * BATCH  # half-life of the moving average
SAMPLES = 2500
COVERED_SHARE = 0.01  # of the samples, near a mode that counts as covered
NEAR = 3  # standard deviations from a mode
VALUES = {"minimax": {}, "gan": {}, "wgan_gp": {"penalty": 1.0}, "r3gan": {"gamma": 0.1}}
STEPS = {1: 10_000, 5: 5_000}  # by critic updates per step
NAMES = {"minimax": "minimax GAN", "gan": "non-saturating GAN", "wgan_gp": "WGAN-GP", "r3gan": "R3GAN"}


class Perceptron(nnx.Module):
    """A network with three hidden layers: float32[n, inputs] -> float32[n, outputs]."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        widths = itertools.pairwise([inputs, WIDTH, WIDTH, WIDTH, outputs])
        self.layers = nnx.List([nnx.Linear(*pair, rngs=rngs) for pair in widths])

    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layers, with a leaky ReLU after all but the last."""
        for layer in self.layers[:-1]:
            x = nnx.leaky_relu(layer(x), 0.2)
        return self.layers[-1](x)


class Generator(nnx.Module):
    """z float32[n, latent] -> points as images float32[n, 1, 1, 2]."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.net = Perceptron(LATENT, 2, rngs=rngs)

    def __call__(self, z: jax.Array, label: Any = None, *, keys: Any = None, train: bool) -> jax.Array:
        """Generate points; nothing depends on label, keys or train."""
        return self.net(z)[:, None, None, :]


class Critic(nnx.Module):
    """Images float32[n, 1, 1, 2] -> scores float32[n]."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.net = Perceptron(2, 1, rngs=rngs)

    def __call__(self, x: jax.Array, label: Any = None, *, keys: Any = None, train: bool) -> jax.Array:
        """Score points; nothing depends on label, keys or train."""
        return self.net(x[:, 0, 0, :])[:, 0]


def centres() -> np.ndarray:
    """Return the centres of the modes: float64[8, 2]."""
    angle = 2 * np.pi * np.arange(MODES) / MODES
    return RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def draw_points(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw points of the mixture as pixels uint8[*shape, 1, 1, 2]."""
    drawn = centres()[rng.integers(MODES, size=shape)] + DEVIATION * rng.normal(size=(*shape, 2))
    return np.round((drawn + 1) * 127.5).astype(np.uint8)[..., None, None, :]


class Ring:
    """A source of new points. The points of a step depend only on the number of the step."""

    def __init__(self, parallel: data_parallel.DataParallel, batches: int):
        self._parallel = parallel
        self._batches = batches  # in a step

    def at(self, step: int) -> Batch:
        """Return the feed of one step, on the devices."""
        image = draw_points(np.random.default_rng(step), (1, self._batches, BATCH))
        zeros = np.zeros(image.shape[:3], np.int32)
        return self._parallel.device_put(Batch(image, zeros, zeros), data_parallel.BATCH)

    @staticmethod
    def batch(feed: Batch, i: jax.Array) -> Batch:
        """Return the batch of step i of a feed."""
        return Batch(*(x[i] for x in feed))


class Coverage(NamedTuple):
    """How samples cover the modes."""

    covered: int  # number of modes
    shares: list[float]  # share of samples near each mode
    near: float  # share of samples near any mode
    within_four: float  # share of samples within four standard deviations of any mode


def measure_coverage(samples: np.ndarray) -> Coverage:
    """Measure which modes samples float[n, 2] cover."""
    distance = np.linalg.norm(samples[:, None] - centres(), axis=2) / DEVIATION
    closest = distance.min(axis=1)
    near = closest <= NEAR
    shares = np.bincount(distance.argmin(axis=1)[near], minlength=MODES) / len(samples)
    within_four = float((closest <= 4).mean())
    return Coverage(int((shares >= COVERED_SHARE).sum()), shares.tolist(), float(near.mean()), within_four)


def train(name: str, critic_updates: int, steps: int) -> np.ndarray:
    """Train an objective and return samples float[2500, 2] of the moving average of its generator."""
    objective = OBJECTIVES[name](latent=LATENT, critic_updates=critic_updates, **VALUES[name])
    networks = {"generator": Generator(rngs=nnx.Rngs(0)), "critic": Critic(rngs=nnx.Rngs(1))}
    optimizers = {role: optax.adam(**ADAM) for role in networks}
    state = train_state.init(networks, optimizers, objective.ema_networks, seed=0)
    graphdefs = {role: nnx.graphdef(network) for role, network in networks.items()}
    generate = jax.jit(sampling.make_generate(objective, graphdefs, [1]))
    model = Model(
        objective, optimizers, graphdefs, init_state=lambda: state, generate=generate,
        labels=sampling.make_labels([1]), score=None,  # of points, which nobody scores
    )  # fmt: skip
    parallel = data_parallel.DataParallel("shard_map", BATCH, jax.devices()[:1])
    source = Ring(parallel, objective.batches_per_step)
    no_augmentation = lambda keys, points: points
    shares = dict.fromkeys(networks, data_parallel.REPLICATED)
    step = train_step.make_train_step(model, no_augmentation, shares, ema_images=EMA_IMAGES)
    program = parallel.map_and_jit(step_runner.make_multi_step(step, source, 1, unroll=True), data_parallel.BATCH)
    state = parallel.device_put(state, data_parallel.REPLICATED)
    for i in range(steps):
        state, _ = program(state, source.at(i))
    drawn = generate(state, jax.random.key(1), jnp.arange(SAMPLES))
    return np.asarray(images.to_float(drawn))[:, 0, 0, :]


def draw(samples: Mapping[tuple[str, int], np.ndarray], path: pathlib.Path) -> None:
    """Draw one panel for each (objective, critic updates), with circles around the modes."""
    with plotting.default_style():
        from matplotlib.figure import Figure  # by now, plotting has imported matplotlib

        figure = Figure(figsize=(11, 6.1), layout="constrained")
        panels = figure.subplots(len(STEPS), len(NAMES), sharex=True, sharey=True)
        for row, updates in zip(panels, STEPS, strict=True):
            for axes, name in zip(row, NAMES, strict=True):
                _draw_panel(axes, name, samples[name, updates])
            row[0].set_ylabel(f"{updates} critic update{'s' if updates > 1 else ''} per step")
        with files.atomic_write(path) as partial:
            figure.savefig(partial, format="png", dpi=90)


def _draw_panel(axes: Any, name: str, points: np.ndarray) -> None:
    covered = measure_coverage(points).covered
    axes.scatter(*centres().T, s=110, facecolors="none", edgecolors="0.75", linewidths=1)
    axes.scatter(*points.T, s=1.5, alpha=0.35, linewidths=0, color="tab:red" if covered < MODES else "k")
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xticks=[], yticks=[], aspect="equal")
    axes.set_title(f"{NAMES[name]}: {covered} of {MODES}", fontsize=11)


def main() -> None:
    """Run the command."""
    parser(__doc__).parse_args()
    samples = {}
    rows = []
    began = time.perf_counter()
    for updates, steps in STEPS.items():
        for name, values in VALUES.items():
            start = time.perf_counter()
            samples[name, updates] = train(name, updates, steps)
            coverage = measure_coverage(samples[name, updates])
            seconds = round(time.perf_counter() - start, 1)
            rows.append({"objective": name, "values": values, "critic_updates": updates, "steps": steps,
                         **coverage._asdict(), "seconds": seconds})  # fmt: skip
            print(f"{name:8} {updates} {coverage.covered} of {MODES}, {seconds} s", flush=True)
    record = {
        "seconds": round(time.perf_counter() - began), "versions": {"jax": jax.__version__},
        "modes": MODES, "radius": RADIUS, "deviation": DEVIATION, "samples": SAMPLES, "covered_share": COVERED_SHARE,
        "near_deviations": NEAR, "latent": LATENT, "width": WIDTH, "batch": BATCH, "adam": ADAM,
        "ema_images": EMA_IMAGES, "rows": rows,
    }  # fmt: skip
    write_record("gaussians-cpu", "python benchmarks/gaussians.py", record)
    draw(samples, ROOT / "docs" / "gaussians.png")


if __name__ == "__main__":
    main()
