#!/usr/bin/env bash
# Make one GPU machine on Google Cloud with logogan_jax on it. Run it again to find the same machine.
#
#   BUCKET=my-bucket bash cloud/setup-gcp.sh [--dry-run]
#
# BUCKET   required: the Cloud Storage bucket of data and runs, the only thing that the machine may use
# MACHINE  g2-standard-4 (one L4): a machine type that has its GPUs built in; cloud/prices.csv lists others
# SPOT     1: cheaper, may be taken away at half a minute's notice; 0: on demand
# NAME     logogan: the name of the machine and its service account
# ZONE     us-central1-a
# DISK     100 (GB)
# PROJECT  by default what `gcloud config get-value project` says
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=shared.sh
. "$root/cloud/shared.sh"
MACHINE=${MACHINE:-g2-standard-4} SPOT=${SPOT:-1} NAME=${NAME:-logogan} ZONE=${ZONE:-us-central1-a} DISK=${DISK:-100}
begin gcloud "see cloud.google.com/sdk/docs/install" "$@"

if [ -z "$dry" ]; then
    PROJECT=${PROJECT:-$(gcloud config get-value project 2>/dev/null || true)}
    [ -n "$PROJECT" ] && [ "$PROJECT" != "(unset)" ] || refuse "PROJECT is not set: PROJECT=my-project, or gcloud config set project"
    gcloud projects describe "$PROJECT" >/dev/null 2>&1 || refuse "gcloud does not see project '$PROJECT': gcloud auth login"
fi
PROJECT=${PROJECT:-THE_PROJECT}
where=(--project "$PROJECT" --zone "$ZONE")
account=$NAME@$PROJECT.iam.gserviceaccount.com

if there gcloud compute instances describe "$NAME" "${where[@]}"; then
    echo "The machine '$NAME' is there already."
    run gcloud compute instances start "$NAME" "${where[@]}"
else
    # The bucket is reached through the machine's own account: no key is copied there.
    there gcloud iam service-accounts describe "$account" --project "$PROJECT" ||
        run gcloud iam service-accounts create "$NAME" --project "$PROJECT"
    run gcloud storage buckets add-iam-policy-binding "gs://$BUCKET" --project "$PROJECT" \
        "--member=serviceAccount:$account" --role=roles/storage.objectAdmin >/dev/null

    # A bucket holds all that matters, so a machine that is taken away leaves nothing behind that costs money.
    market=()
    [ "$SPOT" = 0 ] || market=(--provisioning-model=SPOT --instance-termination-action=DELETE)
    # Ubuntu with a driver that CUDA 13 runs on.
    run gcloud compute instances create "$NAME" "${where[@]}" --machine-type="$MACHINE" "${market[@]}" \
        --image-family=common-cu129-ubuntu-2404-nvidia-580 --image-project=deeplearning-platform-release \
        --metadata=install-nvidia-driver=True --maintenance-policy=TERMINATE \
        --boot-disk-size="${DISK}GB" --boot-disk-type=pd-balanced \
        --service-account="$account" --scopes=cloud-platform
fi

ssh="gcloud compute ssh $NAME --project $PROJECT --zone $ZONE"
remote() { gcloud compute ssh "$NAME" "${where[@]}" -- "$*"; }
prepare
farewell "gs://$BUCKET" "gcloud compute instances delete $NAME --project $PROJECT --zone $ZONE"
