"""Download the images of a list: python -m data_prep.download_images --filename=items.csv --target_path=raw.

The list is a CSV file with a column `link`, and where it has them, `name`, `sha1`, `licence`,
`licence_url`, `author`, `page` and `source`. Its images go into a folder, or into s3://bucket/folder or
gs://bucket/folder. manifest.jsonl there has a line for each of them, rejects.jsonl for each that was
not to be had, with the reason. Only machines on the open internet are asked, without any proxy.
"""

import argparse
import asyncio
import collections
import concurrent.futures
import contextlib
import datetime
import hashlib
import pathlib
import signal
import warnings

from PIL import Image

from data_prep.journal import Journal
from data_prep.web import addresses, fetch, fetch_errors, file_names, image_format, items_csv
from logogan_jax.core import errors, progress
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem

MAX_BYTES, MAX_PIXELS, WORKERS = 64 << 20, 100_000_000, 16


def download(
    filename, target, *, trusted=(), workers=WORKERS, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS,
    retry_rejects=False, contact="", policy=fetch.DEFAULT_POLICY,
):  # fmt: skip
    """Download what a CSV file lists into a folder or bucket; return the line of totals.

    `trusted` are HOST:PORT texts: the only ones that may be private. Rejects that would be no better
    now are tried again only if `retry_rejects`. `contact` tells servers how to reach whoever runs this.
    """
    for flag, value, most in [("workers", workers, 256), ("max_bytes", max_bytes, 1 << 30),
                              ("max_pixels", max_pixels, Image.MAX_IMAGE_PIXELS)]:  # fmt: skip
        if not 1 <= value <= most:
            raise UserError(f"--{flag}={value} should be from 1 to {most}")
    total, where = sum(1 for _ in items_csv.read_rows(filename)), filesystem.open_store(target)
    trusted = addresses.parse_trusted(trusted)
    fetcher = fetch.Fetcher(trusted=trusted, max_bytes=max_bytes, policy=policy, contact=contact)
    run, sizes = _Run(where, max_pixels), where.sizes()
    there = run.known("done before", lambda line: sizes(line["path"]) == line["bytes"])
    hopeless = run.known("rejected", lambda line: line.get("final") and not retry_rejects)
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # such an image is rejected, in our words
        try:
            run.manifest = stack.enter_context(Journal(where, "manifest.jsonl", there))
            run.rejects = stack.enter_context(Journal(where, "rejects.jsonl", hopeless))
        except OSError as error:
            raise UserError(f"{where} cannot be written ({error.strerror}): choose another --target_path") from None
        run.bar = stack.enter_context(progress.Bar("download", total))
        _finish(run.all(items_csv.read_rows(filename), fetcher, workers))
    return run.totals()


def _finish(work):
    """Run a coroutine to its end; SIGTERM stops it between two of its steps, as Ctrl-C does, and never within one."""

    async def terminable():
        with contextlib.suppress(ValueError, RuntimeError):  # in another thread, where no signal arrives
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
        await work

    before = signal.getsignal(signal.SIGTERM)
    try:
        asyncio.run(terminable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt(signal.SIGTERM) from None
    finally:
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGTERM, before)


