"""A folder to a bucket: python -m data_prep.upload --path=shards --target_path=s3://bucket/shards.

What is there with the same bytes is skipped, so that the same command goes on after an interruption.
Objects with other bytes are left alone unless --replace says so.
"""

import argparse
import concurrent.futures
import contextlib
import itertools

from logogan_jax.core import errors, progress
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem

WORKERS = 8


def upload(path, target, *, replace=False, workers=WORKERS):
    """Copy every file below a folder but hidden ones to an address; return the line of totals."""
    folder, bucket = filesystem.open_store(path), filesystem.open_store(target)
    if isinstance(folder, filesystem.Bucket) or not folder.exists():
        raise UserError(f"--path={path} is not a folder")
    if isinstance(bucket, filesystem.Folder):
        raise UserError(f"--target_path={target} is not a bucket: it should be like s3://bucket/folder")
    if not 1 <= workers <= 64:
        raise UserError(f"--workers={workers} should be from 1 to 64")
    names, size = list(folder.names()), bucket.sizes()
    if not names:
        raise UserError(f"--path={path} holds no file to upload")
    found = [name for name in names if size(name) is not None]
    same = lambda name: bucket.same(name, folder.where / name)
    alike = dict(zip(found, _each("compare", same, found, workers), strict=True))
    other = [name for name in found if not alike[name]]
    if other and not replace:
        raise UserError(
            f"{len(other)} objects in {bucket} have other bytes than the files in {folder}, {other[0]!r} among them; "
            f"nothing was uploaded: add --replace to overwrite them, or choose another --target_path"
        )
    todo = [name for name in names if not alike.get(name)]
    sent = sum(_each("upload", lambda name: _put(folder, bucket, name), todo, workers))
    before = len(names) - len(todo)
    there = f", {before} there before" if before else ""
    replaced = f", {len(other)} of them replaced" if other else ""
    return f"{len(todo)} files uploaded to {bucket}{replaced} ({sent / 1e6:.1f} MB){there}."


def _put(folder, bucket, name):
    """Copy one file -> the bytes that arrived."""
    bucket.put(name, folder.where / name)
    size, arrived = folder.size(name), bucket.size(name)
    if size != arrived:
        raise UserError(f"{name} has {size} bytes here and {arrived} in {bucket}: did it change? Run the command again")
    return arrived


def _each(title, function, names, workers):
    """[function(name)] by some threads, with a bar; the first error stops them."""
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


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.upload", description=__doc__.splitlines()[0])
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
