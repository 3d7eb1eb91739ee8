"""A folder of broken, hostile and odd files: good ones converted, bad ones named, nothing executed or fetched."""

import http.server
import io
import json
import os
import subprocess
import threading
import time

import fork_server
import numpy as np
import pytest
from conftest import command, environment
from odd_files import make
from PIL import Image
from pool_functions import behave

from data_prep import pool
from data_prep.pictures import convert
from logogan_jax.data import tfrecord


@pytest.fixture(scope="module")
def listener():
    """(port, requests) of a server on this machine that nobody should ask."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, asked
    server.shutdown()


@pytest.fixture(scope="module")
def odd(tmp_path_factory, listener):
    """(folder, good names, {bad name: reason}, environment in which Ghostscript would leave a mark, mark)."""
    root = tmp_path_factory.mktemp("odd")
    logos, tools, secret, mark = root / "logos", root / "bin", root / "secret.png", root / "executed"
    logos.mkdir(), tools.mkdir()
    Image.new("RGB", (9, 9), "red").save(secret)
    for name in ("gs", "gswin32c", "sh"):
        (tools / name).write_text(f"#!/bin/bash\ntouch {mark}\n")
        (tools / name).chmod(0o755)
    good, bad = make(logos, listener[0], secret)
    assert len(good) + len(bad) == 200 == len(list(logos.iterdir()))
    return logos, good, bad, environment(PATH=f"{tools}:{os.environ['PATH']}"), mark


def rejects(folder):
    return {
        line["path"]: line["reason"] for line in map(json.loads, (folder / "rejects.jsonl").read_text().splitlines())
    }


def check(found, bad):
    assert set(found) == set(bad), set(found) ^ set(bad)
    for name, reason in bad.items():
        assert found[name] and reason in found[name] and "Traceback" not in found[name], (name, found[name])


@pytest.mark.slow
def test_200_odd_files_become_shards_and_reasons(odd, listener, tmp_path):
    logos, good, bad, where, mark = odd
    out = tmp_path / "shards"
    tool = command("data_prep.write_tfrecords", "--path", logos, "--size", 28, "--target_path", out)
    done = fork_server.run(tool, env=where, text=True, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr
    check(rejects(out), bad)
    assert f"{len(good)} images written to {out}, {len(bad)} rejected (see rejects.jsonl there)." in done.stdout
    indexes = [tfrecord.build_index(str(path)) for path in out.glob("*.tfrecord-*")]
    found = [tfrecord.decode(tfrecord.read(index, i)) for index in indexes for i in range(len(index.offsets))]
    names = {one["name"].decode() for one in found}
    assert names == {name.encode("utf-8", "backslashreplace").decode() for name in good}
    for one in found:
        image = Image.open(io.BytesIO(one["image"]))
        assert (image.mode, image.size) == ("RGB", (28, 28)), one["name"]
    assert not mark.exists() and not listener[1]


@pytest.mark.slow
def test_200_odd_files_become_squares_and_reasons(odd, listener, tmp_path):
    logos, good, bad, where, mark = odd
    out = tmp_path / "squares"
    tool = command("data_prep.resize_center", "--path", logos, "--size", 28, "--target_path", out, "--fit", "pad")
    done = fork_server.run(tool, env=where, text=True, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr
    check(rejects(out), bad)
    assert (
        f"{len(good)} files converted into {out}, {len(bad)} rejected (reasons in rejects.jsonl there)." in done.stdout
    )
    assert len(list(out.rglob("*.png"))) == len(good)
    assert not mark.exists() and not listener[1]


def test_good_odd_pictures_look_as_they_should(odd):
    logos, *_ = odd
    frame = convert.ImageSpec(28)

    def pixels(name):
        converted = convert.convert(convert.Item(name, 0, str(logos / name)), frame)
        assert not converted.reason, (name, converted.reason)
        return np.asarray(Image.open(io.BytesIO(converted.png))).astype(int)

    reference = pixels("x.bmp")
    for name in ("16.png", "16.tif", "float.tif", "grey.jpg", "la.png"):
        grey = np.asarray(Image.fromarray(reference.astype(np.uint8)).convert("L")).astype(int)
        assert np.abs(pixels(name)[..., 0] - grey).mean() < 4, name
    for name in ("cmyk.jpg", "cmyk.tif", "clear.png", "trns.png", "clear.webp", "progressive.jpeg", "x.ppm", "x.tga"):
        assert np.abs(pixels(name) - reference).mean() < 6, name
    turned = np.rot90(reference, -1)
    assert np.abs(pixels("turned.jpg") - turned).mean() < 6
    for name in ("plain.svg", "adobe.svg", "script.svg", "packed.svgz", "utf16.svg", "link.svg", "really an svg.png"):
        assert (pixels(name) == (255, 0, 0)).all(), name


# ── workers ─────────────────────────────────────────────────────────────────────────────────


_POPEN = subprocess.Popen


@pytest.mark.slow
def test_a_worker_that_hangs_crashes_or_swallows_memory_costs_one_item():
    words = ["a"] * 40 + ["hang"] + ["b"] * 40 + ["crash"] + ["c"] * 40 + ["swallow", "d"]
    with pool.map_ordered(behave, iter(words), workers=2, timeout=1.5) as results:
        found = list(results)
    assert len(found) == len(words)
    for word, result in zip(words, found, strict=True):
        if word in ("hang", "crash", "swallow"):
            assert isinstance(result, pool.Failed)
            assert (
                "not done after 1.5 seconds" if word == "hang" else "crashed or needed more than 4 GiB"
            ) in result.reason
        else:
            assert result == word.upper()


def test_items_are_read_only_a_little_ahead():
    taken = []

    def items():
        for i in range(10**6):
            taken.append(i)
            yield "x"

    with pool.map_ordered(behave, items(), workers=1) as results:
        assert next(results) == "X"
    assert len(taken) < 10 * pool.CHUNK


def test_a_stop_ends_at_once_even_where_a_worker_hangs(monkeypatch):
    started = []
    monkeypatch.setattr(
        pool.subprocess, "Popen", lambda *args, **options: started.append(_POPEN(*args, **options)) or started[-1]
    )
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), pool.map_ordered(behave, ["a"] * 32 + ["hang"] * 99, workers=1) as results:
        assert next(results) == "A"
        raise KeyboardInterrupt
    assert time.monotonic() - began < 60
    assert started and all(process.poll() is not None for process in started)


def test_a_mistake_of_ours_is_not_taken_for_a_bad_image():
    with pytest.raises(AttributeError), pool.map_ordered(behave, [1], workers=1) as results:
        list(results)
