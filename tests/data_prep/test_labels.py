"""Labels from a file, and images in a zip."""

import json
import zipfile

import pytest
from conftest import drawing

from data_prep import write_tfrecords
from data_prep.folder_items import FolderItems
from logogan_jax.core.errors import UserError
from logogan_jax.data import tfrecord
from logogan_jax.data.dataset import TFRecordDataset


@pytest.fixture(scope="module")
def logos(tmp_path_factory):
    """Six images in two sub-folders that are no labels."""
    folder = tmp_path_factory.mktemp("labels") / "logos"
    for i in range(6):
        path = folder / f"{i // 3:05d}" / f"img{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        drawing(i, size=12).save(path)
    return folder


def written(capsys, path, target, *flags):
    """{name: label} of the records that the command writes, and what it prints."""
    write_tfrecords.main([f"--path={path}", "--size=8", f"--target_path={target}", "--workers=1", *flags])
    dataset = TFRecordDataset.open(target)
    records = [tfrecord.decode(tfrecord.read(index, i)) for index in dataset.indexes for i in range(len(index.offsets))]
    names = list(dataset.labels)
    return {one["name"].decode(): names[one.get("label", 0)] for one in records}, capsys.readouterr().out


def zipped(folder, path, below="", **extra):
    """A zip of a folder's files, below a folder in it, and of others by their names."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, below + file.relative_to(folder).as_posix())
        for name, text in extra.items():
            archive.writestr(name.replace("__", "."), text)
    return path


def test_a_csv_gives_each_image_its_label(logos, tmp_path, capsys):
    table = tmp_path / "labels.csv"
    rows = [
        f"{i // 3:05d}/img{i}.png,round,{i}" if i % 2 else f"./{i // 3:05d}/img{i}.png,square,{i}" for i in range(6)
    ]
    table.write_text("\ufeffFile,Label,size\n" + "\n".join([*rows, "gone.png,square,0"]) + "\n", encoding="utf-8")
    labels, said = written(capsys, logos, tmp_path / "shards", f"--labels={table}")
    assert labels == {f"{i // 3:05d}/img{i}.png": ("square", "round")[i % 2] for i in range(6)}
    assert "1 images of --labels=" in said and "such as gone.png" in said


def test_the_zip_of_stylegan_has_labels_in_its_dataset_json(logos, tmp_path, capsys):
    pairs = [[f"{i // 3:05d}/img{i}.png", (10, 9)[i % 2]] for i in range(6)]
    archive = zipped(logos, tmp_path / "logos.zip", dataset__json=json.dumps({"labels": pairs}))
    with pytest.raises(UserError, match=r"has labels in dataset.json: say .*--labels=dataset.json"):
        FolderItems(archive)
    labels, _ = written(capsys, archive, tmp_path / "shards", "--labels=dataset.json")
    assert labels == {name: str(label) for name, label in pairs}
    assert list(TFRecordDataset.open(tmp_path / "shards").labels) == ["9", "10"]
    assert not (tmp_path / "shards" / "rejects.jsonl").exists()


def test_the_folders_of_a_zip_are_labels_and_its_images_those_of_the_folder(logos, tmp_path, capsys):
    archive = zipped(logos, tmp_path / "a.zip", below="outer/", **{"__MACOSX/outer/._img0__png": "x"})
    labels, _ = written(capsys, archive, tmp_path / "zip")
    assert labels == written(capsys, logos, tmp_path / "folder")[0] and set(labels.values()) == {"00000", "00001"}
    assert TFRecordDataset.open(tmp_path / "zip").fingerprint == TFRecordDataset.open(tmp_path / "folder").fingerprint


def test_the_parts_of_a_divided_set_in_a_zip_are_named(logos, tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for part in ("train", "val"):
            archive.write(logos / "00000" / "img0.png", f"{part}/0.png")
    with pytest.raises(UserError, match=r"has the parts of a divided data set \(train, val\), not labels"):
        FolderItems(tmp_path / "set.zip")


def test_what_is_damaged_in_a_zip_is_rejected(logos, tmp_path, capsys):
    archive = zipped(logos, tmp_path / "a.zip")
    with zipfile.ZipFile(archive) as read:
        start = read.getinfo("00000/img0.png").header_offset
    data = bytearray(archive.read_bytes())
    data[start + 60] ^= 255
    archive.write_bytes(data)
    labels, said = written(capsys, archive, tmp_path / "shards")
    assert len(labels) == 5 and "1 rejected" in said
    assert "damaged in its zip" in (tmp_path / "shards" / "rejects.jsonl").read_text()
    archive.write_bytes(data[:-40] + data[-22:])
    with pytest.raises(UserError, match="is a damaged zip"):
        FolderItems(archive)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gone.csv", None, "is neither 'folders', 'none', nor a file"),
        ("a.csv", "a,b\n1,2\n", "begins with 'a,b': its first line should be file,label"),
        ("a.csv", "file,label\n", "has no line"),
        ("a.csv", "file,label\nx.png\n", "line 2: it should have a file and its label"),
        ("a.csv", "file,label\nx.png,a\nx.png,b\n", "gives x.png the labels 'a' and 'b'"),
        ("a.csv", "file,label\n00000/img0.png,a\n", "has 5 images that --labels=.* does not name"),
        ("dataset.json", '{"labels": null}', "says that the images have no labels: use --labels=none"),
        ("dataset.json", '{"labels": [["x.png", [0, 1]]]}', "neither a number nor a name"),
        ("dataset.json", '{"label": 1}', "is not readable"),
        ("dataset.json", '{"labels": 3}', "neither a number nor a name"),
    ],
)
def test_a_file_of_labels_that_does_not_suit_is_one_line(logos, tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        FolderItems(logos, str(tmp_path / name))
