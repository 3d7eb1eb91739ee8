#!/usr/bin/env bash
# Train on a Slurm cluster: one task per node, which drives all GPUs of the node.
#
#   sbatch --nodes=2 --gpus-per-node=8 cloud/slurm.sh --config=configs/wgan56.py --workdir=runs/wgan56
#
# from the root of the repository, after `bash cloud/install.sh` there. All flags after the script go to
# `python -m logogan_jax.main`; sbatch's own, before it, win over these:
#SBATCH --job-name=logogan
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
# A node that fails, or a job of higher rank, puts this one back into the queue.
#SBATCH --requeue
# Every task gets SIGTERM two minutes before the time is up: enough to save.
#SBATCH --signal=TERM@120
set -uo pipefail
status=0
srun .venv/bin/python -m logogan_jax.main --coordinator=auto "$@" || status=$?
case $status in
    0 | 2 | 3) exit "$status" ;; # finished, a mistake, diverged: the same command would not go further
esac
# 75 is a run that was stopped and goes on from where it saved; anything else may be a fault that stays.
if [ "$status" = 75 ] || [ "${SLURM_RESTART_COUNT:-0}" -lt 5 ]; then
    echo "slurm.sh: the run ended with status $status before its end; back into the queue"
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
