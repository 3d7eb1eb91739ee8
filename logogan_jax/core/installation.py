"""What depends on how the package is installed: where the files lie that ship with it, and what pip is told.

A checkout, and an editable install of one, has `configs/`, `cloud/` and `benchmarks/` beside the package. A wheel has
them inside it, so that it puts no general names into an environment.
"""

import difflib
import pathlib

from logogan_jax.core import files
from logogan_jax.core.errors import UserError

PACKAGE = pathlib.Path(__file__).resolve().parents[1]


def is_wheel() -> bool:
    """Return whether the package was installed from a wheel, and not imported from a checkout."""
    return (PACKAGE / "configs").is_dir()


def shipped_path(name: str) -> pathlib.Path:
    """Return the path of a file or folder such as cloud/prices.csv, which is named as a checkout has it."""
    return (PACKAGE if is_wheel() else PACKAGE.parent) / name


def install_command(extra: str) -> str:
    """Return the command that adds an extra, such as s3, to this installation."""
    return f"pip install 'logogan_jax[{extra}]'" if is_wheel() else f"pip install -e '.[{extra}]'"


def config_path(value: str) -> str:
    """Return the path that a value of --config means: of the shipped config wgan56 its file, and of a path itself.

    Raises:
        UserError: The value is a name that neither a file nor a shipped config has; the message names the nearest one.
    """
    if value.startswith("~"):
        return str(files.expand(value))
    name = value.partition(":")[0]  # ml_collections hands what follows to get_config()
    if not name or "/" in name or name.endswith(".py") or pathlib.Path(name).is_file():
        return value
    configs = {path.stem: path for path in shipped_path("configs").glob("[!_]*.py")}
    if name in configs:
        return str(configs[name]) + value.removeprefix(name)
    near = difflib.get_close_matches(name, configs, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    shipped = ", ".join(sorted(configs))
    raise UserError(f"--config={name} is neither a file nor a shipped config: {hint}The shipped ones are {shipped}")
