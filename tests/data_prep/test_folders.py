"""Folders as people have them: links, loose files, results among the images, divided sets, odd names."""

import json
import os
import shutil
import sys

import pytest
from conftest import drawing

from data_prep import folders, inspect_data, make_logos, resize_center, split_grid, svg_to_png, write_tfrecords
from data_prep.folder_items import FolderItems
from data_prep.pictures.convert import ImageSpec, Item, encode_png
from data_prep.shards import label_names
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4" cy="4" r="3"/></svg>'


@pytest.fixture
def logos(tmp_path):
    """Folder with one picture in each of the sub-folders `a` and `b`."""
    for number, label in enumerate("ab"):
        (tmp_path / "logos" / label).mkdir(parents=True)
        drawing(number).save(tmp_path / "logos" / label / "0.png")
    return tmp_path / "logos"


def names(folder):
    return [item.name for item in FolderItems(folder)]


def write(path, target, **values):
    items = FolderItems(path)
    spec = ImageSpec(28)
    return write_tfrecords.write(
        items, target, spec=spec, name="a", labels=items.labels, description="", workers=0, **values
    )


# ── links ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("real", ["", "a", "ab"])
def test_class_folders_that_are_links_are_followed(logos, tmp_path, real):
    linked = tmp_path / "linked"
    linked.mkdir()
    for label in "ab":
        if label in real:
            shutil.copytree(logos / label, linked / label)
        else:
            (linked / label).symlink_to(logos / label)
    assert names(linked) == names(logos) == ["a/0.png", "b/0.png"]
    assert write(linked, tmp_path / "out").written == 2
    assert json.loads((tmp_path / "out" / "metadata.json").read_text())["labels"] == {"a": 1, "b": 1}


def test_links_that_never_end_are_named_and_left(logos, tmp_path, capsys):
    (logos / "a" / "up").symlink_to("..")
    (logos / "again").symlink_to(".")
    (logos / "b" / "self").symlink_to("self")
    assert names(logos) == ["a/0.png", "b/0.png", "b/self"]
    assert "a/up (a link to a folder that it lies in), again (a link to a" in capsys.readouterr().out
    assert [str(path) for path in folders.list_files(logos)] == names(logos)
    assert write(logos, tmp_path / "out")[:3] == (2, 1, 0)


def test_folders_that_link_to_one_another_are_read_a_few_times_only(tmp_path):
    for one in range(12):
        (tmp_path / str(one)).mkdir()
        (tmp_path / str(one) / "x.png").touch()
        for other in range(12):
            (tmp_path / str(one) / f"to {other}").symlink_to(f"../{other}")
    assert len(list(filesystem.Folder(tmp_path).names())) <= 3 * 12


# ── loose files and results of tools ────────────────────────────────────────────────────────


def test_loose_files_that_are_no_images_are_listed_and_left(logos, tmp_path):
    (logos / "dataset.json").write_text("{}")
    (logos / "desktop.ini").write_text("[.ShellClassInfo]")
    (logos / "LICENSE").touch()
    assert write(logos, tmp_path / "out")[:3] == (2, 3, 0)
    lines = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert sorted(line["path"] for line in lines) == ["LICENSE", "dataset.json", "desktop.ini"]
    assert all(line["reason"] for line in lines)
    (logos / "an image without an ending").write_text(SVG)
    with pytest.raises(UserError, match="has 4 files beside its sub-folders, so they have no label"):
        FolderItems(logos)


def test_a_loose_file_that_turns_out_to_be_an_image_gets_no_label(tmp_path):
    items = [Item("a/0.png", 0, encode_png(drawing(0))), Item("loose", -1, encode_png(drawing(1)))]
    made = write_tfrecords.write(
        items, tmp_path / "out", spec=ImageSpec(28), name="a", labels=["a"], description="", workers=0
    )
    assert made[:3] == (1, 1, 0) and "beside the sub-folders" in (tmp_path / "out" / "rejects.jsonl").read_text()


def test_the_data_doctor_does_not_count_loose_files_that_are_no_images(logos, tmp_path, capsys):
    (logos / "dataset.json").write_text("{}")
    inspect_data.main([f"--path={logos}", f"--report={tmp_path / 'report'}"])
    assert json.loads((tmp_path / "report" / "report.json").read_text())["labels"] == {"a": 1, "b": 1}
    assert "without a label" not in capsys.readouterr().out


