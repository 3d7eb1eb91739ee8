"""Files of a folder, on the disk or in a bucket (gs://, s3://), by relative name."""

import base64
import contextlib
import hashlib
import os
import pathlib
import shutil

import fsspec

from logogan_jax import files
from logogan_jax.errors import UserError

NOTES = {"manifest.jsonl", "rejects.jsonl", "removed.jsonl", "settings.json"}
PART = 16 << 20  # bytes of the parts in which large files are copied to a bucket
_EXTRAS = {"s3": "s3", "gs": "gcs", "gcs": "gcs"}
_LOGIN = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run 'aws configure'",
    "gs": "run 'gcloud auth application-default login'",
    "gcs": "run 'gcloud auth application-default login'",
}


def at(where):
    """The Store of a path or an address such as s3://bucket/logos; nothing is created until something is written."""
    return Bucket(str(where)) if "://" in str(where) else Folder(where)


def images(where):
    """Names of the files of a Store that may be images: all but the notes that our tools leave beside them."""
    return (name for name in where.names() if name.rpartition("/")[2] not in NOTES)


def read(source):
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
        with files.whole(path) as partial:
            partial.write_bytes(data)

    def put(self, name, path):
        """Copy a file of the disk."""
        where = self.where / name
        where.parent.mkdir(parents=True, exist_ok=True)
        with files.whole(where) as partial:
            shutil.copyfile(path, partial)

    def remove(self, name):
        """Remove a file."""
        (self.where / name).unlink()


class Bucket:
    """A folder of an object store, in which every object appears whole."""

    def __init__(self, where):
        self.where, (self._kind, _, rest) = where.rstrip("/"), where.partition("://")
        if not rest.strip("/") or self._kind in ("file", "local"):
            raise UserError(f"{where} names no bucket: it should be like s3://bucket/folder, or a path of this machine")
        try:
            # Without a cache of listings, which would hide what others write.
            self._files, self._root = fsspec.core.url_to_fs(self.where, use_listings_cache=False)
        except ImportError:
            extra = _EXTRAS.get(self._kind)
            mend = f"pip install -e '.[{extra}]'" if extra else "install the package that fsspec names for it"
            raise UserError(f"{where} needs a package that is not here: {mend}") from None
        except ValueError:
            raise UserError(f"{where}: {self._kind}:// is no object store that is known; use s3:// or gs://") from None

    def __str__(self):
        return self.where

    def names(self):
        """Every object below the address but hidden ones, sorted."""
        return (name for name in self._listing() if not any(part.startswith(".") for part in name.split("/")))

    def exists(self):
        """Whether anything is there."""
        with self._spoken():
            return self._files.exists(self._root)

    def read(self, name):
        """The bytes of an object."""
        with self._spoken(missing=True):
            return self._files.cat_file(f"{self._root}/{name}")

    def open(self, name):
        """An object to read bytes from, piece by piece."""
        with self._spoken(missing=True):
            return self._files.open(f"{self._root}/{name}", "rb")

    def size(self, name):
        """The bytes that an object has, or None if there is none."""
        try:
            with self._spoken(missing=True):
                found = self._files.info(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        return found["size"] if found["type"] == "file" else None

    def sizes(self):
        """A function like `size` that is quick for many names: one listing, now, answers for them all."""
        return self._listing().get

    def write(self, name, data):
        """Write bytes under a name."""
        with self._spoken():
            self._files.pipe_file(f"{self._root}/{name}", data)

    def put(self, name, path):
        """Copy a file of the disk, in parts if it is large."""
        with self._spoken():
            self._files.put_file(str(path), f"{self._root}/{name}", chunksize=_part(path))

    def remove(self, name):
        """Remove an object."""
        with self._spoken():
            self._files.rm_file(f"{self._root}/{name}")

    def same(self, name, path):
        """Whether an object has the very bytes of a file of the disk."""
        with self._spoken():
            found = self._files.info(f"{self._root}/{name}")
            if found["size"] != os.path.getsize(path):
                return False
            if (found.get("ETag", "").strip('"') or found.get("md5Hash")) in _digests(path):
                return True
            # The store knows no digest, or one of encrypted bytes or of other parts: compare the bytes themselves.
            with self._files.open(f"{self._root}/{name}", "rb") as there, open(path, "rb") as here:
                return all(piece == there.read(len(piece)) for piece in iter(lambda: here.read(PART), b""))

    def _listing(self):
        with self._spoken():
            found = self._files.find(self._root, detail=True)
        return {path[len(self._root) :].lstrip("/"): found[path]["size"] for path in sorted(found)}

    @contextlib.contextmanager
    def _spoken(self, missing=False):
        """Tell in one line what an object store raises; a missing object is an answer if `missing`."""
        try:
            yield
        except Exception as error:  # each object store has errors of its own, some of no common kind
            said = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, FileNotFoundError):
                if missing:
                    raise
                mend = "create the bucket, or correct its name"
            elif "Credentials" in type(error).__name__:
                mend = _LOGIN.get(self._kind, "log in")
            elif isinstance(error, PermissionError):
                mend = "these credentials do not permit it; use others, or have them permitted"
            else:
                mend = "check the network and the address, then run the same command again"
            raise UserError(f"{self.where}: {said}: {mend}") from error


def _part(path):
    """The size of a file's parts, of which object stores take 10,000."""
    return max(PART, -(-os.path.getsize(path) // 10_000 // PART) * PART)


def _digests(path):
    """What object stores may call a file: its MD5 in hexadecimal or base64, or the MD5 of its parts' MD5s."""
    whole, parts, size = hashlib.md5(usedforsecurity=False), [], _part(path)
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(size), b""):
            whole.update(piece)
            parts.append(hashlib.md5(piece, usedforsecurity=False).digest())
    joined = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return {whole.hexdigest(), base64.b64encode(whole.digest()).decode(), f"{joined}-{len(parts)}"}
