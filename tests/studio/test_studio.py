"""The studio: its answers, who may ask, what it never reads, and a person's visit in a real browser."""

import base64
import io
import json
import re
import shutil
import subprocess
import time
from importlib import util

import numpy as np
import pytest
from conftest import ROOT, command, drawing, environment
from PIL import Image

from data_prep.pictures import svg
from logogan_jax.core import locks
from logogan_jax.core.errors import UserError
from logogan_jax.studio import guard
from logogan_jax.studio.favourites import Favourites
from logogan_jax.studio.run_folder import RunFolder
from logogan_jax.studio.server import make_app
from logogan_jax.training.drawing import directions

starlette_client = pytest.importorskip("starlette.testclient")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HERE = "http://127.0.0.1:8600"


@pytest.fixture
def runs(tmp_path):
    """A folder with a run whose log has two lines, and a secret outside."""
    run = tmp_path / "runs" / "mine"
    (run / "samples").mkdir(parents=True)
    (run / "config.json").write_text(json.dumps({"config": {"train": {"steps": 9}, "data": {"size": 28}}}))
    (run / "metrics.jsonl").write_text('{"step": 1, "critic/loss": 1.5}\n{"step": 2, "critic/loss": 1.25}\n')
    drawing(1).save(run / "samples" / "000002.png")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "config.json").write_text("{}")
    return tmp_path / "runs"


@pytest.fixture
def client(runs):
    with starlette_client.TestClient(make_app(runs, "127.0.0.1", ""), base_url=HERE) as client:
        yield client


def refused(answer, said, status=400):
    assert answer.status_code == status and answer.text.count("\n") == 1
    assert re.search(said, answer.text), answer.text


