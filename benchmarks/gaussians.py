"""Eight Gaussians in the plane: which objectives find all of them, and which do not.

    python benchmarks/gaussians.py

The standard toy test (Metz et al. 2017, arXiv 1611.02163): small perceptrons learn a ring of eight Gaussians by the
same step that trains on logos, a point being an image of one pixel with two channels. Networks, Adam and batches are
the same for all objectives; each is trained with one critic update per generator update and with five. Of 2,500
samples, a mode is covered if at least 1% of them lie within three standard deviations of its centre. Writes
benchmarks/results/gaussians-cpu.json and docs/gaussians.png, in about three minutes on two CPU cores.
"""

import itertools
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from matplotlib.figure import Figure
from record import ROOT, stamp

from logogan_jax.core import files, images
from logogan_jax.data.batch import Batch
from logogan_jax.distributed import data_parallel
from logogan_jax.objectives import OBJECTIVES
from logogan_jax.training import train_state, train_step

MODES, RADIUS, DEVIATION = 8, 0.75, 0.02  # in [-1, 1], where pixels are 0.008 apart
LATENT, WIDTH, BATCH = 8, 64, 128
ADAM = {"learning_rate": 1e-3, "b1": 0.5, "b2": 0.9}
EMA = 50 * BATCH  # half-life in images
SAMPLES, COVERED, NEAR = 2500, 0.01, 3  # of how many samples, which share, within how many deviations
VALUES = {"minimax": {}, "gan": {}, "wgan_gp": {"penalty": 1.0}, "r3gan": {"gamma": 0.1}}
STEPS = {1: 10_000, 5: 5_000}  # by critic updates per step
NAMES = {"minimax": "minimax GAN", "gan": "non-saturating GAN", "wgan_gp": "WGAN-GP", "r3gan": "R3GAN"}


class Perceptron(nnx.Module):
    """[n, inputs] -> [n, outputs] through three hidden layers."""

    def __init__(self, inputs, outputs, *, rngs):
        widths = itertools.pairwise([inputs, WIDTH, WIDTH, WIDTH, outputs])
        self.layers = nnx.List([nnx.Linear(*pair, rngs=rngs) for pair in widths])

    def __call__(self, x):
        """Leaky after every layer but the last."""
        for layer in self.layers[:-1]:
            x = nnx.leaky_relu(layer(x), 0.2)
        return self.layers[-1](x)


class Generator(nnx.Module):
    """z float32[n, latent] -> points as images float32[n, 1, 1, 2]."""

    def __init__(self, *, rngs):
        self.net = Perceptron(LATENT, 2, rngs=rngs)

    def __call__(self, z, label=None, *, keys=None, train):
        """The same in training as after it."""
        return self.net(z)[:, None, None, :]


class Critic(nnx.Module):
    """Images float32[n, 1, 1, 2] -> scores float32[n]."""

    def __init__(self, *, rngs):
        self.net = Perceptron(2, 1, rngs=rngs)

    def __call__(self, x, label=None, *, keys=None, train):
        """The same in training as after it."""
        return self.net(x[:, 0, 0, :])[:, 0]


def centres():
    """The modes float64[8, 2]."""
    angle = 2 * np.pi * np.arange(MODES) / MODES
    return RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def points(random, shape):
    """Points of the mixture as pixels uint8[*shape, 1, 1, 2]."""
    drawn = centres()[random.integers(MODES, size=shape)] + DEVIATION * random.normal(size=(*shape, 2))
    return np.round((drawn + 1) * 127.5).astype(np.uint8)[..., None, None, :]


class Ring:
    """A source of fresh points: those of a step depend on its number alone."""

    def __init__(self, parallel, draws):
        self._parallel, self._draws = parallel, draws

    def at(self, number):
        """The feed of one step."""
        image = points(np.random.default_rng(number), (1, self._draws, BATCH))
        none = np.zeros(image.shape[:3], np.int32)
        return self._parallel.device_put(Batch(image, none, none), data_parallel.BATCH)

    @staticmethod
    def batch(feed, i):
        """The batch of the feed's step i."""
        return Batch(*(x[i] for x in feed))


class Judged(NamedTuple):
    """Modes that are covered, the share of samples near each, near any, and within four deviations of any."""

    covered: int
    shares: list[float]
    near: float
    within_four: float


