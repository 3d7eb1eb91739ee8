"""Favourites: pictures that a person has marked, kept in one file beside the runs."""

import json
import pathlib
from typing import Any

from logogan_jax.core import files
from logogan_jax.core.errors import UserError

MOST = 1_000


class Favourites:
    """The favourites in a file: each is a dictionary that says of which run and step a picture is, and what drew it."""

    def __init__(self, path: pathlib.Path):
        self._path = path

    def all(self) -> list[dict[str, Any]]:
        """Return all favourites, the newest first; UserError if the file is not whole."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))["favourites"]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._path} is no file of favourites ({type(error).__name__}): move it away") from None
        return list(found)

    def add(self, favourite: dict[str, Any]) -> list[dict[str, Any]]:
        """Add a favourite unless it is there, and return all."""
        found = self.all()
        if favourite not in found:
            if len(found) == MOST:
                raise UserError(f"there are {MOST:,} favourites: remove some")
            self._write([favourite, *found])
        return self.all()

    def remove(self, favourite: dict[str, Any]) -> list[dict[str, Any]]:
        """Remove a favourite, and return those that are left."""
        self._write([one for one in self.all() if one != favourite])
        return self.all()

    def _write(self, favourites: list[dict[str, Any]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(self._path, {"favourites": favourites})
