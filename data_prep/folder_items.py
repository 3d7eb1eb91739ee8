"""The files below a folder or bucket as Items, with the names of its sub-folders as labels."""

import pathlib
from collections.abc import Collection, Iterable, Iterator, Sequence

from data_prep import listing
from data_prep.pictures.convert import Item
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage.filesystem import Bucket, Folder

NO_LABEL = -1  # of a file beside the sub-folders, which is no image
LOOSE_ADVICE = "move them into a sub-folder, or use --labels=none"
# The sub-folders of data sets that are divided for training and measuring.
_SPLITS = {"dev", "eval", "holdout", "test", "testing", "train", "training", "val", "valid", "validation"}


class FolderItems:
    """The files below a folder or bucket as Items, except hidden files; its sub-folders are `labels`.

    `labelling` is "folders", "none", or None: as "folders", but not if the sub-folders are those of a divided data set.
    Every iteration lists the names again, so that memory does not grow with their number.
    """

    def __init__(self, path: str | pathlib.Path, labelling: str | None = None, flag: str = "path"):
        """Count the files.

        Raises:
            UserError: if there is no such folder, if only some images are in sub-folders, or if the sub-folders are
                no labels. It names the `flag`.
        """
        self._store = listing.open_folder(path, flag)
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
        if len(self.labels) == 1 and not outer_files:
            inner = f"{str(path).rstrip('/')}/{self.labels[0]}"
            print(f"All images have one label, {self.labels[0]!r}. For its sub-folders as labels: --{flag}={inner}")

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        return make_items(self._store, self._names(), self.labels)

    def _names(self) -> Iterator[str]:
        return listing.image_names(self._store)


def label_of(name: str) -> str | None:
    """The label of a file by its relative name: its first folder, or None if it is in no sub-folder."""
    folder, slash, _ = name.partition("/")
    return folder if slash else None


def make_items(store: Folder | Bucket, names: Iterable[str], labels: Sequence[str]) -> Iterator[Item]:
    """Items of files in a store, by their relative names; without labels they get the number 0."""
    numbers = {label: number for number, label in enumerate(labels)}
    missing = NO_LABEL if labels else 0
    for name in names:
        yield Item(name, numbers.get(label_of(name) or "", missing), f"{store}/{name}")


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
