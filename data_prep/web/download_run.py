"""Downloading the rows of a list, some at once, with a line in a journal for each outcome."""

import asyncio
import collections
import concurrent.futures
import datetime
import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from data_prep.journal import Journal
from data_prep.web import fetch, image_format, items_csv
from data_prep.web.fetch_errors import PermanentError, TemporaryError
from data_prep.web.file_names import file_name
from logogan_jax.core import progress
from logogan_jax.core.storage import filesystem

Row = dict[str, Any]


class LinkStates:
    """What is known of links: "done before", "rejected" or "listed twice". `unlicensed` counts images kept so far."""

    def __init__(self):
        self.unlicensed = 0
        self._states: dict[bytes, str] = {}

    def recording(self, state: str, is_kept: Callable[[dict[str, Any]], bool]) -> Callable[[dict[str, Any]], bool]:
        """Return `is_kept` for a journal, which also notes the state of the link of each line that is kept.

        Lines without a link are of another tool and are always kept.
        """

        def is_kept_and_recorded(line: dict[str, Any]) -> bool:
            if "link" not in line:
                return True
            kept = is_kept(line)
            if kept:
                self._states[_link_key(line)] = state
                self.unlicensed += not line.get("licence", True)
            return kept

        return is_kept_and_recorded

    def visit(self, row: Row) -> str | None:
        """Return the state of a row's link, None if it is new; a later row with this link is listed twice."""
        key = _link_key(row)
        state = self._states.get(key)
        self._states[key] = "listed twice"
        return state


class DownloadRun:
    """One run: where it writes, and what it has counted."""

    def __init__(
        self,
        store: filesystem.Folder | filesystem.Bucket,
        manifest: Journal,
        rejects: Journal,
        bar: progress.Bar,
        states: LinkStates,
        max_pixels: int,
    ):
        self._store = store
        self._manifest = manifest
        self._rejects = rejects
        self._bar = bar
        self._states = states
        self._max_pixels = max_pixels
        self._counts: collections.Counter[str] = collections.Counter()
        self.first_reason = "see rejects.jsonl"  # of the first link that failed in this run
        self._write_lock = asyncio.Lock()

    async def download_all(self, rows: Iterable[Row], fetcher: fetch.Fetcher, workers: int) -> None:
        """Download all rows with this number of workers; rows are read only shortly before they are needed."""
        # Threads resolve names, identify images and write files; twice as many, so that a slow one stops no other.
        asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(2 * workers))
        queue: asyncio.Queue[Row | None] = asyncio.Queue(workers)
        async with fetcher:
            tasks = [self._work(queue, fetcher) for _ in range(workers)]
            await asyncio.gather(self._fill(queue, rows, workers), *tasks)

    async def _fill(self, queue: asyncio.Queue[Row | None], rows: Iterable[Row], workers: int) -> None:
        for row in rows:
            if state := self._states.visit(row):
                self._count(state)
                await asyncio.sleep(0)  # lets the workers go on between many rows that are done
            else:
                await queue.put(row)
        for _ in range(workers):
            await queue.put(None)  # tells one worker to stop

    async def _work(self, queue: asyncio.Queue[Row | None], fetcher: fetch.Fetcher) -> None:
        while row := await queue.get():
            try:
                result = await fetcher.fetch(row["link"], row["sha1"])
                line = await asyncio.to_thread(self._save, row, result)
            except (TemporaryError, PermanentError, image_format.InvalidImage) as error:
                is_final = not isinstance(error, TemporaryError)
                place = {name: row[name] for name in ("link", "name", "row")}
                await self._write(self._rejects, {**place, "reason": str(error), "final": is_final})
                if not self._counts["rejected"]:
                    self.first_reason = f"{row['link'][:200]}: {error}"
                self._count("rejected")
                self._counts["temporary"] += not is_final
                continue
            await self._write(self._manifest, line)
            self._count("downloaded")
            self._counts["bytes"] += line["bytes"]
            self._states.unlicensed += not line["licence"]

    def _save(self, row: Row, result: fetch.Download) -> dict[str, Any]:
        """Write an image under its name, and return its line of the manifest."""
        image = image_format.identify(result.data, self._max_pixels)
        path = file_name(row["name"], row["link"], image.extension)
        self._store.write(path, result.data)
        return {
            "path": path,
            "name": row["name"],
            "link": row["link"],
            "url": result.url,
            "sha1": hashlib.sha1(result.data, usedforsecurity=False).hexdigest(),
            "sha256": hashlib.sha256(result.data).hexdigest(),
            "bytes": len(result.data),
            "width": image.width,
            "height": image.height,
            "format": image.format,
            **{column: row[column] for column in items_csv.ORIGIN},
            "fetched": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }

    async def _write(self, journal: Journal, line: dict[str, Any]) -> None:
        async with self._write_lock:
            await asyncio.to_thread(journal.write, line)

    def _count(self, outcome: str) -> None:
        self._counts[outcome] += 1
        outcomes = ("downloaded", "done before", "rejected", "listed twice")
        self._bar.update(sum(self._counts[name] for name in outcomes))

    @property
    def brought_nothing(self) -> bool:
        """Whether links failed and no image of the list is there."""
        return bool(self._counts["rejected"]) and not (self._counts["downloaded"] or self._counts["done before"])

    def totals(self) -> str:
        """Return the line of totals."""
        counts = self._counts
        parts = [f"{counts['downloaded']} images downloaded into {self._store} ({counts['bytes'] / 1e6:.1f} MB)"]
        parts += [f"{counts[name]} {name}" for name in ("done before", "listed twice") if counts[name]]
        rejected = f"{counts['rejected']} rejected"
        if counts["rejected"]:
            temporary = counts["temporary"]
            again = f"; the same command tries {temporary} of them again" if temporary else ""
            rejected += f" (reasons in rejects.jsonl there{again})"
        line = ", ".join([*parts, rejected]) + "."
        if self._states.unlicensed:
            line += f" {self._states.unlicensed} of the images there name no licence: ask before you publish them."
        return line


def _link_key(line: dict[str, Any]) -> bytes:
    """Return 16 bytes for a row's link, to remember many rows in little memory; rows without a link all differ."""
    return hashlib.sha256((line["link"] or f"row {line['row']}").encode()).digest()[:16]
