"""The list of what a tool found, on its way to items.csv: kept as it comes, written whole at the end."""

import contextlib
import json
import os
import pathlib

from data_prep.journal import Journal
from data_prep.web import mediawiki
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem


class Listing:
    """What the replies for a list have told so far: rows by name, and what was left out, with reasons."""

    def __init__(self, pages=()):
        self.rows, self.rejects, self.after, self._links = {}, [], {}, set()
        for page in pages:
            self.add(page)

    def add(self, page):
        """Take in a Page -> its rows that are new."""
        fresh = []
        for row in page.rows:
            if row["name"] in self.rows or row["link"] in self._links:
                self.rejects.append({"name": row["name"], "reason": "listed before: a redirect or a second entry"})
                continue
            self.rows[row["name"]] = row
            self._links.add(row["link"])
            fresh.append(row)
        lost = "the page has no file, or a hidden one"
        self.rejects += [{"name": title.partition(":")[2], "reason": lost} for title in page.lacking]
        self.after = page.after
        return fresh

    def full(self, limit):
        """Whether there is nothing left to ask for."""
        return self.after is None or (limit is not None and len(self.rows) >= limit)


class Kept:
    """A list under its name, and the journal beside it: the question, then every page of the answer.

    Use as a context manager to keep more pages; `pages` are those that earlier runs kept.
    """

    def __init__(self, filename, question):
        folder, self._name = os.path.split(str(filename))
        self._where, self._filename, self._question = filesystem.open_store(folder or "."), filename, question
        if not self._name or os.path.isdir(filename):
            better = os.path.join(filename, "items.csv")
            raise UserError(f"--filename={filename} should be the name of a file, as {better}")
        self._journal, self._open = Journal(self._where, f".{self._name}.jsonl"), contextlib.ExitStack()
        lines = self._journal.lines
        if lines and lines[0] != question:
            first = ", ".join(f"{key} {value}" for key, value in lines[0].items())
            raise UserError(f"--filename={filename} was begun for another list ({first}): choose another name")
        self.pages, self._begun = [mediawiki.Page(**line) for line in lines[1:]], bool(lines)
        self._before = None if self._where.size(self._name) is None else self._where.read(self._name)
        self._entered = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._open.close()

    def keep(self, page):
        """Add a mediawiki.Page. The first opens the journal, so that a question without an answer leaves no trace."""
        if not self._entered:
            try:
                self._open.enter_context(self._journal)
            except OSError as error:
                why = f"--filename={self._filename} cannot be written ({error.strerror}): choose another"
                raise UserError(why) from None
            self._entered = True
        if not self._begun:
            self._journal.write(self._question)
            self._begun = True
        self._journal.write(page._asdict())

    def written(self, rows):
        """Whether a list is there; a UserError unless it is the beginning of these rows, as a shorter list is."""
        if self._before is not None and not mediawiki.table(rows).startswith(self._before):
            raise UserError(f"--filename={self._filename} is there and is not overwritten: choose another name")
        return self._before is not None

    def write(self, rows, rejects):
        """Write the list, unless as much is there -> the line of totals."""
        data, reasons = mediawiki.table(rows), f"{pathlib.PurePath(self._name).stem}.rejects.jsonl"
        if self._before is not None and len(self._before) >= len(data):
            again = f"to list anew, remove it and .{self._name}.jsonl beside it"
            return f"Nothing to do: {self._filename} holds the {len(rows)} files that were asked for ({again})."
        if rejects:
            lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in rejects)
            self._where.write(reasons, lines.encode("utf-8", "backslashreplace"))
        self._where.write(self._name, data)
        where = f" (reasons in {reasons} there)" if rejects else ""
        return f"{len(rows)} files listed in {self._filename}, {len(rejects)} rejected{where}."
