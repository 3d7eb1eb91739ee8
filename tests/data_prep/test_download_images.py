"""Downloads from servers that stall, lie, redirect and bomb; no byte of this leaves the machine."""

import asyncio
import collections
import contextlib
import datetime
import email.utils
import gzip
import hashlib
import ipaddress
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import file_server
import fork_server
import httpcore
import pytest
from conftest import ROOT, command, environment
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from file_server import (
    DRAWING,
    QUICK,
    FileServer,
    after,
    bomb,
    dripping,
    endless,
    in_turn,
    lines,
    listing,
    moved,
    picture,
    reply,
    stalling,
)

from data_prep import download_images
from data_prep.download_images import download
from data_prep.web import addresses, fetch, fetch_errors, file_names, items_csv, rate_limit
from logogan_jax import __version__
from logogan_jax.core.errors import UserError

server = file_server.server  # the fixture


@pytest.fixture
def names(monkeypatch):
    """What host names resolve to, one list of addresses for each time that they are asked for."""
    known, real = {}, socket.getaddrinfo

    def resolve(host, port, *rest, **options):
        if host in known:
            answer = known[host].pop(0)
            return [entry for address in answer for entry in real(address, port, *rest, **options)]
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(host)
            return real(host, port, *rest, **options)
        raise socket.gaierror(socket.EAI_NONAME, f"{host} is none of this test's names")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


@pytest.fixture(autouse=True)
def connections(monkeypatch, names):
    """Every address that a socket of this process is asked to connect to; beyond loopback none is reached."""
    seen, connect = [], socket.socket.connect

    def recording(self, address):
        seen.append(address)
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] != "127.0.0.1":
            raise OSError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", recording)
    return seen


def outcome(target):
    """({link: line of the manifest}, {link: line of the rejects}), both without repetition."""
    found = [lines(target / name) for name in ("manifest.jsonl", "rejects.jsonl")]
    by_link = [{line["link"]: line for line in part} for part in found]
    assert [len(part) for part in found] == [len(part) for part in by_link]
    assert not by_link[0].keys() & by_link[1].keys()
    return by_link


def get(tmp_path, server, rows, **options):
    """Download rows from the server -> (target, manifest, rejects, totals)."""
    target = tmp_path / "raw"
    given = {"trusted": [server.place], "policy": QUICK, **options}
    try:
        totals = download(listing(tmp_path, rows), target, **given)
    except UserError as error:  # nothing was downloaded
        totals = str(error)
        assert totals.startswith("0 images downloaded")
    return target, *outcome(target), totals


# ── good and bad ────────────────────────────────────────────────────────────────────────────

NAMES = [
    "logo.png", "Логотип №5.svg", "ロゴ画像 社章.jpg", "شعار الشركة.png", "👩‍🚀 лого 🚀.webp", "line\nbreak\ttab.gif",
    "../../etc/passwd", "/absolute/path.png", "C:\\CON", "..", ".hidden", "-rf", "x" * 300, "字" * 300, "a/b\0c",
    "v1.2", 'quo"te,comma', "e\u0301te\u0301", "\u202egnp.exe", " ", "con.png", "a" * 99 + "é",
]  # fmt: skip


def test_names_of_any_kind_become_files_in_the_folder_and_nowhere_else(tmp_path, server):
    rows = [{"name": name, "link": server.link(f"/{i}.png", picture(i))} for i, name in enumerate(NAMES)]
    rows += [{"name": "logo.png", "link": server.link("/other/logo.png", picture(99))}]
    target, manifest, rejects, totals = get(tmp_path, server, rows)
    assert not rejects and totals.startswith(f"{len(NAMES) + 1} images downloaded into {target} (0.0 MB), 0 rejected.")
    found = {path.name: path.read_bytes() for path in target.iterdir() if path.suffix == ".png"}
    assert {manifest[row["link"]]["path"]: server.routes for row in rows}.keys() == found.keys()
    for number, row in enumerate(rows[:-1]):
        line = manifest[row["link"]]
        assert found[line["path"]] == picture(number)
        assert line["path"] == file_names.file_name(line["name"], row["link"], ".png")
        assert len(line["path"].encode()) <= 113
        assert line["sha256"] == hashlib.sha256(picture(number)).hexdigest() and line["bytes"] == len(picture(number))
    assert {path.name for path in tmp_path.iterdir()} == {"items.csv", "raw"}
    assert any(name.startswith("ロゴ画像 社章-") for name in found) and any(name.startswith("v1.2-") for name in found)
    assert any(name.startswith("etc_passwd-") for name in found) and any(name.startswith("image-") for name in found)
    assert any(name.startswith("\u00e9t\u00e9-") for name in found)  # composed, as most systems write it
    assert not any(set(name) & set('\n\t/\\:"\0\u202e') or name[0] in ".- " for name in found)


