"""Labels by likeness: python -m data_prep.cluster_labels --path=shards --clusters=32 --target_path=shards_labelled

Every config can train with labels, and these need nobody to sort the images (synthetic labels, Sage et al. 2018, arXiv
1712.04407): k-means on the features of the network that the metrics use. It writes new shards of the same images,
labelled "cluster 00", "cluster 01", ... by decreasing size. In clusters.png, beside the shards, there is one row for
each cluster, from its most typical image to its least typical one.
"""

import argparse
import importlib
import pathlib
import shutil
import warnings
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_prep import arguments
from data_prep.pictures.convert import ImageSpec
from data_prep.shards import metadata, output_folder
from logogan_jax.core import backend, errors, files, images, progress
from logogan_jax.core.errors import UserError
from logogan_jax.core.installation import install_command
from logogan_jax.data import decode_pool, tfrecord
from logogan_jax.data.dataset import TFRecordDataset

_IMAGES_IN_MEMORY = 10_000  # at a time
FIT_IMAGES = 50_000  # that determine the centres; the order of the shards is random, so these are a fair sample
_AXES = 64  # principal axes of the features that are kept: clusters depend less on the seed than with all of them
_RESTARTS = 8  # of k-means, of which the best is taken
_COLUMNS = 20  # images in a row of clusters.png


def embed_images(dataset: TFRecordDataset) -> np.ndarray:
    """Features float32[n, D] of all images, scaled to length 1; the user's cache keeps them for other --clusters."""
    from logogan_jax.metrics import feature_cache, features

    backend.start()
    network = features.load_network("efflite0", "data_prep.cluster_labels")
    blocks = []
    with progress.Bar("features", len(dataset)) as bar:
        for start in range(0, len(dataset), _IMAGES_IN_MEMORY):
            block = np.arange(start, min(start + _IMAGES_IN_MEMORY, len(dataset)))
            pixels = lambda block=block: decode_pool.decode_images(dataset, block)[0]
            head = feature_cache.load_or_embed(network, f"{dataset.fingerprint[:24]}-{start}+{len(block)}", pixels).head
            blocks.append(head / np.maximum(np.linalg.norm(head, axis=1, keepdims=True), 1e-6))
            bar.update(start + len(block))
    return np.concatenate(blocks)


def cluster(features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort features float32[n, D] into `count` clusters.

    Returns:
        (the cluster int[n] of each, where 0 is the largest; its distance float[n] to the centre of the cluster)

    Raises:
        UserError: if so many features are equal that there are fewer clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    sample = features[:FIT_IMAGES]
    axes = PCA(min(_AXES, *sample.shape), svd_solver="covariance_eigh")
    centres = KMeans(count, n_init=_RESTARTS, random_state=0)  # pyright: ignore[reportArgumentType] - its stub says str
    # One thread, because several threads add in a changing order, and so round differently every time.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about equal features, which are counted below
        centres.fit(axes.fit_transform(sample))
        distances = centres.transform(axes.transform(features))
    nearest = distances.argmin(1)
    numbers, first, sizes = np.unique(nearest, return_index=True, return_counts=True)
    if len(numbers) < count:
        raise UserError(f"--clusters={count}, but the images are so alike that there are {len(numbers)}: ask for fewer")
    rank = np.empty(count, np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(count)
    return rank[nearest], distances.min(1)


def write(dataset: TFRecordDataset, folder: pathlib.Path, labels: np.ndarray, names: Sequence[str]) -> None:
    """Write the records of a data set with other labels, int[n] into `names`, as shards in an empty folder."""
    new_labels = iter(labels.tolist())
    lengths = []
    nbytes = 0
    for index in dataset.indexes:
        path = folder / pathlib.Path(index.path).name
        with tfrecord.Writer(path) as writer:
            for number in range(len(index.offsets)):
                features = tfrecord.decode(tfrecord.read(index, number))
                writer.write(tfrecord.encode({**features, "label": next(new_labels)}))
        lengths.append(writer.count)
        nbytes += writer.nbytes
    if (dataset.directory / "rejects.jsonl").exists():
        shutil.copyfile(dataset.directory / "rejects.jsonl", folder / "rejects.jsonl")
    old = dataset.metadata
    name = pathlib.Path(dataset.indexes[0].path).name.partition("-train.")[0]
    metadata.write(
        folder, name=name, lengths=lengths, nbytes=nbytes,
        spec=ImageSpec(**{key: old[key] for key in ImageSpec._fields}),
        labels=dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True)),
        rejects=old["rejects"], long=old["long"], blank=old.get("blank", 0), words=old.get("words", 0),
        description=f"Images in {len(names)} clusters of like ones.",
    )  # fmt: skip


