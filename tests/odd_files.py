"""A folder of 200 broken, hostile and odd files, and what is to become of each."""

import base64
import gzip
import io
import os
import random
import struct
import zlib

import numpy as np
from conftest import drawing
from PIL import Image

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">{}</svg>'
RECT = '<rect width="9" height="9" fill="#f00"/>'


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_claiming(width, height, rows=b""):
    """A small, well-formed PNG of a one-bit picture that claims any size."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def good_pictures():
    rgb = drawing(3)
    clear = rgb.copy()
    clear.putalpha(Image.fromarray((np.asarray(rgb).min(-1) < 250).astype(np.uint8) * 255))
    palette = rgb.quantize(8)
    grey16 = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    frames = [drawing(i).quantize(16) for i in range(4)]
    exif = Image.Exif()
    exif[0x0112] = 6
    png = encoded(rgb, "PNG")
    laughing = b"".join(chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 24), 9)) for _ in range(8))
    found = {
        "text bomb.png": png[:33] + laughing + png[33:],  # which is never unpacked
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG"),
        "grey.jpg": encoded(rgb.convert("L"), "JPEG"),
        "progressive.jpeg": encoded(rgb, "JPEG", progressive=True),
        "turned.jpg": encoded(rgb, "JPEG", exif=exif),
        "bit.png": encoded(rgb.convert("1"), "PNG"),
        "16.png": encoded(grey16, "PNG"),
        "16.tif": encoded(grey16, "TIFF"),
        "float.tif": encoded(Image.fromarray(np.asarray(rgb.convert("L"), np.float32) / 255), "TIFF"),
        "cmyk.tif": encoded(rgb.convert("CMYK"), "TIFF"),
        "lab.tif": encoded(rgb.convert("LAB"), "TIFF"),
        "clear.png": encoded(clear, "PNG"),
        "la.png": encoded(clear.convert("LA"), "PNG"),
        "palette.png": encoded(palette, "PNG"),
        "clear palette.png": encoded(palette, "PNG", transparency=0),
        "trns.png": encoded(rgb, "PNG", transparency=(255, 255, 255)),
        "clear.webp": encoded(clear, "WEBP"),
        "animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "animated.png": encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "animated.webp": encoded(frames[0].convert("RGB"), "WEBP", save_all=True, append_images=[drawing(9)]),
        "icon.ico": encoded(clear.resize((32, 32)), "ICO"),
        "x.bmp": encoded(rgb, "BMP"),
        "x.tga": encoded(rgb, "TGA"),
        "x.ppm": encoded(rgb, "PPM"),
        "x.gif": encoded(palette, "GIF", transparency=0),
        "x.pcx": encoded(rgb, "PCX"),
        "one.png": encoded(Image.new("RGB", (1, 1)), "PNG"),
        "line.png": encoded(Image.new("RGB", (1, 900)), "PNG"),
        "flat.jpg": encoded(Image.new("RGB", (4000, 3)), "JPEG"),
        "huge.png": encoded(Image.new("1", (9000, 9000)), "PNG"),
        "really a png.jpg": encoded(rgb, "PNG"),
        "really a jpeg.svg": encoded(rgb, "JPEG"),
        "really a gif": encoded(palette, "GIF"),
        "really a webp.png": encoded(rgb, "WEBP"),
    }
    return found


def good_drawings():
    adobe = (
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd" '
        '[<!ENTITY red "#f00">]>'
    )
    inner = encoded(drawing(1), "PNG")
    data = "data:image/png;base64," + base64.b64encode(inner).decode()
    scripted = SVG.format(f'<script>fetch("http://127.0.0.1:9/")</script>{RECT}').replace("<svg ", '<svg onload="x()" ')
    texts = {
        "plain.svg": SVG.format(RECT),
        "really an svg.png": SVG.format(RECT),
        "script.svg": scripted,
        "adobe.svg": adobe + SVG.format('<rect width="9" height="9" fill="&red;"/>'),
        "link.svg": SVG.format(f'<a href="http://127.0.0.1:9/"><g>{RECT}</g></a>'),
        "inner.svg": SVG.format(f'<image width="9" height="9" xlink:href="{data}"/>'),
        "bom.svg": "\ufeff" + SVG.format(RECT),
        "wide.svg": SVG.replace("0 0 9 9", "0 0 90 9").format(RECT),
        "percent.svg": SVG.replace("<svg ", '<svg width="100%" height="100%" ').format(RECT),
        "millimetres.svg": SVG.replace("<svg ", '<svg width="9mm" height="0.9cm" ').format(RECT),
    }
    found = {name: text.encode() for name, text in texts.items()}
    found["packed.svgz"] = gzip.compress(SVG.format(RECT).encode())
    found["utf16.svg"] = ('<?xml version="1.0" encoding="utf-16"?>' + SVG.format(RECT)).encode("utf-16")
    found["latin.svg"] = ('<?xml version="1.0" encoding="latin-1"?>' + SVG.format("<text>é</text>" + RECT)).encode(
        "latin-1"
    )
    return found


def odd_names():
    names = [
        "a\nb.png",
        "logo 😀.png",
        "شعار.png",
        "标志.png",
        "-rf.png",
        "'q\"`$(id).png",
        "a\\b.png",
        " .png",
        "x" * 240 + ".png",
        "%2e%2e.png",
        "con.png",
        "tab\t.png",
        "e\u0301.png",
        "\u00e9.png",
        "semi;colon.png",
        "no extension",
        "~.png",
    ]
    found = {name: encoded(drawing(i), "PNG") for i, name in enumerate(names)}
    found[os.fsdecode(b"not utf-8 \xff\xfe.png")] = encoded(drawing(50), "PNG")
    return found


def bad_pictures():
    rgb, noise = drawing(3), random.Random(0)
    png, jpeg, gif, webp, tiff = (encoded(rgb, kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF"))
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 255
    found = {
        "empty.png": (b"", "empty"),
        "empty.svg": (b"", "empty"),
        "empty": (b"", "empty"),
        "text.png": (b"hello", "not an image"),
        "page.jpg": (b"<!doctype html><html><p>404</html>", "not an image"),
        "page.png": (b"<html><body>Not found</body></html>", "not an image"),
        "zip.png": (b"PK\3\4" + bytes(99), "not an image"),
        "x.pdf": (b"%PDF-1.4\n%EOF", "not an image"),
        "x.exe": (b"MZ" + bytes(300), "not an image"),
        "x.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touch) run\nshowpage\n", "not an image"),
        "eps.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "not an image"),
        "bomb.png": (png_claiming(30_000, 30_000, bytes(1000)), "pixels"),
        "bomb2.png": (png_claiming(2**31 - 1, 2**31 - 1), "pixels"),
        "bomb.gif": (gif[:6] + b"\xff\xff\xff\xff" + gif[10:], "pixels"),
        "flipped.png": (bytes(flipped), ""),
        "none.png": (png[:8] + png[-12:], ""),
    }
    for name, data in {"png": png, "jpg": jpeg, "gif": gif, "webp": webp, "tif": tiff}.items():
        for share in (10, 30, 50, 70):
            found[f"cut to {share} percent.{name}"] = (data[: len(data) * share // 100], "")
        found[f"noise.{name}"] = (data[:4] + noise.randbytes(400), "")
    for i in range(20):
        found[f"random {i}.{('png', 'jpg', 'svg', 'tga')[i % 4]}"] = (
            b"\x80" + noise.randbytes(noise.randint(1, 2000)),
            "",
        )
    return found


def bad_drawings(port, secret):
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    tail = SVG.format(RECT + "&e;")
    picture = '<image width="9" height="9" {}="{}"/>'
    outside = "outside itself"
    bomb = base64.b64encode(png_claiming(30_000, 30_000)).decode()
    texts = {
        "entity.svg": (f'<!DOCTYPE svg [<!ENTITY e SYSTEM "file://{secret}">]>' + tail, "external entity 'e'"),
        "entity http.svg": (
            f'<!DOCTYPE svg [<!ENTITY e SYSTEM "http://127.0.0.1:{port}/e">]>' + tail,
            "external entity 'e'",
        ),
        "laughs.svg": (f'<!DOCTYPE svg [<!ENTITY l0 "<g/>">{laughs}]>' + SVG.format("&l11;"), "not a readable SVG"),
        "laughs in a value.svg": (
            f'<!DOCTYPE svg [<!ENTITY l0 "haha">{laughs}]>' + SVG.format('<g id="&l11;"/>'),
            "not a readable SVG",
        ),
        "remote.svg": (SVG.format(picture.format("xlink:href", f"http://127.0.0.1:{port}/a.png")), outside),
        "remote plain.svg": (SVG.format(picture.format("href", f"https://127.0.0.1:{port}/a.png")), outside),
        "remote use.svg": (SVG.format(f'<use xlink:href="http://127.0.0.1:{port}/a.svg#a"/>'), outside),
        "remote filter.svg": (
            SVG.format(f'<filter><feImage href="//127.0.0.1:{port}/a.png"/></filter>' + RECT),
            outside,
        ),
        "file.svg": (SVG.format(picture.format("xlink:href", secret)), outside),
        "file address.svg": (SVG.format(picture.format("href", f"file://{secret}")), outside),
        "relative.svg": (SVG.format(picture.format("href", "plain.svg")), outside),
        "inner bomb.svg": (
            SVG.format(picture.format("href", f"data:image/png;base64,{bomb}")),
            "holds a picture of more than",
        ),
        "inner file.svg": (
            SVG.format(
                picture.format(
                    "href",
                    "data:image/svg+xml,"
                    + SVG.format(picture.format("href", secret))
                    .replace('"', "%22")
                    .replace("<", "%3C")
                    .replace("#", "%23"),
                )
            ),
            outside,
        ),
        "cut.svg": (SVG.format(RECT)[:-8], "not a readable SVG"),
        "just open.svg": ("<svg", "not a readable SVG"),
        "thin.svg": (SVG.replace("0 0 9 9", "0 0 100000 1").format(RECT), "50 to 1"),
        "nothing.svg": (SVG.replace("<svg ", '<svg width="0" height="0" ').format(""), "not a readable SVG"),
        "mathml.svg": ('<?xml version="1.0"?><math><svg/></math>', "root is <math>"),
    }
    found = {name: (text.encode(), reason) for name, (text, reason) in texts.items()}
    found["packed bomb.svgz"] = (gzip.compress(bytes(40 << 20)), "MiB")
    found["packed cut.svgz"] = (gzip.compress(SVG.format(RECT).encode())[:40], "not a readable SVG")
    found["bytes.svg"] = (b"<svg \xff\xfe/>", "not a readable SVG")
    return found


def make(folder, port, secret):
    """Write them all -> (names of the good ones, {name of a bad one: part of the reason to be given})."""
    good = {**good_pictures(), **good_drawings(), **odd_names()}
    bad = {**bad_pictures(), **bad_drawings(port, secret)}
    more = 200 - len(good) - len(bad)  # the rest are ordinary
    good |= {f"plain {i}.png": encoded(drawing(i), "PNG") for i in range(more)}
    for name, data in {**good, **{name: data for name, (data, _) in bad.items()}}.items():
        (folder / name).write_bytes(data)
    return set(good), {name: reason for name, (_, reason) in bad.items()}
