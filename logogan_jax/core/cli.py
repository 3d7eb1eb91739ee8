"""How a command starts: it reads its flags, and an error that the user can mend ends it with one line and status 2."""

import pathlib
import re
import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from logogan_jax.core import errors, installation
from logogan_jax.core.errors import UserError


def run(main: Callable[[], None], define: Callable[[], None], required: Sequence[str] = ()) -> None:
    """Run main() with the absl flags that define() defines; `required` names those that must be given.

    Flags are defined here and not on import, so that one program may import several commands.
    """
    define()
    _describe(main.__module__)
    logging.set_verbosity(logging.FATAL)  # libraries also log what they raise; the user should read it once

    def checked_main(_: list[str]) -> None:
        with errors.exit_on_error():
            main()

    def parse(argv: list[str]) -> list[str]:
        with errors.exit_on_error():
            return _parse(_with_config_paths(argv), required)

    app.run(checked_main, flags_parser=parse)


def _parse(argv: list[str], required: Sequence[str]) -> list[str]:
    """Set the flags. Returns the arguments that are no flags: the command's name alone."""
    try:
        rest = flags.FLAGS(argv)
    except ImportError as error:
        raise UserError(_import_error_line(argv, error)) from error
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(_unknown_key_line(argv, str(error))) from error
    except flags.Error as error:
        raise UserError(str(error).splitlines()[0]) from error
    if rest[1:]:
        raise UserError(f"{rest[1]!r} is not a flag: write --name=value")
    for name in required:
        if not _flag_value(argv, name):
            raise UserError(f"--{name} is missing; --help lists the flags")
    config = pathlib.Path(_flag_value(argv, "config").split(":")[0])
    if "config" in required and not config.is_file():
        others = ", ".join(sorted(path.stem for path in config.parent.glob("*.py") if path.stem != "__init__"))
        raise UserError(f"--config={config}: there is no such file; {config.parent} has {others or 'none'}")
    return rest


def _describe(module: str) -> None:
    """Let --help describe a command's module where a script imports it and does not run it as __main__."""
    if module != "__main__":
        sys.modules["__main__"].__doc__ = sys.modules[module].__doc__
        for flag in flags.FLAGS.flags_by_module_dict().get(module, ()):
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


def _with_config_paths(argv: Sequence[str]) -> list[str]:
    """Replace the name of a shipped config, as in --config=wgan56 or --config wgan56, by the path of its file."""
    words = []
    for previous, word in zip(["", *argv], argv, strict=False):
        flag, equals, value = word.partition("=")
        if previous in ("--config", "-config"):
            word = installation.config_path(word)
        elif equals and flag in ("--config", "-config"):
            word = f"{flag}={installation.config_path(value)}"
        words.append(word)
    return words


def _import_error_line(argv: list[str], error: ImportError) -> str:
    """Return one line about an import of the config file that failed."""
    line = f"--config={_flag_value(argv, 'config')}: {' '.join(str(error).split())}"
    if "defaults" in str(error) and "logogan_jax" in str(error):  # where they were in older versions
        line += ": write 'from logogan_jax.config import defaults'"
    return line


def _unknown_key_line(argv: list[str], message: str) -> str:
    """Return one line about a key that the config does not have; ml_collections names the nearest one."""
    nearest = re.search(r'Did you mean "(\w+)" instead of "(\w+)"', message)
    wrong = nearest.group(2) if nearest else (re.findall(r"\w+", message) or [message])[0]
    for flag in argv[1:]:
        key = flag.lstrip("-").split("=")[0]
        if wrong in key.split("."):
            hint = f": did you mean {key.replace(wrong, nearest.group(1))}?" if nearest else ""
            return f"{key} is not a key of the config{hint}"
    return f"--config={_flag_value(argv, 'config')}: {' '.join(message.split())}"


def _flag_value(argv: list[str], name: str) -> str:
    """Return the value of --name=value or --name value on a command line, or an empty string."""
    for flag, following in zip(argv, [*argv[1:], ""], strict=True):
        key, equals, value = flag.lstrip("-").partition("=")
        if key == name:
            return value if equals else following
    return ""
