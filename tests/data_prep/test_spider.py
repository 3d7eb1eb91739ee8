"""Lists from APIs: MediaWiki and Openverse, with servers that lag, fail and hang up."""

import collections
import contextlib
import csv
import email.utils
import io
import json
import pathlib
import signal
import subprocess
import sys
import time
import urllib.parse

import api_server
import fork_server
import pytest
from api_server import CATEGORY, NAMES, files, info
from conftest import ROOT, command, environment, failing

from data_prep import download_images, search_images, wiki_spider
from data_prep.web import crawl_policy, html_text, image_list, items_csv, mediawiki, rate_limit
from logogan_jax.core.errors import UserError

server = api_server.server  # the fixture


def spider(server, folder, *flags):
    """The command line of the spider, which writes items.csv in a folder."""
    return command("data_prep.wiki_spider", f"--api={server.api}", f"--filename={folder}/items.csv", *flags)


def run(arguments, **extra):
    """(last line of stdout, stderr) of a command that ends well."""
    done = fork_server.run(arguments, env=environment(), cwd=ROOT, text=True, capture_output=True, timeout=60, **extra)
    assert done.returncode == 0, done
    return done.stdout.strip().rpartition("\n")[2], done.stderr


def wrong(server, folder, *flags):
    """The one line that the spider leaves when it fails."""
    return failing(*spider(server, folder, *flags)[3:], module="data_prep.wiki_spider")


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def expected(server):
    """items.csv as the whole of the category should make it."""
    good = [details for details in server.files.values() if details and "url" in details]
    host = server.api.split("/")[2]
    rows = {details["canonicaltitle"]: mediawiki.parse_row({"title": "", "imageinfo": [details]}, host)
            for details in good}  # fmt: skip
    return items_csv.to_csv(rows.values())


# ── the spider ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_category_is_listed_to_its_end_in_any_script(server, tmp_path):
    said, _ = run(spider(server, tmp_path, "--contact=me@example.org"))
    assert said == f"20 files listed in {tmp_path}/items.csv, 3 rejected (reasons in items.rejects.jsonl there)."
    found = rows(tmp_path / "items.csv")
    assert tuple(found[0]) == items_csv.COLUMNS and found[0].keys() >= {"name", "link"}
    assert (tmp_path / "items.csv").read_text("utf-8").startswith("name,link,page,mime,")
    assert [row["name"] for row in found] == NAMES
    quoted = urllib.parse.quote(NAMES[0].replace(" ", "_"))
    assert found[0] == {
        "name": NAMES[0], "link": f"https://upload.example/a/{quoted}", "page": f"https://wiki.example/File:{quoted}",
        "mime": "image/png", "width": "3", "height": "4", "bytes": "12", "sha1": "ab" * 20, "licence": "CC BY-SA 4.0",
        "licence_url": "https://creativecommons.org/licenses/by-sa/4.0", "author": "Ann & Bob",
        "source": server.api.split("/")[2],
    }  # fmt: skip
    bare = next(row for row in found if row["name"] == "Logo 3.png")
    assert bare["licence"] == bare["author"] == "" and bare["sha1"] == "ab" * 20
    rejects = [json.loads(line) for line in (tmp_path / "items.rejects.jsonl").read_text().splitlines()]
    assert {line["name"]: line["reason"].split()[0] for line in rejects} == {
        "Logo 4.png": "listed", "Gone.png": "the", "Hidden.png": "the",
    }  # fmt: skip
    assert {query["maxlag"] for query in server.asked} == {"5"} and server.crowd == 1
    assert server.agents == {f"logogan_jax/0.1.0 (me@example.org) Scrapy/{wiki_spider.scrapy.__version__}"}


