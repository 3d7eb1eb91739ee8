"""The page that shows the generated images that are closest to training images."""

import base64
import io
import pathlib
from typing import Any

import numpy as np
from PIL import Image

from logogan_jax.core import files, images, intervals, pages
from logogan_jax.metrics.memorization import MemorizationDetector, MemorizationReport

MAX_PAIRS = 60  # closest images that the page shows


def write(
    path: pathlib.Path,
    pixels: np.ndarray,
    report: MemorizationReport,
    training: np.ndarray,
    *,
    detector: MemorizationDetector,
    title: str,
) -> None:
    """Write the page of a MemorizationReport on images uint8[n, H, W, C] and `training` images uint8[N, H, W, C]."""
    with files.atomic_write(path) as partial:
        partial.write_text(page(pixels, report, training, detector=detector, title=title), encoding="utf-8")


def page(
    pixels: np.ndarray,
    report: MemorizationReport,
    training: np.ndarray,
    *,
    detector: MemorizationDetector,
    title: str,
) -> str:
    """Return the page as HTML: how many images are copies, then the closest ones, the nearest first."""
    nearness = np.minimum(report.distance_feature, report.distance_pixel)
    closest = np.argsort(nearness, kind="stable")[:MAX_PAIRS]
    left_out = f" The closest {len(closest)} of {len(pixels):,} are shown." if len(closest) < len(pixels) else ""
    return pages.render(
        "memorization.html.j2",
        title=f"{title}: copies",
        name=title,
        boxes=_boxes(report, detector),
        detector=detector,
        left_out=left_out,
        pairs=[_pair(i, pixels, report, training) for i in closest],
    )


def _boxes(report: MemorizationReport, detector: MemorizationDetector) -> list[tuple[str, str, str]]:
    """Return (class, number, text) of each number at the top of the page."""
    count = int(report.copied.sum())
    share = intervals.proportion(report.copied)
    interval = f"{share.low:.1%} to {share.high:.1%}"
    boxes = [
        ("bad" if count else "good", f"{count:,} of {len(report.copied):,}", "images count as copies"),
        ("", f"{share.value:.1%}", f"{interval} of all that the model can generate, with 95 % confidence"),
        ("", f"{detector.false_alarm_rate:.1%}", "of new logos would count as copies, too"),
    ]
    if detector.held_out:
        alarms = f"{detector.held_out_alarms:,} of {detector.held_out:,}"
        boxes.append(("", alarms, "logos held out from training count as copies"))
    return boxes


def _pair(i: int, pixels: np.ndarray, report: MemorizationReport, training: np.ndarray) -> dict[str, Any]:
    """Return what the page shows of image i: itself and the training images nearest to it."""
    return {
        "number": i,
        "copied": bool(report.copied[i]),
        "image": _figure(pixels[i]),
        "nearest": [
            ("features", _figure(training[report.nearest_feature[i]]), report.distance_feature[i]),
            ("pixels", _figure(training[report.nearest_pixel[i]]), report.distance_pixel[i]),
        ],
    }


def _figure(pixels: np.ndarray) -> pages.Figure:
    """Return the Figure of an image uint8[H, W, C], with its PNG as a data URI."""
    height, width = pixels.shape[:2]
    opaque = images.on_white(pixels)
    stream = io.BytesIO()
    Image.fromarray(opaque[..., 0] if opaque.shape[-1] == 1 else opaque).save(stream, format="PNG")
    uri = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    return pages.figure(uri, height, width)
