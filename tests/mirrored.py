"""What a run does to its folder, without training: six steps, the third of which it takes back once."""

import itertools
import json
import os
import pathlib
import shutil
import sys
import time

LAST, KEEP, BAD = 6, 2, 3
UNFINISHED = ".orbax-checkpoint-tmp"


def content(step, lineage, size=3000):
    """{name: bytes} of a checkpoint."""
    seed = f"{step} {lineage} ".encode()
    return {"_METADATA": seed, f"default/d/{lineage}{step:02d}": seed * (size // len(seed)), "default/empty": b""}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def steps(folder):
    """{step: "old" or "new"} of the checkpoints of a run's folder, each of which is seen to be whole.

    What a kill left half-written or half-removed is none; Orbax's name says so.
    """
    found = {}
    for path in sorted(folder.glob("checkpoints/*")):
        if path.name.endswith(UNFINISHED):
            continue
        step, lineage = (path / "_METADATA").read_text().split()
        files = {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}
        assert path.name == step and files.keys() == content(int(step), lineage).keys()
        assert files in (content(int(step), lineage), content(int(step), lineage, 300_000))
        found[int(step)] = lineage
    return found


def save(folder, step, lineage, size=3000):
    """A checkpoint, which appears whole."""
    partial = folder / "checkpoints" / f"{step}{UNFINISHED}"
    shutil.rmtree(partial, ignore_errors=True)
    for name, data in content(step, lineage, size).items():
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).write_bytes(data)
    os.rename(partial, folder / "checkpoints" / str(step))


def remove(folder, step):
    """Remove a checkpoint, which disappears whole."""
    partial = folder / "checkpoints" / f"{step}{UNFINISHED}"
    shutil.rmtree(partial, ignore_errors=True)
    os.rename(folder / "checkpoints" / str(step), partial)
    shutil.rmtree(partial)


def add(path, line):
    with open(path, "a") as file:
        file.write(json.dumps(line) + "\n")


def rewind(folder, step):
    kept = [line for line in lines(folder / "metrics.jsonl") if line["step"] <= step]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))


def go(folder, send, last=LAST, size=3000):
    """Go on from the newest checkpoint to the last step, calling `send` after each."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"steps": "many"}')
    rewind(folder, max(steps(folder), default=0))
    while (step := max(steps(folder), default=0)) < last:
        back = lines(folder / "events.jsonl")
        if step == BAD and not back:
            remove(folder, step)
            add(folder / "events.jsonl", {"step": step, "action": "roll back"})
            rewind(folder, step - 1)
            send()
            continue
        step += 1
        add(folder / "metrics.jsonl", {"step": step})
        (folder / "samples").mkdir(exist_ok=True)
        (folder / "samples" / f"{step:06d}.png").write_bytes(b"png" * step)
        save(folder, step, "new" if back else "old", size)
        for old in sorted(steps(folder))[:-KEEP]:
            remove(folder, old)
        send()


def check(folder):
    """See that a run can go on in a folder -> the step from which it does."""
    kept = steps(folder)
    newest = max(kept, default=0)
    assert [line["step"] for line in lines(folder / "metrics.jsonl")][:newest] == list(range(1, newest + 1))
    # The log says that the run went back, or its states are from before it did.
    back = bool(lines(folder / "events.jsonl"))
    assert all(lineage == ("new" if back else "old") for step, lineage in kept.items() if step >= BAD), (kept, back)
    return newest


def main(address, seconds):
    """Pull, check, tell from which step, and go on for ever, at some pace; tell of every upload that was waited for."""
    from logogan_jax.core.storage import lease, sync, upload_thread

    upload_thread.PACE = 0.0
    lease.TIMEOUT = 2.0
    lease.RENEW_EVERY = 0.3
    lease.POLL_EVERY = 0.2
    copy = sync.SyncedRun(address)
    copy.acquire()
    print(check(copy.local), flush=True)

    turns = itertools.count(1)

    def send():
        copy.request_upload()
        time.sleep(float(seconds))
        if next(turns) % 3 == 0:  # however slow the machine is, some checkpoints live until they are in the bucket
            copy.wait()
            print("uploaded", flush=True)

    go(copy.local, send, last=10**6, size=300_000)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
    main(*sys.argv[1:])
