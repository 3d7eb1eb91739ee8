"""The objects of a folder in an object store (gs://, s3://), by relative name."""

import base64
import concurrent.futures
import contextlib
import errno
import hashlib
import os
from typing import NamedTuple

from logogan_jax.core.errors import Unfinished, UserError
from logogan_jax.core.installation import install_command

PART = 16 << 20  # bytes of the parts in which large files are copied to a bucket
TOGETHER = 8  # files copied at once
_EXTRAS = {"s3": "s3", "gs": "gcs", "gcs": "gcs"}
_LOGIN = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run 'aws configure'",
    "gs": "run 'gcloud auth application-default login'",
    "gcs": "run 'gcloud auth application-default login'",
}


class Unreachable(Unfinished):
    """An object store that does not answer, or not as it should; it may a minute later."""


class Object(NamedTuple):
    """What a bucket tells of an object: its bytes, and a name that other bytes would not have."""

    size: int
    version: str


class Bucket:
    """A folder of an object store, in which every object appears whole."""

    def __init__(self, where):
        self.where, (self._kind, _, rest) = where.rstrip("/"), where.partition("://")
        if not rest.strip("/") or self._kind in ("file", "local"):
            raise UserError(f"{where} names no bucket: it should be like s3://bucket/folder, or a path of this machine")
        import fsspec  # which a command whose files are all on the disk need not wait for

        try:
            # Without a cache of listings, which would hide what others write.
            self._files, self._root = fsspec.core.url_to_fs(self.where, use_listings_cache=False)
        except ImportError:
            extra = _EXTRAS.get(self._kind)
            mend = install_command(extra) if extra else "install the package that fsspec names for it"
            raise UserError(f"{where} needs a package that is not here: {mend}") from None
        except ValueError:
            raise UserError(f"{where}: {self._kind}:// is no object store that is known; use s3:// or gs://") from None

    def __str__(self):
        return self.where

    def names(self):
        """Every object below the address but hidden ones, sorted."""
        return (name for name in self._listing() if not any(part.startswith(".") for part in name.split("/")))

    def objects(self, below=""):
        """{name: Object} of every object, hidden ones too, or of those in a folder."""
        return {name: _object(found) for name, found in self._listing(below).items()}

    def exists(self):
        """Whether anything is there."""
        with self._spoken():
            return self._files.exists(self._root)

    def read(self, name):
        """The bytes of an object."""
        with self._spoken(FileNotFoundError):
            return self._files.cat_file(f"{self._root}/{name}")

    def open(self, name):
        """An object to read bytes from, piece by piece."""
        with self._spoken(FileNotFoundError):
            return self._files.open(f"{self._root}/{name}", "rb")

    def size(self, name):
        """The bytes that an object has, or None if there is none."""
        try:
            with self._spoken(FileNotFoundError):
                found = self._files.info(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        return found["size"] if found["type"] == "file" else None

    def sizes(self):
        """A function like `size` that is quick for many names: one listing, now, answers for them all."""
        return {name: found["size"] for name, found in self._listing().items()}.get

    def write(self, name, data):
        """Write bytes under a name."""
        with self._spoken():
            self._files.pipe_file(f"{self._root}/{name}", data)

    def create(self, name, data):
        """Write bytes under a name that nothing has -> whether that was so."""
        try:
            with self._spoken(FileExistsError):
                self._files.pipe_file(f"{self._root}/{name}", data, mode="create")
        except FileExistsError:
            return False
        return True

    def get(self, name, path):
        """Copy an object to a file of the disk."""
        with self._spoken(FileNotFoundError):
            self._files.get_file(f"{self._root}/{name}", str(path))

    def put(self, name, path):
        """Copy a file of the disk, in parts if it is large."""
        with self._spoken():
            self._files.put_file(str(path), f"{self._root}/{name}", chunksize=_part(path))

    def remove(self, name):
        """Remove an object, if it is there."""
        with contextlib.suppress(FileNotFoundError), self._spoken(FileNotFoundError):
            self._files.rm_file(f"{self._root}/{name}")

    def same(self, name, path):
        """Whether an object has the very bytes of a file of the disk."""
        with self._spoken():
            found = _object(self._files.info(f"{self._root}/{name}"))
            if found.size != os.path.getsize(path):
                return False
            if alike(found, path):
                return True
            # The store knows no digest, or one of encrypted bytes or of other parts: compare the bytes themselves.
            with self._files.open(f"{self._root}/{name}", "rb") as there, open(path, "rb") as here:
                return all(piece == there.read(len(piece)) for piece in iter(lambda: here.read(PART), b""))

    def _listing(self, below=""):
        with self._spoken():
            listed, top = self._files.find(f"{self._root}/{below}".rstrip("/"), detail=True), f"{self._root}/"
        # A name that ends with a slash is no file, but what consoles of object stores call a folder.
        paths = [path for path in sorted(listed) if path.startswith(top) and not path.endswith("/")]
        return {path.removeprefix(top): listed[path] for path in paths}

    @contextlib.contextmanager
    def _spoken(self, *answers):
        """Tell in one line what an object store raises, but for errors that are answers and a full disk here."""
        try:
            yield
        except Exception as error:  # each object store has errors of its own, some of no common kind
            full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            if full or isinstance(error, answers):
                raise
            said, kind = " ".join(str(error).split()) or type(error).__name__, UserError
            if isinstance(error, FileNotFoundError):
                mend = "create the bucket, or correct its name"
            elif "Credentials" in type(error).__name__:
                mend = _LOGIN.get(self._kind, "log in")
            elif isinstance(error, PermissionError) or said.startswith("Forbidden"):
                mend = "these credentials do not permit it; use others, or have them permitted"
            else:
                mend, kind = "check the network and the address, then run the same command again", Unreachable
            raise kind(f"{self.where}: {said}: {mend}") from error


def alike(found, path):
    """Whether an Object is known, by its version, to have the bytes of a file of the disk."""
    return found.size == os.path.getsize(path) and found.version in _digests(path)


def _object(found):
    names = [found[key] for key in ("ETag", "md5Hash", "etag", "created") if found.get(key)]
    return Object(found["size"], str(names[0]).strip('"') if names else "")


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


def map_parallel(function, names):
    """Yield function(name) of each, as they end, of which a few run at once; the first error stops them."""
    with contextlib.ExitStack() as stack:
        threads = concurrent.futures.ThreadPoolExecutor(TOGETHER)
        stack.callback(threads.shutdown, cancel_futures=True)
        for future in concurrent.futures.as_completed([threads.submit(function, name) for name in names]):
            yield future.result()
