"""Files of a folder, on the disk or in a bucket (gs://, s3://), by relative name."""

import os
import pathlib
import shutil

from logogan_jax.core import files
from logogan_jax.core.storage.object_store import Bucket

NOTES = {"manifest.jsonl", "rejects.jsonl", "removed.jsonl", "settings.json"}


def open_store(where):
    """The Store of a path or an address such as s3://bucket/logos; nothing is created until something is written."""
    return Bucket(str(where)) if "://" in str(where) else Folder(where)


def image_names(where):
    """Names of the files of a Store that may be images: all but the notes that our tools leave beside them."""
    return (name for name in where.names() if name.rpartition("/")[2] not in NOTES)


def read_file(source):
    """The bytes of one file, by its path or address."""
    where, _, name = str(source).rpartition("/")
    return Bucket(where).read(name) if "://" in where else pathlib.Path(source).read_bytes()


class Folder:
    """A folder on the disk. Names are relative, with `/` between their parts."""

    def __init__(self, where):
        self.where = pathlib.Path(where).expanduser()

    def __str__(self):
        return str(self.where)

    def names(self, below=""):
        """Every file but hidden ones and those in hidden folders, in an order that depends on the names alone."""
        with os.scandir(self.where / below) as found:
            entries = [entry for entry in found if not entry.name.startswith(".")]
        # The order of whole names, in which a.b comes before a/b, as in a bucket.
        folder = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        for entry in sorted(entries, key=lambda entry: entry.name + "/" * folder[entry.name]):
            if folder[entry.name]:
                yield from self.names(f"{below}{entry.name}/")
            elif entry.is_file() or entry.is_symlink():  # a link to nowhere is for its reader to complain of
                yield f"{below}{entry.name}"

    def exists(self):
        """Whether the folder is there."""
        return self.where.is_dir()

    def read(self, name):
        """The bytes of a file."""
        return (self.where / name).read_bytes()

    def open(self, name):
        """A file to read bytes from, piece by piece."""
        return open(self.where / name, "rb")

    def size(self, name):
        """The bytes that a file has, or None if there is none."""
        path = self.where / name
        return path.stat().st_size if path.is_file() else None

    def sizes(self):
        """A function like `size` that is quick for many names."""
        return self.size

    def write(self, name, data):
        """Write bytes under a name, whole or not at all."""
        path = self.where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_write(path) as partial:
            partial.write_bytes(data)

    def put(self, name, path):
        """Copy a file of the disk."""
        where = self.where / name
        where.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_write(where) as partial:
            shutil.copyfile(path, partial)

    def remove(self, name):
        """Remove a file."""
        (self.where / name).unlink()
