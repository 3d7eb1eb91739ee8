"""A server on loopback that answers as a MediaWiki and as Openverse, with the faults that a test asks for."""

import contextlib
import http.server
import json
import threading
import urllib.parse

import pytest

CATEGORY = "Category:Unidentified logos"
NAMES = [
    "Логотип 1.png", "标志 2.svg", "شعار 3.png", "ロゴ, и ещё.jpg", "E\u0301 combining.png",
    "🦊 👩‍🚀.png", 'A "quoted" name.gif', "It's 100% + more & less.png", "लोगो.png", "לוגו.svg",
    *(f"Logo {i}.png" for i in range(10)),
]  # fmt: skip
BATCH, FIT = 9, 5  # files in a batch of the API, and those whose details fit into one reply


def info(name, **changes):
    """Return what MediaWiki says about a file."""
    quoted = urllib.parse.quote(name.replace(" ", "_"))
    return {
        "size": 12, "width": 3, "height": 4, "url": f"https://upload.example/a/{quoted}",
        "descriptionurl": f"https://wiki.example/File:{quoted}", "canonicaltitle": f"File:{name}", "sha1": "ab" * 20,
        "mime": "image/png", "extmetadata": {
            "LicenseShortName": {"value": "CC BY-SA 4.0", "source": "commons-desc-page"},
            "LicenseUrl": {"value": "https://creativecommons.org/licenses/by-sa/4.0"},
            "Artist": {"value": '<a href="/User:Ann">Ann &amp; <b>Bob</b></a><span style="display: none;">x</span>'},
        }, **changes,
    }  # fmt: skip


def files():
    """{title: imageinfo} of a category: good files, one without extra data, a redirect, one gone, one hidden."""
    entries = {f"File:{name}": info(name) for name in NAMES}
    entries["File:Logo 3.png"] = info("Logo 3.png", extmetadata=[])
    entries["File:Old name.png"] = info("Logo 4.png")
    entries["File:Gone.png"] = None
    entries["File:Hidden.png"] = {"filehidden": True}
    return entries


class ApiServer(http.server.ThreadingHTTPServer):
    """Answers as a MediaWiki and as Openverse. `faults` is {n: fault of the n-th query for a list}."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.searched, self.free, self.robots, self.faults = files(), [], [], "", {}
        self.asked, self.agents, self.busy, self.crowd = [], set(), 0, 0
        self.stalled, self.go_on = threading.Event(), threading.Event()
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.api, self.openverse = f"{self.base}/w/api.php", f"{self.base}/v1/images/"

    def handle_error(self, *_):
        """A client that went away is no fault of ours."""

    def reply(self, query):
        if "titles" in query:
            known = {"categoryinfo": {"files": len(self.files), "subcats": 2}} if query["titles"] == CATEGORY else {}
            return {"batchcomplete": True, "query": {"pages": [{"title": query["titles"], **known}]}}
        if query["generator"] == "search":
            pages = [{"title": f"File:{row['canonicaltitle'][5:]}", "index": i, "imageinfo": [row]}
                     for i, row in enumerate(self.searched, 1)]  # fmt: skip
            return {"batchcomplete": True, "query": {"pages": pages[::-1]}}
        if query["gcmtitle"].startswith("Category:Bad"):
            return {"error": {"code": "invalidcategory", "info": "The category name you entered is not valid."}}
        return self.part(query)

    def part(self, query):
        """A part of the category: all titles of a batch, the details of as many as fit."""
        titles = list(self.files) if query["gcmtitle"] == CATEGORY else []
        first = int(query.get("gcmcontinue", 0))
        batch = titles[first : first + BATCH]
        first_detailed = batch.index(query["iicontinue"]) if "iicontinue" in query else 0
        pages = []
        for place, title in enumerate(batch):
            page, details = {"ns": 6, "title": title}, self.files[title]
            if first_detailed <= place < first_detailed + FIT:
                page["imagerepository"] = "local" if details else ""
                page |= {"imageinfo": [details]} if details else {}
            pages.append(page)
        reply, here = {"query": {"pages": pages}} if pages else {}, {"gcmcontinue": str(first)} if first else {}
        if first_detailed + FIT < len(batch):
            return {**reply, "continue": {**here, "iicontinue": batch[first_detailed + FIT], "continue": "||"}}
        if first + BATCH < len(titles):
            reply["continue"] = {"gcmcontinue": str(first + BATCH), "continue": "gcmcontinue||"}
        return {"batchcomplete": True, **reply}


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        path, query = self.path.split("?")[0], dict(urllib.parse.parse_qsl(self.path.partition("?")[2]))
        self.server.agents.add(self.headers["User-Agent"])
        self.server.busy += 1
        self.server.crowd = max(self.server.crowd, self.server.busy)
        try:
            self.answer(path, query)
        finally:
            self.server.busy -= 1

    def answer(self, path, query):
        if path == "/robots.txt":
            return self.send(200, self.server.robots, {"Content-Type": "text/plain"})
        if path not in ("/w/api.php", "/v1/images/"):
            return self.send(404, "<html>no such page</html>", {"Content-Type": "text/html"})
        fault = None
        if "titles" not in query:
            self.server.asked.append(query)
            fault = self.server.faults.pop(len(self.server.asked), None)
        if fault == "stall":
            self.server.stalled.set()
            return self.server.go_on.wait(60)
        if fault == "drop":
            return self.connection.close()
        if fault == "maxlag":
            lag = {"code": "maxlag", "info": "Waiting for a database server: 7 seconds lagged.", "lag": 7}
            return self.send(200, json.dumps({"error": lag}), {"Retry-After": "1"})
        if fault:
            return self.send(fault[0], "<html>sorry</html>", {"Retry-After": fault[1]} if fault[1] else {})
        reply = self.free_page(query) if path.startswith("/v1") else self.server.reply(query)
        return self.send(200, json.dumps(reply), {"Content-Type": "application/json"})

    def free_page(self, query):
        size, page = int(query["page_size"]), int(query["page"])
        results, pages = self.server.free[(page - 1) * size : page * size], -(-len(self.server.free) // size)
        return {"result_count": len(self.server.free), "page_count": pages, "page": page, "results": results}

    def send(self, status, body, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body.encode())


@pytest.fixture
def server():
    with ApiServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()
