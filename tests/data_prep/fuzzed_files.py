"""Good files of each format, changed at random: bytes flipped, cut out, repeated, cut off, or joined with another file.

`python tests/data_prep/fuzzed_files.py FIRST COUNT` converts that many seeds and prints what became of them.
"""

import collections
import random
import sys

import odd_files

from data_prep.pictures import convert

SEEDS = range(300)  # what the tests convert
SPEC = convert.ImageSpec(28)


def good_files():
    """{name: bytes} of good files of each format, but of those that take long to read."""
    found = {**odd_files.good_pictures(), **odd_files.good_drawings(), **drawings()}
    return {name: data for name, data in found.items() if name not in ("huge.png", "text bomb.png")}


def drawings():
    """Drawings with style sheets, words, gradients and entities."""
    bodies = {
        "sheet.svg": f"<style>:root{{--c:#f00}}@media screen{{rect{{stroke:var(--c,#0f0)}}}}</style>{odd_files.RECT}",
        "words.svg": '<text y="8" font-family="Arial">Az<tspan dx="1">é</tspan></text>',
        "gradient.svg": '<linearGradient id="g"><stop stop-color="hsl(9deg 90% 50%)"/></linearGradient>'
        '<path d="M0 0h9v9z" style="fill:url(#g);stroke:rgb(1 2 3)" transform="rotate(9)"/><use href="#g"/>',
    }
    return {name: odd_files.SVG.format(body).encode() for name, body in bodies.items()}


def change(seed, good):
    """(name, bytes) of a good file, changed as a seed says."""
    draw = random.Random(seed)
    names = sorted(good)
    name = names[seed % len(names)]
    data = bytearray(good[name])
    for _ in range(draw.randint(1, 3)):
        start = draw.randrange(len(data) + 1)
        stop = min(len(data), start + draw.choice((1, 2, 8, 64, 512)))
        how = draw.choice(("flip", "flip", "flip", "extreme", "remove", "repeat", "cut", "join", "insert"))
        if how == "flip" and data:
            for _ in range(draw.choice((1, 1, 4, 16))):
                # Headers are short, and most is decided there.
                place = draw.randrange(len(data) if draw.random() < 0.5 else min(len(data), 200))
                data[place] ^= 1 << draw.randrange(8)
        elif how == "extreme":
            data[start:stop] = bytes([draw.choice((0, 127, 128, 255))]) * (stop - start)
        elif how == "remove":
            del data[start:stop]
        elif how == "repeat":
            data[start:start] = data[start:stop] * draw.randint(1, 20)
        elif how == "cut":
            del data[start:]
        elif how == "join":
            data[start:] = good[draw.choice(names)][draw.randrange(200) :]
        elif how == "insert":
            data[start:start] = draw.randbytes(draw.choice((1, 4, 100)))
    return name, bytes(data)


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:])
    good = good_files()
    outcomes = collections.Counter()
    for seed in range(first, first + count):
        name, data = change(seed, good)
        try:
            reason = convert.convert(convert.Item(name, 0, data), SPEC).reason
        except BaseException as error:
            print(f"seed {seed}, {name}: {type(error).__name__}: {error}", flush=True)
            reason = "raised"
        outcomes[reason.partition(":")[0][:60] or "converted"] += 1
    for outcome, number in outcomes.most_common():
        print(f"{number:>7}  {outcome}")