def hostile(server):
    """{link: the reason for which it must be rejected}."""
    png, link = picture(1), server.link
    other = FileServer()  # bound, never served: nobody may even knock
    other.server_close()
    entity = b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + DRAWING.replace(b"<rect", b"<g>&x;</g><rect")
    remote = DRAWING.replace(b"<rect", b'<image href="http://10.0.0.1/a.png" width="9" height="9"/><rect')
    return {
        link("/stall", stalling(png, 0)): "nothing more came for 0.5 s",
        link("/stall-later", stalling(png, 30)): "nothing more came for 0.5 s",
        link("/drip", dripping): "not done in 2 s",
        link("/cut", reply(png[:40], Content_Length=len(png))): "connection failed: peer closed connection without",
        link("/to-loopback", moved(f"http://{other.place}/x")): "127.0.0.1:.* is not on the open internet",
        link("/to-name", moved("http://localhost.example/x")): r"not on the open internet \(127.0.0.1\)",
        link("/to-metadata", moved("http://169.254.169.254/latest/meta-data")): "169.254.169.254:80 is not on the open",
        link("/to-intranet", moved("//10.0.0.1/logo.png")): "10.0.0.1:80 is not on the open internet",
        link("/to-mapped", moved("http://[::ffff:127.0.0.1]/")): "not on the open internet",
        link("/to-number", moved("http://2130706433/")): "not on the open internet|not known|no address",
        link("/to-file", moved("file:///etc/passwd")): "leads to 'file:///etc/passwd', not an http",
        link("/loop", moved("/loop")): "more than 5 redirects",
        link("/html", b"<!DOCTYPE html><html><body><svg/></body></html>"): "not an image but a web page",
        link("/text", b"Not found"): "not an image",
        link("/empty", b""): "the file is empty",
        link("/broken", png[:-20]): "not a readable|Error|not an image|damaged",
        link("/bomb", bomb(30_000, 30_000)): "more than 100,000,000 pixels",
        link("/small-bomb", bomb(12_000, 10_000)): "12000 x 10000 are more than 100,000,000 pixels",
        link("/endless", endless): "more than 1,000,000 bytes",
        link("/promised", reply(png, Content_Length=10**12)): "more than 1,000,000 bytes",
        link("/zip-bomb", reply(gzip.compress(bytes(3_000_000)), Content_Encoding="gzip")): "more than 1,000,000 bytes",
        link("/brotli", reply(png, Content_Encoding="br")): "sent as br",
        link("/cut-zip", reply(gzip.compress(png)[:-12], Content_Encoding="gzip")): "the end is missing",
        link("/gone", reply(b"", 404)): "HTTP 404",
        link("/down", reply(b"", 503)): "HTTP 503",
        link("/entity", entity): "external entity",
        link("/remote", remote): "outside itself",
        link("/svg-cut", DRAWING[:-9]): "not a readable SVG",
        "http://10.1.2.3/logo.png": "10.1.2.3:80 is not on the open internet",
        "http://[fe80::1]/logo.png": "not on the open internet",
        "http://unknown.example/": "address of unknown.example is not known",
        "ftp://127.0.0.1/logo.png": "not an http or https address",
        "logo.png": "not an http or https address",
        "http://[::1": "no address",
        "http://bad host/": "no address|not on the open|not known",
        f"http://{'a' * 70}.example/": "no address|not the name of a host|not known",
    }


