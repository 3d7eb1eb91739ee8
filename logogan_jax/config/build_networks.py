"""From a config to networks with their first weights."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict

from logogan_jax.config import registry
from logogan_jax.core import prng
from logogan_jax.core.errors import UserError
from logogan_jax.data import inks
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.distributed import data_parallel
from logogan_jax.metrics import efflite0, features
from logogan_jax.networks import NETWORKS, ROLES, diffaugment, image_sizes, mark
from logogan_jax.networks.augmented_critic import AugmentedCritic
from logogan_jax.networks.spectral_norm import PowerIterationVector
from logogan_jax.objectives.base import Objective

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
COLOURS = ("auto", "data", "network")
MAX_INKS = 16


def image_size(config: ConfigDict) -> tuple[int, int]:
    """Return (height, width) of a config's images."""
    return config.data.size, config.data.width or config.data.size


def takes_inks(config: ConfigDict) -> bool:
    """Return whether the generator of a config draws marks in colours of the data set, and trains on coverage alone."""
    return mark.has_inks_of_data(config.mark.inks, config.mark.colours, config.optimizer.keys())


def training_view(config: ConfigDict) -> mark.View:
    """Return what the networks of a config are trained on."""
    return mark.training_view(config.data.channels, takes_inks(config))


def looks_through_features(name: str) -> bool:
    """Return whether the critic of config.model.name looks at images through efflite0, a published network."""
    return "feature_weights" in registry.parameters(registry.lookup(NETWORKS, name, "config.model.name")["critic"])


def build_networks(config: ConfigDict, objective: Objective, info: DatasetInfo, classes: int) -> dict[str, nnx.Module]:
    """Return {role: network} with their first weights, each drawn at an address of its own.

    `classes` is the number of labels that networks are given.
    """
    _check_mark(config, objective)
    name = config.model.get("name")
    family = registry.lookup(NETWORKS, name, "config.model.name")
    constructors = {role: family[role] for role in objective.networks}
    given = {
        "size": image_size(config),
        "channels": config.data.channels,
        "latent": config.model.latent,
        "images": info.images,
        "dtype": registry.lookup(DTYPES, config.train.dtype, "config.train.dtype"),
        "axis_name": data_parallel.AXIS,
    }
    if looks_through_features(name):
        given["feature_weights"] = _feature_weights(config)
    values = {key: value for key, value in config.model.items() if key not in ("name", "latent")}
    taken = {role: registry.parameters(constructor).keys() - given for role, constructor in constructors.items()}
    by_any = set().union(*taken.values())
    for key in values.keys() - by_any:
        takes = ", ".join(sorted(by_any - {"classes", "outputs", "rngs"}))
        raise UserError(f"config.model.{key} is no value of {name!r} networks here, which take: {takes}")
    key = prng.fold_in(jax.random.key(config.train.seed), prng.INIT)
    networks = {}
    for role, constructor in constructors.items():
        rngs = nnx.Rngs(prng.fold_in(key, ROLES.index(role)))
        role_classes = classes if role in objective.conditioned_networks else 0
        networks[role] = registry.call_checked(
            constructor,
            "config.model",
            {key: value for key, value in values.items() if key in taken[role]},
            **{**given, **_given_for_mark(config, role)},
            classes=role_classes,
            outputs=objective.outputs.get(role, 1),
            rngs=rngs,
        )
        if role == "generator" and config.mark.inks:
            networks[role] = _mark_generator(networks[role], config, info, role_classes, rngs)
    _check_no_batch_statistics(config, objective, networks)
    if config.augment.policy:
        probability = 0.0 if config.augment.adaptive else config.augment.strength
        augment = diffaugment.parse_policy(config.augment.policy, training_view(config).outside)
        networks["critic"] = AugmentedCritic(networks["critic"], augment, probability)
    return networks


