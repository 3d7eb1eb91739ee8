"""What cloud/ starts on rented machines, with commands of ours in the clouds' place."""

import csv
import datetime
import http.server
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib

import kubernetes_validate
import pytest
import yaml
from conftest import ROOT

from logogan_jax.config import defaults

CLOUD, PAGE = ROOT / "cloud", (ROOT / "docs" / "cloud.md").read_text()
SCRIPTS = sorted(path.name for path in CLOUD.glob("*.sh"))
FLAGS = set(re.findall(r'DEFINE_\w+\(\s*"(\w+)"', (ROOT / "logogan_jax" / "main.py").read_text()))  # of the command
FLAG = re.compile(r"--([a-z][\w.]*)(?:=(\S*))?")


def loaded(name):
    return yaml.safe_load((CLOUD / name).read_text())


def put(path, text):
    """Write an executable script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def bash(*words, path=(), cwd=ROOT, **env):
    """Run bash with folders of fakes before the rest of PATH -> CompletedProcess."""
    found = os.pathsep.join([*map(str, path), os.environ["PATH"]])
    return subprocess.run(
        ["bash", *map(str, words)], cwd=cwd, text=True, capture_output=True, timeout=60,
        env={**os.environ, "PATH": found, **{name: str(value) for name, value in env.items()}},
    )  # fmt: skip


def shellcheck(*files):
    tool = pathlib.Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([tool, "-x", *files], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


# ── all files ───────────────────────────────────────────────────────────────────────────────


def test_every_file_is_told_of():
    for path in CLOUD.iterdir():
        assert f"cloud/{path.name}" in PAGE or path.name == "shared.sh", path
    for name in re.findall(r"(?:cloud|configs)/\w[\w.-]*\w", PAGE):
        assert (ROOT / name).exists(), name


def test_shellcheck_finds_nothing(tmp_path):
    runs = []
    for name in ("sky.yaml", "sky-tpu.yaml"):
        put(tmp_path / f"{name}.sh", "#!/bin/bash\n" + loaded(name)["run"])
        runs.append(tmp_path / f"{name}.sh")
    shellcheck(*(CLOUD / name for name in SCRIPTS), *runs)


def commands(text):
    """Command lines of a text that start a run: what follows the command, lines continued."""
    text = text.replace("\\\n", " ")
    starts = r"logogan_jax\.main|run-model\.sh(?! \|)|cloud/slurm\.sh|cloud/sky(?:-tpu)?\.yaml"
    return [line[match.end() :] for line in text.splitlines() for match in [re.search(starts, line)] if match]


def test_commands_use_flags_that_exist():
    sky = {"env", "gpus", "num-nodes", "infra", "no-use-spot"}
    files = [path for path in CLOUD.iterdir() if path.suffix in (".sh", ".yaml")]
    lines = [line for text in [PAGE, *(path.read_text() for path in files)] for line in commands(text)]
    lines.append(" ".join(job()["spec"]["template"]["spec"]["containers"][0]["args"]))
    keys, seen = defaults.get_config(), set()
    for line in lines:
        for name, value in re.findall(r"--([a-z][\w.-]*)(?:[= ]([^\s\"`]*))?", line):
            seen.add(name)
            if name.startswith("config."):
                section, key = name.split(".")[1:]
                assert key in keys[section], line
            elif name not in sky | {"foreground"}:
                assert name in FLAGS, line
            if name == "config" and value and "$" not in value:
                assert (ROOT / value).exists(), line
    nothing_of_a_cloud = {"init_from", "quiet"}
    assert seen >= FLAGS - nothing_of_a_cloud | {"config.data.dir", "num-nodes"}


# ── prices ──────────────────────────────────────────────────────────────────────────────────


def test_prices_have_dates_and_sources():
    with open(CLOUD / "prices.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["machine", "accelerators", "dollars_per_hour", "spot_dollars_per_hour", "as_of", "source"]
    assert len({row["machine"] for row in rows}) == len(rows) >= 10
    for row in rows:
        price, spot = float(row["dollars_per_hour"]), row["spot_dollars_per_hour"]
        assert 0.1 < price < 200 and (not spot or 0 < float(spot) < price), row
        assert re.fullmatch(r"[\w.-]+:[1-8]", row["accelerators"]) and None not in row and len(row["source"]) > 10, row
        assert datetime.date(2025, 1, 1) < datetime.date.fromisoformat(row["as_of"]) <= datetime.date.today(), row
    for script in ("setup-aws.sh", "setup-gcp.sh"):
        assert re.search(r"MACHINE:-([\w.-]+)", (CLOUD / script).read_text()).group(1) in {
            row["machine"] for row in rows
        }


# ── one machine, by ssh ─────────────────────────────────────────────────────────────────────

# Stands for aws, gcloud, ssh and curl: keeps what was made as files, knows nothing else.
CLOUDS = r"""#!/usr/bin/env bash
case "$*" in *"tar -xf"*) cat >/dev/null ;; esac
echo "${0##*/} $*" >>"$STATE/log"
made() { if [ -e "$STATE/$1" ]; then echo "${2:-}"; else [ -n "${3:-}" ]; fi; }
case "${0##*/} $*" in
    *describe-instances*PublicIpAddress*) echo 192.0.2.1 ;;
    *describe-instances*) made machine i-1 absent-is-fine ;;
    *"instances describe"*) made machine ;;
    *describe-security-groups*CidrIp*) made rule 203.0.113.7/32 absent-is-fine ;;
    *describe-security-groups*) made group ;;
    *describe-key-pairs*) made key ;;
    *get-role*) made role ;;
    *get-instance-profile*RoleName*) made filled logogan absent-is-fine ;;
    *get-instance-profile*) made profile ;;
    *"service-accounts describe"*) made account ;;
    *run-instances* | *"instances create"*) touch "$STATE/machine" && echo i-1 ;;
    *create-security-group*) touch "$STATE/group" ;;
    *authorize-security-group*) touch "$STATE/rule" ;;
    *import-key-pair*) touch "$STATE/key" ;;
    *create-role*) touch "$STATE/role" ;;
    *create-instance-profile*) touch "$STATE/profile" ;;
    *add-role-to-instance-profile*) touch "$STATE/filled" ;;
    *"service-accounts create"*) touch "$STATE/account" ;;
    *get-value*) echo my-project ;;
    *get-parameter*) echo ami-1 ;;
    curl*) echo 203.0.113.7 ;;
