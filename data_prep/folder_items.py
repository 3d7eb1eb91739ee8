"""The files below a folder or bucket, or in a zip, as Items with labels."""

import pathlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from data_prep import label_file, listing
from data_prep.pictures.convert import Item
from logogan_jax.core import files
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem
from logogan_jax.core.storage.filesystem import Bucket, Folder, ZipFolder

NO_LABEL = -1  # of a file beside the sub-folders, which is no image
LOOSE_ADVICE = "move them into a sub-folder, or use --labels=none"
# The sub-folders of data sets that are divided for training and measuring.
_SPLITS = {"dev", "eval", "holdout", "test", "testing", "train", "training", "val", "valid", "validation"}


class FolderItems:
    """The files below a folder or bucket, or in a zip, as Items, except hidden files; `labels` are their names.

    `labelling` is "folders" (labels are the names of its sub-folders), "none", a file of labels (see label_file), or
    None: as "folders", but not if the sub-folders are those of a divided data set.
    Every iteration lists the names again, so that memory does not grow with their number.
    """

    def __init__(self, path: str | pathlib.Path, labelling: str | None = None, flag: str = "path"):
        """Count the files.

        Raises:
            UserError: if there is no such folder, if only some images have a label, or if the sub-folders are no
                labels. It names the `flag`.
        """
        is_zip = "://" not in str(path) and files.expand(path).is_file() and filesystem.zip_of(files.expand(path))
        self._store = filesystem.ZipFolder(path) if is_zip else listing.open_folder(path, flag)
        self._label_of: Callable[[str], str | None] = label_of
        self._skipped = ""
        if labelling not in (None, "folders", "none"):
            self._read_labels(labelling, path, flag)
            return
        if labelling is None and label_file.has_labels(self._store):
            name = label_file.STYLEGAN
            raise UserError(
                f"--{flag}={path} has labels in {name}: say with write_tfrecords --labels={name}, or else "
                f"--labels=folders or --labels=none"
            )
        self._count = 0
        left_out: dict[str, str] = {}
        loose = 0
        outer_files = 0
        sub_folders: set[str] = set()
        for name in listing.image_names(self._store, left_out):
            self._count += 1
            label = label_of(name)
            loose += label is None
            outer_files += name.count("/") < 2
            if label is not None:
                sub_folders.add(label)
        self.labels = [] if labelling == "none" else sorted(sub_folders)
        if left_out:
            print(listing.describe_left_out(path, left_out), flush=True)
        if not self.labels:
            return
        check_labels(self.labels, labelling, path, flag)
        if loose and any(label_of(name) is None and listing.is_image(self._store, name) for name in self._names()):
            raise UserError(
                f"--{flag}={path} has {loose} files beside its sub-folders, so they have no label: {LOOSE_ADVICE}"
            )
        if len(self.labels) == 1 and not outer_files and not is_zip:
            inner = f"{str(path).rstrip('/')}/{self.labels[0]}"
            print(f"All images have one label, {self.labels[0]!r}. For its sub-folders as labels: --{flag}={inner}")

    def _read_labels(self, where: str, path: str | pathlib.Path, flag: str) -> None:
        """Take the labels from a file."""
        labels, self._skipped = label_file.read(where, self._store)
        self._label_of = labels.get
        self.labels = label_file.sort(labels)
        left_out: dict[str, str] = {}
        names = {name for name in listing.image_names(self._store, left_out) if name != self._skipped}
        self._count = len(names)
        if left_out:
            print(listing.describe_left_out(path, left_out), flush=True)
        without = [name for name in sorted(names - labels.keys()) if listing.is_image(self._store, name)]
        if without:
            raise UserError(
                f"--{flag}={path} has {len(without):,} images that --labels={where} does not name, such as "
                f"{without[0]}: add their lines, or move them away"
            )
        absent = labels.keys() - names
        if len(absent) == len(labels):
            raise UserError(f"--labels={where} names no file of --{flag}={path}, but such as {min(absent)}")
        if absent:
            print(f"{len(absent):,} images of --labels={where} are not there, such as {min(absent)}.", flush=True)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        return make_items(self._store, self._names(), self.labels, self._label_of)

    def _names(self) -> Iterator[str]:
        return (name for name in listing.image_names(self._store) if name != self._skipped)


def label_of(name: str) -> str | None:
    """The label of a file by its relative name: its first folder, or None if it is in no sub-folder."""
    folder, slash, _ = name.partition("/")
    return folder if slash else None


def make_items(
    store: Folder | Bucket | ZipFolder,
    names: Iterable[str],
    labels: Sequence[str],
    label_of_name: Callable[[str], str | None] = label_of,
) -> Iterator[Item]:
    """Items of files in a store, by their relative names; without labels they get the number 0."""
    numbers = {label: number for number, label in enumerate(labels)}
    missing = NO_LABEL if labels else 0
    for name in names:
        label = label_of_name(name)
        yield Item(name, missing if label is None else numbers.get(label, missing), f"{store}/{name}")


def check_labels(labels: Collection[str], labelling: str | None, path: str | pathlib.Path, flag: str = "path") -> None:
    """Raise UserError if sub-folders are the parts of a divided data set, and the user has not said what they are."""
    if labelling is None and labels and {label.lower() for label in labels} <= _SPLITS:
        parts = ", ".join(sorted(labels))
        example = "train" if "train" in labels else sorted(labels)[0]
        raise UserError(
            f"--{flag}={path} has the parts of a divided data set ({parts}), not labels: give one of them, as "
            f"--{flag}={str(path).rstrip('/')}/{example}, or say with write_tfrecords --labels=none or "
            f"--labels=folders what they are"
        )
