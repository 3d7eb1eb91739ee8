"""Download the images of a list: python -m data_prep.download_images --filename=items.csv --target_path=raw.

The list is a CSV file with a column `link`. It can also have `name`, `sha1`, `licence`, `licence_url`, `author`,
`page` and `source`. The images go into a folder, or into s3://bucket/folder or gs://bucket/folder. There,
manifest.jsonl has a line for each image, and rejects.jsonl a line with the reason for each link that failed. The tool
connects only to machines on the open internet, and never through a proxy.
"""

import argparse
import asyncio
import contextlib
import pathlib
import signal
import warnings
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from PIL import Image

from data_prep.journal import Journal
from data_prep.web import addresses, crawl_policy, fetch, items_csv
from data_prep.web.download_run import DownloadRun, LinkStates
from logogan_jax.core import errors, progress
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem

MAX_BYTES = 64 << 20
MAX_PIXELS = 100_000_000
WORKERS = 16
_MAX_WORKERS = 256
_HIGHEST_MAX_BYTES = 1 << 30
_HIGHEST_MAX_PIXELS = Image.MAX_IMAGE_PIXELS or MAX_PIXELS


def download(
    filename: str | pathlib.Path,
    target: str | pathlib.Path,
    *,
    trusted: Iterable[str] = (),
    workers: int = WORKERS,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    retry_rejects: bool = False,
    contact: str = "",
    policy: fetch.RetryPolicy = fetch.DEFAULT_POLICY,
) -> str:
    """Download what a CSV file lists into a folder or bucket, and return the line of totals.

    Raises UserError if there are links and none of them brought an image, in this run or before.

    `trusted` are HOST:PORT texts of machines that can be private. Links that failed permanently in an earlier run are
    tried again only with `retry_rejects`. `contact` tells servers how to reach the user.
    """
    _check_limits(workers, max_bytes, max_pixels)
    total = _count_rows(filename, contact)
    store = filesystem.open_store(target)
    fetcher = fetch.Fetcher(
        trusted=addresses.parse_trusted(trusted), max_bytes=max_bytes, policy=policy, contact=contact
    )  # fmt: skip
    states = LinkStates()
    size_of = store.sizes()
    is_complete = states.recording("done before", lambda line: size_of(line["path"]) == line["bytes"])
    is_final = states.recording("rejected", lambda line: bool(line.get("final")) and not retry_rejects)
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # such images are rejected with a reason
        try:
            manifest = stack.enter_context(Journal(store, "manifest.jsonl", is_complete))
            rejects = stack.enter_context(Journal(store, "rejects.jsonl", is_final))
        except OSError as error:
            raise UserError(
                f"{store} cannot be written ({error.strerror}): choose another --target_path, or s3://... for a bucket"
            ) from None
        bar = stack.enter_context(progress.Bar("download", total))
        fetcher.waits.say = bar.say
        run = DownloadRun(store, manifest, rejects, bar, states, max_pixels)
        run_until_signal(run.download_all(items_csv.read_rows(filename), fetcher, workers))
    line = " ".join(filter(None, [run.totals(), fetcher.waits.advice()]))
    if run.brought_nothing:
        raise UserError(line if fetcher.waits.advice() else f"{line} The first reason: {run.first_reason}")
    return line


def _count_rows(filename: str | pathlib.Path, contact: str) -> int:
    """Return the number of rows, and ask for --contact if one of them is at a server whose rules want it."""
    count = 0
    has_asked = bool(contact)
    for row in items_csv.read_rows(filename):
        count += 1
        if not has_asked and crawl_policy.is_wikimedia(row["link"]):
            crawl_policy.ask_for_contact(contact, row["link"])
            has_asked = True
    return count


def _check_limits(workers: int, max_bytes: int, max_pixels: int) -> None:
    limits = {
        "workers": (workers, _MAX_WORKERS),
        "max_bytes": (max_bytes, _HIGHEST_MAX_BYTES),
        "max_pixels": (max_pixels, _HIGHEST_MAX_PIXELS),
    }
    for flag, (value, highest) in limits.items():
        if not 1 <= value <= highest:
            raise UserError(f"--{flag}={value} should be from 1 to {highest}")


def run_until_signal(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, or raise KeyboardInterrupt(number) after SIGINT or SIGTERM.

    The event loop takes the first signal between two steps and cancels the coroutine where it waits. asyncio's own
    handler of SIGINT cancels in the middle of a step, which may be about to set what it cancels. A second signal finds
    the handlers of before and ends the command at once.
    """
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    received = []

    async def run_cancellable() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop(number: int) -> None:
            received.append(number)
            for each, handler in previous.items():
                loop.remove_signal_handler(each)
                signal.signal(each, handler)
            if task:
                task.cancel()

        with contextlib.suppress(ValueError, RuntimeError):  # in another thread, which gets no signals
            for number in previous:
                loop.add_signal_handler(number, stop, number)
        await coroutine

    try:
        asyncio.run(run_cancellable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt(*received) from None
    finally:
        with contextlib.suppress(ValueError):
            for number, handler in previous.items():
                signal.signal(number, handler)


def choose_target(target_path: str | None, local: str | None, bucketname: str | None, filename: str) -> str:
    """Return the folder or address that the flags name; UserError if they contradict one another."""
    is_remote = target_path is not None and "://" in target_path
    if bucketname and (target_path or local == "True"):
        other = f"--target_path={target_path}" if target_path else "--local=True"
        raise UserError(f"--bucketname={bucketname} and {other} name two places: leave one of them out")
    if target_path and local and (local == "True") == is_remote:
        raise UserError(f"--local={local} and --target_path={target_path} contradict each other: leave --local out")
    if local == "False" and not (target_path or bucketname):
        raise UserError("--local=False needs a place: add --target_path=s3://bucket/folder or --bucketname=NAME")
    if bucketname:
        return f"s3://{bucketname}"
    return target_path or str(pathlib.Path(filename).with_suffix(""))


def _parse_args(argv: Sequence[str] | None) -> dict[str, Any]:
    description = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m data_prep.download_images", description=description)
    add = parser.add_argument
    add("-f", "--filename", required=True, help="CSV file with a column link, as wiki_spider writes it")
    add("--target_path", help="folder, s3://bucket/folder or gs://bucket/folder (default: named as the CSV file)")
    add("-l", "--local", choices=("True", "False"), help="True: a folder; False: a bucket (an older spelling)")
    add("-b", "--bucketname", help="S3 bucket; the same as --target_path=s3://BUCKETNAME (an older spelling)")
    per_host = f"at most {fetch.MAX_PER_HOST} from a host"
    add("--workers", type=int, default=WORKERS, help=f"downloads at once, {per_host} (default {WORKERS})")
    add("--max_bytes", type=int, default=MAX_BYTES, help=f"size limit of a file (default {MAX_BYTES})")
    add("--max_pixels", type=int, default=MAX_PIXELS, help=f"width x height limit of an image (default {MAX_PIXELS})")
    add("--trusted", action="append", default=[], metavar="HOST:PORT", help="connect even if private; repeatable")
    add("--contact", default="", help="e-mail address or page at which servers can reach you; Wikimedia asks for one")
    add("--retry_rejects", action="store_true", help="try all rejects again, also the permanent ones")
    return vars(parser.parse_args(argv))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = _parse_args(argv)
    with errors.exit_on_error():
        target = choose_target(args.pop("target_path"), args.pop("local"), args.pop("bucketname"), args["filename"])
        print(download(args.pop("filename"), target, **args))


if __name__ == "__main__":
    main()
