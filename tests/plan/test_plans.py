"""The page shows what plans.py recorded: every shipped config compiles for eight GPUs and for eight TPUs."""

import sys

from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import plans

from logogan_jax.plan import targets

RECORD = plans.read_record()


def test_every_row_is_wanted_and_of_what_its_name_says():
    wanted = plans.wanted()
    assert len(wanted) == len(set(wanted)) and {name for _, name, _ in wanted} == targets.load().keys()
    assert RECORD.keys() == {plans.title(*row) for row in wanted}, "python benchmarks/plans.py compiles what is missing"
    for name, row in RECORD.items():
        assert name == plans.title(row["config"], row["target"], row["devices"])
        assert row["step_seconds"] > 0 and row["kernels"] > 0 and row["compiler"]


def test_the_page_shows_the_record():
    page = (ROOT / "docs" / "speed.md").read_text()
    for marker, table in (("plans", plans.single_tables), ("plans-eight", plans.eight_tables)):
        shown = page.partition(f"<!-- {marker} -->\n")[2].partition(f"<!-- /{marker} -->")[0]
        assert shown == table(RECORD), marker


def test_a_tpu_computes_the_products_of_the_model():
    """XLA writes them in other forms, with zeros around and between rows: if more is counted, these are misread."""
    shares = {
        name: row["product_flops"] * row["devices"] / row["flops"]
        for name, row in RECORD.items()
        if row["target"] in ("v5e", "v6e")
    }
    assert min(shares.values()) > 0.8 and max(shares.values()) < 1.2, shares


def test_gpus_and_tpus_exchange_as_much():
    """What devices exchange follows from the config: if little is counted of a target, its programs are misread."""
    gpus = [row for name, row in RECORD.items() if name.endswith(" on 8 x h100")]
    both = [(RECORD[f"{row['config']} on 8 x v5e"], row) for row in gpus]
    shares = [tpu["exchanged_bytes"] / gpu["exchanged_bytes"] for tpu, gpu in both]
    assert min(shares) > 0.99 and max(shares) < 1.15