esac
"""
MAKES = re.compile(r"run-instances|import-key|create-|add-role|authorize|instances create|service-accounts create")
SETUPS = {"setup-aws.sh": "aws", "setup-gcp.sh": "gcloud"}


@pytest.fixture
def clouds(tmp_path):
    """A function (script, *flags, **variables) -> CompletedProcess, with the fakes in the clouds' place."""
    for name in ("aws", "gcloud", "ssh", "curl"):
        put(tmp_path / "bin" / name, CLOUDS)
    (tmp_path / "state").mkdir()
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAA")
    given = {"BUCKET": "my-bucket", "KEY": tmp_path / "key.pub", "AWS_REGION": "us-east-1", "PAUSE": 0}

    def run(script, *flags, **env):
        return bash(CLOUD / script, *flags, path=[tmp_path / "bin"], STATE=tmp_path / "state", **{**given, **env})

    run.log = tmp_path / "state" / "log"
    return run


@pytest.mark.parametrize("script", SETUPS)
def test_a_second_setup_finds_the_machine(clouds, script):
    first = clouds(script)
    log = clouds.log.read_text()
    assert first.returncode == 0, first
    assert len(MAKES.findall(log)) == (7 if script == "setup-aws.sh" else 2), log
    assert "cloud/install.sh cuda" in log and "spot" in log.lower() and "my-bucket" in log
    assert not re.search(r"id_ed25519(?!\.pub)|secret|AWS_ACCESS", log)
    clouds.log.unlink()
    second = clouds(script)
    assert second.returncode == 0 and "there already" in second.stdout, second
    assert not MAKES.findall(clouds.log.read_text()) and "install.sh" in clouds.log.read_text()
    (clouds.log.parent / "machine").unlink()  # taken away
    clouds.log.unlink()
    third = clouds(script)
    assert MAKES.findall(clouds.log.read_text()) in (["run-instances"], ["instances create"])
    for done in (first, second, third):
        assert "bash cloud/run-model.sh --config=configs/wgan56.py" in done.stdout and "dollars an hour" in done.stdout
        assert re.search(r"terminate-instances .*--instance-ids i-1$|instances delete logogan .*", done.stdout, re.M)