def _check_mark(config: ConfigDict, objective: Objective) -> None:
    """Raise a UserError where config.mark does not suit the rest."""
    inks = config.mark.inks
    colours = config.mark.colours
    if not 0 <= inks <= MAX_INKS:
        raise UserError(f"config.mark.inks is {inks}: it should be a number of flat colours up to {MAX_INKS}, or 0")
    if colours not in COLOURS:
        raise UserError(f"config.mark.colours is {colours!r}: it should be one of {', '.join(COLOURS)}")
    _check_scale(config)
    if takes_inks(config) and inks > 1:
        raise UserError(
            f"config.mark.inks is {inks}, and colours of the data are for one ink: use --config.mark.colours=network"
        )
    if takes_inks(config) and config.model.latent < 2:
        raise UserError(
            f"config.model.latent is {config.model.latent}: with colours of the data it should be at least 2, one "
            "number for the colour and the others for the shape"
        )
    if takes_inks(config) and {*objective.networks} != {"generator", "critic"}:
        raise UserError(
            f"config.mark.colours is 'data', so networks see no colour, and config.objective.name "
            f"{config.objective.name!r} shows images again: use --config.mark.colours=network"
        )


def _check_scale(config: ConfigDict) -> None:
    """Raise a UserError where the fields cannot have the sides that config.mark.scale asks for."""
    scale = config.mark.scale
    if scale != 1 and not config.mark.inks:
        raise UserError(f"config.mark.scale is {scale}, and there are no inks to draw: use --config.mark.inks=1 too")
    height, width = image_size(config)
    fits = scale >= 1 and height % scale == 0 and width % scale == 0
    if fits:
        try:
            image_sizes.base_and_doublings((height // scale, width // scale))
        except UserError:
            fits = False
    if not fits:
        raise UserError(
            f"config.mark.scale is {scale}: the images, {height} x {width} pixels, should be so many times as large as "
            f"fields that networks can make, such as 28 x 28 or 32 x 32"
        )


def _feature_weights(config: ConfigDict) -> dict[str, Any]:
    """Return the weights of the published network through which a critic looks.

    Raises a UserError where that network would also judge the pictures: whoever trains on features looks good in them.
    """
    name = config.model.name
    if config.evaluate.every_images and config.evaluate.features == efflite0.NAME:
        raise UserError(
            f"config.evaluate.features is {efflite0.NAME!r}, through which the critic of config.model.name {name!r} "
            f"looks, so it is no judge: use --config.evaluate.features=ppocr"
        )
    return features.load_network(efflite0.NAME, f"config.model.name {name!r}").weights


def _given_for_mark(config: ConfigDict, role: str) -> dict[str, Any]:
    """Return what a network of a role gets instead of its usual values where marks are drawn."""
    if role == "generator" and config.mark.inks:
        height, width = image_size(config)
        field = (height // config.mark.scale, width // config.mark.scale)
        return {"size": field, "channels": config.mark.inks, "latent": config.model.latent - takes_inks(config)}
    return {"channels": 1} if role == "critic" and takes_inks(config) else {}


def _mark_generator(
    trunk: nnx.Module, config: ConfigDict, info: DatasetInfo, classes: int, rngs: nnx.Rngs
) -> mark.MarkGenerator:
    return mark.MarkGenerator(
        trunk,
        inks=config.mark.inks,
        scale=config.mark.scale,
        channels=config.data.channels,
        latent=config.model.latent,
        classes=classes,
        table=inks.to_table(info.inks) if takes_inks(config) else None,
        dtype=DTYPES[config.train.dtype],
        rngs=rngs,
    )


def _check_no_batch_statistics(config: ConfigDict, objective: Objective, networks: dict[str, nnx.Module]) -> None:
    """Raise a UserError if a network mixes images that its objective needs one by one."""
    for role in objective.per_example:
        if jax.tree.leaves(nnx.state(networks[role], nnx.Any(nnx.BatchStat, PowerIterationVector))):
            raise UserError(
                f"config.objective.name is {config.objective.name!r}, whose {role} must treat every image on its own, "
                f"but that of config.model has batch or spectral normalisation: do without, or choose another"
            )
