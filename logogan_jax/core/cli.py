"""How a command starts: it reads its flags, and an error that the user can mend ends it with one line and status 2."""

import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from logogan_jax.core import command_line, errors
from logogan_jax.core.errors import UserError


def run(main: Callable[[], None], define: Callable[[], None], required: Sequence[str] = ()) -> None:
    """Run main() with the absl flags that define() defines; `required` names those that must be given.

    Flags are defined here and not on import, so that one program may import several commands.
    """
    with errors.exit_on_error():
        # Where ml_collections looks for the keys of a config, from its flag's definition on.
        sys.argv = command_line.expand(sys.argv)
    define()
    _describe(main.__module__)
    logging.set_verbosity(logging.FATAL)  # libraries also log what they raise; the user should read it once

    def checked_main(_: list[str]) -> None:
        with errors.exit_on_error():
            main()

    def parse(argv: list[str]) -> list[str]:
        with errors.exit_on_error():
            return _parse(argv, required)

    app.run(checked_main, flags_parser=parse)


def _parse(argv: list[str], required: Sequence[str]) -> list[str]:
    """Set the flags. Returns the arguments that are no flags: the command's name alone."""
    command_line.check_config_files(argv)
    try:
        rest = flags.FLAGS(argv)
    except Exception as error:  # a config file may raise anything
        raise UserError(command_line.describe_error(argv, error)) from error
    if rest[1:]:
        raise UserError(f"{rest[1]!r} is not a flag: write --name=value")
    for name in required:
        if not command_line.flag_value(argv, name):
            raise UserError(f"--{name} is missing; --help lists the flags")
    if "config" in required:
        command_line.check_config(argv, flags.FLAGS["config"].value)
    return rest


def _describe(module: str) -> None:
    """Let --help describe a command's module where a script imports it and does not run it as __main__."""
    if module != "__main__":
        sys.modules["__main__"].__doc__ = sys.modules[module].__doc__
        for flag in flags.FLAGS.flags_by_module_dict().get(module, ()):
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
