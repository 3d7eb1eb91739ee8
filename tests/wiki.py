"""A real MediaWiki on loopback, filled with files in a category: Debian's package, PHP's own server, SQLite."""

import contextlib
import io
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import NamedTuple

import pytest
from PIL import Image

SOURCE = pathlib.Path("/usr/share/mediawiki")
CATEGORY = "Category:Unidentified logos"
COUNT = 500
WORDS = [
    "Logo", "Логотип", "标志", "ロゴマーク", "로고", "شعار", "לוגו", "Λογότυπο", "โลโก้", "लोगो", "லோகோ", "Ĺögø ñ ç",
    "Q\u0301 marked", "🦊 fox", "👩\u200d🚀 joined", "A, comma", "Plus + sign", '"Quoted"', "It's", "50% & more",
    "What?", "A=b;c", "(Brackets)", "~ * $ @ ! ^", "`Back`", "A.B.C", "W" * 150,
]  # fmt: skip
SETTINGS = """
$wgEnableUploads = true;
$wgFileExtensions = [ 'png', 'jpg', 'gif', 'svg' ];
$wgJobRunRate = 0;
$wgAPIMaxResultSize = 60000; // so that replies are cut within a batch, as large ones are
$fast = [ 'type' => 'sqlite', 'tablePrefix' => '', 'variables' => [ 'synchronous' => 'OFF' ], 'flags' => 0,
	'dbDirectory' => $wgSQLiteDataDir, 'trxMode' => 'IMMEDIATE', 'load' => 1 ];
$wgDBservers = [ [ 'dbname' => $wgDBname ] + $fast ];
$wgJobTypeConf['default']['server'] = [ 'dbname' => "{$wgDBname}_jobqueue" ] + $fast;
$wgObjectCaches[CACHE_DB]['server'] = [ 'dbname' => 'wikicache' ] + $fast;
// What the extension CommonsMetadata does at Wikimedia Commons.
$wgHooks['GetExtendedMetadata'][] = function ( &$data, $file ) {
	$data['LicenseShortName'] = [ 'value' => 'CC BY-SA 4.0', 'source' => 'commons-desc-page' ];
	$data['Artist'] = [ 'value' => '<a href="/User:A">Ann &amp; Bob</a>', 'source' => 'commons-desc-page' ];
};
"""


class Wiki(NamedTuple):
    """A wiki that runs: the addresses of its pages and its API, its HOST:PORT, and {name: bytes} of its files."""

    base: str
    api: str
    host: str
    files: dict


def absent():
    """Why no MediaWiki can be started here; "" if one can."""
    if not (SOURCE / "maintenance" / "install.php").exists():
        return f"MediaWiki is not in {SOURCE} (apt-get install mediawiki)"
    if not shutil.which("php"):
        return "php is not here (apt-get install php-cli php-sqlite3 php-xml php-mbstring)"
    known = subprocess.run(["php", "-m"], text=True, capture_output=True).stdout.split()
    lacking = {"pdo_sqlite", "xml", "mbstring", "fileinfo"} - set(known)
    return f"php lacks {', '.join(sorted(lacking))}" if lacking else ""


def pictures():
    """{name: bytes} of small images, each different, in four formats, with names in any script."""
    found = {}
    for number in range(COUNT):
        suffix = ("png", "jpg", "gif", "svg")[number % 4]
        colour = tuple(number * step % 256 for step in (37, 91, 13))
        stream = io.BytesIO()
        if suffix == "svg":
            box = f'xmlns="http://www.w3.org/2000/svg" width="{20 + number}" height="30"'
            stream.write(f'<svg {box}><circle r="9" fill="rgb{colour}"/></svg>'.encode())
        else:
            image = Image.new("RGB", (24 + number % 20, 16 + number % 13), colour)
            image.putpixel((number % 20, 3), (number % 256, number // 256, 0))
            image.save(stream, format={"jpg": "JPEG"}.get(suffix, suffix.upper()), comment=f"number {number}")
        found[f"{WORDS[number % len(WORDS)]} {number}.{suffix}"] = stream.getvalue()
    return found


@contextlib.contextmanager
def running(folder):
    """Install a MediaWiki below a folder, fill it, serve it -> Wiki."""
    root, uploads = folder / "wiki", folder / "uploads"
    for path in (root / "images", uploads, folder / "data"):
        path.mkdir(parents=True)
    for path in SOURCE.iterdir():
        if path.name not in ("LocalSettings.php", "images", "extensions", "config", "mw-config"):
            (root / path.name).symlink_to(path)
    (root / "robots.txt").write_text("User-agent: *\nDisallow: /index.php\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    environment = {**os.environ, "MW_INSTALL_PATH": str(root), "PHP_CLI_SERVER_WORKERS": "4"}

    def php(*arguments, say=None):
        line = ["php", *map(str, arguments)]
        done = subprocess.run(line, env=environment, cwd=root, text=True, input=say, capture_output=True, timeout=240)
        assert done.returncode == 0, (line, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    php(
        "maintenance/install.php", "--dbtype=sqlite", f"--dbpath={folder}/data", f"--confpath={root}",
        f"--server=http://{host}", "--scriptpath=", "--pass=only-for-these-tests", "Logos", "Admin",
    )  # fmt: skip
    with open(root / "LocalSettings.php", "a") as settings:
        settings.write(SETTINGS)
    files = pictures()
    for name, data in files.items():
        (uploads / name).write_bytes(data)
    said = php("maintenance/importImages.php", f"--comment=[[{CATEGORY}]]", uploads)
    assert f"Added: {COUNT}\n" in said, said[-2000:]
    php("maintenance/edit.php", "File:Old name.png", say=f"#REDIRECT [[File:{next(iter(files))}]]\n[[{CATEGORY}]]")
    php("maintenance/edit.php", "File:Nothing.png", say=f"[[{CATEGORY}]]")
    with open(folder / "php.log", "w") as log:
        server = subprocess.Popen(
            ["php", "-S", host, "-t", root], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wiki = Wiki(f"http://{host}", f"http://{host}/api.php", host, files)
        _await(wiki.api)
        yield wiki
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # and its workers
        server.wait()


def _await(url):
    until = time.monotonic() + 20
    while True:
        try:
            return urllib.request.urlopen(f"{url}?action=query&format=json", timeout=20).close()
        except urllib.error.URLError:
            assert time.monotonic() < until, f"nothing answers at {url}"
            time.sleep(0.05)


@pytest.fixture(scope="session")
def wiki(tmp_path_factory):
    """A filled MediaWiki, or a skip that says why not."""
    reason = absent()
    if reason:
        pytest.skip(reason)
    with running(tmp_path_factory.mktemp("mediawiki")) as wiki:
        yield wiki
