"""An HTTP server on loopback that answers each path as a test says, and the lists and images that tests download."""

import collections
import csv
import http.server
import io
import json
import struct
import threading
import time
import zlib

import pytest
from PIL import Image

from data_prep.web.fetch import RetryPolicy

QUICK = RetryPolicy(connect=1.0, read=0.5, total=2.0, max_attempts=3, first_pause=0.01, max_pause=0.3)
DRAWING = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9"/></svg>'


def picture(number, kind="PNG"):
    """The bytes of an image that no other number has."""
    stream = io.BytesIO()
    Image.new("RGB", (16 + number % 5, 16), (number % 256, number // 256 % 256, 77)).save(stream, format=kind)
    return stream.getvalue()


def bomb(width, height):
    """A PNG of a few bytes whose header promises an enormous picture."""
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


# ── a server that does as it is told, on loopback ───────────────────────────────────────────


class FileServer(http.server.ThreadingHTTPServer):
    """Answers each path by routes[path](handler); counts what was asked, and how much at once."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes, self.asked, self.times, self.over = {}, [], collections.defaultdict(list), threading.Event()
        self.lock, self.now, self.most, self.headers = threading.Lock(), 0, 0, []
        self.place = f"127.0.0.1:{self.server_port}"

    def link(self, path, route):
        """The link to a path that is answered by a route, or by these bytes."""
        self.routes[path] = reply(route) if isinstance(route, bytes) else route
        return f"http://{self.place}{path}"

    def handle_error(self, *_):
        """Clients that hang up are what these tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with self.server.lock:
            self.server.asked.append(self.path)
            self.server.headers.append(self.headers)
            self.server.times[self.path].append(time.monotonic())
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
        try:
            self.server.routes[self.path](self)
        finally:
            with self.server.lock:
                self.server.now -= 1

    def log_message(self, *_):
        """Nothing."""


def reply(body=b"", status=200, **headers):
    def route(handler):
        handler.send_response(status)
        for name, value in {"Content_Type": "image/png", "Content_Length": len(body), **headers}.items():
            if value is not None:
                handler.send_header(name.replace("_", "-"), str(value))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = headers.get("Content_Length", 0) is None or len(body) != headers.get(
            "Content_Length", len(body)
        )

    return route


def moved(location):
    return reply(b"", 302, Location=location)


def after(seconds, body):
    """The body, but not at once."""

    def route(handler):
        handler.server.over.wait(seconds)
        reply(body)(handler)

    return route


def stalling(body, sent):
    """So many bytes, then nothing more."""

    def route(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:sent])
        handler.server.over.wait(10)
        handler.close_connection = True

    return route


def dripping(handler):
    """A byte now and then, for long, so that no single wait is."""
    handler.send_response(200)
    handler.end_headers()
    end = time.monotonic() + 15
    while time.monotonic() < end and not handler.server.over.wait(0.1):
        handler.wfile.write(b"x")


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.over.is_set():
        handler.wfile.write(bytes(1 << 16))


def in_turn(*routes):
    """One route after the other, then the last one for ever."""
    left = list(routes)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


@pytest.fixture
def server():
    with FileServer() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield found
        found.over.set()
        found.shutdown()
        thread.join()


def listing(folder, rows, columns=("name", "link", "sha1", "licence", "author")):
    """A CSV file of rows (dictionaries, or links alone)."""
    path = folder / "items.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(row if isinstance(row, dict) else {"link": row} for row in rows)
    return path


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
