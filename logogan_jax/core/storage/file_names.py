"""Names of objects in a bucket as names of files."""

from collections.abc import Collection

from logogan_jax.core.errors import UserError


def check_file_names(address: str, names: Collection[str]) -> None:
    """Raise a UserError if two names cannot be files of one folder."""
    for name in names:
        parts = name.split("/")
        above = ("/".join(parts[:i]) for i in range(1, len(parts)))
        if {"", ".", ".."} & set(parts) or any(folder in names for folder in above):
            raise UserError(f"{address} holds {name!r}, which cannot be a file beside the others: remove or rename it")
