"""What a run costs on a rented machine."""

import csv
import time
from typing import NamedTuple

from logogan_jax.core import installation
from logogan_jax.core.errors import UserError

TABLE = installation.shipped_path("cloud/prices.csv")
_BEGAN = time.perf_counter()


class Budget(NamedTuple):
    """Dollars per hour, the most to spend on a run, and what it had cost before this process; 0 says nothing."""

    price: float = 0.0
    max_cost: float = 0.0
    spent_before: float = 0.0

    def spent(self):
        """Dollars so far, with this process's start."""
        return self.spent_before + self.price * (time.perf_counter() - _BEGAN) / 3600

    def exhausted(self):
        """Whether the most has been spent."""
        return bool(self.max_cost) and self.spent() >= self.max_cost

    def total(self, seconds):
        """Dollars at the end, if that is some seconds away."""
        return self.spent() + self.price * seconds / 3600


def parse_budget(price, max_cost):
    """The Budget of the flags --price, dollars per hour or a machine of the table, and --max_cost, dollars."""
    if max_cost is not None and not max_cost > 0:
        raise UserError(f"--max_cost={max_cost:g}: it should be dollars, more than 0")
    if not price:
        if max_cost is not None:
            raise UserError(f"--max_cost={max_cost:g} needs the price of the machine: add --price=DOLLARS_PER_HOUR")
        return Budget()
    return Budget(_per_hour(price), max_cost or 0.0)


def check_not_exhausted(budget, run):
    """The Budget, unless what a run may cost was spent before this process."""
    if budget.max_cost and budget.spent_before >= budget.max_cost:
        raise UserError(
            f"--max_cost={budget.max_cost:g}: the run in {run} has cost ${budget.spent_before:,.2f} already: give more "
            f"to train it further"
        )
    return budget


def _per_hour(price):
    try:
        value = float(price)
    except ValueError:
        value = _listed(price)
    if not 0 < value < float("inf"):
        raise UserError(f"--price={price}: it should be dollars per hour, more than 0")
    return value


def _listed(machine):
    """Dollars per hour of a machine of the table; "MACHINE:spot" for its price when it may be taken away."""
    name, _, kind = machine.partition(":")
    rows = {}
    if TABLE.exists():
        with open(TABLE, newline="") as file:
            rows = {row["machine"]: row for row in csv.DictReader(file)}
    if kind not in ("", "spot") or name not in rows:
        known = f", or one of {', '.join(sorted(rows))}" if rows else ""
        raise UserError(f"--price={machine}: it should be dollars per hour{known}")
    value = rows[name]["spot_dollars_per_hour" if kind else "dollars_per_hour"]
    if not value:
        raise UserError(f"--price={machine}: the table has no spot price for it: give dollars per hour")
    return float(value)
