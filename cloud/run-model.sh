#!/usr/bin/env bash
# Train on this machine, and start again whenever the command ends before the run does.
#
#   bash cloud/run-model.sh --config=configs/wgan56.py --workdir=s3://my-bucket/runs/wgan56
#
# All flags go to `python -m logogan_jax.main`. It goes on when the ssh connection closes and writes to run-model.log.
# With --foreground as the first flag it stays in the terminal and ends with the status of the run.
# Started again after any status but 0 (finished), 2 (a mistake), 3 (diverged), after a pause; SIGTERM saves and ends it.
set -euo pipefail
cd "$(dirname "$0")/.."
usage() {
    echo "error: $1: bash cloud/run-model.sh [--foreground] --config=configs/wgan56.py --workdir=s3://my-bucket/runs/wgan56" >&2
    exit 2
}

if [ "${1:-}" != --foreground ]; then
    [ $# -gt 0 ] || usage "no flags"
    exec 9>>run-model.pid
    flock -n 9 || {
        echo "error: a run is going on (process $(cat run-model.pid)): tail -f run-model.log, or stop it by kill $(cat run-model.pid)" >&2
        exit 2
    }
    setsid nohup bash cloud/run-model.sh --foreground "$@" </dev/null >>run-model.log 2>&1 &
    echo $! >run-model.pid
    echo "Training; you may close the connection. Watch: tail -f run-model.log   Save and stop: kill $!"
    exit
fi
shift
[ $# -gt 0 ] || usage "no flags"
python=.venv/bin/python
[ -x $python ] || { echo "error: no $python: bash cloud/install.sh" >&2 && exit 2; }
pause=${PAUSE:-10}

say() { echo "run-model.sh, $(date -u +%FT%TZ): $*"; }

# AWS and Google tell a spot machine of its end on a page of their metadata server, not by a signal.
ask() { curl -sf --max-time 2 "$@"; }
is_being_preempted() {
    local server=${METADATA:-http://169.254.169.254} token
    if token=$(ask -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" "$server/latest/api/token"); then
        ask -H "X-aws-ec2-metadata-token: $token" "$server/latest/meta-data/spot/instance-action" >/dev/null
    else
        [ "$(ask -H "Metadata-Flavor: Google" "$server/computeMetadata/v1/instance/preempted")" = TRUE ]
    fi
}
watch() {
    until is_being_preempted; do sleep 3; done
    kill -TERM $$
}

child='' stopping='' short=0
# shellcheck disable=SC2329 # called by the trap
stop() {
    say "asked to stop"
    stopping=yes
    [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true
}
trap stop TERM INT HUP
watch >/dev/null 2>&1 9>&- &
watcher=$!
trap 'kill $watcher 2>/dev/null || true' EXIT

while [ -z "$stopping" ]; do
    began=$SECONDS status=0
    $python -m logogan_jax.main "$@" &
    child=$!
    wait $child || status=$?
    # A signal ends the waiting, not the child.
    while kill -0 $child 2>/dev/null; do
        status=0
        wait $child || status=$?
    done
    child=
    case $status in 0 | 2 | 3) exit "$status" ;; esac
    [ -z "$stopping" ] || exit "$status"
    # What fails at once five times in a row would go on failing, at the price of the machine.
    short=$((SECONDS - began < 60 ? short + 1 : 0))
    if [ $short -ge 5 ]; then
        say "five times in a row the command ended within a minute, with status $status at last; given up"
        exit "$status"
    fi
    say "the command ended with status $status; again in $pause seconds"
    sleep "$pause" &
    wait $! || true
done
exit 75