@pytest.mark.slow
def test_a_server_that_lags_fails_or_hangs_up_is_asked_again(server, tmp_path):
    server.faults = {1: (503, ""), 2: "maxlag", 4: (429, "1"), 5: "drop", 7: "maxlag", 8: "maxlag"}
    start = time.monotonic()
    _, err = run(spider(server, tmp_path))
    assert time.monotonic() - start > 6  # a second for each, without asking earlier
    assert (tmp_path / "items.csv").read_bytes() == expected(server)
    asked = [json.dumps(query) for query in server.asked]
    assert sorted(collections.Counter(asked).values(), reverse=True)[:3] == [3, 3, 3] and len(asked) == 11
    assert "replied 503: asking again in 1 s" in err and "replied maxlag" in err and "cannot be reached" in err


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_list_goes_on_where_it_stopped(server, tmp_path, how):
    server.faults = {3: "stall"}
    process = fork_server.start(
        spider(server, tmp_path), env=environment(), cwd=ROOT, text=True, stderr=subprocess.PIPE
    )
    assert server.stalled.wait(30)
    process.send_signal(how)
    _, err = process.communicate(timeout=30)
    if how == signal.SIGKILL:
        assert process.returncode == -how
    else:
        assert process.returncode == 128 + how and err.splitlines()[-1].startswith("stopped: ")
        assert "Traceback" not in err
    assert not (tmp_path / "items.csv").exists()
    server.go_on.set()
    run(spider(server, tmp_path))
    assert (tmp_path / "items.csv").read_bytes() == expected(server)
    assert server.asked[2] == server.asked[3] and len(server.asked) == 6  # 5 parts, one of them asked for twice


def test_a_journal_cut_anywhere_is_a_beginning_of_the_list(tmp_path):
    question = {"category": CATEGORY, "api": "https://wiki.example/api.php"}
    row = lambda name: mediawiki.parse_row({"title": "", "imageinfo": [info(name)]}, "wiki.example")
    pages = [mediawiki.Page([row(name)], [], {"at": name}) for name in NAMES[:6]]
    with image_list.ImageListFile(tmp_path / "items.csv", question) as kept:
        for page in pages:
            kept.append(page)
    journal = tmp_path / ".items.csv.jsonl"
    whole = journal.read_bytes()
    seen = set()
    for cut in range(0, len(whole) + 1, 7):
        journal.write_bytes(whole[:cut])
        left = image_list.ImageListFile(tmp_path / "items.csv", question).pages
        assert left == pages[: len(left)]
        seen.add(len(left))
        with image_list.ImageListFile(tmp_path / "items.csv", question) as kept:
            for page in pages[len(left) :]:
                kept.append(page)
        assert journal.read_bytes() == whole
    assert seen >= set(range(6))


@pytest.mark.slow
def test_a_finished_list_stays_grows_with_the_limit_and_is_never_overwritten(server, tmp_path):
    assert run(spider(server, tmp_path, "--limit=3"))[0].startswith("3 files listed")
    assert len(server.asked) == 1
    short = (tmp_path / "items.csv").read_bytes()
    assert expected(server).startswith(short)
    assert "holds the 3 files" in run(spider(server, tmp_path, "--limit=3"))[0] and len(server.asked) == 1
    assert run(spider(server, tmp_path, "--category=Unidentified_logos"))[0].startswith("20 files listed")
    assert (tmp_path / "items.csv").read_bytes() == expected(server) and len(server.asked) == 5
    before = (tmp_path / "items.csv").stat().st_mtime_ns
    assert run(spider(server, tmp_path))[0].startswith("Nothing to do: ")
    assert (tmp_path / "items.csv").stat().st_mtime_ns == before and len(server.asked) == 5
    line = wrong(server, tmp_path, "--category=Other")
    assert "was begun for another list (category Category:Unidentified logos" in line
    (tmp_path / "items.csv").write_text("name,link\nmine,https://example.org/mine.png\n")
    assert "is not overwritten" in wrong(server, tmp_path)
    assert "mine.png" in (tmp_path / "items.csv").read_text()


@pytest.mark.slow
def test_the_spider_runs_under_scrapy_itself(server, tmp_path):
    scrapy = pathlib.Path(sys.executable).with_name("scrapy")
    line = [scrapy, "runspider", "data_prep/wiki_spider.py", "-a", f"api={server.api}"]
    run([*line, "-o", tmp_path / "items.csv", "-a", "category=Category:Unidentified_logos"])
    assert (tmp_path / "items.csv").read_bytes() == expected(server)
    _, err = run([*line, "-O", tmp_path / "few.csv", "-a", "limit=3"])
    assert [row["name"] for row in rows(tmp_path / "few.csv")] == NAMES[:3] and "Traceback" not in err
    _, err = run([*line, "-O", tmp_path / "none.csv", "-a", "category=Nowhere", "-L", "ERROR"])
    assert err.strip().endswith("check its name") and "\n" not in err.strip()