def test_every_good_file_arrives_and_every_bad_one_is_told_with_its_reason(tmp_path, server, names, connections):
    names["localhost.example"] = [["127.0.0.1"]] * 9
    reasons = hostile(server)
    wrong = {"link": server.link("/sha1", picture(3)), "sha1": "0" * 40}
    reasons[wrong["link"]] = "SHA-1 is [0-9a-f]{40} and should be 0000"
    bodies = {f"/good/{kind}": picture(5, kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO")}
    bodies |= {"/good/svg": DRAWING, "/good/svgz": gzip.compress(DRAWING)}
    good = [{"link": server.link(path, body), "licence": "CC0"} for path, body in bodies.items()]
    zipped = reply(gzip.compress(picture(6)), Content_Encoding="gzip", Content_Type="text/html")
    good += [server.link("/zipped", zipped), server.link("/away", moved("/good/PNG"))]
    good[0]["sha1"] = hashlib.sha1(bodies["/good/PNG"]).hexdigest().upper()
    rows = [*good, wrong, *list(reasons)[:-1], "", good[-1], wrong]
    target, manifest, rejects, totals = get(tmp_path, server, rows, max_bytes=1_000_000)

    endings = ["png", "jpg", "gif", "webp", "bmp", "tif", "ico", "svg", "svgz"]
    for row, body, ending in zip(good, bodies.values(), endings, strict=False):
        path = manifest[row["link"]]["path"]
        assert (target / path).read_bytes() == body and path.endswith(f".{ending}")
    assert (target / manifest[good[9]]["path"]).read_bytes() == picture(6)
    away = manifest[good[10]]
    assert (target / away["path"]).read_bytes() == picture(5) and away["url"] == f"http://{server.place}/good/PNG"
    assert (manifest[good[0]["link"]]["width"], manifest[good[0]["link"]]["height"]) == (16, 16)

    assert rejects.keys() == {*reasons, ""}
    for link, reason in reasons.items():
        assert re.search(reason, rejects[link]["reason"]), (link, rejects[link])
    assert len(list(target.iterdir())) == len(good) + 2  # nothing half-written, nothing hidden
    again = sum(not line["final"] for line in rejects.values())
    assert totals == (
        f"11 images downloaded into {target} (0.0 MB), 2 listed twice, {len(reasons) + 1} rejected (reasons in "
        f"rejects.jsonl there; the same command tries {again} of them again). "
        f"2 of the images there name no licence: ask before you publish them."
    )
    assert {address[:2] for address in connections} == {("127.0.0.1", server.server_port)}


# ── trying again, or not ────────────────────────────────────────────────────────────────────


def test_troubles_that_pass_are_waited_out(tmp_path, server):
    body, cut = picture(1), reply(picture(1)[:40], Content_Length=len(picture(1)))
    down, busy = reply(b"", 503), reply(b"", 429, Retry_After=1)
    rows = [
        server.link("/down", in_turn(down, down, reply(body))),
        server.link("/busy", in_turn(busy, reply(body))),
        server.link("/cut", in_turn(cut, cut, reply(body))),
        server.link("/late", in_turn(stalling(body, 9), reply(body))),
        {"link": server.link("/sha1", in_turn(reply(b"another"), reply(body))), "sha1": hashlib.sha1(body).hexdigest()},
    ]
    target, manifest, rejects, _ = get(tmp_path, server, rows)
    assert len(manifest) == 5 and not rejects
    assert all((target / line["path"]).read_bytes() == body for line in manifest.values())
    assert collections.Counter(server.asked) == {"/down": 3, "/busy": 2, "/cut": 3, "/late": 2, "/sha1": 2}
    first, second = server.times["/busy"]
    assert 1.0 <= second - first < 1.9  # a second was asked for


def test_a_pause_that_a_server_asks_for_is_read_as_a_number_or_a_date():
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=100)
    assert rate_limit.parse_retry_after("7") == 7.0
    assert 90 < rate_limit.parse_retry_after(email.utils.format_datetime(soon, usegmt=True)) <= 100
    past = ["-5", "nan", "Mon, 01 Jan 1990 00:00:00 GMT"]
    assert [rate_limit.parse_retry_after(text) for text in past] == [0.0] * 3
    assert [rate_limit.parse_retry_after(text) for text in ("", "soon", "Mon, 32 Jan 99999 99:00:00 GMT")] == [None] * 3


def test_what_is_final_is_not_asked_for_again_unless_told_to(tmp_path, server):
    routes = {"/gone": reply(b"", 404), "/page": reply(b"<html>"), "/down": reply(b"", 500), "/sha1": reply(picture(1))}
    rows = [{"link": server.link(path, route), "sha1": "0" * 40} for path, route in routes.items()]
    rows[1]["sha1"] = ""
    _, _, rejects, totals = get(tmp_path, server, rows)
    assert collections.Counter(server.asked) == {"/gone": 1, "/page": 1, "/down": 3, "/sha1": 2}
    assert "4 rejected (reasons in rejects.jsonl there; the same command tries 2 of them again)" in totals
    server.asked.clear()
    _, _, again, totals = get(tmp_path, server, rows)
    assert collections.Counter(server.asked) == {"/down": 3, "/sha1": 2} and "4 rejected" in totals
    assert {link: line["reason"] for link, line in again.items()} == {
        link: line["reason"] for link, line in rejects.items()
    }
    server.asked.clear()
    server.routes = dict.fromkeys(server.routes, reply(picture(2)))
    _, manifest, rejects, _ = get(tmp_path, server, [row["link"] for row in rows], retry_rejects=True)
    assert len(manifest) == 4 and not rejects and len(server.asked) == 4


def test_a_second_run_fetches_only_what_is_not_there_whole(tmp_path, server):
    rows = [{"name": "logo", "link": server.link(f"/{i}.png", picture(i))} for i in range(6)]
    target, manifest, *_ = get(tmp_path, server, rows)
    paths = [target / manifest[row["link"]]["path"] for row in rows]
    paths[1].unlink()
    paths[2].write_bytes(b"short")
    with open(target / "manifest.jsonl", "a") as file:
        file.write('{"path": "cut sho')  # as a power cut leaves it
    server.asked.clear()
    *_, totals = get(tmp_path, server, rows)
    assert sorted(server.asked) == ["/1.png", "/2.png"] and ", 4 done before, 0 rejected." in totals
    assert [path.read_bytes() for path in paths] == [picture(i) for i in range(6)]


def test_a_host_is_asked_for_four_files_at_most_at_once(tmp_path, server):
    rows = [server.link(f"/{i}", after(0.05, picture(i))) for i in range(24)]
    _, manifest, _, _ = get(tmp_path, server, rows, workers=16, contact="me@home.example")
    assert len(manifest) == 24 and server.most == fetch.MAX_PER_HOST
    assert {headers["Accept-Encoding"] for headers in server.headers} == {"identity"}
    agents = {headers["User-Agent"] for headers in server.headers}
    assert agents == {f"logogan_jax/{__version__} (me@home.example) httpcore/{httpcore.__version__}"}


def test_a_long_list_is_read_no_further_than_the_work_needs(tmp_path, monkeypatch):
    path = listing(tmp_path, [f"http://{i}.example/" for i in range(500)])
    real = items_csv.read_rows
    read, ahead = [], []

    def rows(filename):
        read.clear()
        for row in real(filename):
            read.append(row)
            yield row

    async def refuse(self, link, sha1):
        await asyncio.sleep(0)
        ahead.append(len(read) - len(ahead))
        raise fetch_errors.PermanentError("no")

    monkeypatch.setattr(items_csv, "read_rows", rows)
    monkeypatch.setattr(fetch.Fetcher, "fetch", refuse)
    with pytest.raises(UserError, match=", 500 rejected"):
        download(path, tmp_path / "raw", workers=4)
    assert len(ahead) == 500 and max(ahead) <= 10  # four at work, four in the queue, one at either door


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("header", ["600", "date", "1e400"])
def test_a_server_that_wants_a_long_pause_is_asked_no_more(tmp_path, server, status, header, capsys):
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=600)
    wanted = email.utils.format_datetime(soon, usegmt=True) if header == "date" else header
    rows = [server.link(f"/{number}", reply(b"", status, Retry_After=wanted)) for number in range(40)]
    target = tmp_path / "raw"
    with pytest.raises(UserError) as error:
        download(listing(tmp_path, rows), target, trusted=[server.place], policy=QUICK)
    assert len(server.asked) <= fetch.MAX_PER_HOST
    line = str(error.value)
    assert line.startswith("0 images downloaded") and "40 rejected" in line and "tries 40 of them again" in line
    assert re.search(rf"{server.place} asks to wait (59\d|600|inf) s: run the same command again after that\.$", line)
    server.routes = {f"/{number}": reply(picture(number)) for number in range(40)}
    assert download(listing(tmp_path, rows), target, trusted=[server.place], policy=QUICK).startswith("40 images")


