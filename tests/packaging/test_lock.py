"""uv.lock belongs to pyproject.toml, and says nothing of the machine on which it was made."""

import re
import subprocess

import pytest
import wheels
from conftest import ROOT

LOCK = (ROOT / "uv.lock").read_text()


def test_the_lock_is_current():
    uv = wheels.uv()
    if not uv:
        pytest.skip("uv is not installed")
    done = subprocess.run([uv, "lock", "--check", "--offline", "--no-config"], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, f"{done.stderr}Make it anew: uv lock"


def test_the_lock_names_public_packages_only():
    sources = set(re.findall(r"source = \{ (.*?) \}", LOCK))
    assert sources == {'registry = "https://pypi.org/simple"', 'editable = "."'}
    addresses = re.findall(r'url = "(.*?)"', LOCK)
    assert len(addresses) > 1000
    assert all(address.startswith("https://files.pythonhosted.org/packages/") for address in addresses)
    assert not re.search(r"find-links|file://|/(home|root|tmp|opt)/", LOCK)
