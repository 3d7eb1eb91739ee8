"""The config of a run, as a file beside its checkpoints."""

import json

import pytest

from logogan_jax.config import defaults, run_config
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import DatasetInfo

INFO = DatasetInfo("f" * 64, 50, {"box": 25, "disc": 25})


def test_what_is_written_is_read_again(tmp_path):
    config = defaults.get_config()
    run_config.write(tmp_path, config, INFO)
    read = run_config.read(tmp_path)
    assert read is not None and read[0].to_dict() == config.to_dict() and read[1] == INFO


@pytest.mark.parametrize("form", [None, 1, 3])
def test_a_run_of_another_version_is_refused_in_one_line(tmp_path, form):
    config = defaults.get_config()
    run_config.write(tmp_path, config, INFO)
    path = tmp_path / "config.json"
    content = json.loads(path.read_text())
    del content["format"]  # as the first edition wrote it
    path.write_text(json.dumps(content | ({} if form is None else {"format": form})))
    for use in (lambda: run_config.read(tmp_path), lambda: run_config.check_resumable(tmp_path, config, INFO)):
        with pytest.raises(
            UserError, match=r"a run of another version of logogan_jax .* choose another --workdir"
        ) as said:
            use()
        assert "\n" not in str(said.value)


def test_a_folder_without_a_run_has_no_config(tmp_path):
    assert run_config.read(tmp_path) is None
