"""Export a generator: python -m logogan_jax.export --workdir=runs/mine --format=stablehlo --out=mine.stablehlo.

Writes the averaged generator for other programs, from latents and labels to pictures uint8[n, H, W, C]. Beside FILE,
FILE.json and FILE.md say what it is and which latents a picture of the sample command has.
"""

import contextlib
import importlib.util
import os
import pathlib
import types

import jax
from absl import flags

from logogan_jax.config import restore
from logogan_jax.core import backend, cli, files, installation, outputs
from logogan_jax.core.errors import UserError
from logogan_jax.export import archive, card, onnx_program, recipes, stablehlo

FORMATS = {"safetensors": archive, "onnx": onnx_program, "stablehlo": stablehlo}


def define() -> None:
    """Define the flags of the command."""
    flags.DEFINE_string("workdir", None, "folder of the run to export")
    flags.DEFINE_string("step", "best", "best, newest, or the number of a step that has a checkpoint")
    flags.DEFINE_enum(
        "format", None, [*FORMATS], "safetensors: arrays and config; onnx: a graph; stablehlo: a program of jax.export"
    )
    flags.DEFINE_string("out", None, "new file; FILE.json and FILE.md beside it describe it")
    flags.DEFINE_bool("critic", False, "also write the critic into safetensors, for runs that start by --init_from")
    flags.DEFINE_string("platform", None, "cpu, cuda or tpu, on which a program is to run; default: as this machine")


def main() -> None:
    """Run the command."""
    format_ = FORMATS[flags.FLAGS.format]
    _check_packages(format_)
    platform = _platform(format_)
    if flags.FLAGS.critic and format_ is not archive:
        raise UserError("--critic: a program has no critic: leave it, or use --format=safetensors")
    out = outputs.file_to_write("out", flags.FLAGS.out)
    beside = [out.with_name(out.name + ending) for ending in (".json", ".md")]
    for path in (out, *beside):
        if os.path.lexists(path):
            raise UserError(f"--out={flags.FLAGS.out}: {path} is there already: choose another name")
    backend.start()
    run = restore.restore(flags.FLAGS.workdir, flags.FLAGS.step)
    _write(run, format_, platform or _here(), out, *beside)
    print(f"step {run.step} of {run.workdir.name} is in {out}; {beside[0].name} and {beside[1].name} say what it is")


def _write(
    run: restore.RestoredRun,
    format_: types.ModuleType,
    platform: str,
    out: pathlib.Path,
    described: pathlib.Path,
    page: pathlib.Path,
) -> None:
    """Write the file and what describes it: all three or none."""
    recipe = recipes.find(run)
    try:
        with contextlib.ExitStack() as stack:
            # The file is entered first, so it gets its name last: whoever finds it finds its card.
            partial = stack.enter_context(files.atomic_write(out))
            card_file = stack.enter_context(files.atomic_write(described))
            page_file = stack.enter_context(files.atomic_write(page))
            with_critic = {"critic": True} if flags.FLAGS.critic else {}
            facts = format_.write(run, partial, platform, run.config.model.latent, **with_critic)
            facts["packages"] = format_.PACKAGES
            content = card.describe(run, partial, out.name, flags.FLAGS.format, recipe, facts)
            card.write(content, card_file)
            page_file.write_text(card.page(content, described.name, format_.USE), encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out={out} cannot be written ({error.strerror}): choose another place") from None


def _check_packages(format_: types.ModuleType) -> None:
    """Raise a UserError if a package that the format needs is not installed."""
    for package in format_.PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"--format={flags.FLAGS.format} needs {package}: {installation.install_command('export')}")


def _platform(format_: types.ModuleType) -> str | None:
    """Return --platform; UserError if the format has no such platform."""
    platform = flags.FLAGS.platform
    if platform is not None and platform not in format_.PLATFORMS:
        known = ", ".join(format_.PLATFORMS)
        should = f"it should be one of {known}" if known else f"leave it, --format={flags.FLAGS.format} has none"
        raise UserError(f"--platform is {platform!r}: {should}")
    return platform


def _here() -> str:
    """Return the platform of this machine, as jax.export calls it."""
    device = jax.devices()[0]
    return "cuda" if device.platform == "gpu" else device.platform


def command() -> None:
    """Run this module as the command logogan-export."""
    cli.run(main, define, required=["workdir", "format", "out"])


if __name__ == "__main__":
    command()
