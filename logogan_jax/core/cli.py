"""How a command starts: flags are read, and what the user can mend ends it with one line and status 2."""

import pathlib
import re
import sys
from collections.abc import Sequence

from absl import app, flags, logging

from logogan_jax.core import errors, installation
from logogan_jax.core.errors import UserError


def run(main, define, required=()):
    """Run main() with the absl flags that define() defines; `required` names those that have no default.

    They are defined here and not on import, so that one program may import several commands.
    """
    define()
    _describe(main.__module__)
    logging.set_verbosity(logging.FATAL)  # libraries narrate what they raise; what matters to the user is said by us

    def checked(_):
        with errors.exit_on_error():
            main()

    def parse(argv):
        with errors.exit_on_error():
            return _parse(_with_config_paths(argv), required)

    app.run(checked, flags_parser=parse)


def _parse(argv, required):
    try:
        rest = flags.FLAGS(argv)
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(_about_key(argv, str(error))) from error
    except flags.Error as error:
        raise UserError(str(error).splitlines()[0]) from error
    if rest[1:]:
        raise UserError(f"{rest[1]!r} is not a flag: write --name=value")
    for name in required:
        if not _value(argv, name):
            raise UserError(f"--{name} is missing; --help lists the flags")
    config = pathlib.Path(_value(argv, "config").split(":")[0])
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


def _about_key(argv, message):
    """One line on a key that the config does not have; ml_collections tells the nearest one."""
    nearest = re.search(r'Did you mean "(\w+)" instead of "(\w+)"', message)
    wrong = nearest.group(2) if nearest else (re.findall(r"\w+", message) or [message])[0]
    for flag in argv[1:]:
        key = flag.lstrip("-").split("=")[0]
        if wrong in key.split("."):
            hint = f": did you mean {key.replace(wrong, nearest.group(1))}?" if nearest else ""
            return f"{key} is not a key of the config{hint}"
    return f"--config={_value(argv, 'config')}: {' '.join(message.split())}"


def _value(argv, name):
    """The value of --name=value or --name value on a command line."""
    for flag, following in zip(argv, [*argv[1:], ""], strict=True):
        key, found, value = flag.lstrip("-").partition("=")
        if key == name:
            return value if found else following
    return ""
