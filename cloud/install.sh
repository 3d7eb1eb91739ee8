#!/usr/bin/env bash
# Install logogan_jax on a rented machine, into .venv of the repository: bash cloud/install.sh [cuda|tpu]
set -euo pipefail
cd "$(dirname "$0")/.."
extra=${1:-cuda}
case $extra in cuda | tpu) ;; *) echo "error: '$extra': cuda or tpu" >&2 && exit 2 ;; esac

able='import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=
    for name in python3.13 python3.12 python3.11 python3; do
        if "$name" -c "$able" 2>/dev/null; then
            python=$name
            break
        fi
    done
    if [ -n "$python" ]; then
        "$python" -m venv --clear .venv
    else
        # Ubuntu 22.04 has Python 3.10, and 24.04 one that makes no environments before apt-get has been asked.
        PATH=$HOME/.local/bin:$PATH
        command -v uv >/dev/null || curl -LsSf https://astral.sh/uv/install.sh | sh
        uv venv -q --clear --seed --python 3.12 .venv
    fi
fi
.venv/bin/python -m pip install -q uv
# The versions of uv.lock: nothing is searched for while the machine costs money.
.venv/bin/python -m uv sync -q --locked --inexact --extra "$extra" --extra s3 --extra gcs

# A driver that is too old makes JAX fall back to the CPU, at the price of a GPU.
found=$(.venv/bin/python -c 'import jax; print(jax.default_backend(), jax.local_device_count())')
case $found in
    cpu*)
        echo "error: JAX finds no accelerator here; jax[cuda13] needs an NVIDIA driver of version 580 or newer: nvidia-smi" >&2
        exit 2
        ;;
esac
echo "logogan_jax is installed; JAX finds: $found"
