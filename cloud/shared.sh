# What setup-aws.sh and setup-gcp.sh share. Each sets root, ssh and remote(), which runs a command on the machine by ssh.
# shellcheck shell=bash disable=SC2154

# One line on stderr and status 2: a mistake that the user can mend.
refuse() {
    echo "error: $*" >&2
    exit 2
}

# Check flags, variables and the command line of the cloud before anything is made: begin CLI HOW_TO_INSTALL "$@"
begin() {
    local cli=$1 install=$2
    shift 2
    exec 3>&1
    dry=
    case "$*" in
        "") ;;
        --dry-run) dry=yes ;;
        *) refuse "flags '$*': only --dry-run is known; all else is set by variables, see the top of $0" ;;
    esac
    [ -n "${BUCKET:-}" ] || refuse "BUCKET is not set: the bucket of data and runs, BUCKET=my-bucket bash $0"
    case $BUCKET in *[!a-z0-9._-]*) refuse "BUCKET='$BUCKET': a bare name like my-bucket, without s3:// or gs://" ;; esac
    case $SPOT in 0 | 1) ;; *) refuse "SPOT='$SPOT': 1 (spot) or 0 (on demand)" ;; esac
    git -C "$root" rev-parse --verify -q HEAD >/dev/null || refuse "$root is no git checkout: the machine gets what is committed there"
    [ -n "$dry" ] || command -v "$cli" >/dev/null || refuse "$cli is not installed: $install"
}

# Run a command, or print it with --dry-run.
run() {
    if [ -n "$dry" ]; then
        { printf '+' && printf ' %q' "$@" && echo; } >&3
    else
        "$@"
    fi
}

# Whether a command that describes something finds it; with --dry-run nothing is there yet.
there() {
    [ -z "$dry" ] && "$@" >/dev/null 2>&1
}

# What a command prints, or with --dry-run a name for that: ask THE_IMAGE aws ...
ask() {
    local name=$1
    shift
    if [ -n "$dry" ]; then
        run "$@"
        echo "$name"
    else
        "$@"
    fi
}

# Wait for ssh and the driver, then bring the committed files, which hold no secret, and install them.
prepare() {
    local tries=0
    if [ -z "$dry" ]; then
        echo "Waiting for ssh and the GPU's driver ..."
        until remote "nvidia-smi -L" >/dev/null 2>&1; do
            tries=$((tries + 1))
            [ "$tries" -lt 120 ] || refuse "no ssh or no driver within ten minutes; run this again, or look: $ssh -- nvidia-smi"
            sleep "${PAUSE:-5}"
        done
        git -C "$root" archive HEAD | remote "mkdir -p logogan_jax && tar -xf - -C logogan_jax"
        remote "bash logogan_jax/cloud/install.sh cuda"
    else
        echo "+ git archive HEAD | $ssh -- 'mkdir -p logogan_jax && tar -xf - -C logogan_jax'"
        echo "+ $ssh -- 'bash logogan_jax/cloud/install.sh cuda'"
    fi
}

# How to go on, what it costs, how to stop paying: farewell s3://BUCKET STOP_COMMAND
farewell() {
    local row price=
    row=$(grep "^$MACHINE," "$root/cloud/prices.csv" || true)
    [ -z "$row" ] || price=" --price=$MACHINE"
    echo
    echo "The machine is ready. Train:"
    echo "  $ssh"
    echo "  cd logogan_jax && bash cloud/run-model.sh --config=configs/wgan56.py --workdir=$1/runs/wgan56$price"
    if [ -n "$row" ]; then
        awk -F, '{ print "It costs " $3 " dollars an hour on demand (cloud/prices.csv, " $5 "), spot less, until you type:" }' <<<"$row"
    else
        echo "It costs money ($MACHINE is not in cloud/prices.csv) until you type:"
    fi
    echo "  $2"
    echo "What stays then costs nothing, but for the bucket."
}