def test_a_pause_holds_for_all_links_of_its_server_and_for_no_other(tmp_path, server):
    other = FileServer()
    threading.Thread(target=other.serve_forever, daemon=True).start()
    told = server.link("/0", in_turn(reply(b"", 429, Retry_After=1), reply(picture(0))))
    rows = [told, *(server.link(f"/{number}", after(0.1, picture(number))) for number in range(1, 9))]
    rows += [other.link(f"/{number}", picture(number)) for number in range(20, 29)]
    _, manifest, rejects, totals = get(tmp_path, server, rows, trusted=[server.place, other.place])
    other.shutdown()
    assert len(manifest) == 18 and not rejects and "asks to wait" not in totals
    paused = server.times["/0"][0]
    in_pause = [
        path for path, times in server.times.items() if any(paused + 0.3 < time < paused + 1.0 for time in times)
    ]
    assert not in_pause
    assert max(time for times in other.times.values() for time in times) < paused + 0.9


def test_a_server_that_is_always_busy_is_left_alone(tmp_path, server):
    rows = [server.link(f"/{number}", reply(b"", 429)) for number in range(60)]
    totals = get(tmp_path, server, rows)[-1]
    assert re.search(r"replied 2\d times in a row that it is busy: run the same command again", totals)
    assert len(server.asked) <= 20 + fetch.MAX_PER_HOST


