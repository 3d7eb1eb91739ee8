"""Labels by likeness: what is alike comes together, and nothing but the label of a record changes."""

import json
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from data_prep import cluster_labels, write_tfrecords
from data_prep.pictures.convert import ImageSpec, Item, encode_png
from logogan_jax.core.errors import UserError
from logogan_jax.data import tfrecord
from logogan_jax.data.dataset import TFRecordDataset

COUNTS = {"bar": 10, "disc": 7, "checks": 4}


def picture(kind, number, channels, size=(40, 60)):
    """A mark of one of the COUNTS, each a little different."""
    height, width = size
    image = Image.new("RGBA" if channels == 4 else "RGB", (width, height), (255, 255, 255, 0)[:channels])
    draw, ink = ImageDraw.Draw(image), (180, 20 + number, 40)
    if kind == "bar":
        draw.rectangle([4, 18, width - 5, 22 + number % 3], fill=ink)
    elif kind == "disc":
        draw.ellipse([12, 4, 44 + number % 3, 36], fill=ink)
    else:
        for x in range(0, width, 8):
            for y in range(x % 16 // 2, height, 8):
                draw.rectangle([x, y, x + 3, y + 3 + number % 2], fill=ink)
    return image


@pytest.fixture(scope="module", params=[3, 4])
def kinds(request, tmp_path_factory):
    """(folder of shards of 40 x 60 pixels, channels): the images of COUNTS, and a file that is none."""
    channels = request.param
    folder = tmp_path_factory.mktemp("kinds") / "shards"
    names = [(kind, number) for kind, count in COUNTS.items() for number in range(count)]
    items = [
        Item(f"{kind} {number}.png", number % 2, encode_png(picture(kind, number, channels))) for kind, number in names
    ]
    write_tfrecords.write(
        [*items, Item("bad", 0, b"no")], folder, spec=ImageSpec(40, channels, width=60), name="kinds",
        labels=["even", "odd"], description="Three kinds.", shards=3, workers=0,
    )  # fmt: skip
    return folder, channels


def tool(*arguments):
    cluster_labels.main([str(argument) for argument in arguments])


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        tool(*arguments)
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert left.value.code == 2 and line.startswith("error: ")
    return line


def stored(folder):
    """[[features of each record] of each file]."""
    indexes = [tfrecord.build_index(str(path)) for path in sorted(folder.glob("*.tfrecord-*"))]
    return [[tfrecord.decode(tfrecord.read(index, i)) for i in range(len(index.offsets))] for index in indexes]


@pytest.mark.slow
def test_what_is_alike_gets_one_label_and_nothing_else_changes(kinds, tmp_path, capsys):
    folder, channels = kinds
    tool("--path", folder, "--clusters", 3, "--target_path", tmp_path / "out")
    said = capsys.readouterr().out
    assert f"21 images written to {tmp_path / 'out'}, in 3 clusters of 4 to 10; their 2 labels were replaced." in said
    shape = "--config.data.size=40 --config.data.width=60" + " --config.data.channels=4" * (channels == 4)
    assert f"--config.data.dir={tmp_path / 'out'} {shape} --config.data.labels=True\n" in said
    opened = TFRecordDataset(tmp_path / "out", size=(40, 60), channels=channels)
    assert opened.labels == {"cluster 00": 10, "cluster 01": 7, "cluster 02": 4}
    before, after = stored(folder), stored(tmp_path / "out")
    assert [len(shard) for shard in before] == [len(shard) for shard in after] and len(before) == 3
    kind = {b"bar": 0, b"disc": 1, b"checks": 2}
    flat = [found for shard in after for found in shard]
    for old, new in zip((found for shard in before for found in shard), flat, strict=True):
        assert new == {**old, "label": kind[old["name"].split()[0]]}
    assert [opened.image(i)[1] for i in range(21)] == [found["label"] for found in flat]
    same = ("size", "width", "channels", "mode", "fit", "trim", "background", "count", "rejects", "long")
    old, new = (json.loads((where / "metadata.json").read_text()) for where in (folder, tmp_path / "out"))
    assert {key: old[key] for key in same} == {key: new[key] for key in same}
    assert (tmp_path / "out" / "rejects.jsonl").read_bytes() == (folder / "rejects.jsonl").read_bytes()
    assert (tmp_path / "out" / "label.labels.txt").read_text().splitlines() == list(opened.labels)
    split = json.loads((tmp_path / "out" / "dataset_info.json").read_text())["splits"][0]
    assert [int(length) for length in split["shardLengths"]] == [len(shard) for shard in after]


def test_the_sheet_shows_a_row_for_each_cluster(kinds, tmp_path):
    tool("--path", kinds[0], "--clusters", 3, "--target_path", tmp_path / "out")
    with Image.open(tmp_path / "out" / "clusters.png") as image:
        assert image.mode == "RGB" and image.size == (21 * 62 + 2, 3 * 42 + 2)  # 112 // 60: not enlarged
        sheet = np.asarray(image)
    cells = [[sheet[42 * row + 2 :, 62 * column + 2 :][:40, :60] for column in range(21)] for row in range(3)]
    for row, count in zip(cells, COUNTS.values(), strict=True):
        assert [bool((cell < 250).any()) for cell in row] == [column <= count for column in range(21)]
    middle = [row[1][20, 30] for row in cells]
    assert middle[0][0] == middle[1][0] == 180 and (cells[0][1][8] == 255).all() and not (cells[1][1][8] == 255).all()


@pytest.mark.slow
def test_the_same_images_give_the_same_bytes(kinds, tmp_path):
    for name in ("one", "other"):
        tool("--path", kinds[0], "--clusters", 3, "--target_path", tmp_path / name)
    one, other = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "other"))
    assert one == other