class _Run:
    """One run: where it writes, what earlier runs left, what it has counted."""

    def __init__(self, where, max_pixels):
        self._where, self._max_pixels, self._states = where, max_pixels, {}
        self._counts, self._writing = collections.Counter(), asyncio.Lock()
        self.manifest = self.rejects = self.bar = None

    def known(self, state, keep):
        """A journal's `keep` that notes the state of the links of the lines that it keeps; foreign lines stay."""

        def noting(line):
            if "link" not in line:
                return True
            kept = keep(line)
            if kept:
                self._states[_key(line)] = state
                self._counts["unlicensed"] += not line.get("licence", True)
            return kept

        return noting

    async def all(self, rows, fetcher, workers):
        """Work through rows, some at once, reading no further ahead than needed."""
        # Threads look names up, recognise and write; one that hangs must not stop the others.
        asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(2 * workers))
        queue = asyncio.Queue(workers)
        async with fetcher:
            workers = [self._work(queue, fetcher) for _ in range(workers)]
            await asyncio.gather(self._fill(queue, rows, len(workers)), *workers)

    async def _fill(self, queue, rows, workers):
        for row in rows:
            key = _key(row)
            state = self._states.get(key)
            self._states[key] = "listed twice"
            if state:
                self._count(state)
                await asyncio.sleep(0)  # let the others go on between many rows that are done
            else:
                await queue.put(row)
        for _ in range(workers):
            await queue.put(None)

    async def _work(self, queue, fetcher):
        while row := await queue.get():
            try:
                found = await fetcher.fetch(row["link"], row["sha1"])
                line = await asyncio.to_thread(self._save, row, found)
            except (fetch_errors.TemporaryError, fetch_errors.PermanentError, image_format.InvalidImage) as error:
                final = not isinstance(error, fetch_errors.TemporaryError)
                place = {name: row[name] for name in ("link", "name", "row")}
                await self._write(self.rejects, {**place, "reason": str(error), "final": final})
                self._count("rejected")
                self._counts["hopeful"] += not final
                continue
            await self._write(self.manifest, line)
            self._count("downloaded")
            self._counts["bytes"] += line["bytes"]
            self._counts["unlicensed"] += not line["licence"]

    def _save(self, row, found):
        """Write what was fetched under its name -> its line of the manifest."""
        kind = image_format.identify(found.data, self._max_pixels)
        path = file_names.file_name(row["name"], row["link"], kind.extension)
        self._where.write(path, found.data)
        return {
            "path": path,
            "name": row["name"],
            "link": row["link"],
            "url": found.url,
            "sha1": hashlib.sha1(found.data, usedforsecurity=False).hexdigest(),
            "sha256": hashlib.sha256(found.data).hexdigest(),
            "bytes": len(found.data),
            "width": kind.width,
            "height": kind.height,
            "format": kind.format,
            **{column: row[column] for column in items_csv.ORIGIN},
            "fetched": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }

    async def _write(self, journal, line):
        async with self._writing:
            await asyncio.to_thread(journal.write, line)

    def _count(self, what):
        self._counts[what] += 1
        shown = ("downloaded", "done before", "rejected", "listed twice")
        self.bar.update(sum(self._counts[name] for name in shown))

    def totals(self):
        """The line that tells how it went."""
        count = self._counts
        said = f"{count['downloaded']} images downloaded into {self._where} ({count['bytes'] / 1e6:.1f} MB)"
        said += "".join(f", {count[name]} {name}" for name in ("done before", "listed twice") if count[name])
        said += f", {count['rejected']} rejected"
        if count["rejected"]:
            again = f"; the same command tries {count['hopeful']} of them again" if count["hopeful"] else ""
            said += f" (reasons in rejects.jsonl there{again})"
        unlicensed = f" {count['unlicensed']} of the images there name no licence: ask before you publish them."
        return f"{said}.{unlicensed if count['unlicensed'] else ''}"


def _key(line):
    """A few bytes for a row's link, so that many rows can be remembered; a row without one is itself."""
    return hashlib.sha256((line["link"] or f"row {line['row']}").encode()).digest()[:16]


def target(target_path, local, bucketname, filename):
    """The folder or address that the flags name; what contradicts itself is a UserError."""
    remote = target_path and "://" in target_path
    if bucketname and (target_path or local == "True"):
        other = f"--target_path={target_path}" if target_path else "--local=True"
        raise UserError(f"--bucketname={bucketname} and {other} name two places: leave one of them out")
    if target_path and local and (local == "True") == bool(remote):
        raise UserError(f"--local={local} and --target_path={target_path} contradict each other: leave --local out")
    if local == "False" and not (target_path or bucketname):
        raise UserError("--local=False needs a place: add --target_path=s3://bucket/folder or --bucketname=NAME")
    if bucketname:
        return f"s3://{bucketname}"
    return target_path or str(pathlib.Path(filename).with_suffix(""))


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.download_images", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("-f", "--filename", required=True, help="CSV file with a column link, as wiki_spider writes it")
    add("--target_path", help="folder, s3://bucket/folder or gs://bucket/folder (default: named as the CSV file)")
    add("-l", "--local", choices=("True", "False"), help="True: a folder; False: a bucket (an older spelling)")
    add("-b", "--bucketname", help="S3 bucket; the same as --target_path=s3://BUCKETNAME (an older spelling)")
    add(
        "--workers",
        type=int,
        default=WORKERS,
        help=f"downloads at once, at most {fetch.MAX_PER_HOST} from a host (default {WORKERS})",
    )
    add("--max_bytes", type=int, default=MAX_BYTES, help=f"size limit of a file (default {MAX_BYTES})")
    add("--max_pixels", type=int, default=MAX_PIXELS, help=f"width x height limit of an image (default {MAX_PIXELS})")
    add("--trusted", action="append", default=[], metavar="HOST:PORT", help="ask it though it is private; repeatable")
    add("--contact", default="", help="e-mail address or page at which servers can reach you; Wikimedia asks for one")
    add("--retry_rejects", action="store_true", help="try all rejects again, also those that seemed final")
    args = vars(parser.parse_args(argv))
    with errors.exit_on_error():
        where = target(args.pop("target_path"), args.pop("local"), args.pop("bucketname"), args["filename"])
        print(download(args.pop("filename"), where, **args))


if __name__ == "__main__":
    main()
