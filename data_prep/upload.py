"""A folder to a bucket: python -m data_prep.upload --path=shards --target_path=s3://bucket/shards.

Objects that have the same bytes already are skipped, so the same command goes on after an interruption. Objects that
have other bytes are left alone unless --replace is given.
"""

import argparse
import concurrent.futures
import contextlib
import itertools
import pathlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from data_prep import arguments, listing
from logogan_jax.core import errors, progress
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem

WORKERS = 8
MAX_WORKERS = 64

Result = TypeVar("Result")


def upload(path: str | pathlib.Path, target: str, *, replace: bool = False, workers: int = WORKERS) -> str:
    """Copy the files below a folder, except hidden files, to an address; returns a sentence with the totals.

    Raises:
        UserError: if objects with other bytes are there and `replace` is false; nothing is copied then.
    """
    folder = listing.open_folder(path)
    bucket = filesystem.open_store(target)
    if isinstance(folder, filesystem.Bucket):
        raise UserError(f"--path={path} is not a folder")
    if isinstance(bucket, filesystem.Folder):
        raise UserError(f"--target_path={target} is not a bucket: it should be like s3://bucket/folder")
    if not 1 <= workers <= MAX_WORKERS:
        raise UserError(f"--workers={workers} should be from 1 to {MAX_WORKERS}")
    names = list(folder.names())
    if not names:
        raise UserError(f"--path={path} holds no file to upload")
    size = bucket.sizes()
    existing = [name for name in names if size(name) is not None]
    is_same = lambda name: bucket.has_content_of(name, folder.path / name)
    same = dict(zip(existing, _map_threads("compare", is_same, existing, workers), strict=True))
    differing = [name for name in existing if not same[name]]
    if differing and not replace:
        raise UserError(
            f"{len(differing)} objects in {bucket} have other bytes than the files in {folder}, {differing[0]!r} "
            f"among them; nothing was uploaded: add --replace to overwrite them, or choose another --target_path"
        )
    missing = [name for name in names if not same.get(name)]
    sent = sum(_map_threads("upload", lambda name: _upload_file(folder, bucket, name), missing, workers))
    skipped = len(names) - len(missing)
    there_before = f", {skipped} there before" if skipped else ""
    replaced = f", {len(differing)} of them replaced" if differing else ""
    return f"{len(missing)} files uploaded to {bucket}{replaced} ({sent / 1e6:.1f} MB){there_before}."


def _upload_file(folder: filesystem.Folder, bucket: filesystem.Bucket, name: str) -> int:
    """Copy one file; returns the bytes that arrived."""
    bucket.put(name, folder.path / name)
    size = folder.size(name)
    arrived = bucket.size(name)
    if size != arrived:
        raise UserError(f"{name} has {size} bytes here and {arrived} in {bucket}: did it change? Run the command again")
    return arrived or 0


def _map_threads(title: str, function: Callable[[str], Result], names: list[str], workers: int) -> list[Result]:
    """[function(name) for every name], by some threads, with a progress bar; the first error stops them."""
    with contextlib.ExitStack() as stack:
        threads = concurrent.futures.ThreadPoolExecutor(workers)
        stack.callback(threads.shutdown, cancel_futures=True)
        bar = stack.enter_context(progress.Bar(title, len(names), unit="files"))
        futures = [threads.submit(function, name) for name in names]
        done = concurrent.futures.as_completed(futures)
        for count, future in zip(itertools.count(1), done, strict=False):
            future.result()
            bar.update(count)
        return [future.result() for future in futures]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.upload", description=arguments.summary(__doc__))
    parser.add_argument("-p", "--path", required=True, help="folder; sub-folders are kept, hidden files are left out")
    parser.add_argument("--target_path", help="s3://bucket/folder or gs://bucket/folder")
    parser.add_argument("-b", "--bucketname", help="S3 bucket; the same as --target_path=s3://BUCKETNAME")
    parser.add_argument("--replace", action="store_true", help="overwrite objects that have other bytes")
    parser.add_argument("--workers", type=int, default=WORKERS, help=f"files at once (default {WORKERS})")
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        if bool(args.target_path) == bool(args.bucketname):
            raise UserError("give either --target_path=s3://bucket/folder or --bucketname=NAME")
        target = args.target_path or f"s3://{args.bucketname}"
        print(upload(args.path, target, replace=args.replace, workers=args.workers))


if __name__ == "__main__":
    main()