# ── who may ask ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Host": "evil.example"}, "the Host is 'evil.example', which is not this machine"),
        ({"Host": "evil.example:8600"}, "not this machine"),
        ({"Host": "192.168.0.7:8600"}, "not this machine"),  # it is bound to loopback, so this is no name of it
        ({"Host": "[::1"}, "not this machine"),
        ({"Host": ""}, "not this machine"),
        ({"Origin": "http://evil.example"}, "the Origin is 'http://evil.example', which is not this page"),
        ({"Origin": "null"}, "not this page"),
        ({"Origin": "http://127.0.0.1:9999"}, "not this page"),  # another server of this machine
        ({"Sec-Fetch-Site": "cross-site"}, "another site sent the request"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/runs", "/static/studio.js"])
def test_foreign_requests_are_refused(client, path, headers, said):
    refused(client.get(path, headers=headers), said, 403)


@pytest.mark.parametrize("host", ["localhost:8600", "127.0.0.1:8600", "[::1]:8600", "127.0.0.1"])
def test_this_machine_is_answered_and_nothing_is_loaded_from_elsewhere(client, host):
    page = client.get("/", headers={"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"})
    assert page.status_code == 200 and "<title>Studio</title>" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    for path in ("/style.css", "/static/studio.css", *(f"/static/{p.name}" for p in STATIC.glob("*.js"))):
        text = client.get(path).text
        assert text and not re.search(r"(?<!w3\.org/2000)https?://(?!www\.w3\.org/2000/svg)", text), path


STATIC = ROOT / "logogan_jax" / "studio" / "static"


def test_on_a_network_only_who_has_the_token_comes_in(runs):
    token = guard.new_token("0.0.0.0")
    assert len(token) > 15 and not guard.new_token("127.0.0.1") and not guard.new_token("localhost")
    app = make_app(runs, "0.0.0.0", token)
    address = {"Host": "192.168.0.7:8600"}
    with starlette_client.TestClient(app, base_url="http://192.168.0.7:8600") as client:
        for path in ("/api/runs", f"/api/runs?token={token[:-1]}", "/?token="):
            refused(client.get(path, headers=address), "open the address that the studio printed", 403)
        refused(client.get("/api/runs", headers={"Host": "evil.example"}), "not this machine", 403)
        assert client.get(f"/?token={token}").status_code == 200
        assert [run["name"] for run in client.get("/api/runs").json()] == ["mine"]


# ── runs ────────────────────────────────────────────────────────────────────────────────────


def test_runs_are_listed_with_what_they_say_of_themselves(client, runs):
    deep = runs / "study" / "trials" / "0001"
    deep.mkdir(parents=True)
    (deep / "config.json").write_text("{")  # being written
    (deep / "summary.json").write_text('{"status": "finished", "step": 7, "best": {"kid_efflite0": {"value": 0.5}}}')
    mine, other = client.get("/api/runs").json()
    assert mine["name"] == "mine" and (mine["status"], mine["step"], mine["steps"]) == ("running", 2, 9)
    assert other["name"] == "study/trials/0001" and (other["status"], other["kid"]) == ("finished", 0.5)


def test_a_run_that_no_process_holds_is_interrupted(runs, monkeypatch):
    folder = RunFolder(runs)
    monkeypatch.setattr("logogan_jax.studio.run_folder._FRESH", 0)
    assert folder.about("mine")["status"] == "interrupted"
    with locks.hold_lock(runs / "mine" / ".lock"):
        assert folder.about("mine")["status"] == "running"
    assert folder.about("mine")["status"] == "interrupted"
    (runs / "mine" / "summary.json").write_text('{"status": "stopped by SIGTERM", "step": 2}')
    assert folder.about("mine")["status"] == "stopped by SIGTERM"


def test_a_log_is_sent_as_it_grows_and_again_after_it_went_back(client, runs):
    log = runs / "mine" / "metrics.jsonl"
    first = client.get("/api/log", params={"run": "mine"}).json()
    assert [line["step"] for line in first["lines"]] == [1, 2] and first["samples"] == [2] and not first["again"]
    with open(log, "a") as file:
        file.write('{"step": 3}\n{"step": 4, "critic')
    then = client.get("/api/log", params={"run": "mine", "after": first["next"]}).json()
    assert [line["step"] for line in then["lines"]] == [3], "half a line was sent"
    log.write_text('{"step": 1}\n')
    back = client.get("/api/log", params={"run": "mine", "after": then["next"]}).json()
    assert back["again"] and [line["step"] for line in back["lines"]] == [1]


BEYOND = ["../secret", "..", ".", "", "/etc", "mine/../../secret", "link", "mine\0", "x" * 5000, "nowhere"]


@pytest.mark.parametrize("name", BEYOND)
def test_nothing_outside_the_runs_is_read(client, runs, name):
    (runs / "link").symlink_to(runs.parent / "secret")
    refused(client.get("/api/log", params={"run": name}), "there is no run")
    refused(client.get("/api/sample", params={"run": name, "step": 2}), "there is no run|has no samples")
    refused(client.get("/report", params={"run": name}), "there is no run|has no report")
    refused(client.post("/api/draw", json={"run": name, "pictures": [{"picture": "1"}]}), "there is no run")


def test_a_link_out_of_a_run_is_not_followed(client, runs):
    (runs / "mine" / "report.html").symlink_to(runs.parent / "secret" / "config.json")
    refused(client.get("/report", params={"run": "mine"}), "run 'mine' has no report.html")
    for path in ("/static/../run_folder.py", "/static/%2e%2e/run_folder.py", "/static/%2e%2e%2frun_folder.py"):
        assert client.get(path).status_code == 404
    refused(client.get("/api/sample", params={"run": "mine", "step": "../2"}), "step is '../2'")


def test_a_runs_own_page_cannot_reach_the_studio(client, runs):
    (runs / "mine" / "report.html").write_text("<script>1</script>")
    page = client.get("/report", params={"run": "mine"})
    assert page.text == "<script>1</script>"
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")


# ── requests without sense ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("draw", b"no json", "no object in JSON"),
        ("draw", b"[]", "no object in JSON"),
        ("draw", b"x" * (2**20 + 1), "more than 1,048,576 bytes"),
        ("draw", {"run": "mine", "pictures": 7}, "no pictures as they should be"),
        ("draw", {"run": "mine", "pictures": [{"picture": "1", "moves": ["x"]}]}, "no pictures as they should be"),
        ("draw", {"run": "mine", "pictures": [{"picture": "1"}], "scale": 1e999}, "no pictures as they should be"),
        ("draw", {"run": "mine", "step": "../1", "pictures": [{"picture": "1"}]}, "step is '../1'"),
        ("download", {"run": "mine", "pictures": [{"picture": "1"}], "format": "exe"}, "format is 'exe'"),
        ("favourites", {"change": "burn", "favourite": {}}, "changed by add or remove"),
        ("favourites", {"change": "add", "favourite": {"other": 1}}, "changed by add or remove"),
        ("trainings", {"change": "look"}, "lacks what it needs"),
        ("trainings", {"change": "look", "name": "../x", "size": 28, "folder": "."}, "the name of the run is"),
        ("trainings", {"change": "look", "name": "mine", "size": 28, "folder": "."}, "there is a run 'mine' already"),
        ("trainings", {"change": "look", "name": "new", "size": 29, "folder": "."}, "size=29 should be one of"),
        ("trainings", {"change": "look", "name": "new", "size": 28, "folder": "/no/such"}, "is no folder"),
        ("trainings", {"change": "look", "name": "new", "size": 28, "upload": "../x"}, "the name of the upload is"),
        ("trainings", {"change": "start", "number": 7, "minutes": 1}, "there is no training 7"),
        ("trainings", {"change": "sing"}, "changed by look, start or stop"),
    ],
)
def test_a_request_without_sense_gets_one_line(client, path, body, said):
    sent = {"content": body} if isinstance(body, bytes) else {"content": json.dumps(body)}
    refused(client.post(f"/api/{path}", **sent), said)


