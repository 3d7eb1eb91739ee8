"""The spider and the downloader against a real MediaWiki."""

import csv
import hashlib
import json
import signal
import time

import fork_server
import httpx
import pytest
import wiki as real
from conftest import ROOT, command, environment, failing

from data_prep import download_images

pytestmark = pytest.mark.slow
wiki = real.wiki  # the fixture


def spider(wiki, filename, *flags):
    return command("data_prep.wiki_spider", f"--api={wiki.api}", f"--filename={filename}", *flags)


@pytest.fixture(scope="module")
def items(wiki, tmp_path_factory):
    """items.csv of the whole category, and what the spider said."""
    path = tmp_path_factory.mktemp("list") / "items.csv"
    done = fork_server.run(spider(wiki, path), env=environment(), cwd=ROOT, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done
    return path, done.stdout


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_of_a_category_is_listed_as_it_is(wiki, items):
    path, said = items
    assert said == f"{real.COUNT} files listed in {path}, 2 rejected (reasons in items.rejects.jsonl there).\n"
    found = {row["name"]: row for row in rows(path)}
    assert found.keys() == wiki.files.keys()
    with httpx.Client(trust_env=False) as client:
        for name, data in wiki.files.items():
            row = found[name]
            assert row["sha1"] == hashlib.sha1(data).hexdigest() and int(row["bytes"]) == len(data), name
            assert client.get(row["link"]).content == data, name
            assert (row["licence"], row["author"], row["source"]) == ("CC BY-SA 4.0", "Ann & Bob", wiki.host)
    rejects = [json.loads(line) for line in (path.parent / "items.rejects.jsonl").read_text().splitlines()]
    assert sorted(line["name"] for line in rejects) == sorted([next(iter(wiki.files)), "Nothing.png"])
    parts = [json.loads(line)["after"] for line in (path.parent / ".items.csv.jsonl").read_text().splitlines()[1:]]
    assert any("iicontinue" in part for part in parts[:-1]), "replies were cut within a batch"
    assert any("gcmcontinue" in part for part in parts[:-1]) and parts[-1] is None, "and there were two batches"


def test_a_list_killed_on_the_way_ends_as_one_that_was_not(wiki, items, tmp_path):
    journal = tmp_path / ".items.csv.jsonl"
    process = fork_server.start(spider(wiki, tmp_path / "items.csv"), env=environment(), cwd=ROOT)
    while not journal.exists() or journal.read_bytes().count(b"\n") < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "items.csv").exists()
    fork_server.run(spider(wiki, tmp_path / "items.csv"), env=environment(), cwd=ROOT, check=True, timeout=120)
    assert (tmp_path / "items.csv").read_bytes() == items[0].read_bytes()


def test_a_real_wiki_says_what_is_wrong_with_a_category(wiki, tmp_path):
    for category, message in [("Nowhere", "is not there at"), ("A[b", "Bad title"), ("File:A.png", "not valid")]:
        arguments = spider(wiki, tmp_path / "items.csv", f"--category={category}")[3:]
        assert message in failing(*arguments, module="data_prep.wiki_spider")
    assert not list(tmp_path.iterdir())


def test_every_file_of_the_list_is_downloaded(wiki, items, tmp_path):
    said = download_images.download(items[0], tmp_path / "raw", trusted=(wiki.host,))
    assert said.startswith(f"{real.COUNT} images downloaded") and "0 rejected" in said
    told = [json.loads(line) for line in (tmp_path / "raw" / "manifest.jsonl").read_text("utf-8").splitlines()]
    assert {line["name"]: (tmp_path / "raw" / line["path"]).read_bytes() for line in told} == wiki.files
    assert {line["licence"] for line in told} == {"CC BY-SA 4.0"}
