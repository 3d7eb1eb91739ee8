"""Shards are the same bytes however they are made, and nothing is lost, overwritten or half-written."""

import json
import os
import signal
import subprocess
import time

import fork_server
import pytest
from conftest import command, drawing, environment

from data_prep import write_tfrecords
from data_prep.pictures.convert import ImageSpec, Item, encode_png
from data_prep.shards import output_folder, plan
from logogan_jax.core.errors import UserError
from logogan_jax.data import tfrecord
from logogan_jax.data.dataset import TFRecordDataset


def write(folder, items, **values):
    values = {"spec": ImageSpec(28), "name": "a", "labels": [], "description": "", "workers": 0, **values}
    return write_tfrecords.write(items, folder, **values)


def test_shards_do_not_depend_on_the_number_of_processes(tmp_path):
    items = [Item(f"{i}.png", 0, encode_png(drawing(i))) for i in range(70)]
    write(tmp_path / "one", items, workers=0)
    write(tmp_path / "two", items[::-1], workers=2)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_bad_images_are_counted_with_reasons_and_good_ones_kept(tmp_path):
    items = [Item(f"{i}.png", 0, encode_png(drawing(i))) for i in range(5)]
    items += [Item("empty.png", 0, b""), Item("cut.png", 0, encode_png(drawing(1))[:60]), Item("no.svg", 0, b"<svg")]
    items += [Item("text.jpg", 0, b"hello")]
    assert write(tmp_path / "out", items) == (5, 4, 0, 0, 0)
    rejects = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    reasons = {line["path"]: line["reason"] for line in rejects}
    assert set(reasons) == {"empty.png", "cut.png", "no.svg", "text.jpg"}
    assert "empty" in reasons["empty.png"] and reasons["text.jpg"] == "not an image" and "SVG" in reasons["no.svg"]


def test_labels_are_counted_as_they_were_written(tmp_path):
    items = [Item(f"{i}.png", i % 2, encode_png(drawing(i))) for i in range(9)]
    items += [Item("bad.png", 1, b"no"), Item("worse.png", 2, b"no")]
    assert write(tmp_path / "out", items, labels=["a", "b", "c"], shards=3) == (9, 2, 0, 0, 0)
    assert json.loads((tmp_path / "out" / "metadata.json").read_text())["labels"] == {"a": 5, "b": 4, "c": 0}
    assert (tmp_path / "out" / "label.labels.txt").read_text().split() == ["a", "b", "c"]


def test_rectangles_are_written_and_told(tmp_path, capsys):
    (tmp_path / "logos").mkdir()
    for i in range(3):
        drawing(i).resize((80, 40)).save(tmp_path / "logos" / f"{i}.png")
    out, flags = tmp_path / "out", ["--size=28", "--width=56", "--channels=4", "--fit=crop"]
    write_tfrecords.main([f"--path={tmp_path / 'logos'}", f"--target_path={out}", *flags])
    said = capsys.readouterr().out
    assert f"--config.data.dir={out} --config.data.size=28 --config.data.width=56 --config.data.channels=4\n" in said
    assert "were cut" not in said  # they have the very shape
    found = json.loads((out / "metadata.json").read_text())
    assert [found[key] for key in ("size", "width", "channels", "long")] == [28, 56, 4, 0]
    shape = json.loads((out / "features.json").read_text())["featuresDict"]["features"]["image"]["image"]["shape"]
    assert shape == {"dimensions": ["28", "56", "4"]}
    assert TFRecordDataset(out, size=(28, 56), channels=4).image(0)[0].shape == (28, 56, 4)
    again = lambda name, width: write_tfrecords.main(
        [f"--path={tmp_path / 'logos'}", f"--target_path={tmp_path / name}", "--size=28", f"--width={width}"]
    )
    again("square", 28)
    assert "--config.data.width" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        again("none", -1)
    assert "--width=-1 should be from 1 to 4096" in capsys.readouterr().err


