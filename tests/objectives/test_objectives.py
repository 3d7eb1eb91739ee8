"""Every player's loss against numpy arithmetic, on networks small enough to work out by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from losses_of_players import loss_of

from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.data.batch import Batch
from logogan_jax.distributed import data_parallel
from logogan_jax.networks import ROLES
from logogan_jax.objectives import OBJECTIVES
from logogan_jax.objectives.glo import fit_gaussian
from logogan_jax.objectives.projected import sum_over_heads

softplus = lambda t: np.logaddexp(0, t)
ROWS = 6
ADVERSARIAL = [name for name in OBJECTIVES if name not in ("vae", "glo")]
W = np.array([0.8, -0.5], np.float32)


def make(name, **values):
    """The objective, of two latents and three styles."""
    return OBJECTIVES[name](latent=2, **({"classes": 3} if name == "can" else {}), **values)


def rows(count=ROWS, seed=0):
    return prng.per_example_keys(jax.random.key(seed), jnp.arange(count))


def images(vectors):
    """Vectors [n, 2] as images of one pixel and two channels."""
    return jnp.asarray(vectors, jnp.float32)[:, None, None, :]


def vectors(pictures):
    return np.asarray(pictures)[:, 0, 0, :]


def batch(count=ROWS, seed=1):
    random = np.random.default_rng(seed)
    return Batch(images(random.normal(size=(count, 2))), jnp.arange(count) % 3, jnp.arange(count)[::-1])


class Toy:
    """G(z) = g z + label / 4 and D(x) = w . x + a |x|² / 2 + label / 2, which remember what they were called with."""

    def __init__(self, w=W, *, g=1.0, a=0.0):
        self.w, self.g, self.a = jnp.asarray(w), g, a
        self.latents, self.made, self.modes = [], [], []

    def generator(self, z, label=None, *, keys=None, train):
        self.latents.append(np.asarray(jax.lax.stop_gradient(z)))
        self.modes.append(train)
        out = (self.g * z + label[:, None] / 4)[:, None, None, :]
        self.made.append(np.asarray(jax.lax.stop_gradient(out)))
        return out

    def critic(self, x, label=None, *, keys, train):
        x = x[:, 0, 0, :]
        quadratic = self.a / 2 * jnp.sum(x**2, axis=1)
        return (x @ self.w.T).T + quadratic + label / 2 if self.w.ndim == 1 else x @ self.w.T


def score(x, label, a=0.0, w=W):
    """D in numpy."""
    return vectors(x) @ w + a / 2 * (vectors(x) ** 2).sum(1) + np.asarray(label) / 2


def turns(objective, nets, one=None, seed=0):
    """[(each, notes)] of the critic's and the generator's turn."""
    one = batch() if one is None else one
    return [loss_of(player, nets, one, rows(len(one.label), seed)) for player in objective.players]


# ── games of scores ─────────────────────────────────────────────────────────────────────────

GAMES = {
    "gan": (lambda r, f: 0.5 * (softplus(-r) + softplus(f)), lambda f: softplus(-f)),
    "minimax": (lambda r, f: softplus(-r) + softplus(f), lambda f: -softplus(f)),
    "cgan": (lambda r, f: 0.5 * (softplus(-r) + softplus(f)), lambda f: softplus(-f)),
    "hinge": (lambda r, f: np.maximum(0, 1 - r) + np.maximum(0, 1 + f), lambda f: -f),
    "lsgan": (lambda r, f: 0.5 * (r - 1) ** 2 + 0.5 * f**2, lambda f: 0.5 * (f - 1) ** 2),
    "wgan": (lambda r, f: f - r, lambda f: -f),
    "walkthrough_dcgan": (lambda r, f: 0.5 * (softplus(-r) + softplus(f)), lambda f: softplus(-f)),
}


@pytest.mark.parametrize("name", GAMES)
def test_losses_of_a_game_by_hand(name):
    nets, one, (on_pair, on_fake) = Toy(), batch(), GAMES[name]
    (critic, notes), (generator, _) = turns(make(name), nets)
    real, fake, later = (score(x, one.label) for x in (one.image, *nets.made))
    np.testing.assert_allclose(critic, on_pair(real, fake), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(generator, on_fake(later), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(notes["gap"], np.abs(real - fake), rtol=1e-5)
    if name == "wgan":
        np.testing.assert_allclose(notes["wasserstein"], real - fake, rtol=1e-5, atol=1e-6)
    else:
        np.testing.assert_allclose([notes["real"], notes["fake"]], [real, fake], rtol=1e-5, atol=1e-6)


def test_losses_of_heads_are_summed_and_those_of_places_averaged():
    one = batch()
    heads = np.random.default_rng(3).normal(size=(4, 2)).astype(np.float32)
    nets = Toy(w=heads)
    (critic, notes), (generator, _) = turns(make("projected"), nets)
    real, fake, later = (vectors(x) @ heads.T for x in (one.image, *nets.made))
    expected = np.maximum(0, 1 - real) + np.maximum(0, 1 + fake)
    np.testing.assert_allclose(critic, expected.sum(1), rtol=1e-5)
    np.testing.assert_allclose(generator, -later.sum(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose([notes["real"], notes["fake"]], [real.mean(1), fake.mean(1)], rtol=1e-4, atol=1e-6)
    assert np.array_equal(notes["sign"], np.sign(np.asarray(notes["real"])))
    maps = np.random.default_rng(4).normal(size=(5, 4, 9)).astype(np.float32)
    np.testing.assert_allclose(sum_over_heads(maps), maps.mean(2).sum(1), rtol=1e-5)


def test_a_head_that_normalises_its_batch_never_sees_real_and_generated_images_together():
    seen = []
    nets = Toy(w=np.ones((4, 2), np.float32))
    score_images = nets.critic
    nets.critic = lambda x, *arguments, **values: (seen.append(np.asarray(x)), score_images(x, *arguments, **values))[1]
    one = batch()
    turns(make("projected"), nets, one)
    assert [len(images) for images in seen] == [ROWS, ROWS, ROWS]
    for images, expected in zip(seen, (one.image, *nets.made), strict=True):
        np.testing.assert_array_equal(images, expected)


def test_at_logit_zero_both_losses_of_the_gan_are_log_two():
    for each, _ in turns(make("gan"), Toy(w=np.zeros(2, np.float32)), batch()._replace(label=jnp.zeros(ROWS, int))):
        np.testing.assert_allclose(each, math.log(2.0), rtol=1e-6)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_signs_are_those_of_undecided_scores(name):
    objective = make(name)
    signed = name in ("gan", "minimax", "cgan", "hinge", "lsgan", "can", "projected")
    assert objective.has_score_sign is signed
    if signed and name not in ("can", "projected"):
        half = 0.5 if name == "lsgan" else 0.0
        notes = turns(objective, Toy())[0][1]
        assert np.array_equal(notes["sign"], np.sign(np.asarray(notes["real"]) - half))
        assert set(np.asarray(notes["sign"])) == {-1.0, 1.0}


@pytest.mark.slow
def test_the_minimax_generator_saturates_where_the_other_does_not():
    nets = Toy(steep := np.array([30.0, 30.0], np.float32))
    loss = lambda g, name: loss_of(make(name).players[1], Toy(steep, g=g), batch(), rows())[0]
    saturating, alive = (np.abs(jax.jacobian(loss)(1.0, name)) for name in ("minimax", "gan"))
    loss_of(make("gan").players[1], nets, batch(), rows())
    sure = score(nets.made[0], batch().label, w=steep) < -15
    assert sure.any() and saturating[sure].max() < 1e-3 < 1 < alive[sure].min()


# ── penalties ───────────────────────────────────────────────────────────────────────────────


def test_wgan_gp_by_hand():
    nets, one = Toy(), batch()
    (critic, notes), (generator, _) = turns(make("wgan_gp", penalty=7.0), nets)
    real, fake, later = (score(x, one.label) for x in (one.image, *nets.made))
    norm = np.linalg.norm(W)
    np.testing.assert_allclose(critic, 7 * (norm - 1) ** 2 - (real - fake), rtol=1e-5)
    np.testing.assert_allclose(notes["gradient_norm"], norm, rtol=1e-6)
    np.testing.assert_allclose(notes["wasserstein"], real - fake, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(generator, -later, rtol=1e-5)


@pytest.mark.slow
def test_mixing_weights_are_one_per_image_in_the_unit_interval_and_unlike_the_latents():
    # Reals are (1, 1) and fakes 0, so that the images between are the weights themselves; D(x) = |x|² / 2 has
    # gradient x, whose norm is the weight times the root of 2.
    one = Batch(jnp.ones((3, 1, 1, 2)), jnp.zeros(3, jnp.int32), jnp.zeros(3, jnp.int32))
    seen, latents = [], []
    for seed in range(40):
        nets = Toy(w=np.zeros(2, np.float32), g=0.0, a=1.0)
        seen.append(turns(make("wgan_gp"), nets, one, seed)[0][1]["gradient_norm"] / math.sqrt(2))
        latents += nets.latents
    weights = np.concatenate(seen)
    assert weights.min() >= 0 and weights.max() < 1
    assert weights.min() < 0.1 and weights.max() > 0.9 and abs(weights.mean() - 0.5) < 0.1
    assert len(np.unique(weights)) == 120
    assert not np.isin(weights, np.concatenate(latents)).any()


def test_r3gan_by_hand():
    nets, one, a = Toy(a=0.5), batch(), 0.5
    (critic, notes), (generator, _) = turns(make("r3gan", gamma=3.0), nets)
    real, fake, later = (score(x, one.label, a) for x in (one.image, *nets.made))
    r1, r2 = (((a * vectors(x) + W) ** 2).sum(1) for x in (one.image, nets.made[0]))
    np.testing.assert_allclose(notes["r1"], r1, rtol=1e-5)
    np.testing.assert_allclose(notes["r2"], r2, rtol=1e-5)
    np.testing.assert_allclose(critic, softplus(fake - real) + 1.5 * (r1 + r2), rtol=1e-5)
    np.testing.assert_allclose(generator, softplus(real - later), rtol=1e-5)
    assert make("r3gan").players[1].uses_real_images


def test_gan_with_r1_and_r2_by_hand():
    nets, one, a = Toy(a=0.5), batch(), 0.5
    plain = loss_of(make("gan").players[0], Toy(a=0.5), one, rows())[0]
    critic, notes = loss_of(make("gan", r1=3.0, r2=4.0).players[0], nets, one, rows())
    r1, r2 = (((a * vectors(x) + W) ** 2).sum(1) for x in (one.image, nets.made[0]))
    np.testing.assert_allclose(notes["r1"], r1, rtol=1e-5)
    np.testing.assert_allclose(notes["r2"], r2, rtol=1e-5)
    np.testing.assert_allclose(critic, plain + 1.5 * r1 + 2.0 * r2, rtol=1e-5)
    alone, notes = loss_of(make("gan", r1=3.0).players[0], Toy(a=0.5), one, rows())
    np.testing.assert_allclose(alone, plain + 1.5 * r1, rtol=1e-5)
    assert "r2" not in notes
    # Batch statistics would mix the gradients of images; without a penalty they are allowed.
    assert make("gan", r2=1.0).per_example == ("critic",) and make("gan").per_example == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"r1": -1.0}, "config.objective.r1 is -1.0: it should be a weight"),
        ({"r1": 1.0, "r2": -0.5}, "config.objective.r2 is -0.5: it should be a weight"),
        ({"lazy": 4}, "config.objective.lazy is 4, but there is no penalty"),
    ],
)
def test_penalties_of_the_gan_that_cannot_be_are_refused(values, said):
    with pytest.raises(UserError, match=said):
        make("gan", **values)


PENALISED = {"wgan_gp": {}, "r3gan": {}, "gan": {"r1": 2.0, "r2": 1.0}}


@pytest.mark.slow
@pytest.mark.parametrize("name", PENALISED)
def test_lazy_penalties_have_the_same_mean(name):
    # Every row twice: what the lazy penalty leaves out is what it looks at.
    twice = lambda x: jnp.repeat(x, 2, axis=0)
    one, doubled = jax.tree.map(twice, batch()), twice(rows())
    penalised = {}
    for lazy in (1, 2):
        player = make(name, lazy=lazy, **PENALISED[name]).players[0]
        penalised[lazy] = loss_of(player, Toy(a=0.5), one, doubled)
    (whole, notes), (lazy, some) = penalised[1], penalised[2]
    np.testing.assert_allclose(lazy.mean(), whole.mean(), rtol=1e-5)
    for note in {"gradient_norm", "r1", "r2"} & notes.keys():
        np.testing.assert_allclose(some[note], np.where(np.arange(2 * ROWS) % 2, 0, 2 * notes[note]), rtol=1e-6)
    gradients = [
        jax.grad(
            lambda w, lazy=lazy: loss_of(
                make(name, lazy=lazy, **PENALISED[name]).players[0], Toy(w, a=0.5), one, doubled
            )[0].mean()
        )(W)
        for lazy in (1, 2)
    ]
    np.testing.assert_allclose(*gradients, rtol=1e-5)
    with pytest.raises(UserError, match=r"config.objective.lazy is 5"):
        loss_of(make(name, lazy=5, **PENALISED[name]).players[0], Toy(), one, doubled)


@pytest.mark.parametrize("name", ["wgan_gp", "r3gan"])
def test_penalties_are_safe_where_the_critic_is_flat(name):
    loss = lambda w: loss_of(make(name).players[0], Toy(w), batch(), rows())[0].mean()
    assert np.isfinite(jax.grad(loss)(jnp.zeros(2))).all()


# ── directions ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [name for name in ADVERSARIAL if name not in ("can", "walkthrough_wgan")])
def test_players_pull_the_scores_their_own_way(name):
    # All reals are (1, 1), fakes near the origin: going down its loss a critic raises D(x) - D(G(z)), and a
    # generator that may move its fakes raises D of them.
    one = batch()._replace(image=images(np.ones((ROWS, 2))), label=jnp.zeros(ROWS, jnp.int32))
    critic, generator = make(name).players
    down = -jax.grad(lambda w: loss_of(critic, Toy(w, g=0.1), one, rows())[0].mean())(jnp.array([0.3, 0.6]))
    if name not in ("wgan_gp", "r3gan"):  # whose penalties pull at the length of w
        assert down.sum() > 0.1

    def shifted(shift):
        nets = Toy(g=0.1)
        still = nets.generator
        moved = lambda z, label, *, keys, train: still(z, label, keys=keys, train=train) + shift[None, None, None]
        nets.generator = moved
        return nets

    push = -jax.grad(lambda shift: loss_of(generator, shifted(shift), one, rows())[0].mean())(jnp.zeros(2))
    assert float(push @ W) > 0.1 * np.linalg.norm(W) ** 2


def test_clipping_holds_every_parameter_in_its_interval():
    clip = make("wgan", clip=0.1).players[0].project["critic"]
    found = clip({"a": {"kernel": jnp.array([[-3.0, 0.05]])}, "b": jnp.array([0.1, 0.2])})
    np.testing.assert_allclose(found["a"]["kernel"], [[-0.1, 0.05]], rtol=1e-7)
    np.testing.assert_allclose(found["b"], [0.1, 0.1], rtol=1e-7)
    assert make("wgan").players[0].updates == make("wgan_gp").players[0].updates == 5


# ── CAN ─────────────────────────────────────────────────────────────────────────────────────


class Styles(Toy):
    """A critic of four numbers: realness x_0 - x_1 and the logits of three styles, x_0 (0, 1, 2)."""

    WEIGHTS = np.array([[1.0, -1.0], [0.0, 0.0], [1.0, 0.0], [2.0, 0.0]], np.float32)

    def __init__(self, g=1.0):
        super().__init__(self.WEIGHTS, g=g)


def test_can_by_hand():
    objective, nets, one = make("can"), Styles(), batch()
    (critic, notes), (generator, later) = turns(objective, nets)
    real, fake, last = (vectors(x) @ Styles.WEIGHTS.T for x in (one.image, *nets.made))
    p = lambda scores: np.exp(scores[:, 1:]) / np.exp(scores[:, 1:]).sum(1, keepdims=True)
    entropy = lambda scores: -(p(scores) * np.log(p(scores))).sum(1)
    style = -np.log(p(real)[np.arange(ROWS), one.label])
    np.testing.assert_allclose(critic, softplus(-real[:, 0]) + softplus(fake[:, 0]) + style, rtol=1e-5)
    ambiguity = -(np.log(p(last)) / 3 + 2 / 3 * np.log(1 - p(last))).sum(1)
    np.testing.assert_allclose(generator, softplus(-last[:, 0]) + ambiguity, rtol=1e-5)
    np.testing.assert_allclose(notes["style_entropy"], entropy(real), rtol=1e-5)
    np.testing.assert_allclose(later["style_entropy"], entropy(last), rtol=1e-5)
    np.testing.assert_array_equal(notes["style_accuracy"], p(real).argmax(1) == one.label)
    np.testing.assert_array_equal(notes["sign"], np.sign(real[:, 0]))
    assert objective.outputs == {"critic": 4} and objective.requires_labels and objective.conditioned_networks == ()


def test_can_needs_styles_to_be_ambiguous_about():
    with pytest.raises(UserError, match=r"two styles.*data_prep.cluster_labels"):
        OBJECTIVES["can"](latent=2, classes=1)


# ── autoencoders ────────────────────────────────────────────────────────────────────────────


def autoencoder(mean, log_variance):
    nets = Toy()
    nets.encoder = lambda x, label, *, keys=None, train: (mean(x[:, 0, 0, :]), jnp.full((len(x), 2), log_variance))
    nets.generator = lambda z, label, *, keys=None, train: z[:, None, None, :]
    return nets


@pytest.mark.slow
def test_the_bound_of_the_vae_is_reached_by_the_true_posterior():
    # x = z + 0.5 noise: the posterior is N(0.8 x, 0.2), and x itself N(0, 1.25).
    objective, x = make("vae", deviation=0.5), np.array([0.6, -1.1])
    one = Batch(images(np.tile(x, (4000, 1))), jnp.zeros(4000, jnp.int32), jnp.arange(4000))
    each, notes = loss_of(objective.players[0], autoencoder(lambda x: 0.8 * x, math.log(0.2)), one, rows(4000))
    exact = np.sum(x**2) / (2 * 1.25) + math.log(2 * math.pi * 1.25)
    assert abs(float(each.mean()) - exact) < 4 * float(each.std()) / math.sqrt(4000)
    worse = loss_of(objective.players[0], autoencoder(lambda x: x, math.log(0.2)), one, rows(4000))[0]
    assert float(worse.mean()) > exact + 0.05
    np.testing.assert_allclose(notes["kl"], 0.5 * (0.64 * np.sum(x**2) + 2 * (0.2 - math.log(0.2) - 1)), rtol=1e-5)
    np.testing.assert_allclose(each, notes["reconstruction"] + notes["kl"], rtol=1e-5)
    weighted = make("vae", deviation=0.5, beta=3.0).players[0]
    more = loss_of(weighted, autoencoder(lambda x: 0.8 * x, math.log(0.2)), one, rows(4000))[0]
    np.testing.assert_allclose(more, each + 2 * notes["kl"], rtol=1e-5)


def test_the_vae_reconstructs_from_the_mean():
    objective = make("vae")
    found = objective.reconstruct(autoencoder(lambda x: 0.5 * x, 3.0), batch(), rows())
    np.testing.assert_allclose(found, 0.5 * batch().image, rtol=1e-6)
    assert objective.ema_networks == objective.players[0].trains == objective.networks == ("generator", "encoder")


class Codes:
    def __init__(self, table):
        self.table = jnp.asarray(table, jnp.float32)

    def __call__(self, index):
        return self.table[index]


def coded(table):
    nets = Toy()
    nets.codes = Codes(table)
    return nets


def test_glo_by_hand_and_by_index():
    objective, one = make("glo", square=0.5), batch()
    table = np.random.default_rng(4).normal(size=(ROWS, 2)).astype(np.float32)
    each, notes = loss_of(objective.players[0], coded(table), one, rows())
    made = table[::-1] + np.asarray(one.label)[:, None] / 4  # the batch's index counts down
    error = made - vectors(one.image)
    np.testing.assert_allclose(notes["laplacian"], np.abs(error).mean(1), rtol=1e-5)  # one pixel: one level
    np.testing.assert_allclose(each, np.abs(error).mean(1) + 0.5 * (error**2).mean(1), rtol=1e-5)
    np.testing.assert_allclose(vectors(objective.reconstruct(coded(table), one, rows())), made, rtol=1e-6)
    assert objective.transductive and objective.ema_networks == ("generator", "codes")


def test_codes_are_brought_back_to_the_ball_and_no_others_moved():
    table = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [0.6, 0.8]], np.float32)
    found = make("glo").players[0].project["codes"]({"table": jnp.asarray(table)})["table"]
    np.testing.assert_allclose(found[0], [0.6, 0.8], rtol=1e-6)
    np.testing.assert_array_equal(found[1:3], table[1:3])
    assert np.linalg.norm(found, axis=1).max() <= 1 + 1e-6


def test_new_codes_have_the_mean_and_covariance_of_the_learned():
    random = np.random.default_rng(5)
    table = random.normal(size=(500, 2)) @ [[0.3, 0.2], [0.0, 0.1]] + [0.5, -0.2]
    mean, factor = fit_gaussian(jnp.asarray(table, jnp.float32))
    np.testing.assert_allclose(mean, table.mean(0), atol=1e-6)
    np.testing.assert_allclose(factor @ factor.T, np.cov(table.T, bias=True), rtol=1e-3, atol=1e-5)
    drawn = np.asarray(make("glo").prior(coded(table), rows(20_000)))
    np.testing.assert_allclose(drawn.mean(0), table.mean(0), atol=0.01)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(table.T), atol=0.003)


@pytest.mark.parametrize("count", [1, 3])
def test_the_prior_of_few_codes_stays_among_them(count):
    table = np.random.default_rng(6).normal(size=(count, 64)).astype(np.float32)
    nets = coded(table)
    drawn = np.asarray(OBJECTIVES["glo"](latent=64).prior(nets, rows(50)), np.float64)
    assert np.isfinite(drawn).all()
    apart, centred = drawn - table.mean(0), table - table.mean(0)
    inside = apart @ np.linalg.pinv(centred) @ centred
    assert np.linalg.norm(apart - inside, axis=1).max() < 0.05 * np.linalg.norm(table, axis=1).max()


# ── the walkthrough ─────────────────────────────────────────────────────────────────────────

PLAIN_WGAN = dict(outputs=1, whole_batch=False, low_on_real=False, positive_latents=False)
PLAIN_DCGAN = dict(uniform_latents=False, fakes_at_inference=False, critic_in_both_turns=False)


@pytest.mark.parametrize("old, plain, now", [("wgan", PLAIN_WGAN, "wgan_gp"), ("dcgan", PLAIN_DCGAN, "gan")])
def test_without_its_quirks_the_walkthrough_trains_as_everything_else(old, plain, now):
    mended, today = make(f"walkthrough_{old}", **plain), make(now)
    for (each, _), (other, _) in zip(turns(mended, Toy(a=0.5)), turns(today, Toy(a=0.5)), strict=True):
        np.testing.assert_array_equal(each, other)
    for one, other in zip(mended.players, today.players, strict=True):
        assert one._replace(loss=None, draw=None) == other._replace(loss=None, draw=None)


def test_quirks_of_the_walkthroughs_dcgan():
    nets = Toy()
    objective = make("walkthrough_dcgan")
    turns(objective, nets)
    assert nets.modes == [False, True]
    assert [player.trains for player in objective.players] == [("critic",), ("generator", "critic")]
    z = np.asarray(objective.prior(nets, rows(2000)))
    assert -1 <= z.min() < -0.99 and 0.99 < z.max() < 1


def mapped(how, count, loss, w, one):
    """(loss, gradient) of a critic's weights as the step takes them, on `count` devices."""

    def replica(state, feed):
        numbers = data_parallel.replica_rows(feed.label.shape[2])
        here = jax.tree.map(lambda x: x[0, 0], feed)
        mean = lambda w: loss(w, here, prng.per_example_keys(jax.random.key(0), numbers)).mean()
        return data_parallel.pmean(jax.value_and_grad(mean)(data_parallel.to_varying(state)))

    parallel = data_parallel.DataParallel(how, ROWS, jax.devices()[:count])
    feed = parallel.device_put(jax.tree.map(lambda x: np.asarray(x)[None, None], one), data_parallel.BATCH)
    return jax.device_get(
        parallel.map_and_jit(replica, data_parallel.BATCH)(
            parallel.device_put(jnp.asarray(w), data_parallel.REPLICATED), feed
        )
    )


