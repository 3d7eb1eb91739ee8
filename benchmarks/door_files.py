"""Small files for every command to work on, and a server for those that ask one."""

import contextlib
import http.server
import os
import pathlib
import signal
from collections.abc import Iterator

import numpy as np
from PIL import Image

from data_prep import write_tfrecords
from data_prep.pictures.convert import ImageSpec, Item, encode_png

TINY = (
    "from logogan_jax.config import defaults\n\ndef get_config():\n    config = defaults.get_config()\n"
    "    config.data.update(size=16, dir='shards', held_out=0.0)\n"
    "    config.model = defaults.block(name='dcgan', latent=4, width=2, kernel=4, dropout=0.0)\n"
    "    config.objective = defaults.block(name='gan', critic_updates=1)\n"
    "    config.train.update(steps=1, batch_size=4)\n"
    "    config.report.update(log_every=1, samples_every=1, checkpoint_every=1)\n"
    "    return config\n"
)


def make_files(folder: pathlib.Path, server: str) -> None:
    """Make the small files that every command works on a copy of."""
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)) for _ in range(12)]
    for label in ("a", "b"):
        (folder / "logos" / label).mkdir(parents=True)
    for number, picture in enumerate(pictures):
        picture.save(folder / "logos" / "ab"[number % 2] / f"{number}.png")
    pictures[0].resize((32, 32)).save(folder / "sheet.png")
    np.save(folder / "array.npy", np.stack([np.asarray(picture) for picture in pictures]))
    (folder / "svg").mkdir()
    (folder / "svg" / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9z"/></svg>', encoding="utf-8"
    )
    (folder / "notes.txt").write_text("precious", encoding="utf-8")
    (folder / "tiny.py").write_text(TINY, encoding="utf-8")
    (folder / "items.csv").write_text(f"name,link\na.png,http://{server}/a.png\n", encoding="utf-8")
    (folder / "link").symlink_to("logos")
    (folder / "gone").symlink_to("nowhere")
    items = [Item(f"{number}.png", number % 2, encode_png(picture)) for number, picture in enumerate(pictures)]
    write_tfrecords.write(
        items, folder / "shards", spec=ImageSpec(16), name="tiny", labels=["a", "b"], description="Noise.", workers=0
    )  # fmt: skip


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Return the bytes of the files that no command may change: all but what commands write beside a run."""
    written = ("run/evaluation.json", "run/copies.html", "run/report.html", "run/.lock")
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    found = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: path.read_bytes() for name, path in found.items() if name not in written}


class Server(http.server.BaseHTTPRequestHandler):
    """Answers everything with 404 and an empty JSON object."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(404)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Yield the HOST:PORT of a Server in another process, because a process with threads should not fork."""
    httpd = http.server.HTTPServer(("127.0.0.1", 0), Server)
    child = os.fork()
    if child == 0:
        httpd.serve_forever()
    try:
        yield f"127.0.0.1:{httpd.server_port}"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
