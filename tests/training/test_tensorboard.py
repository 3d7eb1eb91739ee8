"""TensorBoard's events: whole records in files of their own, later steps taken back."""

import os
import shutil
import time

import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from logogan_jax.data import tfrecord
from logogan_jax.training.reporting import tensorboard
from logogan_jax.training.reporting.tensorboard import TensorBoardWriter


def events(path):
    found = tfrecord.build_index(str(path))
    return [event_pb2.Event.FromString(tfrecord.read(found, i)) for i in range(len(found.offsets))]


def test_every_event_is_in_the_file_at_once_with_its_step(tmp_path):
    writer = TensorBoardWriter(tmp_path / "board", 1)
    writer.write_scalars(20, {"critic/loss": 0.5, "images_per_second": 3.0})
    writer.write_image(20, "samples", np.full((4, 6, 3), 128, np.uint8))
    (path,) = (tmp_path / "board").iterdir()
    version, start, numbers, picture = events(path)
    assert "tfevents" in path.name and version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (1, event_pb2.SessionLog.START)
    assert numbers.step == picture.step == 20 and numbers.wall_time > 1.7e9
    assert {value.tag: value.simple_value for value in numbers.summary.value} == {
        "critic/loss": 0.5, "images_per_second": 3.0,
    }  # fmt: skip
    (value,) = picture.summary.value
    assert (value.tag, value.image.height, value.image.width) == ("samples", 4, 6)
    assert value.image.encoded_image_string.startswith(b"\x89PNG")


def test_a_run_that_goes_back_begins_a_file_after_those_there_are(tmp_path):
    writers = [TensorBoardWriter(tmp_path, step) for step in (1, 11, 5)]
    paths = sorted(tmp_path.iterdir())
    assert [events(path)[1].step for path in paths] == [1, 11, 5]
    for writer in writers:
        writer.close()


@pytest.mark.parametrize("back", [0.0, 1.0, 86_400.0])
def test_a_clock_that_goes_back_between_two_commands_loses_no_step(tmp_path, monkeypatch, back):
    first = TensorBoardWriter(tmp_path, 1)
    first.write_scalars(7, {"critic/loss": 0.5})
    first.close()
    (path,) = tmp_path.iterdir()
    written = events(path)[-1].wall_time
    os.utime(path, (written, written - 0.01))  # as by a file system whose clock ticks a hundred times a second
    now = time.time() - back
    monkeypatch.setattr(tensorboard.time, "time", lambda: now)
    second = TensorBoardWriter(tmp_path, 8)
    second.write_scalars(8, {"critic/loss": 0.25})
    second.close()
    both = [event for path in sorted(tmp_path.iterdir()) for event in events(path)]
    assert [event.step for event in both if event.HasField("summary")] == [7, 8]
    times = [event.wall_time for event in both]
    assert times == sorted(times)


def test_a_clock_that_goes_back_while_it_trains_keeps_the_order_of_events(tmp_path, monkeypatch):
    writer = TensorBoardWriter(tmp_path, 1)
    writer.write_scalars(1, {"critic/loss": 0.5})
    now = time.time() - 3600
    monkeypatch.setattr(tensorboard.time, "time", lambda: now)
    writer.write_scalars(2, {"critic/loss": 0.5})
    writer.close()
    times = [event.wall_time for event in events(next(tmp_path.iterdir()))]
    assert times == sorted(times)


def test_a_file_removed_while_it_trains_is_followed_by_one_that_takes_back_no_step(tmp_path):
    writer = TensorBoardWriter(tmp_path / "board", 1)
    writer.write_scalars(1, {"critic/loss": 0.5})
    shutil.rmtree(tmp_path / "board")
    writer.write_scalars(2, {"critic/loss": 0.5})
    writer.write_scalars(3, {"critic/loss": 0.5})
    writer.close()
    _, start, *numbers = events(next((tmp_path / "board").iterdir()))
    assert start.step == 2 and [event.step for event in numbers] == [2, 3]
