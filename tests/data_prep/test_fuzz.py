"""300 good files of each format, changed at random, are converted or rejected with a reason; nothing is printed."""

import io
import warnings

import fuzzed_files
import numpy as np
import pytest
from PIL import Image

from data_prep import write_tfrecords
from data_prep.pictures import convert
from data_prep.web import image_format
from logogan_jax.data.dataset import TFRecordDataset


@pytest.fixture(scope="module")
def changed():
    """{seed: (name, bytes)}."""
    good = fuzzed_files.good_files()
    return {seed: fuzzed_files.change(seed, good) for seed in fuzzed_files.SEEDS}


def test_every_changed_file_is_converted_or_rejected_with_a_reason(changed, capfd):
    converted = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed, (name, data) in changed.items():
            found = convert.convert(convert.Item(name, 0, data), fuzzed_files.SPEC)
            if found.reason:
                assert not found.png and "Traceback" not in found.reason and "\n" not in found.reason, (seed, found)
                continue
            converted += 1
            pixels = np.asarray(Image.open(io.BytesIO(found.png)))
            assert pixels.shape == (28, 28, 3) and found.aspect > 0 and len(found.sha256) == 64, seed
    assert capfd.readouterr() == ("", "")
    assert 20 < converted < len(changed) - 100  # it is neither harmless nor hopeless what the seeds do


def test_every_changed_file_is_named_or_refused_by_the_downloads(changed, capfd):
    for seed, (name, data) in changed.items():
        try:
            found = image_format.identify(data, 10**8)
        except image_format.InvalidImage as error:
            assert str(error), (seed, name)
        else:
            assert found.extension in image_format.EXTENSIONS, (seed, name)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_folder_of_changed_files_becomes_shards_and_reasons(changed, tmp_path, capfd):
    folder = tmp_path / "changed"
    folder.mkdir()
    for seed, (_, data) in changed.items():
        (folder / f"{seed:03d}").write_bytes(data)
    write_tfrecords.main([f"--path={folder}", "--size=28", f"--target_path={tmp_path / 'shards'}", "--workers=2"])
    said = capfd.readouterr()
    written = len(TFRecordDataset(tmp_path / "shards", size=(28, 28), channels=3))
    rejected = (tmp_path / "shards" / "rejects.jsonl").read_text().count("\n")
    assert written + rejected == len(changed)
    assert f"{written} images written to {tmp_path / 'shards'}, {rejected} rejected" in said.out
    assert "Traceback" not in said.err and "crashed" not in (tmp_path / "shards" / "rejects.jsonl").read_text()
