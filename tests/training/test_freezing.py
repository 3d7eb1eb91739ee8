"""The first layers of a critic stay as they are, whatever its family and its optimizer."""

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from logogan_jax.config import defaults
from logogan_jax.config.build_model import build_model
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.networks import NETWORKS
from logogan_jax.training import freezing
from logogan_jax.training.optimizers import OPTIMIZERS

LAYERS = {
    "dcgan": ["convs/0/", "convs/1/", "convs/2/", "convs/3/"],
    "wgan": ["convs/0/", "convs/1/", "convs/2/", "hidden/"],
    "resnet": ["blocks/0/", "blocks/1/", "blocks/2/", "blocks/3/"],
    "r3gan": ["from_rgb/", "stages/0/", "stages/1/", "stages/2/"],
}


def critic(name):
    given = {"size": (28, 28), "channels": 3, "width": 4, "dtype": "float32"}
    more = {"dcgan": {"kernel": 4, "dropout": 0.0, "axis_name": None}, "wgan": {"kernel": 4}, "r3gan": {}}
    more["resnet"] = {"axis_name": None}
    return nnx.eval_shape(lambda: NETWORKS[name]["critic"](**{**given, "rngs": nnx.Rngs(0)}, **more[name]))


@pytest.mark.parametrize("name", LAYERS)
def test_layers_count_from_the_image_and_the_last_one_is_none_of_them(name):
    network = critic(name)
    assert [*freezing.first_layers(network, 4)] == LAYERS[name]
    names = {f"{name}/" for name in nnx.to_pure_dict(nnx.state(network, nnx.Param))}
    frozen = {f"{start.split('/')[0]}/" for start in LAYERS[name]}
    assert names - frozen <= {"out/", "basis/"}
    with pytest.raises(UserError, match="freeze_critic is 5: this critic has 4 layers that can be frozen"):
        freezing.first_layers(network, 5)


RATES = {
    "adam": {"learning_rate": 0.1, "b1": 0.5, "b2": 0.9},
    "rmsprop": {"learning_rate": 0.1},
    "sgd": {"learning_rate": 0.1},
    "rmsprop_by_turns": {"learning_rate": 0.1, "second_learning_rate": 0.1},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimizer_moves_what_is_frozen(name):
    images = {} if name == "rmsprop_by_turns" else {"images_per_update": 8}
    plain = OPTIMIZERS[name](**RATES[name], **images)
    params = {"convs": {0: np.ones(3, np.float32), 10: np.ones(3, np.float32)}, "out": np.ones(3, np.float32)}
    optimizer = freezing.freeze(plain, ("convs/1/", "out"))
    for one in (optimizer, freezing.freeze(plain, ("convs/0/",))):
        state = one.init(params)
        assert jax.tree.structure(state) == jax.tree.structure(plain.init(params))
    moved, state = params, optimizer.init(params)
    for _ in range(3):
        updates, state = optimizer.update(jax.tree.map(np.ones_like, params), state, moved)
        moved = optax.apply_updates(moved, updates)
    assert np.array_equal(moved["out"], params["out"])
    assert (np.asarray(moved["convs"][0]) < 1).all() and (np.asarray(moved["convs"][10]) < 1).all()


@pytest.mark.parametrize(
    ("objective", "line"),
    [("vae", "has no critic"), ("wgan", "clips all weights of its critic"), ("gan", "it should be at most 4")],
)
def test_what_cannot_be_frozen_is_refused(objective, line):
    config = defaults.get_config()
    config.update_from_flattened_dict({"data.size": 28, "train.dtype": "float32", "train.freeze_critic": 5})
    config.model = defaults.block(name="dcgan", latent=8, width=4, kernel=4, dropout=0.0)
    config.objective = defaults.block(name=objective)
    if objective == "vae":
        adam = dict(config.optimizer.generator)
        config.optimizer = defaults.block(generator=adam, encoder=adam)
    with pytest.raises(UserError, match=f"^config.train.freeze_critic is 5.*{line}"):
        build_model(config, DatasetInfo("0" * 64, 50, {}))