class Three(Toy):
    """A critic of three outputs, w x + a |x|² / 2 each, and a generator of zeros."""

    def __init__(self, w, a):
        self.w, self.a = w, a

    def generator(self, z, label=None, *, keys=None, train):
        return jnp.zeros((len(z), 1, 1, 2)) + 0 * z[:, None, None, :]

    def critic(self, x, label=None, *, keys, train):
        x = x[:, 0, 0, :]
        return x @ self.w.T + self.a / 2 * jnp.sum(x**2, axis=1, keepdims=True)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["shard_map", "pmap"])
def test_the_walkthroughs_norm_is_of_the_whole_batch_on_any_number_of_devices(how):
    w = np.random.default_rng(7).normal(size=(3, 2)).astype(np.float32)
    one = batch()
    critic, generator = make("walkthrough_wgan", axis_name=data_parallel.AXIS).players
    loss = lambda w, one, keys: loss_of(critic, Three(w, 0.0), one, keys)[0]
    (value, slope), (other, other_slope) = (mapped(how, count, loss, w, one) for count in (1, 2))
    # The sum of three linear outputs has one gradient for all images; fakes are 0 and score 0; low on real.
    norm = math.sqrt(ROWS) * np.linalg.norm(w.sum(0))
    real = (vectors(one.image) @ w.T).mean(1)
    np.testing.assert_allclose(value, 10 * (norm - 1) ** 2 + real.mean(), rtol=1e-5)
    d_norm = math.sqrt(ROWS) * w.sum(0) / np.linalg.norm(w.sum(0))
    expected = 20 * (norm - 1) * np.tile(d_norm, (3, 1)) + vectors(one.image).mean(0) / 3
    np.testing.assert_allclose(slope, expected, rtol=1e-4)
    curved = lambda w, one, keys: loss_of(critic, Three(w, 0.7), one, keys)[0]
    for alike in (((value, slope), (other, other_slope)), [mapped(how, count, curved, w, one) for count in (1, 2)]):
        np.testing.assert_allclose(alike[0][0], alike[1][0], rtol=1e-5)
        np.testing.assert_allclose(alike[0][1], alike[1][1], rtol=1e-4)
    flat = mapped(how, 2, loss, np.zeros((3, 2), np.float32), one)
    assert np.isfinite(flat[1]).all()
    each, _ = loss_of(generator, Three(jnp.asarray(w), 0.7), one, rows())
    np.testing.assert_array_equal(each, np.zeros(ROWS))
    z = np.asarray(make("walkthrough_wgan").prior(None, rows(2000)))
    assert 0 <= z.min() < 0.01 and 0.99 < z.max() < 1