def test_uploads_stay_in_their_folder(client, runs):
    put = lambda file, upload="set": client.put("/api/upload", params={"upload": upload, "file": file}, content=b"1")
    assert put("a.png").status_code == put("red/ü b.png").status_code == 200
    kept = runs / "studio" / "uploads" / "set"
    assert {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()} == {"a.png", "red/ü b.png"}
    for file in ("", "..", "../a", "/etc/x", "a/../../b", ".hidden", "a\\..\\..\\b", "a\0", "x" * 300):
        refused(put(file), "the file is called|cannot be written")
    refused(put("a.png", "../mine"), "the name of the upload")
    assert not [
        path for path in runs.rglob("*") if path.is_file() and path.read_bytes() == b"1" and kept not in path.parents
    ]
    assert [run["name"] for run in client.get("/api/runs").json()] == ["mine"], "the studio's own folder is no run"


def test_favourites_are_kept_whole(tmp_path):
    kept = Favourites(tmp_path / "studio" / "favourites.json")
    one, other = {"run": "a", "picture": "1:2"}, {"run": "b", "picture": "3:4"}
    assert kept.all() == [] and kept.add(one) == [one] == kept.add(one)
    assert kept.add(other) == [other, one] and kept.remove(one) == [other]
    (tmp_path / "studio" / "favourites.json").write_text("{")
    with pytest.raises(UserError, match="is no file of favourites"):
        kept.add(one)
    assert (tmp_path / "studio" / "favourites.json").read_text() == "{", (
        "what a person may want to mend was overwritten"
    )


# ── pictures ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def trained(straight, tmp_path_factory):
    """A folder with a trained run, and a run whose checkpoints are damaged."""
    runs = tmp_path_factory.mktemp("studio")
    shutil.copytree(straight, runs / "mine")
    shutil.copytree(straight, runs / "damaged")
    for path in (runs / "damaged" / "checkpoints").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    return runs


@pytest.fixture(scope="module")
def painting(trained):
    with starlette_client.TestClient(make_app(trained, "127.0.0.1", ""), base_url=HERE) as client:
        yield client


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))


@pytest.mark.slow
def test_pictures_are_those_of_the_sample_command(painting, trained, call, tmp_path):
    from logogan_jax import sample

    call(sample, f"--workdir={trained / 'mine'}", "--step=4", "--seed=1", "--num=3", f"--out={tmp_path / 'drawn'}")
    about = painting.post("/api/open", json={"run": "mine", "step": "newest"}).json()
    assert (
        about["step"] == 4 and about["size"] == [28, 28] and about["sliders"] == sorted(about["sliders"], reverse=True)
    )
    assert 0 < sum(about["sliders"]) <= 1 + 1e-3
    ask = {"run": "mine", "step": 4, "pictures": [{"picture": f"1:{i}", "moves": [0.0]} for i in range(3)]}
    found = [decoded(uri).tobytes() for uri in painting.post("/api/draw", json=ask).json()]
    assert found == [Image.open(tmp_path / "drawn" / f"{i:05d}.png").tobytes() for i in range(3)]
    ask["pictures"] = [{"picture": "1:0", "moves": [3.0]}, {"picture": "1:0", "moves": [0.0, 3.0]}]
    first, second = (decoded(uri).tobytes() for uri in painting.post("/api/draw", json=ask).json())
    assert len({first, second, found[0]}) == 3, "a slider moves nothing"


@pytest.mark.slow
def test_what_cannot_be_drawn_gets_one_line(painting):
    ask = lambda pictures, path="draw", run="mine", **more: painting.post(
        f"/api/{path}", json={"run": run, "step": "newest", "pictures": pictures, **more}
    )
    refused(ask([{"picture": "1:0-999999999"}]), "names more than 1 pictures")
    refused(ask([{"picture": "1"}] * 101), "101 pictures at once")
    refused(ask([]), "0 pictures at once")
    refused(ask([{"picture": "1"}], scale=10**9), "scale=1000000000 should be from 1 to 16")
    refused(ask([{"picture": "1"}] * 100, scale=16, path="animate"), "it should be from 2 to 8")
    refused(ask([{"picture": "1", "moves": [1] * 99}]), "more than 8 sliders")
    refused(ask([{"picture": "1", "moves": [1e9]}]), "a slider should be from")
    refused(ask([{"picture": "cat"}]), "--picture has 'cat'|picture has 'cat'")
    refused(ask([{"picture": "1"}], label="box"), "label is 'box'")
    refused(ask([{"picture": "1"}], truncation=-1), "truncation=-1")
    refused(ask([{"picture": "1"}], run="damaged"), "damaged|checkpoint")
    assert ask([{"picture": "1"}]).status_code == 200, "it does not draw any more"