def test_a_download_that_brought_nothing_is_no_success(tmp_path, server, capsys):
    rows = [server.link(f"/{number}", reply(b"", 404)) for number in range(3)]
    flags = [f"--filename={listing(tmp_path, rows)}", f"--target_path={tmp_path / 'raw'}", f"--trusted={server.place}"]
    for reason in ("The first reason: http://", "The first reason: see rejects.jsonl"):  # the second run asks for none
        with pytest.raises(SystemExit) as left:
            download_images.main(flags)
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert left.value.code == 2 and line.startswith("error: 0 images downloaded") and "3 rejected" in line
        assert reason in line
    assert len(server.asked) == 3


def test_wikimedia_asks_for_a_contact_here_too(tmp_path, capsys):
    link = "https://upload.wikimedia.org/a.png"
    for contact, asked in (("", 1), ("me@example.org", 0)):
        with pytest.raises(UserError):
            download(listing(tmp_path, ["http://[bad", link, link]), tmp_path / "raw", policy=QUICK, contact=contact)
        assert capsys.readouterr().err.count("add --contact=") == asked


# ── who may be asked ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
     "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1",
     "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:10.0.0.1",
     "::ffff:169.254.169.254", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:a00:1::",
     "2002:7f00:1::", "2001::1", "100::1"],
)  # fmt: skip
def test_addresses_that_are_not_on_the_open_internet(address):
    assert not addresses.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "208.80.154.240", "2620:0:861:ed1a::2:b", "::ffff:1.1.1.1",
                                     "64:ff9b::101:101", "2002:101:101::"])  # fmt: skip
def test_addresses_that_are(address):
    assert addresses.is_public(ipaddress.ip_address(address))


class Wire(httpcore.AsyncNetworkBackend):
    """Notes where connections would go, and opens none."""

    def __init__(self):
        self.went = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.went.append(host)
        raise httpcore.ConnectError("this wire is not plugged in")


@pytest.mark.parametrize(
    ("answers", "went", "error"),
    [
        ([["10.0.0.1"]], [], fetch_errors.PermanentError),
        ([["1.1.1.1", "10.0.0.1"]], [], fetch_errors.PermanentError),  # one bad address is enough
        ([["::ffff:10.0.0.1"]], [], fetch_errors.PermanentError),
        # A name that changes its mind: the address that was checked is the one that is used.
        ([["1.1.1.1"], ["127.0.0.1"]], ["1.1.1.1"], httpcore.ConnectError),
        ([["1.1.1.1", "1.0.0.1"], ["127.0.0.1"]], ["1.1.1.1", "1.0.0.1"], httpcore.ConnectError),
    ],
)
def test_a_name_is_resolved_once_and_all_its_addresses_are_checked(names, connections, answers, went, error):
    names["logo.example"], wire = list(answers), Wire()
    with pytest.raises(error):
        asyncio.run(addresses.PublicNetwork(set(), wire).connect_tcp("logo.example", 80, timeout=1))
    assert wire.went == went and names["logo.example"] == answers[1:] and not connections


