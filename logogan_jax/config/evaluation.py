"""Measures a run, and writes what was found into its folder: evaluation.json and copies.html."""

import pathlib
from collections.abc import Sequence
from typing import Any

import jax

from logogan_jax.config import measuring, report_page, restore, run_config
from logogan_jax.config.measuring import Options
from logogan_jax.core import files
from logogan_jax.metrics.features import FeatureNetwork
from logogan_jax.metrics.tables import Column


def evaluate(workdir: str, step: str, options: Options, networks: Sequence[str]) -> dict[str, Any]:
    """Measure a run as the command does, and write evaluation.json and copies.html. Returns the first one's content."""
    loaded = measuring.load_networks(networks)
    columns, facts, out = measure_run(loaded, None, workdir, step, options)
    content = write_numbers(out, loaded, facts, columns)
    report_page.refresh(out.parent, in_bucket="://" in workdir)
    return content


def write_numbers(
    out: pathlib.Path, networks: Sequence[FeatureNetwork], facts: dict[str, Any], columns: dict[str, Column]
) -> dict[str, Any]:
    """Write what was measured, and return it."""
    digests = {network.name: network.digest for network in networks}
    about = {"network": networks[0].name, "network_sha256": networks[0].digest, "networks": digests}
    content = {**about, **facts, "against": columns, "device": jax.devices()[0].device_kind}
    files.write_json(out, content)
    return content


def measure_run(
    networks: Sequence[FeatureNetwork], out: pathlib.Path | None, workdir: str, step: str, options: Options
) -> tuple[dict[str, Column], dict[str, Any], pathlib.Path]:
    """Return the columns of a run, facts for the file of numbers, and the path of that file."""
    run = restore.restore(workdir, step, options.data)
    columns, copies = measuring.evaluate_run(run, networks, options)
    recipe = run_config.digest(run.config)
    facts = {
        "run": run.workdir.name,
        "step": run.step,
        "seed": options.seed,
        "recipe_sha256": recipe,
        "data_fingerprint": run.info.fingerprint,
        **copies,
    }
    print(f"{run.workdir} at step {run.step:,}, data {run.info.fingerprint[:12]}, recipe {recipe[:12]}")
    return columns, facts, out or run.workdir / "evaluation.json"