def test_the_pngs_of_drawings_lie_beside_them(tmp_path, capsys):
    (tmp_path / "svg").mkdir()
    (tmp_path / "svg" / "x.svg").write_text(SVG)
    svg_to_png.main([f"--path={tmp_path / 'svg'}", "--size=28"])
    assert os.listdir(tmp_path / "svg") == ["x.svg"] and (tmp_path / "svg_png" / "x.png").exists()
    svg_to_png.main([f"--path={tmp_path / 'svg'}", "--size=28", f"--target_path={tmp_path / 'svg' / 'png'}"])
    capsys.readouterr()
    assert names(tmp_path / "svg") == ["x.svg"]
    assert "png (made by our tools from images that are read here)" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "result",
    [
        "squares",
        "of a class",
        "cells",
        "cleaned",
        "cleaned into an empty folder",
        "shards",
        "run",
        "report",
        "@eaDir",
        "lost+found",
    ],
)
def test_what_tools_and_systems_leave_among_the_images_is_no_class(logos, tmp_path, capsys, result):
    if result == "squares":
        resize_center.main([f"--path={logos}", "--size=28", f"--target_path={logos / 'squares'}"])
    if result == "of a class":
        resize_center.main([f"--path={logos / 'a'}", "--size=28"])
    if result == "cells":
        split_grid.main([f"--filename={logos / 'a' / '0.png'}", "--col=2", "--row=2"])
    if result == "shards":
        write(logos, logos / "shards")
    if result == "report":
        inspect_data.main([f"--path={logos / 'a'}"])
    if result.startswith("cleaned"):
        if "empty" in result:
            (logos / "better" / "a").mkdir(parents=True)
        inspect_data.main([f"--path={logos / 'a'}", f"--report={tmp_path / 'r'}", f"--fix={logos / 'better' / 'a'}"])
    if result in ("run", "@eaDir", "lost+found"):
        (logos / result).mkdir()
        drawing(3).save(logos / result / "sample.png")
    if result == "run":
        (logos / "run" / "config.json").write_text("{}")
        (logos / "run" / "metrics.jsonl").touch()
    items = FolderItems(logos)
    assert items.labels == ["a", "b"] and len(items) == 2
    assert "Not read in" in capsys.readouterr().out
    moved = logos.rename(tmp_path / "moved")
    assert FolderItems(moved).labels == ["a", "b"]


@pytest.mark.parametrize("tool", ["inspect_data", "resize_center"])
def test_a_result_that_takes_the_place_of_its_images_is_read(logos, tmp_path, tool):
    if tool == "inspect_data":
        inspect_data.main([f"--path={logos / 'a'}", f"--report={tmp_path / 'r'}", f"--fix={logos / 'a clean'}"])
    else:
        resize_center.main([f"--path={logos / 'a'}", "--size=28", f"--target_path={logos / 'a clean'}"])
    assert FolderItems(logos).labels == ["a", "b"]
    shutil.rmtree(logos / "a")
    assert FolderItems(logos).labels == ["a clean", "b"]
    (logos / "a clean").rename(logos / "a")
    assert names(logos) == ["a/0.png", "b/0.png"]


def test_every_tool_leaves_a_cleaned_copy_among_the_images(logos, tmp_path):
    (logos / "a" / "x.svg").write_text(SVG)
    inspect_data.main([f"--path={logos / 'a'}", f"--report={tmp_path / 'r'}", f"--fix={logos / 'clean'}"])
    svg_to_png.main([f"--path={logos}", "--size=28", f"--target_path={tmp_path / 'png'}"])
    resize_center.main([f"--path={logos}", "--size=28", f"--target_path={tmp_path / 'squares'}"])
    assert len(list((tmp_path / "png").rglob("*.png"))) == 1 and len(list((tmp_path / "squares").rglob("*.png"))) == 3
    assert len(inspect_data.open_source(str(logos), "path")) == 3 == write(logos, tmp_path / "out").written


def test_a_cleaned_copy_has_the_manifests_of_what_was_read_alone(logos, tmp_path):
    for label in "ab":
        (logos / label / "manifest.jsonl").write_text("{}\n", encoding="utf-8")
    inspect_data.main([f"--path={logos / 'a'}", f"--report={tmp_path / 'r'}", f"--fix={logos / 'a clean'}"])
    inspect_data.main([f"--path={logos}", f"--report={tmp_path / 'r'}", f"--fix={tmp_path / 'clean'}"])
    assert sorted(os.listdir(tmp_path / "clean")) == ["a", "b", "removed.jsonl", "settings.json"]
    assert sorted(os.listdir(tmp_path / "clean" / "a")) == ["0.png", "manifest.jsonl"]


@pytest.mark.slow
def test_results_from_elsewhere_are_images_like_others(logos, tmp_path):
    for label in "ab":
        resize_center.main([f"--path={logos / label}", "--size=28", f"--target_path={tmp_path / 'squares' / label}"])
    assert names(tmp_path / "squares") == ["a/0.png", "b/0.png"]
    resize_center.main([f"--path={logos / 'b'}", "--size=28", f"--target_path={logos / 'c'}"])
    resize_center.main([f"--path={tmp_path / 'squares'}", "--size=28", f"--target_path={logos / 'c'}"])
    assert FolderItems(logos).labels == ["a", "b", "c"]  # some of its images are from elsewhere


