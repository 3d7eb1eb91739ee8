"""Buckets for tests: S3 is moto's, Google's storage a fake of its XML API; both listen on loopback.

conftest.py imports the fixtures, so that every test can ask for them by name.
"""

import collections
import hashlib
import http.server
import itertools
import logging
import os
import threading
import urllib.parse
from xml.sax.saxutils import escape

import pytest

from logogan_jax.core.storage import connect, download, filesystem

BOTH = pytest.mark.parametrize("bucket", ["s3", "gs"], indirect=True)

# Of files: in the order of a bucket they are sorted as a whole.
NAMES = ["a.b", "a/b", "a-b/c", "b", "логотип 1.png", "社章/ロゴ.png", "odd ?*[x]&+%41.txt", "👩‍🚀.svg", "z" * 200]

Stored = collections.namedtuple("Stored", "data generation")


class GoogleStorage(http.server.ThreadingHTTPServer):
    """A fake of the part of Google's XML API that obstore uses, conditions on generations among it."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _GoogleStorageRequest)
        self.buckets, self.lock, self.generations = {}, threading.Lock(), itertools.count(1)


class _GoogleStorageRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", stored=None):
        self.send_response(status)
        if stored:
            self.send_header("ETag", f'"{hashlib.md5(stored.data).hexdigest()}"')
            self.send_header("x-goog-generation", stored.generation)
            self.send_header("Last-Modified", "Sat, 01 Nov 2025 00:00:00 GMT")
        self.send_header("Content-Length", len(body))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status, code, message):
        self.answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())

    def handle_request(self):
        """Answer a request; a condition is checked and the object written under one lock."""
        address = urllib.parse.urlsplit(self.path)
        name, _, key = address.path.lstrip("/").partition("/")
        key, query = urllib.parse.unquote(key), dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            bucket = self.server.buckets.get(urllib.parse.unquote(name))
            if bucket is None:
                self.fail(404, "NoSuchBucket", "The specified bucket does not exist.")
            elif not key:
                self.list(bucket, query)
            elif self.command == "PUT":
                self.put(bucket, key, data)
            elif key not in bucket:
                self.fail(404, "NoSuchKey", "The specified key does not exist.")
            elif self.command == "DELETE":
                del bucket[key]
                self.answer(204)
            else:
                self.answer(200, bucket[key].data, bucket[key])

    do_GET = do_HEAD = do_PUT = do_DELETE = handle_request

    def put(self, bucket, key, data):
        condition = self.headers.get("x-goog-if-generation-match")
        generation = bucket[key].generation if key in bucket else 0
        if condition is not None and int(condition) != generation:
            self.fail(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
            return
        bucket[key] = Stored(data, next(self.server.generations))
        self.answer(200, stored=bucket[key])

    def list(self, bucket, query):
        """Answer with two pages, so that whoever reads only the first is found out."""
        start, prefix = query.get("continuation-token", ""), query.get("prefix", "")
        names = sorted(key for key in bucket if key.startswith(prefix) and key >= start)
        page = names if start else names[: max(1, len(names) // 2)]
        following = names[len(page) : len(page) + 1]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2025-11-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{hashlib.md5(bucket[key].data).hexdigest()}&quot;</ETag><Size>{len(bucket[key].data)}</Size>"
            f"</Contents>"
            for key in page
        )
        token = "".join(f"<NextContinuationToken>{escape(key)}</NextContinuationToken>" for key in following)
        self.answer(200, f"<ListBucketResult>{entries}{token}</ListBucketResult>".encode())


@pytest.fixture(scope="module")
def s3():
    """boto3's client of an S3 on loopback, which everything in this module uses."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # S3 compares and writes in one step; moto does so only if it serves one request after the other. Its dispatcher
    # would look through its services, which are folders on the disk, at every request.
    one_at_a_time, app = threading.Lock(), server._server.app.create_app("s3")

    def serve(*request):
        with one_at_a_time:
            return app(*request)

    server._server.app = serve
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "mine",
                            "DEFAULT_REGION": "us-east-1", "EC2_METADATA_DISABLED": "true", "CONFIG_FILE": os.devnull,
                            "SHARED_CREDENTIALS_FILE": os.devnull}.items():  # fmt: skip
            patch.setenv(f"AWS_{name}", value)
        connect.connect.cache_clear()
        yield boto3.client("s3")
        connect.connect.cache_clear()
    server.stop()


@pytest.fixture(scope="module")
def gs():
    """The GoogleStorage on loopback that everything in this module uses."""
    server = GoogleStorage()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
        connect.connect.cache_clear()
        yield server
        connect.connect.cache_clear()
    server.shutdown()
    server.server_close()


def new_bucket(kind, request):
    """Return the address of a new bucket, "s3" or "gs"."""
    server = request.getfixturevalue(kind)
    name = f"test-{hashlib.sha256(request.node.name.encode()).hexdigest()[:16]}"
    if kind == "s3":
        server.create_bucket(Bucket=name)
    else:
        server.buckets[name] = {}
    return f"{kind}://{name}"


@pytest.fixture
def bucket(request):
    """The address of a new bucket, in S3 unless a test asks for another kind."""
    return new_bucket(getattr(request, "param", "s3"), request)


@pytest.fixture(params=["folder", "memory", "s3", "gs"])
def where(request, tmp_path):
    """A place for files that is not there yet, of each kind."""
    if request.param == "folder":
        return filesystem.open_store(tmp_path / "new" / "folder")
    if request.param == "memory":
        return filesystem.open_store(f"memory://{request.node.name}/folder")
    return filesystem.open_store(f"{new_bucket(request.param, request)}/folder")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A function that makes this process, from then on, one of another machine, with a cache of its own."""

    def switch(name):
        monkeypatch.setenv("LOGOGAN_CACHE", str(tmp_path / name))
        end_process()

    switch("cache")
    yield switch
    end_process()


def end_process():
    """Let go of the locks that are held until a process ends."""
    download._read_locks.clear()


def contents(folder):
    """{name: bytes} of the files of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stored(s3, address):
    """{name: entry of the listing} of what S3 has below an address."""
    name, _, prefix = address.removeprefix("s3://").partition("/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix)
    return {entry["Key"].removeprefix(f"{prefix}/"): entry for page in pages for entry in page.get("Contents", ())}


def body(s3, address, name):
    """The bytes of an object in S3."""
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    return s3.get_object(Bucket=bucket, Key=f"{prefix}/{name}")["Body"].read()
