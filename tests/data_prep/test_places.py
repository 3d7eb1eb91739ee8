"""Where tools write: the working folder, mount points, links, `~`; what is not possible there is known at once."""

import errno
import os
import pathlib

import numpy as np
import pytest
from conftest import drawing

from data_prep import arguments, cluster_labels, inspect_data, pool, resize_center, split_grid, svg_to_png
from data_prep import write_tfrecords as tool
from data_prep.pictures.convert import ImageSpec, Item, encode_png
from data_prep.shards import output_folder
from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import TFRecordDataset

ITEMS = [Item(f"{number}.png", 0, encode_png(drawing(number))) for number in range(12)]
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4" cy="4" r="3"/></svg>'


def write(target):
    return tool.write(ITEMS, target, spec=ImageSpec(28), name="a", labels=[], description="", workers=0, shards=3)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """{name: bytes} of the shards of ITEMS."""
    folder = tmp_path_factory.mktemp("expected") / "shards"
    write(folder)
    return contents(folder)


@pytest.fixture
def logos(tmp_path):
    folder = tmp_path / "logos"
    folder.mkdir()
    for number in range(3):
        drawing(number).save(folder / f"{number}.png")
    (folder / "a.svg").write_text(SVG)
    return folder


@pytest.mark.parametrize("place", ["here", "mount", "link", "lost", "to nowhere", "deep", "long"])
def test_shards_go_into_any_empty_folder(monkeypatch, tmp_path, expected, place):
    folder = tmp_path / ("n" * 252 if place == "long" else "folder")
    target = {"here": pathlib.Path("."), "deep": folder / "deep" / "er"}.get(place, folder)
    if place in ("here", "mount", "link", "lost"):
        folder.mkdir()
    if place == "lost":
        (folder / "lost+found").mkdir()
        (folder / ".DS_Store").touch()
    if place in ("link", "to nowhere"):
        target = tmp_path / "link"
        target.symlink_to(folder)
    if place == "here":
        monkeypatch.chdir(folder)
    before = folder.stat().st_ino if folder.exists() else None
    write(target)
    assert {name: data for name, data in contents(target).items() if name != ".DS_Store"} == expected
    assert before in (None, folder.stat().st_ino)  # neither a mount point nor a working folder can be replaced
    assert not [path.name for path in tmp_path.rglob(".*") if path.name != ".DS_Store"]
    with pytest.raises(UserError, match="is not an empty folder"):
        write(target)


@pytest.mark.parametrize("exists", [True, False])
def test_finished_shards_survive_a_failure_of_the_last_act(monkeypatch, tmp_path, expected, exists):
    target, replace = tmp_path / "out", os.replace
    if exists:
        target.mkdir()

    def fail(source, destination):
        moved = pathlib.Path(source).name in (".out.partial", "features.json")
        if moved and pathlib.Path(destination).parent in (tmp_path, target):
            raise OSError(errno.EBUSY, "Device or resource busy")
        replace(source, destination)

    monkeypatch.setattr(output_folder.os, "replace", fail)
    with pytest.raises(OSError, match="busy"):
        write(target)
    monkeypatch.undo()
    converted = []
    monkeypatch.setattr(tool.shard_files.convert, "convert", lambda item, **_: converted.append(item))
    assert write(target).written == 12 and not converted
    assert contents(target) == expected and sorted(os.listdir(tmp_path)) == ["out"]


