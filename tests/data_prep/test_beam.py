"""The Beam pipeline writes the very bytes that write_tfrecords writes, and goes on where it was stopped."""

import json

import fork_server
import pytest
from conftest import command, drawing, environment

from data_prep import folders, icon_sets, write_tfrecords
from data_prep.pictures.convert import ImageSpec, encode_png
from data_prep.shards import plan

PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def flags(source, target, *others):
    return ["--path", str(source), "--size=28", "--target_path", str(target), *map(str, others)]


@pytest.fixture(scope="module")
def beam_tfrecords():
    """The pipeline, whose libraries take seconds to import: not while tests are only collected."""
    return pytest.importorskip("data_prep.beam_tfrecords", reason="needs the extra beam")


@pytest.fixture
def tool(capsys):
    """A function (module, source, target, *flags) -> what the tool has said in this process."""

    def run(module, *arguments):
        module.main(flags(*arguments))
        return capsys.readouterr().out

    return run


@pytest.fixture
def refusal(beam_tfrecords, capsys):
    """A function (source, target, *flags) -> the one line with which the pipeline refuses."""

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            beam_tfrecords.main(flags(*arguments))
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert left.value.code == 2
        return line

    return run


@pytest.fixture
def logos(tmp_path):
    """60 pictures in two sub-folders, one of them broken, one with a name that is no plain text."""
    source = tmp_path / "logos"
    for label in ("box", "disc"):
        (source / label).mkdir(parents=True)
    for i in range(60):
        drawing(i).save(source / ("box", "disc")[i % 2] / f"{i}.png")
    (source / "box" / "new\nline 😀.png").write_bytes(encode_png(drawing(99)))
    (source / "disc" / "bad.png").write_bytes(b"no")
    return source


def in_a_process(name, *arguments):
    """What a tool has said as a command."""
    done = fork_server.run(
        command(f"data_prep.{name}", *flags(*arguments)), env=environment(), text=True, capture_output=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_several_processes_give_the_same_bytes_as_the_local_path(beam_tfrecords, tmp_path):
    source = tmp_path / "logos"
    source.mkdir()
    for i, item in zip(range(600), icon_sets.simple_icons(), strict=False):
        (source / f"{i}.svg").write_bytes(item.source)
    (source / "bad.svg").write_bytes(b"<svg")
    local = in_a_process("write_tfrecords", source, tmp_path / "local")
    beam = in_a_process("beam_tfrecords", source, tmp_path / "beam", "--runner=DirectRunner", *PROCESSES)
    assert local.replace("local", "beam") == beam
    assert "600 images written" in beam and "1 rejected" in beam
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
    assert len(list((tmp_path / "beam").glob("*.tfrecord-*"))) == plan.USUAL_SHARDS


@pytest.mark.slow
def test_labels_and_odd_names_come_through(beam_tfrecords, logos, tool, refusal, tmp_path):
    tool(write_tfrecords, logos, tmp_path / "local", "--shards=5")
    said = tool(beam_tfrecords, logos, tmp_path / "beam", "--shards=5")
    assert "61 images written" in said and "1 rejected" in said
    assert contents(tmp_path / "beam") == contents(tmp_path / "local")
    assert json.loads((tmp_path / "beam" / "metadata.json").read_text())["labels"] == {"box": 31, "disc": 30}
    names = sorted(str(path.relative_to(logos)) for path in logos.rglob("*") if path.is_file())
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps({"path": name}) + "\n" for name in names[::-1]))
    tool(beam_tfrecords, logos, tmp_path / "listed", "--shards=5", f"--manifest={tmp_path / 'manifest.jsonl'}")
    assert contents(tmp_path / "listed") == contents(tmp_path / "local")
    drawing(1).save(logos / "loose.png")
    new = tmp_path / "new"
    assert "holds finished shards: remove them or choose another" in refusal(logos, tmp_path / "beam")
    assert "--runer=x is a flag neither of this tool nor of Beam" in refusal(logos, new, "--runer=x")
    assert "--size=0 should be from 1" in refusal(logos, new, "--size=0")
    for shards in (-1, 0, 10**12):
        assert f"--shards={shards} should be from 1 to 99,999" in refusal(logos, new, f"--shards={shards}")
    assert f"--manifest={new}: there is no such file" in refusal(logos, new, f"--manifest={new}")
    assert f"--target_path={logos / 'loose.png'} cannot be written" in refusal(logos, logos / "loose.png")
    assert refusal(logos, new).startswith("error: --path has files beside its sub-folders")
    assert not new.exists()


@pytest.mark.slow
@pytest.mark.parametrize("line", [b"hello", b"[]", b'{"path": 3}', b"\xff"])
def test_a_manifest_that_is_none_is_refused_by_its_line(logos, line, refusal, caplog, tmp_path):
    (tmp_path / "manifest").write_bytes(line)
    said = refusal(logos, tmp_path / "new", f"--manifest={tmp_path / 'manifest'}")
    assert f"--manifest={tmp_path / 'manifest'} has the line {line!r}: each line should be JSON" in said
    assert said.endswith('such as {"path": "shoes/1.png"}') and not caplog.records


@pytest.mark.slow
def test_what_a_worker_refuses_is_one_line(refusal, caplog, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "metadata.json").write_text("{}")
    said = refusal(tmp_path / "home", tmp_path / "new")
    assert said == "error: no image could be read (metadata.json: not an image): check --path" and not caplog.records


@pytest.mark.slow
def test_from_bucket_to_bucket(beam_tfrecords, logos, s3, tool, tmp_path):
    s3.create_bucket(Bucket="beam")
    (logos / "box" / "new\nline 😀.png").rename(logos / "box" / "plain 😀.png")  # the S3 of the test knows no new lines
    for path in logos.rglob("*"):
        if path.is_file():
            s3.upload_file(str(path), "beam", f"logos/{path.relative_to(logos)}")
    tool(write_tfrecords, logos, tmp_path / "local", "--shards=3")
    assert "61 images written" in tool(beam_tfrecords, "s3://beam/logos", "s3://beam/shards", "--shards=3")
    listed = s3.list_objects_v2(Bucket="beam", Prefix="shards/")["Contents"]
    found = {one["Key"][7:]: s3.get_object(Bucket="beam", Key=one["Key"])["Body"].read() for one in listed}
    assert found == contents(tmp_path / "local")


def test_finished_shards_are_not_made_again(beam_tfrecords, logos, tmp_path, monkeypatch):
    spec, made = ImageSpec(28), []
    names = [str(path) for path in folders.list_files(logos)]
    placed = [name for name in names if plan.shard_index(plan.name_digest(name), 2) == 1]
    grouped = (1, {"names": placed})
    once = beam_tfrecords.write_shard(grouped, 2, ["box", "disc"], "logos", logos, tmp_path / "out", spec)
    write_one = beam_tfrecords.shard_files.write_shard
    monkeypatch.setattr(beam_tfrecords.shard_files, "write_shard", lambda *a: made.append(a) or write_one(*a))
    again = beam_tfrecords.write_shard(grouped, 2, ["box", "disc"], "logos", logos, tmp_path / "out", spec)
    assert not made and again[1]["records"] == once[1]["records"] > 0
    other = spec._replace(fit="crop")
    beam_tfrecords.write_shard(grouped, 2, ["box", "disc"], "logos", logos, tmp_path / "out", other)
    assert len(made) == 1
