"""Time the two figures behind docs/scale.md: one core converting pictures to records, and one core indexing records.

    python benchmarks/pictures.py

Writes benchmarks/results/pictures-cpu.json.
"""

import io
import json
import pathlib
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np
from PIL import Image
from record import parser, write_record

from data_prep import icon_sets
from data_prep.pictures import convert
from logogan_jax.data import tfrecord

SIZE = 112  # pixels
RECORDS = 200_000


def encode(side: int, file_format: str) -> bytes:
    """Make a colourful, smooth square picture and encode it as "JPEG" of quality 90 or as "PNG"."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    stream = io.BytesIO()
    options = {"quality": 90} if file_format == "JPEG" else {}
    Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).save(stream, format=file_format, **options)
    return stream.getvalue()


def time_conversion(sources: Sequence[bytes]) -> dict[str, float]:
    """Convert pictures to records: the mean milliseconds for one picture, and the mean bytes of its PNG."""
    items = [convert.Item("x", 0, source) for source in sources]
    convert.convert(items[0], convert.ImageSpec(SIZE))
    began = time.perf_counter()
    nbytes = sum(len(convert.convert(item, convert.ImageSpec(SIZE)).png) for item in items)
    milliseconds = (time.perf_counter() - began) * 1e3
    return {"ms": round(milliseconds / len(items), 2), "png_bytes": round(nbytes / len(items))}


def indexed_per_second() -> int:
    """Return how many records of 2,000 bytes are indexed in a second, in a file that is in the page cache."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "records"
        with tfrecord.Writer(path) as writer:
            for _ in range(RECORDS):
                writer.write(bytes(2000))
        began = time.perf_counter()
        tfrecord.build_index(str(path))
        return round(RECORDS / (time.perf_counter() - began))


def main() -> None:
    """Run the command."""
    parser(__doc__).parse_args()
    sources = {"svg": [item.source for item in icon_sets.simple_icons()]}
    for file_format in ("JPEG", "PNG"):
        for side in (1000, 3000):
            sources[f"{file_format.lower()}{side}"] = [encode(side, file_format)] * 20
    record = {
        "versions": {"python": sys.version.split()[0], "pillow": Image.__version__, "numpy": np.__version__},
        "size": SIZE,
        "pictures": {name: time_conversion(pictures) for name, pictures in sources.items()},
        "records_found_per_second": indexed_per_second(),
    }
    write_record("pictures-cpu", "python benchmarks/pictures.py", record)
    print(json.dumps(record["pictures"]), record["records_found_per_second"])


if __name__ == "__main__":
    main()