# ── labels ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("parts", [["train", "val"], ["Train", "Test"], ["train"], ["training", "validation", "test"]])
def test_the_parts_of_a_divided_set_are_not_taken_for_labels(logos, tmp_path, parts, capsys):
    for part in parts:
        shutil.copytree(logos, tmp_path / "set" / part)
    for main, path in ((write_tfrecords.main, "--path"), (make_logos.main, "--source")):
        with pytest.raises(SystemExit) as left:
            main([f"{path}={tmp_path / 'set'}", "--size=28", f"--target_path={tmp_path / 'out'}"])
        line = capsys.readouterr().err
        assert left.value.code == 2 and line.count("\n") == 1 and not (tmp_path / "out").exists()
        assert f"has the parts of a divided data set ({', '.join(sorted(parts))}), not labels" in line
    assert names(tmp_path / "set" / parts[0]) == ["a/0.png", "b/0.png"]
    assert FolderItems(tmp_path / "set", "folders").labels == sorted(parts)
    assert FolderItems(tmp_path / "set", "none").labels == []
    (tmp_path / "set" / "plane").mkdir()
    drawing(1).save(tmp_path / "set" / "plane" / "0.png")
    assert len(FolderItems(tmp_path / "set").labels) == len(parts) + 1


def test_a_folder_in_a_folder_is_said_to_be_the_only_label(logos, tmp_path, capsys):
    logos.rename(tmp_path / "archive")
    (tmp_path / "outer").mkdir()
    (tmp_path / "archive").rename(tmp_path / "outer" / "logos")
    assert FolderItems(tmp_path / "outer").labels == ["logos"]
    assert f"For its sub-folders as labels: --path={tmp_path / 'outer'}/logos" in capsys.readouterr().out


ODD = {
    " ": "is only space", "\u2003": "is only space", "a ": "begins or ends with space", "\x0ba": "begins or ends",
    "x\ny": "holds a line break", "x\ry": "holds a line break", "\udcff": "is not UTF-8",
}  # fmt: skip


@pytest.mark.parametrize("label", ODD)
def test_a_label_that_is_no_line_of_text_is_known_before_the_work(logos, tmp_path, label, monkeypatch):
    (logos / "a").rename(logos / label)
    monkeypatch.setattr(write_tfrecords.shard_files, "write_shards", lambda *_: 1 / 0)
    with pytest.raises(UserError, match=f"the label .* {ODD[label]}.*rename its folder, or use --labels=none") as error:
        write(logos, tmp_path / "out")
    assert str(error.value).isprintable() and not (tmp_path / "out").exists()


def test_a_program_in_an_ascii_locale_is_told_how_names_become_text(monkeypatch):
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    with pytest.raises(UserError, match=r"is read as ascii in this locale \(PYTHONUTF8=1 makes it UTF-8\)"):
        label_names.check(["Z\udcc3\udcbcrich"])


def test_other_odd_labels_are_those_that_tensorflow_datasets_sees(tmp_path):
    import tensorflow_datasets

    labels = ["#a", "a,b", "a b", "ü 😀", "x\x0by", "x\u2028y", '"', "0"]
    items = [Item(f"{number}.png", number, encode_png(drawing(number))) for number in range(len(labels))]
    write_tfrecords.write(
        items, tmp_path / "out", spec=ImageSpec(28), name="a", labels=labels, description="", workers=0
    )
    builder = tensorflow_datasets.builder_from_directory(str(tmp_path / "out"))
    assert builder.info.features["label"].names == labels
    assert list(json.loads((tmp_path / "out" / "metadata.json").read_text())["labels"]) == labels


# ── not a folder ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("logos.zip", "an archive: unpack it (unzip -q {path} -d {stem}) and give --path={stem}"),
        ("logos.tar.gz", "an archive: unpack it (mkdir {stem} && tar -xf {path} -C {stem}) and give --path={stem}"),
        ("logos.7z", "an archive: unpack it"),
        ("x.npy", "arrays: python -m data_prep.import_arrays --filename={path}"),
        ("x.pkl", "arrays: python -m data_prep.import_arrays --filename={path}"),
        ("items.csv", "a list: python -m data_prep.download_images --filename={path}"),
        ("logo.png", "a file: give the folder that it lies in, --path={folder}"),
        ("nothing", "is not a folder: nothing is there"),
    ],
)
def test_a_path_that_is_no_folder_is_told_what_takes_it(tmp_path, name, advice):
    path = tmp_path / name
    if name != "nothing":
        path.write_bytes(b"")
    message = advice.format(path=path, stem=str(path).removesuffix(".zip").removesuffix(".tar.gz"), folder=tmp_path)
    for use in (FolderItems, folders.list_files, lambda path: inspect_data.open_source(str(path), "path")):
        with pytest.raises(UserError) as error:
            use(path)
        assert message in str(error.value)
