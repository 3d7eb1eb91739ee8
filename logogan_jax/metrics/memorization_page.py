"""The page that shows which images come closest to the training images: one file of HTML, without scripts."""

import base64
import io
from html import escape

import numpy as np
from PIL import Image

from logogan_jax.core import files, images, intervals

_ROWS = 60  # closest images that are shown, at most
_TILE = 96  # pixels on the screen that a picture has, about: whole ones for each of its own

_STYLE = """
:root { color-scheme: light dark; --page: #f6f6f4; --card: #fff; --ink: #1b1b1a; --pale: #63635f; --line: #dcdcd6;
  --bad: #b3261e; --good: #2e6b34; }
@media (prefers-color-scheme: dark) { :root { --page: #161615; --card: #222220; --ink: #ebebe7; --pale: #a3a39c;
  --line: #3a3a36; --bad: #ff8a80; --good: #8fcf95; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 76rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.7rem; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .2rem; font-size: 1.2rem; }
p { margin: .2rem 0 .8rem; max-width: 48rem; }
.pale, figcaption { color: var(--pale); }
.counts { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .6rem; margin: 1.2rem 0; }
.box, .counts div { padding: .6rem .8rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; }
.counts b { display: block; font-size: 1.5rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.counts span { color: var(--pale); font-size: .85rem; }
.bad b, .copy h3 { color: var(--bad); } .none b { color: var(--good); }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21.5rem), 1fr)); gap: .8rem; }
.pairs h3 { margin: 0 0 .4rem; font-size: .85rem; font-weight: 600; }
.copy { border-color: var(--bad); }
.three { display: flex; flex-wrap: wrap; gap: .6rem; }
figure { margin: 0; } figcaption { font-size: .75rem; line-height: 1.35; margin-top: .2rem; }
figcaption b { color: var(--ink); font-variant-numeric: tabular-nums; }
img { display: block; border: 1px solid var(--line); border-radius: .2rem; background: #fff; }
img.grown { image-rendering: pixelated; }
"""


def write(path, pixels, copies, training, *, detector, title):
    """Write the page of a MemorizationReport on images uint8[n, H, W, C] and `training` images uint8[N, H, W, C]."""
    with files.atomic_write(path) as partial:
        partial.write_text(page(pixels, copies, training, detector=detector, title=title))


def page(pixels, copies, training, *, detector, title):
    """The page as HTML: how many images are copies, then the closest, the nearest first."""
    nearness = np.minimum(copies.distance_feature, copies.distance_pixel)
    closest = np.argsort(nearness, kind="stable")[:_ROWS]
    cards = "".join(_card(i, pixels, copies, training) for i in closest)
    rest = f" The closest {len(closest)} of {len(pixels):,} are here." if len(closest) < len(pixels) else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}: copies</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>{escape(title)}</h1>{_head(copies, detector)}"
        f'<h2>Closest first</h2><p class="pale">What is nearer than 1 counts as a copy.{rest}</p>'
        f'<div class="pairs">{cards}</div>\n</body></html>\n'
    )


def _head(copies, detector):
    """Counts, and what they mean."""
    count, n = int(copies.copied.sum()), len(copies.copied)
    found = intervals.proportion(copies.copied)
    boxes = [
        ("bad" if count else "none", f"{count:,} of {n:,}", "images count as copies"),
        ("", f"{found.value:.1%}", f"{found.low:.1%} to {found.high:.1%} of all it could draw, with 95 %"),
        ("", f"{detector.false_alarm_rate:.1%}", "of new logos would count as copies, too"),
    ]
    if detector.held_out:
        own = f"{detector.held_out_alarms:,} of {detector.held_out:,}"
        boxes.append(("", own, "logos kept from training count as copies"))
    counts = "".join(f'<div class="{kind}"><b>{number}</b><span>{text}</span></div>' for kind, number, text in boxes)
    return (
        '<p class="pale">Each image is held to the training image nearest to it in what the feature network sees, and '
        "to the one nearest in pixels, mirrored or not and moved by up to two of them. Either distance is taken in "
        "proportion to how far that training image is from its own nearest.</p>"
        f'<div class="counts">{counts}</div><p class="pale">The limits come from {detector.calibrated:,} real '
        "images, each held to training images that it is not among. A share of copies not far above that of new logos "
        "says nothing against the model; a pair that looks the same does.</p>"
    )


def _card(i, pixels, copies, training):
    verdict, kind = ("copy", "box copy") if copies.copied[i] else ("no copy", "box")
    tiles = (
        _tile(pixels[i], f"image {i}"),
        _tile(training[copies.nearest_feature[i]], _told("in features", copies.distance_feature[i])),
        _tile(training[copies.nearest_pixel[i]], _told("in pixels", copies.distance_pixel[i])),
    )
    return f'<div class="{kind}"><h3>{verdict}</h3><div class="three">{"".join(tiles)}</div></div>'


def _told(sense, distance):
    return f"nearest {sense}<br><b>{distance:.2f}</b>"


def _tile(pixels, caption):
    width, longer = pixels.shape[1], max(pixels.shape[:2])
    wide = width * max(1, round(_TILE / longer)) if longer < 2 * _TILE else round(_TILE * width / longer)
    grown = ' class="grown"' if width < wide else ""
    return (
        f'<figure><img src="{_uri(pixels)}" width="{wide}" alt=""{grown}>'
        f'<figcaption style="width:{max(wide, 2 * _TILE // 3)}px">{caption}</figcaption></figure>'
    )


def _uri(pixels):
    stream, pixels = io.BytesIO(), images.on_white(pixels)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(stream, format="PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
