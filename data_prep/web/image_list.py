"""The list of images that a tool is gathering: kept page by page in a journal, written as items.csv at the end."""

import contextlib
import json
import os
import pathlib
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any, Self

from data_prep.journal import Journal
from data_prep.web import items_csv
from data_prep.web.mediawiki import Page, Query
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem

Row = dict[str, Any]


class ImageList:
    """The rows of all pages so far, by name, and the rejected entries with their reasons.

    `after` is the continuation that the next query should hold (None: the list is complete).
    """

    def __init__(self, pages: Iterable[Page] = ()):
        self.rows: dict[str, Row] = {}
        self.rejects: list[dict[str, str]] = []
        self.after: Query | None = {}
        self._links: set[str] = set()
        for page in pages:
            self.add(page)

    def add(self, page: Page) -> list[Row]:
        """Add a page and return its rows that are new."""
        new_rows = []
        for row in page.rows:
            if row["name"] in self.rows or row["link"] in self._links:
                self.rejects.append({"name": row["name"], "reason": "listed before: a redirect or a second entry"})
                continue
            self.rows[row["name"]] = row
            self._links.add(row["link"])
            new_rows.append(row)
        reason = "the page has no file, or a hidden one"
        self.rejects += [{"name": title.partition(":")[2], "reason": reason} for title in page.lacking]
        self.after = page.after
        return new_rows

    def is_complete(self, limit: int | None) -> bool:
        """Return whether no more queries are needed."""
        return self.after is None or (limit is not None and len(self.rows) >= limit)


class ImageListFile:
    """The file of a list, and a hidden journal beside it: one line for the query, then one for each page.

    Use as a context manager to append pages; `pages` are those that earlier runs appended. A journal of another
    query is a UserError.
    """

    def __init__(self, filename: str | pathlib.Path, query: dict[str, Any]):
        filename = os.path.expanduser(filename)
        folder, self._name = os.path.split(filename)
        if not self._name or os.path.isdir(filename):
            example = os.path.join(filename, "items.csv")
            raise UserError(f"--filename={filename} should be the name of a file, as {example}")
        self._filename = filename
        self._query = query
        self._store = filesystem.open_store(folder or ".")
        self._journal = Journal(self._store, f".{self._name}.jsonl")
        lines = self._journal.lines
        if lines and lines[0] != query:
            first = ", ".join(f"{key} {value}" for key, value in lines[0].items())
            raise UserError(f"--filename={filename} was begun for another list ({first}): choose another name")
        self.pages = [Page(**line) for line in lines[1:]]
        self._has_query = bool(lines)
        self._earlier = None if self._store.size(self._name) is None else self._store.read(self._name)
        self._is_open = False
        self._exit_stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exit_stack.close()

    def append(self, page: Page) -> None:
        """Append a page to the journal. The first page creates it, so that a query without an answer leaves no file."""
        if not self._is_open:
            try:
                self._exit_stack.enter_context(self._journal)
            except OSError as error:
                reason = f"--filename={self._filename} cannot be written ({error.strerror}): choose another"
                raise UserError(reason) from None
            self._is_open = True
        if not self._has_query:
            self._journal.write(self._query)
            self._has_query = True
        self._journal.write(page._asdict())

    def check_existing(self, rows: Iterable[Row]) -> bool:
        """Return whether the list exists; UserError if it is not the beginning of these rows, as a shorter list is."""
        if self._earlier is not None and not items_csv.to_csv(rows).startswith(self._earlier):
            raise UserError(f"--filename={self._filename} exists and is not overwritten: choose another name")
        return self._earlier is not None

    def write(self, rows: Collection[Row], rejects: Iterable[dict[str, str]]) -> str:
        """Write the list, unless it already holds these rows, and return the line of totals."""
        data = items_csv.to_csv(rows)
        if self._earlier is not None and len(self._earlier) >= len(data):
            advice = f"to list anew, remove it and .{self._name}.jsonl beside it"
            return f"Nothing to do: {self._filename} holds the {len(rows)} files that were asked for ({advice})."
        rejects = list(rejects)
        rejects_name = f"{pathlib.PurePath(self._name).stem}.rejects.jsonl"
        if rejects:
            lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in rejects)
            self._store.write(rejects_name, lines.encode("utf-8", "backslashreplace"))
        self._store.write(self._name, data)
        reasons = f" (reasons in {rejects_name} there)" if rejects else ""
        return f"{len(rows)} files listed in {self._filename}, {len(rejects)} rejected{reasons}."