def test_trust_is_in_one_port_of_one_host(tmp_path, server, names):
    names["wiki.example"] = [["127.0.0.1"]]
    server.link("/logo", picture(1))
    port = server.server_port
    rows = [f"http://wiki.example:{port}/logo", f"http://127.0.0.1:{port}/logo", f"http://127.0.0.1:{port + 1}/logo"]
    _, manifest, rejects, _ = get(tmp_path, server, rows, trusted=[f"Wiki.example:{port}"])
    assert manifest.keys() == {rows[0]} and rejects.keys() == {*rows[1:]} and len(server.asked) == 1
    assert server.headers[0]["Host"] == f"wiki.example:{port}" and not names["wiki.example"]
    assert addresses.parse_trusted(["[::1]:80", "A.b:443"]) == {("::1", 80), ("a.b", 443)}
    for text in ("wiki", "wiki:", ":80", "wiki:http"):
        with pytest.raises(UserError, match="should be HOST:PORT"):
            addresses.parse_trusted([text])


def certificate(folder, name):
    """(file with the certificate, file with its key) of a host that vouches for itself."""
    key, now = rsa.generate_private_key(65537, 2048), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now - datetime.timedelta(1),
                                   now + datetime.timedelta(1))  # fmt: skip
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return folder / "cert.pem", folder / "key.pem"


def test_tls_verifies_the_name_though_the_connection_goes_to_an_address(tmp_path, server, names, monkeypatch):
    cert, key = certificate(tmp_path, "logo.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.routes["/logo"] = reply(picture(1))
    names.update({"logo.example": [["127.0.0.1"]] * 9, "other.example": [["127.0.0.1"]] * 9})
    good, bad = (f"https://{name}.example:{server.server_port}/logo" for name in ("logo", "other"))
    trusted = [f"{name}.example:{server.server_port}" for name in ("logo", "other")]
    _, _, rejects, _ = get(tmp_path, server, [good], trusted=trusted)
    assert "CERTIFICATE_VERIFY_FAILED" in rejects[good]["reason"] and "self-signed" in rejects[good]["reason"]
    monkeypatch.setattr("certifi.where", lambda: str(cert))
    _, manifest, rejects, _ = get(tmp_path, server, [good, bad], trusted=trusted)
    assert manifest.keys() == {good} and "Hostname mismatch" in rejects[bad]["reason"]


def test_proxies_of_the_environment_are_not_used(tmp_path, server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://10.0.0.1:3128")
    _, manifest, *_ = get(tmp_path, server, [server.link("/logo", picture(1))])
    assert len(manifest) == 1


# ── the list ────────────────────────────────────────────────────────────────────────────────


def test_the_list_of_2018_is_enough_and_a_name_is_found_in_the_link(tmp_path, server):
    links = [server.link("/a/%D0%9B%D0%BE%D0%B3%D0%BE.PNG?x=1", picture(1)), server.link("/b/", picture(2))]
    path = tmp_path / "items.csv"
    path.write_text("link\n" + "\n".join(links) + "\n", encoding="utf-8-sig")
    download(path, tmp_path / "raw", trusted=[server.place], policy=QUICK)
    manifest, _ = outcome(tmp_path / "raw")
    assert [manifest[link]["name"] for link in links] == ["Лого.PNG", ""]
    assert [manifest[link]["path"][:-13] for link in links] == ["Лого", "image"]
    assert next(items_csv.read_rows(path))["licence"] == "" and manifest[links[0]]["licence"] == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "should begin with a line of column names, with link; it is empty"),
        (b"name\turl\n", r"with link; it begins with 'name\turl'"),
        (b"name,link\n\xff,http://x.example/\n", "is not CSV in UTF-8"),
        (b'name,link\n"a"b,http://x.example/\n', "is not CSV in UTF-8"),
    ],
)
def test_a_list_that_cannot_be_read_is_told_before_anything_is_done(tmp_path, text, message):
    if text is not None:
        (tmp_path / "items.csv").write_bytes(text)
    with pytest.raises(UserError) as error:
        download(tmp_path / "items.csv", tmp_path / "raw")
    assert message in str(error.value) and not (tmp_path / "raw").exists()


def test_the_flags_of_2018_name_the_same_places():
    place = lambda *flags: download_images.choose_target(*flags, "lists/items.csv")
    assert place(None, "True", None) == place(None, None, None) == "lists/items"
    assert place(None, "False", "logos") == place(None, None, "logos") == "s3://logos"
    assert place("raw", "True", None) == "raw" and place("gs://b/raw", "False", None) == "gs://b/raw"
    for flags in [("raw", "False", None), ("s3://b", "True", None), ("raw", None, "b"), (None, "True", "b"),
                  (None, "False", None)]:  # fmt: skip
        with pytest.raises(UserError, match=r"--local|--bucketname"):
            place(*flags)