@pytest.mark.slow
def test_robots_txt_is_obeyed_unless_told_otherwise(server, tmp_path):
    server.robots = "User-agent: *\nDisallow: /w/\n"
    line = wrong(server, tmp_path)
    assert "robots.txt closes /w/api.php to crawlers" in line and "--robots=ignore" in line
    assert not server.asked and not list(tmp_path.iterdir())
    assert run(spider(server, tmp_path, "--robots=ignore"))[0].startswith("20 files")


def test_at_wikimedia_its_rules_for_api_clients_hold():
    for api in ("https://commons.wikimedia.org/w/api.php", "https://de.wikipedia.org/w/api.php"):
        assert not crawl_policy.obeys_robots("api", api) and crawl_policy.obeys_robots("strict", api)
    for api in ("https://wiki.example/w/api.php", "https://notwikimedia.org/w/api.php"):
        assert crawl_policy.obeys_robots("api", api) and crawl_policy.obeys_robots("anything", api)
        assert not crawl_policy.obeys_robots("ignore", api)


def test_wikimedia_is_told_who_calls(capsys):
    crawl_policy.ask_for_contact("", wiki_spider.API)
    assert "add --contact=" in capsys.readouterr().err
    crawl_policy.ask_for_contact("me@example.org", wiki_spider.API)
    crawl_policy.ask_for_contact("", "https://wiki.example/w/api.php")
    assert not capsys.readouterr().err
    assert crawl_policy.user_agent("", "x/1") == "logogan_jax/0.1.0 (contact not given) x/1"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--category=Category:Nowhere"], "is not there at"), (["--category=Bad"], "The category name you entered is not"),
     (["--limit=0"], "--limit=0 should be at least 1"), (["--api=wiki.example"], "should begin with https://")],
)  # fmt: skip
def test_the_spider_says_in_one_line_what_is_wrong(server, tmp_path, flags, message):
    assert message in wrong(server, tmp_path, *flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_empty_category_a_page_that_is_no_api_and_a_wiki_that_repeats_itself(server, tmp_path):
    server.files = {}
    assert "holds no files but 2 categories" in wrong(server, tmp_path)
    assert "replied 404 and no JSON" in wrong(server, tmp_path, f"--api={server.base}/elsewhere")
    server.files = files()
    server.part = lambda query: {"continue": {"gcmcontinue": "7"}, "query": {"pages": []}}
    assert "repeats itself" in wrong(server, tmp_path)
    (tmp_path / "folder").mkdir()
    assert "should be the name of a file" in wrong(server, tmp_path, f"--filename={tmp_path}/folder")


# ── courtesy, and what the API tells ────────────────────────────────────────────────────────


def test_patience_follows_the_server_and_ends():
    delays = [rate_limit.retry_delay(rate_limit.ServerBusy("x"), n) for n in range(1, rate_limit.MAX_ATTEMPTS)]
    assert delays == [1, 2, 4, 8, 16, 32, 60]
    assert rate_limit.retry_delay(rate_limit.ServerBusy("x", 12.5), 3) == 12.5
    with pytest.raises(UserError, match="x, 8 times in a row"):
        rate_limit.retry_delay(rate_limit.ServerBusy("x", 1.0), 8)
    with pytest.raises(UserError, match="x and asks to wait 3600 s"):
        rate_limit.retry_delay(rate_limit.ServerBusy("x", 3600.0), 1)
    assert rate_limit.parse_retry_after("7") == 7 and rate_limit.parse_retry_after("-7") == 0
    assert [rate_limit.parse_retry_after(text) for text in ("", None, "soon")] == [None] * 3
    assert 55 < rate_limit.parse_retry_after(email.utils.formatdate(time.time() + 60, usegmt=True)) <= 60


def test_answers_are_json_or_reasons():
    assert rate_limit.parse_reply(200, None, b'{"a": 1}', "here") == {"a": 1}
    for status, body, message in [
        (200, b"<html>", "here replied 200 and no JSON"), (200, b"[]", "no JSON"), (404, b"", "here replied 404"),
        (400, b'{"detail": "Bad licence"}', "refused with status 400: Bad licence"),
        (200, b'{"error": {"code": "badvalue", "info": "Unrecognized value"}}', "Unrecognized value"),
        (401, b'{"error": "odd"}', "refused with status 401: no reason given"),
    ]:  # fmt: skip
        with pytest.raises(UserError, match=message):
            rate_limit.parse_reply(status, None, body, "here")
    for status, body in [(429, b""), (502, b"<html>"), (200, b'{"error": {"code": "maxlag"}}'),
                         (200, b'{"error": {"code": "internal_api_error_DBQueryError"}}')]:  # fmt: skip
        with pytest.raises(rate_limit.ServerBusy) as busy:
            rate_limit.parse_reply(status, "9", body, "here")
        assert busy.value.delay == 9


@pytest.mark.parametrize(
    ("markup", "text"),
    [("<bdi><a href='x'>Ann</a></bdi>", "Ann"), ("a<br>b\n c", "a b c"), ("<style>p{}</style>x<script>y</script>", "x"),
     ("me<div style='display:none'>a <div>b</div> c</div> too", "me too"), ("A&amp;B &lt;b&gt; a < b", "A&B <b> a < b"),
     ("<ul><li>Ann</li><li>Bob</li></ul>", "Ann Bob"), ("x<br style='display:none'>y", "x y"), ("", "")],
)  # fmt: skip
def test_html_becomes_the_text_that_it_shows(markup, text):
    assert html_text.html_to_text(markup) == text


def test_a_table_survives_commas_quotes_newlines_and_half_characters():
    row = dict.fromkeys(items_csv.COLUMNS, "") | {"name": 'a,"b"\r\nc', "author": "\ud83d", "link": "=1+1"}
    data = items_csv.to_csv([row])
    assert data.startswith(b"name,link,page,mime,width,height,bytes,sha1,licence,licence_url,author,source\r\n")
    [back] = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert back == row | {"author": "?"}


# ── the search ──────────────────────────────────────────────────────────────────────────────


def result(number, **changes):
    """A result of Openverse."""
    return {
        "id": f"id{number}", "title": f"Picture {number}", "url": f"https://pictures.example/{number}.png",
        "foreign_landing_url": f"https://pictures.example/{number}", "creator": "Ann &amp; Bob", "license": "by",
        "license_version": "2.0", "license_url": "https://creativecommons.org/licenses/by/2.0/", "provider": "flickr",
        "filetype": "png", "filesize": None, "width": 8, "height": None, **changes,
    }  # fmt: skip


def search(server, folder, *flags, keywords=("logo",)):
    """Run the search in this process -> its last line."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        search_images.main([
            f"--openverse_api={server.openverse}", f"--commons_api={server.api}", f"--filename={folder}/items.csv",
            *flags, "--keywords", *keywords,
        ])  # fmt: skip
    return said.getvalue().strip()


def test_a_search_takes_turns_and_lists_what_may_be_used(server, tmp_path):
    server.free = [
        result(1), result(2, license="by-nc"), result(3, license="cc0", title="Three.png", license_version="1.0"),
        result(4, url="https://upload.example/a/Logo%201.png"), result(5, title=None, filetype=None),
        *(result(number) for number in range(6, 30)),
    ]  # fmt: skip
    server.searched = [
        info("Logo 0.png", sha1="00" * 20),
        info("Logo 1.png", sha1="01" * 20, url="https://upload.example/a/Logo 1.png"),
        info("Logo 2.png", sha1="00" * 20),
        info("Logo 3.png", sha1="03" * 20, extmetadata={"LicenseShortName": {"value": "GFDL"}}),
        info("Logo 4.png", sha1="04" * 20, extmetadata={"LicenseShortName": {"value": "Public domain"}}),
    ]
    said = search(server, tmp_path, "--num=25", "--contact=me@example.org", keywords=("logo", "logo circle"))
    assert said == f"25 files listed in {tmp_path}/items.csv, 2 rejected (reasons in items.rejects.jsonl there)."
    found = rows(tmp_path / "items.csv")
    names = [row["name"] for row in found]
    assert names[:6] == ["Picture 1.png", "Logo 0.png", "Logo 1.png", "Three.png", "id5", "Logo 4.png"]
    assert "Picture 29.png" not in names
    assert tuple(found[0]) == items_csv.COLUMNS
    assert found[0] | {"page": ""} == {
        "name": "Picture 1.png", "link": "https://pictures.example/1.png", "page": "", "mime": "image/png",
        "width": "8", "height": "", "bytes": "", "sha1": "", "licence": "CC BY 2.0",
        "licence_url": "https://creativecommons.org/licenses/by/2.0/", "author": "Ann & Bob", "source": "flickr",
    }  # fmt: skip
    assert {row["licence"] for row in found} == {"CC BY 2.0", "CC BY-SA 4.0", "CC0 1.0", "Public domain"}
    rejects = [json.loads(line) for line in (tmp_path / "items.rejects.jsonl").read_text().splitlines()]
    assert {line["reason"] for line in rejects} == {"its licence is CC BY-NC 2.0", "its licence is GFDL"}
    assert all("me@example.org" in agent and "httpx" in agent for agent in server.agents)
    openverse = [query for query in server.asked if "q" in query]
    assert openverse[0] == {
        "q": "logo", "license": "cc0,pdm,by,by-sa", "page_size": "20", "page": "1", "excluded_source": "wikimedia",
    }  # fmt: skip
    commons = next(query for query in server.asked if "gsrsearch" in query)
    assert commons["gsrsearch"] == "logo filetype:bitmap|drawing" and commons["gsrnamespace"] == "6"
    asked = len(server.asked)
    again = search(server, tmp_path, "--num=25", keywords=("logo", "logo circle"))
    assert again.startswith("Nothing to do: ") and len(server.asked) == asked
    with pytest.raises(SystemExit):
        search(server, tmp_path, "--num=25", keywords=("another",))


def test_a_search_waits_when_told_and_gives_up_in_one_line(server, tmp_path, monkeypatch, capsys):
    slept = []
    monkeypatch.setattr(search_images.time, "sleep", slept.append)
    server.free, server.faults = [result(1)], {1: (429, "17"), 2: "drop", 3: (500, "")}
    assert search(server, tmp_path, "--sources=openverse").startswith("1 files listed")
    assert slept == [17, 2, 4]
    server.faults = dict.fromkeys(range(9), (429, "86400"))
    with pytest.raises(SystemExit):
        search(server, tmp_path / "b", "--sources=openverse")
    assert capsys.readouterr().err.strip().splitlines()[-1].endswith("run the same command again after that")
    assert not (tmp_path / "b").exists()


def test_a_search_may_download_what_it_listed(server, tmp_path, monkeypatch, capsys):
    server.free, seen = [result(1, url=f"{server.base}/1.png")], []
    with monkeypatch.context() as patched:
        patched.setattr(download_images, "download", lambda *arguments, contact: seen.append(arguments) or "the totals")
        said = search(server, tmp_path, "--sources=openverse", f"--target_path={tmp_path}/raw")
    assert seen == [(f"{tmp_path}/items.csv", f"{tmp_path}/raw")] and said.endswith("\nthe totals")
    with pytest.raises(SystemExit) as left:
        search(server, tmp_path, "--sources=openverse", f"--target_path={tmp_path}/raw")
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert "0 images downloaded" in said and "1 rejected" in said  # it is on a private address
    assert "not on the open internet" in (tmp_path / "raw" / "rejects.jsonl").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--licence=gpl"], "'gpl' is not one of cc0, pdm"), (["--sources=google"], "'google' is not one of openverse"),
     (["--num=0"], "--num=0 should be at least 1"), (["--licence="], "--licence="), ([], "found nothing under"),
     (["--commons_api=x"], "--commons_api=x should begin with")],
)  # fmt: skip
def test_the_search_says_in_one_line_what_is_wrong(server, tmp_path, capsys, flags, message):
    with pytest.raises(SystemExit) as left:
        search(server, tmp_path, *flags)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert left.value.code == 2 and last.startswith("error: ") and message in last
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("short", "code"),
    [("CC BY-SA 4.0", "by-sa"), ("CC-BY-SA-3.0", "by-sa"), ("CC BY 2.0 kr", "by"), ("CC0", "cc0"), ("CC0 1.0", "cc0"),
     ("Public domain", "pdm"), ("CC BY-NC-ND 4.0", "by-nc-nd"), ("CC BY-NC 2.0", "by-nc"), ("GFDL", ""), ("", ""),
     ("Copyrighted free use", ""), ("CC SA 1.0", ""), ("Attribution", ""), ("FAL", "")],
)  # fmt: skip
def test_licences_are_read_from_their_short_names(short, code):
    assert search_images.licence_code(short) == code
