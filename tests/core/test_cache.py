"""The cache is optional: without a home, or on a disk that cannot be written, commands go on and say so."""

import numpy as np
import pytest

from data_prep import icon_sets, make_logos
from logogan_jax.core import cache
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage.download import CachedCopy
from logogan_jax.core.storage.object_store import Bucket
from logogan_jax.metrics import feature_cache, features

NETWORK = features.FeatureNetwork("toy", "0" * 64, None, lambda weights, pixels: None, 5)
LINE = r"^/\S+ cannot be written \(.*\): set LOGOGAN_CACHE to a folder that can be written$"


@pytest.fixture(autouse=True)
def nothing_said_before(monkeypatch):
    monkeypatch.delenv("LOGOGAN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    cache.warn.cache_clear()
    cache._default_root.cache_clear()
    yield
    cache._default_root.cache_clear()


def homeless(monkeypatch):
    monkeypatch.setattr(cache.os.path, "expanduser", lambda path: path)  # as for a user that the system does not know


@pytest.fixture(params=["no home", "HOME", "XDG_CACHE_HOME", "a file"])
def nowhere(request, monkeypatch, tmp_path):
    """A user whose own cache folder cannot be written, in one of several ways."""
    if request.param == "no home":
        homeless(monkeypatch)
    elif request.param == "a file":
        (tmp_path / ".cache").touch()
        monkeypatch.setenv("HOME", str(tmp_path))
    else:
        monkeypatch.setenv(request.param, "/proc/none")


def test_the_embedded_logos_are_drawn_for_a_user_without_a_cache(nowhere, monkeypatch, capsys):
    items = icon_sets.simple_icons()[:3]
    monkeypatch.setattr(icon_sets, "simple_icons", lambda: items)
    folder = make_logos.embedded_logos(size=14, channels=1)
    assert (folder / "metadata.json").is_file()
    said = capsys.readouterr().err
    assert said.startswith("warning: the cache is not used (") and said.count("set LOGOGAN_CACHE") == 1
    assert make_logos.embedded_logos(size=14, channels=1) == folder, "as long as the command runs"


@pytest.mark.parametrize("place", ["/proc/none", "/dev/null", "/proc"])
def test_a_cache_that_was_asked_for_and_cannot_be_is_one_line(monkeypatch, place):
    monkeypatch.setenv("LOGOGAN_CACHE", place)
    with pytest.raises(UserError, match=LINE):
        make_logos.embedded_logos(size=14, channels=1)
    with pytest.raises(UserError, match=LINE):
        CachedCopy("fetched", Bucket("memory://bucket/a"))


def test_features_are_computed_again_where_they_cannot_be_kept(monkeypatch, capsys):
    monkeypatch.setenv("LOGOGAN_CACHE", "/proc/none")
    found = features.Features(np.ones((2, 3)), np.ones((2, 3)))
    monkeypatch.setattr(features, "embed", lambda network, pixels: found)
    for _ in range(2):
        assert feature_cache.load_or_embed(NETWORK, "images", lambda: np.zeros(1)) is found
    said = capsys.readouterr().err
    assert said.count("set LOGOGAN_CACHE") == 1 and "/proc/none/features" in said


def test_a_full_disk_loses_no_features(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("LOGOGAN_CACHE", str(tmp_path))
    monkeypatch.setattr(features, "embed", lambda network, pixels: features.Features(np.ones(2), np.ones(2)))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    feature_cache.load_or_embed(NETWORK, "images", lambda: np.zeros(1))
    assert "No space left on device" in capsys.readouterr().err


def test_a_cache_that_another_user_filled_is_read(monkeypatch, tmp_path):
    monkeypatch.setenv("LOGOGAN_CACHE", str(tmp_path))
    items = icon_sets.simple_icons()[:3]
    monkeypatch.setattr(icon_sets, "simple_icons", lambda: items)
    folder = make_logos.embedded_logos(size=14, channels=1)

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache, "_require_writable", refused)
    assert make_logos.embedded_logos(size=14, channels=1) == folder
