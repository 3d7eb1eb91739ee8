"""Labels by likeness: python -m data_prep.cluster_labels --path=shards --clusters=32 --target_path=shards_labelled

Any config can be told of labels, and these need no person to sort the images (synthetic labels, Sage et al.
2018, arXiv 1712.04407): k-means on the features of the network that also measures pictures. Writes new
shards of the very same images, labelled "cluster 00", "cluster 01", ... by falling size, and clusters.png in
them: a row for each cluster, from its most typical image to its oddest.
"""

import argparse
import importlib
import pathlib
import shutil
import warnings

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_prep import arguments
from data_prep.pictures.convert import ImageSpec
from data_prep.shards import metadata, output_folder
from logogan_jax.core import cache, errors, images, progress
from logogan_jax.core.errors import UserError
from logogan_jax.core.installation import install_command
from logogan_jax.data import decode_pool, tfrecord
from logogan_jax.data.dataset import TFRecordDataset

_BLOCK = 10_000  # images whose pixels are in memory at once
_FIT = 50_000  # images that the centres are found by; the order of shards mixes them, so the first are no others
_AXES = 64  # principal axes of the features that are kept: fewer numbers, and more alike from seed to seed
_STARTS = 8  # of k-means, of which the best is taken
_SHOWN = 20  # images in a row of clusters.png


def embed_images(shards):
    """float32[n, D]: the features of all images, of length 1, kept in the user's cache for other --clusters."""
    from logogan_jax.metrics import feature_cache, features

    cache.enable_compilation_cache()
    network, found = features.load_network("efflite0", "data_prep.cluster_labels"), []
    with progress.Bar("looking", len(shards)) as bar:
        for start in range(0, len(shards), _BLOCK):
            block = np.arange(start, min(start + _BLOCK, len(shards)))
            pixels = lambda block=block: decode_pool.decode_images(shards, block)[0]
            head = feature_cache.load_or_embed(network, f"{shards.fingerprint[:24]}-{start}+{len(block)}", pixels).head
            found.append(head / np.maximum(np.linalg.norm(head, axis=1, keepdims=True), 1e-6))
            bar.update(start + len(block))
    return np.concatenate(found)


def cluster(features, count):
    """float32[n, D] -> (the cluster of each, 0 being the largest, int[n]; the distance to its centre, float[n])."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    some = features[:_FIT]
    axes = PCA(min(_AXES, *some.shape), svd_solver="covariance_eigh")
    centres = KMeans(count, n_init=_STARTS, random_state=0)
    # One thread, because several add in an order of their own, which rounds differently every time.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of copies, which are counted below
        centres.fit(axes.fit_transform(some))
        distances = centres.transform(axes.transform(features))
    nearest = distances.argmin(1)
    numbers, first, sizes = np.unique(nearest, return_index=True, return_counts=True)
    if len(numbers) < count:
        raise UserError(f"--clusters={count}, but the images are so alike that there are {len(numbers)}: ask for fewer")
    rank = np.empty(count, np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(count)
    return rank[nearest], distances.min(1)


def write(shards, folder, labels, names):
    """The records of Shards with other labels, int[n] into `names`, and their description, into an empty folder."""
    old, rest, lengths, nbytes = shards.metadata, iter(labels.tolist()), [], 0
    for index in shards.indexes:
        path = folder / pathlib.Path(index.path).name
        with tfrecord.Writer(path) as writer:
            for number in range(len(index.offsets)):
                found = tfrecord.decode(tfrecord.read(index, number))
                writer.write(tfrecord.encode({**found, "label": next(rest)}))
        lengths.append(writer.count)
        nbytes += writer.nbytes
    if (shards.directory / "rejects.jsonl").exists():
        shutil.copyfile(shards.directory / "rejects.jsonl", folder / "rejects.jsonl")
    metadata.write(
        folder, name=path.name.partition("-train.")[0], lengths=lengths, nbytes=nbytes,
        spec=ImageSpec(**{key: old[key] for key in ImageSpec._fields}),
        labels=dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True)),
        rejects=old["rejects"], long=old["long"], description=f"Images in {len(names)} clusters of like ones.",
    )  # fmt: skip


def make_sheet(shards, labels, distance, names):
    """A row for each cluster: its number and size, then images from the nearest to its centre to the farthest."""
    height, width, _ = shards.shape
    blank = np.full((height, width, 3), 255, np.uint8)
    tiles = []
    for number in range(len(names)):
        members = np.flatnonzero(labels == number)
        members = members[np.argsort(distance[members], kind="stable")]
        chosen = members[np.unique(np.linspace(0, len(members) - 1, _SHOWN).round().astype(int))]
        row = [np.broadcast_to(images.on_white(shards.image(one)[0]), blank.shape) for one in chosen]
        tiles += [_caption(blank, f"{number}\n{len(members):,}"), *row, *[blank] * (_SHOWN - len(row))]
    return images.make_grid(np.stack(tiles), columns=_SHOWN + 1)


def _caption(blank, text):
    image = Image.fromarray(blank)
    size = max(6, min(blank.shape[0] // 4, blank.shape[1] // 4, 24))
    ImageDraw.Draw(image).text((1, 1), text, fill="black", font=ImageFont.load_default(size))
    return np.asarray(image)


def _opened(args):
    """The Shards of --path, if the flags can be followed."""
    if "://" in args.target_path:
        raise UserError(f"--target_path={args.target_path} is a bucket: write to a folder, then use data_prep.upload")
    if not (pathlib.Path(args.path).expanduser() / "metadata.json").is_file():
        raise UserError(f"--path={args.path} holds no shards: make them with python -m data_prep.write_tfrecords")
    shards = TFRecordDataset.open(args.path)
    if not 2 <= args.clusters <= len(shards):
        raise UserError(f"--clusters={args.clusters} should be from 2 to {len(shards)}, the number of images")
    try:
        importlib.import_module("sklearn.cluster")
    except ImportError:
        raise UserError(f"this tool needs scikit-learn: {install_command('prep')}") from None
    return shards


def main(argv=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.cluster_labels", description=__doc__.splitlines()[0])
    parser.add_argument("-p", "--path", required=True, help="folder of shards; labels that they have are replaced")
    parser.add_argument("--clusters", type=int, default=32, help="how many labels (default 32)")
    parser.add_argument("-tp", "--target_path", required=True, help="new folder for the labelled shards")
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        shards, target = _opened(args), pathlib.Path(args.target_path).expanduser()
        digits = max(2, len(str(args.clusters - 1)))
        names = [f"cluster {number:0{digits}d}" for number in range(args.clusters)]
        with output_folder.create(target) as partial:
            for path in partial.iterdir():  # of a run that was stopped
                if path.name != ".lock":
                    path.unlink()
            labels, distance = cluster(embed_images(shards), args.clusters)
            picture = make_sheet(shards, labels, distance, names)
            images.write_png(partial / "clusters.png", picture, scale=images.display_scale(shards.shape[:2]))
            write(shards, partial, labels, names)
        sizes, before = np.bincount(labels), f"; the {len(shards.labels)} labels before are not in them"
        told = f"{len(shards):,} images written to {target}, in {len(names)} clusters of {sizes[-1]:,} to {sizes[0]:,}"
        print(f"{told}{before if shards.labels else ''}.")
        print(f"Look:  {target / 'clusters.png'}")
        spec = ImageSpec(shards.shape[0], shards.shape[2], width=shards.shape[1])
        print(f"Train: python -m logogan_jax.main {arguments.training_flags(target, spec)} --config.data.labels=True")


if __name__ == "__main__":
    main()