@pytest.mark.slow
def test_what_a_stopped_run_left_is_no_part_of_the_shards(kinds, tmp_path):
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "kinds-train.tfrecord-00007-of-00008").write_bytes(b"old")
    tool("--path", kinds[0], "--clusters", 2, "--target_path", tmp_path / "out")
    assert len(TFRecordDataset.open(tmp_path / "out")) == 21 and not (tmp_path / ".out.partial").exists()


def test_clusters_are_found_counted_and_measured():
    random = np.random.default_rng(0)
    centres = np.eye(5, 16) * 10
    kind = random.permutation(np.repeat(np.arange(5), [40, 5, 30, 10, 20]))
    points = (centres[kind] + random.normal(size=(105, 16)) * 0.1).astype(np.float32)
    labels, distance = cluster_labels.cluster(points, 5)
    by_size = {0: 0, 2: 1, 4: 2, 3: 3, 1: 4}
    assert labels.tolist() == [by_size[number] for number in kind]
    for number in range(5):
        members = points[labels == number]
        np.testing.assert_allclose(distance[labels == number], np.linalg.norm(members - members.mean(0), axis=1), 1e-3)


def test_the_centres_of_many_images_are_found_by_the_first(monkeypatch):
    points = np.random.default_rng(0).normal(size=(60, 8)) * 0.1 + 10 * np.eye(3, 8)[np.arange(60) % 3]
    monkeypatch.setattr(cluster_labels, "FIT_IMAGES", 30)
    labels, _ = cluster_labels.cluster(points, 3)
    assert labels.tolist() == list(np.arange(60) % 3)  # of one size, so in the order in which they come


def test_mistakes_are_one_line(kinds, tmp_path, capsys, monkeypatch):
    folder, target = kinds[0], ("--target_path", tmp_path / "out")
    (tmp_path / "images").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("keep")
    full = ("--target_path", tmp_path / "full")
    for arguments, message in [
        (("--path", folder, "--clusters", 22, *target), "--clusters=22 should be from 2 to 21, the number of images"),
        (("--path", folder, "--clusters", 1, *target), "--clusters=1 should be from 2"),
        (
            ("--path", tmp_path / "images", *target),
            "images holds no shards: make them with python -m data_prep.write_tf",
        ),
        (("--path", tmp_path / "nowhere", *target), "nowhere holds no shards"),
        (("--path", folder, "--clusters", 2, *full), "full is not an empty folder"),
        (("--path", folder, "--target_path", "s3://b/x"), "is a bucket: write to a folder, then use data_prep.upload"),
    ]:
        assert message in refused(capsys, *arguments)
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    line = refused(capsys, "--path", folder, "--clusters", 2, *target)
    assert line == "error: this tool needs scikit-learn: pip install -e '.[prep]'"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "images"]


def test_copies_are_not_told_apart():
    points = np.repeat(np.eye(2, 16), [5, 4], axis=0)
    assert cluster_labels.cluster(points, 2)[0].tolist() == [0] * 5 + [1] * 4
    with pytest.raises(UserError, match="--clusters=4, but the images are so alike that there are 2: ask for fewer"):
        cluster_labels.cluster(points, 4)
