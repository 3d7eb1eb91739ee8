"""The words of a command line: flag files, configs by name, and one line about what is wrong with them."""

import pathlib
import re
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from logogan_jax.core import installation
from logogan_jax.core.errors import UserError

_CONFIG = ("--config", "-config")
_IMPORT = "from logogan_jax.config import defaults"
_BLOCKS = ("data", "augment", "model", "objective", "optimizer", "train", "report", "evaluate")  # of every config


def expand(argv: Sequence[str]) -> list[str]:
    """Return a command line with the flags of a --flagfile in its place, and the paths of configs for their names.

    A config comes before all other flags, because ml_collections wants it before its keys.
    """
    try:
        words = flags.FLAGS.read_flags_from_files(list(argv), force_gnu=False)
    except (flags.Error, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split()).removeprefix("ERROR:: ")
        raise UserError(
            f"--flagfile={flag_value(argv, 'flagfile')}: {reason}: give a text file, a flag a line"
        ) from None
    configs = []
    others = []
    for words_of_flag in _flags(words[1:]):
        name, equals, value = words_of_flag[0].partition("=")
        if name not in _CONFIG:
            others += words_of_flag
        elif equals or words_of_flag[1:]:
            configs.append(f"--config={installation.config_path(value if equals else words_of_flag[1])}")
        else:
            configs.append("--config=")
    return [*words[:1], *configs, *others]


def _flags(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield the words one by one, but the value of a --config VALUE together with its flag."""
    rest = iter(words)
    for word in rest:
        value = next(rest, None) if word in _CONFIG else None
        yield [word] if value is None else [word, value]


def flag_value(words: Sequence[str], name: str) -> str:
    """Return the last value of --name=value or --name value on a command line, or an empty string."""
    found = ""
    for flag, following in zip(words, [*words[1:], ""], strict=True):
        key, equals, value = flag.partition("=")
        if key in (f"--{name}", f"-{name}"):
            found = value if equals else following
    return found


def check_config_files(words: Sequence[str]) -> None:
    """Raise a UserError if a --config is no file that can be read."""
    for word in words[1:]:
        name, _, value = word.partition("=")
        if name not in _CONFIG:
            continue
        path = pathlib.Path(value.partition(":")[0])
        if not value:
            raise UserError("--config is missing; --help lists the flags")
        try:
            path.read_bytes()
        except FileNotFoundError:
            there = sorted(other.stem for other in path.parent.glob("*.py") if other.stem != "__init__")
            listed = f"{path.parent} has {', '.join(there) or 'none'}"
            raise UserError(f"--config={path}: there is no such file; {listed}") from None
        except OSError as error:
            raise UserError(f"--config={path} cannot be read ({error.strerror}): give a file, or a name") from None


def check_config(words: Sequence[str], returned: Any) -> None:
    """Raise a UserError if what a config file returned is no config."""
    try:
        missing = [name for name in _BLOCKS if name not in returned]
    except OSError as error:  # ml_collections keeps one of the config file until the config is used
        raise UserError(describe_error(words, error)) from None
    except TypeError:
        missing = list(_BLOCKS)
    if missing or not isinstance(returned, ConfigDict):
        raise UserError(
            f"--config={flag_value(words, 'config')}: get_config() returns a {type(returned).__name__} without "
            f"{(missing or _BLOCKS)[0]!r}: it should return a changed defaults.get_config() of logogan_jax.config"
        )


def describe_error(words: Sequence[str], error: Exception) -> str:
    """Return one line about an error that reading the flags raised, by its kind."""
    text = str(error)
    path = flag_value(words, "config").partition(":")[0]
    # ml_collections turns some errors of a config file into others, whose text is the traceback.
    rewritten = "Error whilst parsing config file" in text
    lines = re.findall(rf'File "{re.escape(path)}", line (\d+)', "".join(traceback.format_exception(error)))
    if isinstance(error, ImportError):
        # Where the defaults were in older versions.
        old = "defaults" in text and "logogan_jax" in text
        return f"--config={path}: {text}{': write ' + repr(_IMPORT) if old else ''}"
    if lines or rewritten:
        reason = text.strip().splitlines()[-1] if rewritten else f"{type(error).__name__}: {text}"
        return f"--config={path}{f', line {lines[-1]}' if lines else ''}: {' '.join(reason.split())}"
    if isinstance(error, flags.Error):
        return text.splitlines()[0]
    return _unknown_key_line(words, text)


def _unknown_key_line(words: Sequence[str], message: str) -> str:
    """Return one line about a key that the config does not have; ml_collections names the nearest one."""
    message = message.replace("\\n", " ").replace("\\'", "'")
    nearest = re.search(r'Did you mean "(\w+)" instead of "(\w+)"', message)
    wrong = nearest.group(2) if nearest else (re.findall(r"\w+", message) or [message])[0]
    for flag in words[1:]:
        key = flag.lstrip("-").split("=")[0]
        if wrong in key.split("."):
            hint = f": did you mean {key.replace(wrong, nearest.group(1))}?" if nearest else ""
            return f"{key} is not a key of the config{hint}"
    return f"--config={flag_value(words, 'config')}: {' '.join(message.split())}"