def judged(samples):
    """What samples float[n, 2] come to."""
    distance = np.linalg.norm(samples[:, None] - centres(), axis=2) / DEVIATION
    near, nearest = distance.min(axis=1) <= NEAR, distance.argmin(axis=1)
    shares = np.bincount(nearest[near], minlength=MODES) / len(samples)
    four = float((distance.min(axis=1) <= 4).mean())
    return Judged(int((shares >= COVERED).sum()), shares.tolist(), float(near.mean()), four)


def trained(name, critic_updates, steps):
    """Samples float[2500, 2] of an objective after so many steps, by the averaged generator."""
    objective = OBJECTIVES[name](latent=LATENT, critic_updates=critic_updates, **VALUES[name])
    networks = {"generator": Generator(rngs=nnx.Rngs(0)), "critic": Critic(rngs=nnx.Rngs(1))}
    optimizers = {role: optax.adam(**ADAM) for role in networks}
    first, graphs = train_state.initial(networks, optimizers, objective.ema_networks, seed=0)
    parallel = data_parallel.DataParallel("shard_map", BATCH, jax.devices()[:1])
    source = Ring(parallel, objective.batches_per_step)
    one = train_step.make_step(objective, graphs, optimizers, augment=lambda keys, points: points, ema_images=EMA)
    program = parallel.map_and_jit(train_step.make_replica(one, source, 1), data_parallel.BATCH)
    now = parallel.device_put(first, data_parallel.REPLICATED)
    for number in range(steps):
        now, _ = program(now, source.at(number))
    generate = jax.jit(train_step.make_generate(objective, graphs, [1]))
    drawn = generate(now, jax.random.key(1), jnp.arange(SAMPLES))
    return np.asarray(images.to_float(drawn))[:, 0, 0, :]


def picture(found):
    """The samples of {(name, critic updates): (samples, Judged)}, one panel each, circles around the modes."""
    figure = Figure(figsize=(11, 6.1), layout="constrained")
    panels = figure.subplots(len(STEPS), len(NAMES), sharex=True, sharey=True)
    for row, updates in zip(panels, STEPS, strict=True):
        for axes, name in zip(row, NAMES, strict=True):
            samples, result = found[name, updates]
            axes.scatter(*centres().T, s=110, facecolors="none", edgecolors="0.75", linewidths=1)
            axes.scatter(*samples.T, s=1.5, alpha=0.35, linewidths=0, color="tab:red" if result.covered < 8 else "k")
            axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xticks=[], yticks=[], aspect="equal")
            axes.set_title(f"{NAMES[name]}: {result.covered} of {MODES}", fontsize=11)
        row[0].set_ylabel(f"{updates} critic update{'s' if updates > 1 else ''} per step")
    with files.atomic_write(ROOT / "docs" / "gaussians.png") as partial:
        figure.savefig(partial, format="png", dpi=90)


def main():
    """The command."""
    found, rows, began = {}, [], time.perf_counter()
    for updates, steps in STEPS.items():
        for name, values in VALUES.items():
            start = time.perf_counter()
            samples = trained(name, updates, steps)
            found[name, updates] = samples, judged(samples)
            seconds = round(time.perf_counter() - start, 1)
            rows.append({"objective": name, "values": values, "critic_updates": updates, "steps": steps,
                         **found[name, updates][1]._asdict(), "seconds": seconds})  # fmt: skip
            print(f"{name:8} {updates} {found[name, updates][1].covered} of {MODES}, {seconds} s", flush=True)
    record = {
        **stamp("python benchmarks/gaussians.py"),
        "seconds": round(time.perf_counter() - began), "versions": {"jax": jax.__version__},
        "modes": MODES, "radius": RADIUS, "deviation": DEVIATION, "samples": SAMPLES, "covered_share": COVERED,
        "near_deviations": NEAR, "latent": LATENT, "width": WIDTH, "batch": BATCH, "adam": ADAM, "ema_images": EMA,
        "rows": rows,
    }  # fmt: skip
    files.write_json(ROOT / "benchmarks" / "results" / "gaussians-cpu.json", record)
    picture(found)


if __name__ == "__main__":
    main()