def test_nothing_is_overwritten_or_left_half_written(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match=r"--target_path=.*full is not an empty folder"):
        write(tmp_path / "full", [Item("a.png", 0, encode_png(drawing(0)))])
    with pytest.raises(UserError, match=r"no image could be read \(a.png: not an image\)"):
        write(tmp_path / "none", [Item("a.png", 0, b"no")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_subfolders_become_labels(tmp_path):
    for label in ("red", "blue"):
        (tmp_path / label).mkdir()
        drawing(1).save(tmp_path / label / "x.png")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "y.png").write_bytes(b"")
    items = write_tfrecords.FolderItems(tmp_path)
    assert items.labels == ["blue", "red"] and len(items) == 2
    assert [(item.name, item.label) for item in items] == [("blue/x.png", 0), ("red/x.png", 1)]
    drawing(2).save(tmp_path / "loose.png")
    with pytest.raises(UserError, match=r"has 1 files beside its sub-folders.*--labels=none"):
        write_tfrecords.FolderItems(tmp_path)
    assert write_tfrecords.FolderItems(tmp_path, "none").labels == []


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def logos(folder, count):
    folder.mkdir()
    for i in range(count):
        drawing(i, size=200).save(folder / f"{i}.png", compress_level=1)
    return folder


def tool(source, target):
    """The command line that writes shards of 56 pixels."""
    return command("data_prep.write_tfrecords", "--path", source, "--size", 56, "--target_path", target)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """(a folder of logos that take a second to write, their shards)"""
    folder = tmp_path_factory.mktemp("straight")
    source = logos(folder / "logos", 400)
    fork_server.run(tool(source, folder / "shards"), env=environment(), check=True, capture_output=True)
    return source, folder / "shards"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_goes_on_with_the_shard_it_was_at(straight, tmp_path, number):
    (source, whole), out = straight, tmp_path / "out"
    process = fork_server.start(
        tool(source, out), env=environment(), text=True, stderr=subprocess.PIPE, start_new_session=True
    )
    partial = tmp_path / ".out.partial"
    while not list(partial.glob("shard-*.json")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    os.kill(process.pid, number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number), said
    if number != signal.SIGKILL:
        assert said.splitlines()[-1].startswith("stopped: the same command goes on") and "Traceback" not in said
    assert not out.exists()
    done = {path: path.stat().st_mtime_ns for path in partial.glob("*.tfrecord-*")}
    assert 0 < len(done) < 8
    fork_server.run(tool(source, out), env=environment(), check=True, capture_output=True)
    for path, written in done.items():
        assert (out / path.name).stat().st_mtime_ns == written
    assert contents(out) == contents(whole)
    assert not list(tmp_path.glob(".*"))


def test_what_a_stopped_run_left_is_not_used_for_other_images(tmp_path, monkeypatch, capsys):
    items = [Item(f"{i}.png", 0, encode_png(drawing(i))) for i in range(30)]
    finish = write_tfrecords.finish
    monkeypatch.setattr(write_tfrecords, "finish", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "out", items, shards=2)
    monkeypatch.setattr(write_tfrecords, "finish", finish)
    assert not (tmp_path / "out").exists()
    write(tmp_path / "out", [Item("0.png", 0, encode_png(drawing(99))), *items[1:]], shards=2)
    assert "starting anew" in capsys.readouterr().out
    write(tmp_path / "fresh", [Item("0.png", 0, encode_png(drawing(99))), *items[1:]], shards=2)
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_a_second_writer_waits_for_the_first(tmp_path):
    with output_folder.create(tmp_path / "out") as partial:
        tool = command("data_prep.write_tfrecords", "--path", logos(tmp_path / "logos", 3), "--size", 28,
                       "--target_path", tmp_path / "out")  # fmt: skip
        second = fork_server.start(tool, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert "waiting for it" in second.stderr.readline()
        (partial / "first").write_text("mine")
    err = second.communicate(timeout=60)[1]
    assert second.returncode == 2 and "is not an empty folder" in err
    assert contents(tmp_path / "out") == {"first": b"mine"}


def test_the_order_depends_on_the_names_alone_and_shards_share_it_out():
    names = [f"{i}.png" for i in range(5000)]
    places = sorted(plan.name_digest(name) for name in names)
    for shards in (1, 3, 8):
        numbers = [plan.shard_index(place, shards) for place in places]
        assert numbers == sorted(numbers)
        assert all(abs(numbers.count(shard) - 5000 / shards) < 5 * (5000 / shards) ** 0.5 for shard in range(shards))
    assert [plan.shard_count(count) for count in (0, 1, 130, 3255, 80_000, 80_001, 10**8)] == [1, 1, 2, 8, 8, 9, 10**4]


def test_no_more_names_are_held_in_memory_than_planned(tmp_path, monkeypatch):
    held, flush = [], plan.ShardPlan._flush

    def watched(self, items):
        held.append(sum(map(len, items)))
        flush(self, items)

    monkeypatch.setattr(plan, "ITEMS_IN_MEMORY", 100)
    monkeypatch.setattr(plan.ShardPlan, "_flush", watched)
    made = plan.ShardPlan(tmp_path / "plan", (Item(f"{i}", 0, b"") for i in range(2000)), 16)
    assert held == [100] * 20 + [0] and sum(made.counts) == 2000
    seen = [item.name for shard in range(16) for item in made.items(shard)]
    assert seen == sorted(map(str, range(2000)), key=plan.name_digest)


def test_names_of_any_bytes_are_kept(tmp_path):
    odd = os.fsdecode(b"\xff\n.png")
    write(tmp_path / "out", [Item(odd, 0, encode_png(drawing(1)))])
    index = tfrecord.build_index(str(next((tmp_path / "out").glob("*.tfrecord-*"))))
    assert tfrecord.decode(tfrecord.read(index, 0))["name"] == b"\\udcff\n.png"


def test_a_shard_without_images_is_a_shard(tmp_path):
    items = [Item(f"{i}.png", 0, encode_png(drawing(i))) for i in range(2)]
    write(tmp_path / "out", items, shards=7)
    assert len(list((tmp_path / "out").glob("*.tfrecord-*"))) == 7
    assert len(TFRecordDataset(tmp_path / "out", size=(28, 28), channels=3)) == 2


def test_a_bucket_is_not_taken_for_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"--target_path=s3://b/x is a bucket: .*data_prep.upload.*beam_tfrecords"):
        write("s3://b/x", [Item("a.png", 0, encode_png(drawing(0)))])
    assert not list(tmp_path.iterdir())


def test_long_images_are_counted_and_the_advice_given(tmp_path, capsys):
    (tmp_path / "logos").mkdir()
    for i in range(4):
        drawing(i).resize((40 * (1 + i % 2), 40)).save(tmp_path / "logos" / f"{i}.png")
    for fit, advice in (("crop", True), ("pad", False)):
        out = tmp_path / fit
        write_tfrecords.main([f"--path={tmp_path / 'logos'}", "--size=28", f"--target_path={out}", f"--fit={fit}"])
        assert ("2 of them were cut to two thirds" in capsys.readouterr().out) == advice
        assert json.loads((out / "metadata.json").read_text())["long"] == 2