def test_the_walkthroughs_wgan_pulls_the_other_way():
    nets, one = Toy(np.stack([W, 3 * W, 2 * W])), batch()
    each, _ = loss_of(make("walkthrough_wgan").players[1], nets, one, rows())
    np.testing.assert_allclose(each, vectors(nets.made[0]) @ (2 * W), rtol=1e-5)


# ── all ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_keep_the_contract(name):
    objective = make(name)
    assert set(objective.networks) <= set(ROLES) and "generator" in objective.ema_networks
    assert set(objective.ema_networks) <= set(objective.networks) and set(objective.per_example) <= set(
        objective.networks
    )
    assert {role for player in objective.players for role in player.trains} == set(objective.networks)
    for player in objective.players:
        assert set(player.project) <= set(player.trains)
        # Whoever is said not to look at the images is not handed any.
        if not player.uses_real_images:
            heads = Toy(w=np.ones((4, 2), np.float32))
            nets = {"can": Styles(), "projected": heads}.get(name, Toy())
            each, notes = loss_of(player, nets, batch()._replace(image=None), rows())
            assert all(note.shape == (ROWS,) and note.dtype == jnp.float32 for note in (each, *notes.values()))


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "glo"])
def test_priors_are_one_draw_per_key(name):
    prior = make(name).prior
    some, all_of_them = prior(None, rows(3)), prior(None, rows(5))
    assert all_of_them.shape == (5, 2) and all_of_them.dtype == jnp.float32
    np.testing.assert_array_equal(some, all_of_them[:3])


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_what_a_player_draws_does_not_depend_on_what_it_trains_or_on_real_images(name):
    """The step draws it once, before the first update of the player."""
    for player in make(name).players:
        drawn = player.draw(Toy(), batch()._replace(image=None), rows())
        assert (drawn is None) == (player.trains != ("critic",))
        if drawn is not None:
            without = Toy()
            without.critic = None
            again = player.draw(without, batch()._replace(image=None), rows())
            assert jax.tree.structure(again) == jax.tree.structure(drawn)
            for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(drawn), strict=True):
                np.testing.assert_array_equal(one, other)