@pytest.mark.parametrize("script", SETUPS)
def test_a_dry_run_touches_nothing(clouds, script):
    dry = clouds(script, "--dry-run")
    assert dry.returncode == 0 and not clouds.log.exists(), dry
    assert len(MAKES.findall(dry.stdout)) == (7 if script == "setup-aws.sh" else 2), dry.stdout
    assert re.search(r"MarketType=spot|provisioning-model=SPOT", dry.stdout) and "git archive HEAD" in dry.stdout
    assert "spot" not in clouds(script, "--dry-run", SPOT=0).stdout.lower().split("the machine is ready")[0]
    assert "p5.48xlarge" in clouds(script, "--dry-run", MACHINE="p5.48xlarge").stdout


@pytest.mark.parametrize("script", SETUPS)
def test_setups_refuse_in_one_line(clouds, script, tmp_path):
    for flags, env, said in [
        ([], {"BUCKET": ""}, "BUCKET is not set"),
        ([], {"BUCKET": "s3://my-bucket"}, "bare name"),
        ([], {"SPOT": "yes"}, "SPOT='yes'"),
        (["--force"], {}, "only --dry-run"),
    ]:
        done = clouds(script, *flags, **env)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1) and said in done.stderr, done
    for name in ("bash", "git", "dirname"):
        (tmp_path / "few").mkdir(exist_ok=True)
        (tmp_path / "few" / name).symlink_to(shutil.which(name))
    done = bash(CLOUD / script, BUCKET="my-bucket", **{"PATH": tmp_path / "few"})
    assert done.returncode == 2 and f"{SETUPS[script]} is not installed" in done.stderr, done
    assert not clouds.log.exists()


