"""The objects of a folder in an object store (gs://, s3://), by relative name."""

import concurrent.futures
import contextlib
import errno
import io
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from logogan_jax.core.errors import Unfinished, UserError
from logogan_jax.core.installation import install_command
from logogan_jax.core.storage.connect import EXTRAS, STORES, NoCredentials, connect
from logogan_jax.core.storage.digests import part_size, possible_etags

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutResult, UpdateVersion

THREADS = 8  # files copied at once

_NO_BUCKET = "create the bucket, or correct its name"
_LOGIN = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run 'aws configure'",
    "gs": "run 'gcloud auth application-default login'",
}

_THEIR_MODULES = ("obstore", "botocore", "google")  # which raise what `_explained_errors` explains

Item = TypeVar("Item")
Result = TypeVar("Result")


class Unreachable(Unfinished):
    """An object store that does not answer, or answers with a fault that may pass in a minute."""


class ObjectInfo(NamedTuple):
    """The size of an object in bytes, and its ETag, which changes with its content."""

    size: int
    etag: str


class Bucket:
    """A folder of an object store, in which every object appears whole or not at all."""

    def __init__(self, address: str):
        self.address = address.rstrip("/")
        scheme, _, rest = self.address.partition("://")
        self._scheme = "gs" if scheme == "gcs" else scheme
        bucket, _, self._root = rest.strip("/").partition("/")
        if not bucket or scheme in ("file", "local"):
            raise UserError(
                f"{address} names no bucket: it should be like s3://bucket/folder, or a path of this machine"
            )
        if self._scheme not in STORES:
            raise UserError(f"{address}: {scheme}:// is no object store that is known; use s3:// or gs://")
        with self._explained_errors():
            try:
                self._store = connect(self._scheme, bucket)
            except ImportError:
                mend = install_command(EXTRAS[self._scheme])
                raise UserError(f"{address} needs a package that is not here: {mend}") from None

    def __str__(self) -> str:
        return self.address

    def __reduce__(self):
        return Bucket, (self.address,)  # another process connects anew

    def names(self) -> Iterator[str]:
        """Yield the names of all objects but hidden ones, sorted."""
        return (name for name in self.objects() if not any(part.startswith(".") for part in name.split("/")))

    def objects(self, below: str = "") -> dict[str, ObjectInfo]:
        """Return {name: ObjectInfo} of all objects, hidden ones too, sorted; `below` names a folder to list alone."""
        top = self._key("")
        with self._explained_errors():
            listed = self._store.list(self._key(below).rstrip("/") or None, chunk_size=1000).collect()
        found = {meta["path"].removeprefix(top): _info(meta) for meta in listed if meta["path"].startswith(top)}
        for name in self._folder_placeholders(found):
            del found[name]
        return dict(sorted(found.items()))

    def exists(self) -> bool:
        """Return whether there is any object."""
        with self._explained_errors():
            return any(self._store.list(self._root or None, chunk_size=1))

    def read(self, name: str) -> bytes:
        """Return the content of an object; raises FileNotFoundError."""
        with self._explained_errors(FileNotFoundError):
            return self._store.get(self._key(name)).bytes().to_bytes()

    def open(self, name: str) -> io.BytesIO:
        """Return the content of an object as a file; raises FileNotFoundError."""
        return io.BytesIO(self.read(name))

    def size(self, name: str) -> int | None:
        """Return the size of an object in bytes, or None if there is no such object."""
        try:
            with self._explained_errors(FileNotFoundError):
                return self._store.head(self._key(name))["size"]
        except FileNotFoundError:
            return None

    def sizes(self) -> Callable[[str], int | None]:
        """Return a function like `size` that is quick for many names: one listing, made now, answers for all."""
        return {name: info.size for name, info in self.objects().items()}.get

    def write(self, name: str, data: bytes) -> None:
        """Write an object."""
        with self._explained_errors():
            self._store.put(self._key(name), data)

    def read_version(self, name: str) -> tuple[bytes, "UpdateVersion"]:
        """Return the content of an object, and its version for `write_if`; raises FileNotFoundError."""
        with self._explained_errors(FileNotFoundError):
            found = self._store.get(self._key(name))
            return found.bytes().to_bytes(), _version(found.meta)

    def write_if(self, name: str, data: bytes, version: "UpdateVersion | None") -> "UpdateVersion | None":
        """Write an object if it still has a version, or if there is none and `version` is None.

        The object store compares and writes in one step (S3: If-Match and If-None-Match; Google: ifGenerationMatch), so
        of several writers that name the same version exactly one succeeds. Returns the new version, or None if another
        writer came first.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            with self._explained_errors(AlreadyExistsError, PreconditionError):
                written = self._store.put(self._key(name), data, mode=version or "create")
        except (AlreadyExistsError, PreconditionError):
            return None
        return _version(written)

    def get(self, name: str, path: pathlib.Path) -> None:
        """Download an object to a file; raises FileNotFoundError."""
        with self._explained_errors(FileNotFoundError), open(path, "wb") as file:
            for piece in self._store.get(self._key(name)):
                file.write(piece)

    def put(self, name: str, path: pathlib.Path) -> None:
        """Upload a file, in parts if it is large; raises FileNotFoundError if there is no file."""
        part = part_size(path)
        with self._explained_errors():
            self._store.put(self._key(name), pathlib.Path(path), chunk_size=part, max_concurrency=4)

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        with contextlib.suppress(FileNotFoundError), self._explained_errors(FileNotFoundError):
            self._store.delete(self._key(name))

    def has_content_of(self, name: str, path: pathlib.Path) -> bool:
        """Return whether an object has the same bytes as a file."""
        with self._explained_errors():
            info = _info(self._store.head(self._key(name)))
            if info.size != os.path.getsize(path):
                return False
            if has_digest_of(info, path):
                return True
            # The ETag is no digest, or one of encrypted bytes or of parts of another size: compare the bytes.
            with open(path, "rb") as file:
                return all(bytes(piece) == file.read(len(piece)) for piece in self._store.get(self._key(name)))

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}" if self._root else name

    def _folder_placeholders(self, found: dict[str, ObjectInfo]) -> set[str]:
        """Return the names that stand for keys such as `a/b/`, which consoles of object stores make for a folder.

        obstore lists them as `a/b`, like an empty file of that name.
        """
        folders = {name[: match.start()] for name in found for match in re.finditer("/", name)}
        empty = [name for name, info in found.items() if not info.size]
        lonely = [name for name in empty if name not in folders]
        missing = {name for name, size in map_parallel(lambda name: (name, self.size(name)), lonely) if size is None}
        return {*missing, *(name for name in empty if name in folders)}

    @contextlib.contextmanager
    def _explained_errors(self, *expected: type[Exception]) -> Iterator[None]:
        """Raise what an object store raises as a UserError of one line, except `expected` errors and a full disk."""
        try:
            yield
        except Exception as error:  # obstore, boto3 and google-auth have no common kind of error
            theirs = isinstance(error, (OSError, NoCredentials)) or type(error).__module__.startswith(_THEIR_MODULES)
            full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            if full or not theirs or isinstance(error, expected):
                raise
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> UserError:
        # obstore's text is one line, with the server's answer as XML, and then pages about its internals.
        text = str(error).partition("\n\nDebug source")[0]
        said = re.search("<Message>(.*?)</Message>", text, re.DOTALL)
        said = " ".join((said[1] if said else re.sub(r"^Generic \w+ error: ", "", text)).split()).rstrip(".")
        line = f"{self}: {said or type(error).__name__}"
        status = re.search(r"status code: (\d+)", text)
        if bad := re.search('invalid path: .*?Path "(.*?)"', text, re.DOTALL):
            name = bad[1].removeprefix(self._key(""))
            return UserError(f"{self} holds {name!r}, which cannot be a file beside the others: remove or rename it")
        if isinstance(error, FileNotFoundError) or "NoSuchBucket" in text:
            return UserError(f"{self}: {said if 'exist' in said else 'The bucket does not exist'}: {_NO_BUCKET}")
        if re.search("Credentials|Profile|Refresh", type(error).__name__) or (status and status[1] == "401"):
            return UserError(f"{line}: {_LOGIN.get(self._scheme, 'log in')}")
        if status and status[1] == "403":
            return UserError(f"{line}: these credentials do not permit it; use others, or have them permitted")
        if "region" in said:
            return UserError(f"{line}: set AWS_REGION to the region of the bucket")
        return Unreachable(f"{line}: check the network and the address, then run the same command again")


def has_digest_of(info: ObjectInfo, path: pathlib.Path) -> bool:
    """Return whether the ETag of an object proves that it has the same bytes as a file."""
    return info.size == os.path.getsize(path) and info.etag in possible_etags(path)


def map_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield function(item) of each item in the order in which they end, a few at a time; the first error stops them."""
    with contextlib.ExitStack() as stack:
        threads = concurrent.futures.ThreadPoolExecutor(THREADS)
        stack.callback(threads.shutdown, cancel_futures=True)
        for future in concurrent.futures.as_completed([threads.submit(function, item) for item in items]):
            yield future.result()


def _info(meta: "ObjectMeta") -> ObjectInfo:
    return ObjectInfo(meta["size"], (meta["e_tag"] or "").strip('"'))


def _version(meta: "ObjectMeta | PutResult") -> "UpdateVersion":
    version: UpdateVersion = {}
    if meta["e_tag"] is not None:  # S3 compares this
        version["e_tag"] = meta["e_tag"]
    if meta["version"] is not None:  # and Google this, the generation
        version["version"] = meta["version"]
    return version
