"""Every command of docs/walkthrough.md, in its order, on servers that play the ones it names."""

import hashlib
import io
import json
import re
import shlex
import subprocess
import sys
import tarfile
import threading
import urllib.parse

import fork_server
import numpy as np
import pytest
from api_server import ApiServer, Handler, info
from conftest import ROOT, drawing, environment
from iconify import ICON_SET
from PIL import Image

from data_prep.pictures.convert import encode_png

TEXT = (ROOT / "docs" / "walkthrough.md").read_text()
BLOCKS = re.findall(r"<!-- (\w+) -->\n```sh\n(.*?)```", TEXT, re.S)
LIST = 14  # pictures in the category, and again in what the search finds


def picture(number):
    return encode_png(drawing(number, size=90))


class Pictures(ApiServer):
    """The wiki and Openverse, with pictures behind their links."""

    def __init__(self):
        super().__init__()
        self.RequestHandlerClass = Shown
        self.files = {f"File:Logo {i}.png": self.listed(i) for i in range(LIST)}
        self.searched = [self.listed(LIST + i) for i in range(LIST)]

    def listed(self, number):
        data, url = picture(number), f"{self.base}/picture/{number}.png"
        return info(f"Logo {number}.png", url=url, sha1=hashlib.sha1(data).hexdigest(), size=len(data))


class Shown(Handler):
    def answer(self, path, query):
        if not path.startswith("/picture/"):
            return super().answer(path, query)
        data = picture(int(re.search(r"\d+", path).group()))
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        return self.wfile.write(data)


@pytest.fixture
def web():
    with Pictures() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def bring(folder):
    """What the reader has at hand: a sheet, drawings, an array of 2018, an icon set, and the configs."""
    sheet = Image.new("RGB", (270, 360), "white")
    for i in range(12):
        sheet.paste(drawing(500 + i, size=80), (5 + 90 * (i % 3), 5 + 90 * (i // 3)))
    sheet.save(folder / "sheet.jpeg", quality=95)
    (folder / "drawings").mkdir()
    for i in range(3):
        circle = f'<circle cx="10" cy="{5 + i}" r="{4 + i}"/>'
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20">{circle}</svg>'
        (folder / "drawings" / f"{i}.svg").write_text(svg)
    array = np.stack([np.asarray(drawing(900 + i, size=56)) for i in range(20)]).astype(np.float32)
    array.dump(folder / "X_train_56_1700.pkl")
    with tarfile.open(folder / "iconify-json-logos-1.2.19.tgz", "w:gz") as file:
        data = json.dumps(ICON_SET).encode()
        member = tarfile.TarInfo("package/icons.json")
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))
    (folder / "configs").symlink_to(ROOT / "configs")


def flags(module, web):
    """What a command is given besides, so that it asks our servers and ends soon."""
    host = urllib.parse.urlsplit(web.base).netloc
    return {
        "data_prep.wiki_spider": [f"--api={web.api}"],
        "data_prep.search_images": [f"--commons_api={web.api}", f"--openverse_api={web.openverse}"],
        "data_prep.download_images": [f"--trusted={host}"],
        "logogan_jax.main": ["--config.train.steps=1", "--config.train.batch_size=2", "--config.model.width=4"],
    }.get(module, [])


# What each command says at its end, or what it leaves.
SAID = {
    "spider": [f"{LIST} files listed in items.csv"],
    "search": [f"{LIST} files listed in found.csv"],
    "download": [f"{LIST} ", f"{LIST} "],
    "sheets": ["1 files converted into raw/from_sheet, 0 rejected."],
    "look": [
        "3 files converted into raw/drawn, 0 rejected.",
        f"{2 * LIST + 12 + 3} files converted into squares, 0 rejected.",
    ],
    "doctor": ["clean"],
    "shards": ["images written to shards", "8 logos of shards, each with 7 augmented views, are in preview.png"],
    "arrays": ["20 ", "20 images written to shards_2018"],
    "upload": ["s3://my-bucket/shards"],
    "train": ["Everything is in runs/mine", "16 pictures and grid.png of step 1 are in drawn"],
    "sets": ["images written to font_awesome", "3 images written to iconify"],
}  # fmt: skip


@pytest.mark.slow
def test_every_command_of_the_walkthrough_works_in_its_order(web, s3, tmp_path):
    pytest.importorskip("fontawesomefree")
    bring(tmp_path)
    s3.create_bucket(Bucket="my-bucket")
    assert [name for name, _ in BLOCKS] == list(SAID)
    for name, block in BLOCKS:
        lines = block.strip().splitlines()
        assert len(lines) == len(SAID[name])
        for line, said in zip(lines, SAID[name], strict=True):
            python, dash, module, *rest = shlex.split(line)
            assert (python, dash) == ("python", "-m")
            # The tools of data_prep are started by a new interpreter here, each once.
            run = subprocess.run if module.startswith("data_prep") else fork_server.run
            done = run(
                [sys.executable, "-m", module, *rest, *flags(module, web)],
                cwd=tmp_path, env=environment(), text=True, capture_output=True, timeout=300,
            )  # fmt: skip
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            assert said in done.stdout, (line, done.stdout, done.stderr)
    leaves = ["raw/manifest.jsonl", "raw_report/report.html", "preview.png", "shards/metadata.json", "drawn/grid.png"]
    assert all((tmp_path / leaf).exists() for leaf in leaves)
    uploaded = {entry["Key"] for entry in s3.list_objects_v2(Bucket="my-bucket")["Contents"]}
    assert "shards/metadata.json" in uploaded
    assert len(list((tmp_path / "from_2018").rglob("*.png"))) == 20
