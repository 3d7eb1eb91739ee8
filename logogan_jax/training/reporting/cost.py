"""What a run costs on a rented machine."""

import csv
import pathlib
import time
from typing import NamedTuple

from logogan_jax.core import installation
from logogan_jax.core.errors import UserError

TABLE = installation.shipped_path("cloud/prices.csv")
# The command imports this module first, so that the time of imports and compilation is paid for too.
# A clock that nobody sets: time.time() jumps where the machine's time is corrected.
PROCESS_START = time.perf_counter()


class Budget(NamedTuple):
    """Price of the machines and limit of the cost of a run; 0 means that none was given.

    `price` is in dollars per hour. `max_cost` and `spent_before`, the cost before this process, are in dollars.
    """

    price: float = 0.0
    max_cost: float = 0.0
    spent_before: float = 0.0

    def spent(self) -> float:
        """Return the cost until now in dollars, including the start of this process."""
        return self.spent_before + self.price * (time.perf_counter() - PROCESS_START) / 3600

    def exhausted(self) -> bool:
        """Return whether the cost has reached the limit."""
        return bool(self.max_cost) and self.spent() >= self.max_cost

    def total(self, seconds_left: float) -> float:
        """Return the cost in dollars at the end of the run."""
        return self.spent() + self.price * seconds_left / 3600


def parse_budget(price: str, max_cost: float | None) -> Budget:
    """Return the Budget of --price (dollars per hour, or a machine of the price table) and --max_cost (dollars)."""
    # Written so that NaN is refused, too.
    if max_cost is not None and not max_cost > 0:
        raise UserError(f"--max_cost={max_cost:g}: it should be dollars, more than 0")
    # No price is the usual case: most machines are the user's own.
    if not price:
        if max_cost is not None:
            raise UserError(f"--max_cost={max_cost:g} needs the price of the machine: add --price=DOLLARS_PER_HOUR")
        return Budget()
    return Budget(_dollars_per_hour(price), max_cost or 0.0)


def check_not_exhausted(budget: Budget, workdir: str | pathlib.Path) -> Budget:
    """Return the budget. Raises UserError if earlier processes have spent it already."""
    if budget.max_cost and budget.spent_before >= budget.max_cost:
        raise UserError(
            f"--max_cost={budget.max_cost:g}: the run in {workdir} has cost ${budget.spent_before:,.2f} already: use a "
            f"higher --max_cost to train it further"
        )
    return budget


def _dollars_per_hour(price: str) -> float:
    try:
        value = float(price)
    except ValueError:
        value = _look_up(price)
    if not 0 < value < float("inf"):
        raise UserError(f"--price={price}: it should be dollars per hour, more than 0")
    return value


def _look_up(price: str) -> float:
    """Return the dollars per hour of "MACHINE" in the price table, or of "MACHINE:spot"."""
    name, _, kind = price.partition(":")
    rows = {}
    if TABLE.exists():
        with open(TABLE, newline="", encoding="utf-8") as file:
            rows = {row["machine"]: row for row in csv.DictReader(file)}
    if kind not in ("", "spot") or name not in rows:
        known = f", or one of {', '.join(sorted(rows))}" if rows else ""
        raise UserError(f"--price={price}: it should be dollars per hour{known}")
    value = rows[name]["spot_dollars_per_hour" if kind else "dollars_per_hour"]
    if not value:
        raise UserError(f"--price={price}: the table has no spot price for it: give dollars per hour")
    return float(value)
