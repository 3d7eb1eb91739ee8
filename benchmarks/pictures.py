"""Time what docs/scale.md counts on: one core turning pictures of several kinds into records, and finding records.

    python benchmarks/pictures.py

Writes benchmarks/results/pictures-cpu.json.
"""

import datetime
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image
from record import ROOT, machine

from data_prep import icon_sets
from data_prep.pictures import convert
from logogan_jax.data import tfrecord

SIZE, RECORDS = 112, 200_000


def encoded(side, kind):
    """A colourful, smooth picture of a side, as JPEG of quality 90 or PNG."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    stream = io.BytesIO()
    options = {"quality": 90} if kind == "JPEG" else {}
    Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).save(stream, format=kind, **options)
    return stream.getvalue()


def milliseconds(sources):
    """Milliseconds to turn each of some sources into a record, and the bytes of its PNG, on average."""
    items = [convert.Item("x", 0, source) for source in sources]
    convert.convert(items[0], convert.ImageSpec(SIZE))
    began = time.perf_counter()
    nbytes = sum(len(convert.convert(item, convert.ImageSpec(SIZE)).png) for item in items)
    return {"ms": round((time.perf_counter() - began) * 1e3 / len(items), 2), "png_bytes": round(nbytes / len(items))}


def found_per_second():
    """Records of 2,000 bytes that are found in a second in a file that is in memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "records"
        with tfrecord.Writer(path) as writer:
            for _ in range(RECORDS):
                writer.write(bytes(2000))
        began = time.perf_counter()
        tfrecord.build_index(str(path))
        return round(RECORDS / (time.perf_counter() - began))


def main():
    """The command."""
    kinds = {"svg": [item.source for item in icon_sets.simple_icons()]}
    kinds |= {f"{kind.lower()}{side}": [encoded(side, kind)] * 20 for kind in ("JPEG", "PNG") for side in (1000, 3000)}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True, capture_output=True).stdout.strip()
    record = {
        "command": "python benchmarks/pictures.py",
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "machine": machine(),
        "versions": {"python": sys.version.split()[0], "pillow": Image.__version__, "numpy": np.__version__},
        "size": SIZE,
        "pictures": {name: milliseconds(sources) for name, sources in kinds.items()},
        "records_found_per_second": found_per_second(),
    }
    path = ROOT / "benchmarks" / "results" / "pictures-cpu.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record["pictures"]), record["records_found_per_second"])


if __name__ == "__main__":
    main()