# ── the command ─────────────────────────────────────────────────────────────────────────────


def start(path, target, server, *flags):
    given = ("--filename", path, "--target_path", target, "--trusted", server.place, *flags)
    return fork_server.start(
        command("data_prep.download_images", *given),
        env=environment(), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(condition, process):
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.01)


INTERRUPTS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "status"),
    [(signal.SIGKILL, -9), *(pytest.param(*case, marks=pytest.mark.slow) for case in INTERRUPTS)],
)
def test_a_download_that_was_ended_goes_on(tmp_path, server, how, status):
    rows = [{"name": f"логотип {i}", "link": server.link(f"/{i}", after(0.04, picture(i)))} for i in range(120)]
    path, target = listing(tmp_path, rows), tmp_path / "raw"
    process = start(path, target, server)
    manifest = target / "manifest.jsonl"
    wait_for(lambda: manifest.exists() and manifest.read_bytes().count(b"\n") >= 25, process)
    process.send_signal(how)
    _, said = process.communicate(timeout=30)
    assert process.returncode == status
    if how != signal.SIGKILL:
        assert said.splitlines()[-1].startswith("stopped: the same command goes on") and "Traceback" not in said
    before = manifest.read_bytes().count(b"\n")
    assert before < 120
    pictures = {file_names.file_name(row["name"], row["link"], ".png") for row in rows}
    assert {path.name for path in target.iterdir() if not path.name.startswith(".")} <= {
        *pictures, "manifest.jsonl", "rejects.jsonl"
    }  # fmt: skip
    totals = download(path, target, trusted=[server.place], policy=QUICK)
    found, rejects = outcome(target)
    assert len(found) == 120 and not rejects
    assert {path.name for path in target.iterdir()} == {*pictures, "manifest.jsonl", "rejects.jsonl"}
    assert all((target / found[row["link"]]["path"]).read_bytes() == picture(i) for i, row in enumerate(rows))
    asked = collections.Counter(server.asked)
    assert max(asked.values()) <= 2 and sum(count - 1 for count in asked.values()) <= 16  # those in flight
    assert f"{before} done before" in totals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_never_cancels_in_the_middle_of_a_step(number):
    before, faults = signal.getsignal(number), []

    async def wait_for_a_step():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: faults.append(context))
        future = loop.create_future()

        def step():
            assert not future.done()
            signal.raise_signal(number)
            future.set_result(None)

        loop.call_soon(step)
        await future
        await asyncio.sleep(60)

    with pytest.raises(KeyboardInterrupt) as stopped:
        download_images.run_until_signal(wait_for_a_step())
    assert stopped.value.args == (number,) and not faults
    assert signal.getsignal(number) is before


def test_a_second_signal_ends_a_command_that_is_slow_to_stop():
    async def stop_slowly():
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            signal.raise_signal(signal.SIGINT)
            pytest.fail("the second signal was not taken at once")

    with pytest.raises(KeyboardInterrupt):
        download_images.run_until_signal(stop_slowly())


def test_the_command_says_in_one_line_what_is_wrong(tmp_path, capsys):
    path = listing(tmp_path, [])
    (tmp_path / "file").write_text("")
    for flags, message in [
        (("--filename", tmp_path / "none.csv"), "cannot be read (No such file"),
        (("--filename", path, "--workers", "0"), "--workers=0 should be from 1 to 256"),
        (("--filename", path, "--max_pixels", "1000000000"), "--max_pixels=1000000000 should be from 1 to 100000000"),
        (("--filename", path, "--trusted", "wiki"), "--trusted=wiki should be HOST:PORT"),
        (("--filename", path, "--target_path", tmp_path / "file"), "choose another --target_path"),
        (("--filename", path, "--target_path", "s3://"), "names no bucket"),
        (("--filename", path, "--target_path", "ftq://a/b"), "use s3:// or gs://"),
        (("--filename", path, "--local", "False"), "--local=False needs a place"),
    ]:
        with pytest.raises(SystemExit) as left:
            download_images.main([str(flag) for flag in flags])
        assert left.value.code == 2
        line = capsys.readouterr().err.strip()
        assert line.startswith("error: ") and message in line and "\n" not in line
    download_images.main(["-f", str(path), "--local=True"])
    said = capsys.readouterr().out
    assert said == f"0 images downloaded into {tmp_path / 'items'} (0.0 MB), 0 rejected.\n"