def test_the_installation_wants_an_accelerator(tmp_path):
    python = """#!/usr/bin/env bash
        echo "$*" >>"$LOG"
        case "$*" in
            "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
            "-c import jax"*) echo "$FOUND" ;;
        esac"""
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        put(tmp_path / "bin" / name, python)
    put(tmp_path / "cloud" / "install.sh", (CLOUD / "install.sh").read_text())
    install = lambda *extra, found: bash(
        "cloud/install.sh", *extra, path=[tmp_path / "bin"], cwd=tmp_path, LOG=tmp_path / "log", FOUND=found
    )
    done = install("tpu", found="tpu 8")
    assert done.returncode == 0 and "JAX finds: tpu 8" in done.stdout, done
    done = install(found="cpu 1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "580" in done.stderr, done
    assert install("gpu", found="gpu 1").returncode == 2
    log = (tmp_path / "log").read_text()
    assert log.count("-m venv") == 1, log
    extras = set(re.findall(r"--extra (\w+)", log))
    assert extras == {"tpu", "cuda", "s3", "gcs"} and "uv sync -q --locked" in log
    assert extras <= tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()


# ── the supervisor ──────────────────────────────────────────────────────────────────────────

# Ends with the next of the chosen statuses; "wait" is a run that goes on until SIGTERM.
COMMAND = """#!/usr/bin/env bash
trap 'echo saved >>said; exit 75' TERM
echo "$*" >>said
next=$(head -n 1 statuses)
sed -i 1d statuses
[ "$next" != wait ] || for _ in {1..600}; do sleep 0.05; done
exit "${next:-0}"
"""
RUN = ["--config=a config.py", "--workdir=s3://b/r"]


@pytest.fixture
def machine(tmp_path):
    """A folder as on the machine, and a function (*statuses) that says how the command will end."""
    put(tmp_path / "cloud" / "run-model.sh", (CLOUD / "run-model.sh").read_text())
    put(tmp_path / ".venv" / "bin" / "python", COMMAND)

    def ends(*statuses):
        (tmp_path / "statuses").write_text("\n".join(map(str, statuses)) + "\n")
        (tmp_path / "said").write_text("")
        return tmp_path

    return ends


def supervise(folder, *flags, **env):
    words = ["cloud/run-model.sh", *flags]
    return bash(*words, cwd=folder, **{"PAUSE": 0, "METADATA": "http://127.0.0.1:9", **env})


def said(folder):
    return (folder / "said").read_text().splitlines()


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_supervisor_starts_again_whatever_may_go_on(machine):
    folder = machine(75, 1, 137, 0)
    done = supervise(folder, "--foreground", *RUN)
    assert done.returncode == 0 and done.stdout.count("again in 0 seconds") == 3, done
    assert said(folder) == [" ".join(["-m logogan_jax.main", *RUN])] * 4


@pytest.mark.parametrize("status", [0, 2, 3])
def test_the_supervisor_leaves_alone_what_would_end_the_same(machine, status):
    folder = machine(status, 0)
    assert supervise(folder, "--foreground", *RUN).returncode == status
    assert len(said(folder)) == 1


def test_the_supervisor_gives_up_what_always_fails_at_once(machine):
    folder = machine(*[9] * 8)
    done = supervise(folder, "--foreground", *RUN)
    assert done.returncode == 9 and "five times in a row" in done.stdout and len(said(folder)) == 5, done


def test_the_supervisor_passes_on_the_request_to_stop(machine):
    folder = machine("wait", 0)
    started = supervise(folder, *RUN)
    assert started.returncode == 0 and "Save and stop: kill " in started.stdout, started
    until(lambda: said(folder))
    supervisor = int((folder / "run-model.pid").read_text())
    assert os.getsid(supervisor) == supervisor  # no terminal, so closing one does not end it
    os.kill(supervisor, signal.SIGHUP)
    again = supervise(folder, *RUN)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1) and f"process {supervisor}" in again.stderr, again
    assert said(folder)[1:] == []
    os.kill(supervisor, signal.SIGTERM)
    until(lambda: said(folder)[1:] == ["saved"])
    until(lambda: supervise(folder, *RUN).returncode == 0)  # the lock is free again
    until(lambda: len(said(folder)) == 3)
    assert "asked to stop" in (folder / "run-model.log").read_text()


def test_the_supervisor_refuses_in_one_line(machine):
    folder = machine(0)
    for flags in ([], ["--foreground"]):
        done = supervise(folder, *flags)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "no flags" in done.stderr, done
    (folder / ".venv" / "bin" / "python").unlink()
    done = supervise(folder, "--foreground", *RUN)
    assert done.returncode == 2 and "cloud/install.sh" in done.stderr, done


class Metadata(http.server.BaseHTTPRequestHandler):
    """The metadata server of a spot machine of AWS or of Google, which ends once the run has begun."""

    def do_PUT(self):
        self.tell("token" if self.server.cloud == "aws" and self.path == "/latest/api/token" else None)

    def do_GET(self):
        ends = bool(self.server.begun())
        if self.server.cloud == "google":
            known = self.headers["Metadata-Flavor"] == "Google" and "/instance/preempted" in self.path
            return self.tell(str(ends).upper() if known else None)
        known = self.headers["X-aws-ec2-metadata-token"] == "token" and "/spot/instance-action" in self.path
        return self.tell('{"action": "terminate"}' if known and ends else None)

    def tell(self, text):
        self.send_response(200 if text else 404)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("cloud", ["aws", "google"])
