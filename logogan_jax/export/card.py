"""What an exported file is, in JSON and in a short page: inputs, run, digest, and which latents a picture has."""

import datetime
import hashlib
import importlib.metadata
import pathlib
import platform
from typing import Any

import logogan_jax
from logogan_jax.config import default_dataset
from logogan_jax.config.build_networks import image_size, takes_inks
from logogan_jax.config.restore import RestoredRun
from logogan_jax.core import files
from logogan_jax.export.recipes import Recipe
from logogan_jax.training.reporting import run_writer

_PAGE = """\
# {file}

The generator of the run `{run}` at step {step:,}, averaged over training, as {format}. It draws pictures of
{height} x {width} pixels in {channels} channels, and was trained on {images:,} images (fingerprint `{fingerprint}`).
`{card}` has all that is known of it: config, metrics, versions and the recipe below.

- Latents: float32[n, {size}], {prior}.{inks}
- Labels: {labels}.
- SHA-256: `{sha256}`
{expiry}
## Use

{use}

## Which latents a picture has

Picture 17 of seed 1 of the sample command is drawn from the latents `z` and the label of this program:

```python
import json

latents_of = json.load(open("{card}"))["latents"]
exec(latents_of["recipe"])  # defines latents and label
z = latents(1, 17, **latents_of["arguments"])
y = label(1, 17, latents_of["label_bounds"])
```

The recipe is:

```python
{recipe}```
"""


def describe(
    run: RestoredRun, path: pathlib.Path, name: str, format_: str, recipe: Recipe, facts: dict[str, Any]
) -> dict[str, Any]:
    """Return the card of a file that lies at `path` and will have a name."""
    height, width = image_size(run.config)
    data = run.config.data
    config = run.config.to_dict()
    config["data"]["dir"] = default_dataset.portable(data.dir)
    packages = ("jax", "jaxlib", "flax", "numpy", *facts.pop("packages"))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "file": name,
        "format": format_,
        "sha256": digest,
        "bytes": path.stat().st_size,
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "inputs": {"latents": f"float32[n, {run.config.model.latent}]", "labels": "int32[n]"},
        **facts,
        "output": f"uint8[n, {height}, {width}, {data.channels}]",
        "alpha": "straight" if data.channels == 4 else None,
        "labels": list(run.info.labels) if data.labels else [],
        "latents": {
            "prior": recipe.name,
            "last_chooses_ink": takes_inks(run.config),
            "recipe": recipe.source,
            "example": f"picture 17 of seed 1: {recipe.call}, label(1, 17, label_bounds)",
            "arguments": recipe.numbers,
            "label_bounds": recipe.bounds,
        },
        "run": run.workdir.name,
        "step": run.step,
        "metrics": _metrics(run),
        "data": {"fingerprint": run.info.fingerprint, "images": run.info.images, "labels": run.info.labels},
        "config": config,
        "versions": {
            "logogan_jax": logogan_jax.__version__,
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in packages},
        },
    }


def page(card: dict[str, Any], name: str, use: str) -> str:
    """Return the page, in Markdown, of a card whose own file has a name."""
    latents = card["latents"]
    height, width, channels = card["output"].removeprefix("uint8[n, ").rstrip("]").split(", ")
    size = card["config"]["model"]["latent"]
    known = ", ".join(f"{i} is {label}" for i, label in enumerate(card["labels"]))
    read = f"int32[n]: {known}" if known else "int32[n], which this generator does not read"
    expiry = card.get("expiry")
    return _PAGE.format(
        file=card["file"], run=card["run"], step=card["step"], format=card["format"], card=name, size=size,
        height=height, width=width, channels=channels, images=card["data"]["images"],
        fingerprint=card["data"]["fingerprint"][:12], prior=latents["prior"], sha256=card["sha256"],
        inks=" The last number chooses the ink." if latents["last_chooses_ink"] else "",
        labels=read if "labels" in card["inputs"] else "none",
        expiry=f"- JAX promises to read it: {expiry['newer_jax']}, and {expiry['older_jax']}. From "
        f"{expiry['not_promised_after']} on, the newest JAX may refuse it.\n" if expiry else "",
        use=use.format(file=card["file"], size=size, platform=card.get("platform")), recipe=latents["recipe"],
    )  # fmt: skip


def _metrics(run: RestoredRun) -> dict[str, float]:
    """Return what the run has measured at the step of the file."""
    measured: dict[str, float] = {}
    for line in run_writer.read_lines(run.workdir / "metrics.jsonl"):
        if line["step"] == run.step:
            measured |= line
    return {name: value for name, value in measured.items() if name != "step"}


def write(card: dict[str, Any], path: pathlib.Path) -> None:
    """Write a card as JSON."""
    path.write_text(files.to_json(card), encoding="utf-8")