# ── a visit ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def studio(trained):
    """The address of a studio that runs as a command."""
    words = command("logogan_jax.studio", f"--runs={trained}", "--port=0")
    process = subprocess.Popen(
        words, cwd=ROOT, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    address = re.search(r"http://\S+", process.stdout.readline()).group()
    yield address
    process.send_signal(2)
    assert process.wait(60) == 0, process.stdout.read()


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no chromium here")
@pytest.mark.skipif(not util.find_spec("playwright"), reason="no playwright here")
def test_a_person_visits_with_a_browser(studio, trained, tmp_path):
    """Moves sliders, downloads files, watches a curve grow, and starts and stops a training of a folder."""
    from playwright.sync_api import sync_playwright

    folder = tmp_path / "mes logos 'ü' & <b>"
    folder.mkdir()
    for i in range(70):
        drawing(i).save(folder / f"{i}.png")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        asked, faults = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(studio)
        page.click("#runs button[data-run=mine]")

        with open(trained / "mine" / "metrics.jsonl", "a") as log:
            log.write('{"step": 77, "critic/loss": 0.5}\n')
        page.wait_for_selector("#charts svg[aria-label*='step 77']")

        page.click("nav button[data-part=explore]")
        page.click("#sheet button >> nth=2")
        before = page.wait_for_selector("#picture[src^='data:']").get_attribute("src")
        slider = page.locator("#sliders input").first
        slider.focus()
        for _ in range(20):
            page.keyboard.press("ArrowRight")
        wait_until(lambda: page.locator("#picture").get_attribute("src") != before)
        for kind in ("svg", "png"):
            with page.expect_download() as download:
                page.click(f"[data-format={kind}]")
            download.value.save_as(tmp_path / f"x.{kind}")
        assert Image.open(tmp_path / "x.png").size == (112, 112)
        assert svg.render(svg.read((tmp_path / "x.svg").read_bytes()), 112).size == (112, 112)

        page.click("nav button[data-part=train]")
        page.fill("#folder", str(folder))
        page.fill("#name", "odd")
        page.click("#look button")
        page.click("#trainings button:has-text('Train')")
        page.click("#runs button[data-run=odd]")
        page.click("nav button[data-part=run]")
        page.wait_for_selector("#charts svg")
        page.click("nav button[data-part=train]")
        page.click("#trainings button:has-text('Stop')")
        page.wait_for_selector("#trainings h3:has-text('odd: stopped')")
        browser.close()
    assert not faults and {url.split("/")[2] for url in asked if url.startswith("http")} == {studio.split("/")[2]}
    stopped = json.loads((trained / "odd" / "summary.json").read_text())
    assert stopped["status"].startswith("stopped by") and stopped["step"] > 0
    assert any((trained / "odd" / "checkpoints").iterdir())


def test_the_command_says_in_one_line_what_is_wrong(tmp_path, call):
    from logogan_jax.studio import __main__ as studio

    with pytest.raises(UserError, match=r"--runs=.* is no folder"):
        call(studio, f"--runs={tmp_path / 'none'}")
    with pytest.raises(UserError, match="cannot be bound"):
        call(studio, f"--runs={tmp_path}", "--host=192.0.2.1")


def test_directions_are_the_strongest_ones_and_leave_the_ink_alone():
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    metric = np.zeros((5, 5))
    metric[:4, :4] = turn @ np.diag([1.0, 6.0, 0.5, 2.5]) @ turn.T
    metric[4, 4] = 100  # of the number that chooses the ink
    found = directions.principal(metric, 3, kept=1)
    np.testing.assert_allclose(found.shares, [0.6, 0.25, 0.1], rtol=1e-5)
    assert not found.vectors[:, 4].any()
    for vector, column in zip(found.vectors, (1, 3, 0), strict=True):
        assert abs(vector[:4] @ turn[:, column]) == pytest.approx(1, abs=1e-5)
    again = directions.principal(2 * metric, 3, kept=1)
    np.testing.assert_allclose(again.vectors, found.vectors, atol=1e-5)
