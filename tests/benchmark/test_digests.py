"""What small runs end in is recorded, before the code was put into its tree of today and after."""

import json

from conftest import ROOT

RESULTS = ROOT / "benchmarks" / "results"


def runs(name):
    return json.loads((RESULTS / f"{name}.json").read_text())["runs"]


def test_the_values_of_every_trained_state_are_those_of_the_first_edition():
    first = runs("digests-first-edition-cpu")
    now = runs("digests-cpu")
    assert first.keys() == now.keys() and len(now) == 14
    assert {name: run["values_sha256"] for name, run in now.items()} == {
        name: run["values_sha256"] for name, run in first.items()
    }