def test_the_supervisor_reads_the_notice_of_spot_machines(machine, cloud):
    folder = machine("wait", 0)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        server.cloud, server.begun = cloud, lambda: said(folder)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        done = supervise(folder, "--foreground", *RUN, METADATA=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert done.returncode == 75 and said(folder)[1:] == ["saved"], done


# ── Slurm ───────────────────────────────────────────────────────────────────────────────────

# The long options of sbatch 22.05, as its --help lists them, and the one that it forgets: open-mode.
SBATCH = """
account array bb bbf begin chdir cluster-constraint clusters comment constraint container contiguous core-spec
cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution error exclude
exclusive export export-file extra-node-info get-user-env gid gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket
gpus-per-task gres gres-flags help hold ignore-pbs input job-name licenses mail-type mail-user mcs-label mem
mem-per-cpu mem-per-gpu mincpus nice no-kill no-requeue nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-node
ntasks-per-socket open-mode output overcommit oversubscribe parsable partition power priority profile propagate qos
quiet reboot requeue reservation signal sockets-per-node spread-job switches thread-spec threads-per-core time
time-min tmp uid usage use-min-nodes verbose version wait wckey wrap
"""


def test_slurm_knows_the_options_and_reads_them():
    lines = (CLOUD / "slurm.sh").read_text().splitlines()
    options = dict(
        re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", x).groups() for x in lines if x.startswith("#SBATCH")
    )
    assert options.keys() <= set(SBATCH.split())
    last = max(number for number, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert all(line.startswith("#") for line in lines[:last])  # after the first command sbatch reads no more of them
    assert options["signal"].startswith("TERM@") and options["ntasks-per-node"] == "1" and "requeue" in options


@pytest.mark.parametrize(
    ("status", "restarts", "requeued"),
    [(0, 0, False), (2, 0, False), (3, 0, False), (75, 0, True), (75, 9, True), (137, 4, True), (1, 5, False)],
)
def test_slurm_requeues_what_may_go_on(tmp_path, status, restarts, requeued):
    put(tmp_path / "srun", f'#!/bin/sh\necho "srun $*" >>{tmp_path}/log\nexit {status}\n')
    put(tmp_path / "scontrol", f'#!/bin/sh\necho "scontrol $*" >>{tmp_path}/log\n')
    env = {"SLURM_JOB_ID": 7, "SLURM_RESTART_COUNT": restarts}
    assert bash(CLOUD / "slurm.sh", *RUN, path=[tmp_path], **env).returncode == status
    srun, *rest = (tmp_path / "log").read_text().splitlines()
    assert srun == " ".join(["srun .venv/bin/python -m logogan_jax.main --coordinator=auto", *RUN])
    assert rest == ["scontrol requeue 7"] * requeued


# ── Kubernetes ──────────────────────────────────────────────────────────────────────────────


def job():
    return list(yaml.safe_load_all((CLOUD / "kubernetes.yaml").read_text()))[1]


@pytest.mark.parametrize("version", ["1.31", "latest"])
def test_kubernetes_takes_the_job(version):
    asked = kubernetes_validate.latest_version() if version == "latest" else version
    for part in yaml.safe_load_all((CLOUD / "kubernetes.yaml").read_text()):
        kubernetes_validate.validate(part, asked, strict=True)


def test_the_pods_of_the_job_find_each_other():
    service, found = yaml.safe_load_all((CLOUD / "kubernetes.yaml").read_text())
    spec, name = found["spec"], found["metadata"]["name"]
    pod = spec["template"]["spec"]
    train = pod["containers"][0]
    flags = dict(FLAG.fullmatch(argument).groups() for argument in train["args"])
    assert spec["completions"] == spec["parallelism"] == int(flags["num_processes"])
    assert flags["coordinator"].split(":")[0] == f"{name}-0.{pod['subdomain']}"
    assert service["metadata"]["name"] == pod["subdomain"] and service["spec"]["selector"] == {"job-name": name}
    assert flags["process_id"] == "$(PROCESS_ID)" and train["env"][0]["name"] == "PROCESS_ID"
    assert {mount["name"] for mount in train["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert pod["restartPolicy"] == "Never"  # which podFailurePolicy asks for
    rules = {rule["action"]: rule["onExitCodes"] for rule in spec["podFailurePolicy"]["rules"] if "onExitCodes" in rule}
    assert rules["FailJob"]["values"] == [2, 3] and rules["Ignore"]["values"] == [75]
    assert all(rule["containerName"] == train["name"] for rule in rules.values())


def test_the_image_holds_what_the_command_needs():
    lines = (CLOUD / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    setuptools = project["tool"]["setuptools"]
    packages = {name.split(".")[0] for name in setuptools["packages"]} | set(setuptools["package-dir"].values())
    assert packages | {"pyproject.toml", "uv.lock", project["project"]["readme"]} <= set(copied)
    assert 'ENTRYPOINT ["python", "-m", "logogan_jax.main"]' in lines


# ── SkyPilot ────────────────────────────────────────────────────────────────────────────────

TASKS = ["sky.yaml", "sky-tpu.yaml"]


@pytest.mark.parametrize("name", TASKS)
def test_skypilot_takes_the_task(name):
    sky = pytest.importorskip("sky", reason="SkyPilot, half a gigabyte, is no dependency of the tests")
    given = [("WORKDIR", "s3://b/r")]
    task = sky.Task.from_yaml_config(loaded(name), env_overrides=given)
    assert all(each.use_spot and each.job_recovery["recover_on_exit_codes"] == [75] for each in task.resources)
    with pytest.raises(ValueError, match="WORKDIR"):
        sky.Task.from_yaml(str(CLOUD / name))
    mount = yaml.safe_load(re.search(r"<!-- mount -->\n```yaml\n(.*?)```", PAGE, re.S).group(1))
    assert sky.Task.from_yaml_config(loaded(name) | mount, env_overrides=given).storage_mounts.keys() == {"/runs"}


@pytest.mark.parametrize("name", TASKS)
def test_tasks_have_the_form_that_skypilot_asks_for(name):
    task = loaded(name)
    known = {"accelerators", "accelerator_args", "any_of", "disk_size", "infra", "job_recovery", "use_spot"}
    assert task.keys() <= {"name", "num_nodes", "workdir", "envs", "resources", "setup", "run"}
    assert task["resources"].keys() <= known and task["resources"]["use_spot"] is True
    assert task["resources"]["job_recovery"] == {"max_restarts_on_errors": 0, "recover_on_exit_codes": [75]}
    assert task["envs"]["WORKDIR"] is None and shlex.split(task["setup"])[1] == "cloud/install.sh"


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("nodes", [1, 2])
def test_tasks_run_the_command(machine, name, nodes):
    folder, task = machine(0), loaded(name)
    env = {key: value or "" for key, value in task["envs"].items()}
    env |= {"WORKDIR": "s3://b/r", "FLAGS": "--max_cost=2 --price=1", "PAUSE": 0, "METADATA": "http://127.0.0.1:9"}
    env |= {"SKYPILOT_NUM_NODES": nodes, "SKYPILOT_NODE_RANK": 1, "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2"}
    several = "--coordinator=10.0.0.1:8476 --num_processes=2 --process_id=1 " if nodes == 2 else ""
    hosts = "--coordinator=auto " if name == "sky-tpu.yaml" else several
    for data in ("", "s3://b/shards"):
        assert bash("-c", task["run"], cwd=folder, **{**env, "DATA": data}).returncode == 0
        shards = f"--config.data.dir={data} " if data else ""
        start = "-m logogan_jax.main --config=configs/wgan56.py --workdir=s3://b/r"
        assert said(folder)[-1] == f"{start} {shards}{hosts}--max_cost=2 --price=1"