def make_sheet(dataset: TFRecordDataset, labels: np.ndarray, distance: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Draw a row for each cluster: its number and size, then images in the order of their distance to its centre."""
    height, width, _ = dataset.shape
    blank = np.full((height, width, 3), 255, np.uint8)
    tiles = []
    for number in range(len(names)):
        members = np.flatnonzero(labels == number)
        members = members[np.argsort(distance[members], kind="stable")]
        chosen = members[np.unique(np.linspace(0, len(members) - 1, _COLUMNS).round().astype(int))]
        row = [np.broadcast_to(images.on_white(dataset.image(position)[0]), blank.shape) for position in chosen]
        tiles += [_caption(blank, f"{number}\n{len(members):,}"), *row, *[blank] * (_COLUMNS - len(row))]
    return images.make_grid(np.stack(tiles), columns=_COLUMNS + 1)


def _caption(blank: np.ndarray, text: str) -> np.ndarray:
    image = Image.fromarray(blank)
    size = max(6, min(blank.shape[0] // 4, blank.shape[1] // 4, 24))
    ImageDraw.Draw(image).text((1, 1), text, fill="black", font=ImageFont.load_default(size))
    return np.asarray(image)


def _open_dataset(args: argparse.Namespace) -> TFRecordDataset:
    """The data set of --path; UserError if a flag is wrong."""
    if "://" in args.target_path:
        raise UserError(f"--target_path={args.target_path} is a bucket: write to a folder, then use data_prep.upload")
    if not (files.expand(args.path) / "metadata.json").is_file():
        raise UserError(f"--path={args.path} holds no shards: make them with python -m data_prep.write_tfrecords")
    dataset = TFRecordDataset.open(args.path)
    if not 2 <= args.clusters <= len(dataset):
        raise UserError(f"--clusters={args.clusters} should be from 2 to {len(dataset)}, the number of images")
    try:
        importlib.import_module("sklearn.cluster")
    except ImportError:
        raise UserError(f"this tool needs scikit-learn: {install_command('prep')}") from None
    return dataset


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.cluster_labels", description=arguments.summary(__doc__))
    parser.add_argument("-p", "--path", required=True, help="folder of shards; labels that they have are replaced")
    parser.add_argument("--clusters", type=int, default=32, help="how many labels (default 32)")
    parser.add_argument("-tp", "--target_path", required=True, help="new folder for the labelled shards")
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        dataset = _open_dataset(args)
        target = files.expand(args.target_path)
        digits = max(2, len(str(args.clusters - 1)))
        names = [f"cluster {number:0{digits}d}" for number in range(args.clusters)]
        with output_folder.create(target) as partial:
            for path in partial.iterdir():  # an earlier run that was stopped may have left some
                if path.name != ".lock":
                    path.unlink()
            labels, distance = cluster(embed_images(dataset), args.clusters)
            picture = make_sheet(dataset, labels, distance, names)
            images.write_png(partial / "clusters.png", picture, scale=images.display_scale(dataset.shape[:2]))
            write(dataset, partial, labels, names)
        sizes = np.bincount(labels)
        replaced = f"; their {len(dataset.labels)} labels were replaced" if dataset.labels else ""
        totals = f"{len(dataset):,} images written to {target}, in {len(names)} clusters"
        print(f"{totals} of {sizes[-1]:,} to {sizes[0]:,}{replaced}.")
        print(f"Look:  {target / 'clusters.png'}")
        spec = ImageSpec(dataset.shape[0], dataset.shape[2], width=dataset.shape[1])
        print(f"Train: python -m logogan_jax.main {arguments.training_flags(target, spec)} --config.data.labels=True")


if __name__ == "__main__":
    main()