def test_a_place_that_does_not_take_the_last_act_is_known_before_the_work(monkeypatch, tmp_path, logos, capsys):
    def fail(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(output_folder.os, "replace", fail)
    message = r"--target_path=.*out cannot be written \(Invalid cross-device link\): choose another place"
    with pytest.raises(UserError, match=message), output_folder.create(tmp_path / "out"):
        raise AssertionError
    monkeypatch.setattr(inspect_data, "inspect", lambda *_, **__: 1 / 0)
    with pytest.raises(SystemExit):
        inspect_data.main([f"--path={logos}", f"--fix={tmp_path / 'clean'}"])
    assert "--fix=" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["logos"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--fix=clean", "--report=clean/report"], "--report=clean/report lies in --fix=clean"),
        (["--fix=same", "--report=same"], "--report=same lies in --fix=same"),
        (["--report=logos_file/report"], "report cannot be written (Not a directory): choose another --report"),
        (["--fix=logos_file/clean"], "cannot be written (Not a directory): choose another place"),
    ],
)
def test_places_of_the_data_doctor_are_checked_before_it_looks(monkeypatch, tmp_path, logos, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logos_file").touch()
    monkeypatch.setattr(inspect_data, "inspect", lambda *_, **__: 1 / 0)
    with pytest.raises(SystemExit) as left:
        inspect_data.main(["--path=logos", *flags])
    assert left.value.code == 2 and message in capsys.readouterr().err


def test_a_lack_of_memory_leaves_what_is_finished(tmp_path):
    for error, stays in ((pool.OutOfMemory("full"), True), (UserError("wrong"), False)):
        with pytest.raises(UserError), output_folder.create(tmp_path / "out") as partial:
            (partial / "done").touch()
            raise error
        assert (tmp_path / ".out.partial" / "done").exists() == stays
        if stays:
            with output_folder.create(tmp_path / "out") as partial:
                assert (partial / "done").exists()
            assert os.listdir(tmp_path / "out") == ["done"]
            (tmp_path / "out" / "done").unlink()
            (tmp_path / "out").rmdir()


@pytest.mark.parametrize("kind", [UserError, RuntimeError])
def test_an_interruption_leaves_what_is_finished_whatever_error_came_of_it(tmp_path, kind):
    with pytest.raises(kind), output_folder.create(tmp_path / "out") as partial:
        (partial / "done").touch()
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise kind("it is damaged") from None
    assert (tmp_path / ".out.partial" / "done").exists()


def test_default_places_of_the_working_folder_lie_beside_it(monkeypatch, tmp_path, logos):
    monkeypatch.chdir(logos)
    resize_center.main(["--path=.", "--size=28"])
    svg_to_png.main(["--path=.", "--size=28"])
    split_grid.main(["--filename=.", "--col=1", "--row=1"])
    assert sorted(os.listdir(tmp_path)) == ["logos", "logos_28", "logos_png", "logos_split"]
    assert sorted(os.listdir(logos)) == ["0.png", "1.png", "2.png", "a.svg"]
    assert len(list((tmp_path / "logos_28").glob("*.png"))) == 4
    assert inspect_data._default_report_folder(".") == str(tmp_path / "logos_report")
    (logos / "inner").mkdir()
    monkeypatch.chdir(logos / "inner")
    assert arguments.beside("..", "_28") == tmp_path / "logos_28" and tool.dataset_name("..") == "logos"
    with pytest.raises(UserError, match="--report is needed: nothing lies beside /"):
        arguments.beside("/", "_report", "report")


def test_the_working_folder_is_inspected_cleaned_and_labelled(monkeypatch, tmp_path, logos, shards):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    inspect_data.main([f"--path={logos}", "--fix=."])
    assert {"0.png", "1.png", "2.png", "a.svg"} <= set(os.listdir(empty))
    labelled = tmp_path / "labelled"
    labelled.mkdir()
    monkeypatch.chdir(labelled)
    monkeypatch.setattr(
        cluster_labels,
        "embed_images",
        lambda data: data.images(np.arange(len(data)))[0].reshape(len(data), -1)[:, :64] / 255,
    )
    monkeypatch.setattr(cluster_labels, "make_sheet", lambda *_: drawing(1))
    monkeypatch.setattr(cluster_labels.images, "write_png", lambda path, picture, scale: picture.save(path))
    monkeypatch.setattr(cluster_labels, "cluster", lambda features, count: (np.arange(50) % 2, features[:, 0]))
    cluster_labels.main([f"--path={shards}", "--clusters=2", "--target_path=."])
    assert len(TFRecordDataset.open(labelled)) == 50 and (labelled / "clusters.png").exists()


@pytest.mark.slow
def test_a_tilde_is_the_home_folder_and_an_unknown_one_a_name(monkeypatch, tmp_path, logos):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "logos")
    resize_center.main(["--path=~/logos", "--size=28"])
    svg_to_png.main(["--path=~/logos", "--size=28"])
    split_grid.main(["--filename=~/logos", "--col=1", "--row=1"])
    tool.main(["--path=~/logos", "--size=28", "--target_path=~/shards"])
    inspect_data.main(["--path=~/logos", "--fix=~/clean"])
    found = {"logos", "logos_28", "logos_png", "logos_report", "logos_split", "shards", "clean"}
    assert set(os.listdir(tmp_path)) == found and len(os.listdir(logos)) == 4
    assert files.expand("~no-such-user/x") == pathlib.Path("~no-such-user/x")
