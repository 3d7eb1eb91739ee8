#!/usr/bin/env bash
# Make one GPU machine on AWS with logogan_jax on it. Run it again to find the same machine.
#
#   BUCKET=my-bucket bash cloud/setup-aws.sh [--dry-run]
#
# BUCKET      required: the S3 bucket of data and runs, the only thing that the machine may use
# MACHINE     g6.xlarge (one L4); cloud/prices.csv lists others
# SPOT        1: cheaper, may be taken away at two minutes' notice; 0: on demand
# NAME        logogan: the name of the machine, its key pair, security group and role
# KEY         ~/.ssh/id_ed25519.pub: your public key
# DISK        100 (GB)
# AWS_REGION  by default what `aws configure get region` says
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=shared.sh
. "$root/cloud/shared.sh"
MACHINE=${MACHINE:-g6.xlarge} SPOT=${SPOT:-1} NAME=${NAME:-logogan} KEY=${KEY:-$HOME/.ssh/id_ed25519.pub} DISK=${DISK:-100}
begin aws "see docs.aws.amazon.com/cli, or pip install awscli" "$@"

AWS_REGION=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
if [ -z "$dry" ]; then
    AWS_REGION=${AWS_REGION:-$(aws configure get region || true)}
    export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION AWS_PAGER=
    [ -n "$AWS_REGION" ] || refuse "AWS_REGION is not set: AWS_REGION=us-east-1, or aws configure"
    [ -f "$KEY" ] || refuse "KEY='$KEY': no such public key; make one with ssh-keygen -t ed25519"
    aws sts get-caller-identity >/dev/null 2>&1 || refuse "aws knows no credentials, or old ones: aws configure, or aws sso login"
fi
AWS_REGION=${AWS_REGION:-THE_REGION}

find_machine() {
    ask THE_MACHINE aws ec2 describe-instances --output text --query 'Reservations[].Instances[].InstanceId' \
        --filters "Name=tag:Name,Values=$NAME" "Name=instance-state-name,Values=pending,running,stopped"
}

profile_has_role() {
    aws iam get-instance-profile --instance-profile-name "$NAME" --output text \
        --query 'InstanceProfile.Roles[].RoleName' | grep -qw "$NAME"
}

machine=$(there true && find_machine || true)
case $machine in *[[:space:]]*) refuse "several machines are called '$NAME': $machine; choose another NAME" ;; esac

if [ -n "$machine" ]; then
    echo "The machine '$NAME' is there already: $machine"
    run aws ec2 start-instances --instance-ids "$machine" >/dev/null
else
    there aws ec2 describe-key-pairs --key-names "$NAME" ||
        run aws ec2 import-key-pair --key-name "$NAME" --public-key-material "fileb://$KEY" >/dev/null

    there aws ec2 describe-security-groups --group-names "$NAME" ||
        run aws ec2 create-security-group --group-name "$NAME" --description "ssh to logogan_jax" >/dev/null

    # The bucket is reached through the machine's role: no key is copied there.
    trust='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
    policy='{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::'$BUCKET'"},
        {"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::'$BUCKET'/*"}]}'
    there aws iam get-role --role-name "$NAME" ||
        run aws iam create-role --role-name "$NAME" --assume-role-policy-document "$trust" >/dev/null
    run aws iam put-role-policy --role-name "$NAME" --policy-name bucket --policy-document "$policy"
    there aws iam get-instance-profile --instance-profile-name "$NAME" ||
        run aws iam create-instance-profile --instance-profile-name "$NAME" >/dev/null
    if ! there profile_has_role; then
        run aws iam add-role-to-instance-profile --instance-profile-name "$NAME" --role-name "$NAME"
        run sleep "${PAUSE:-15}" # until EC2 knows of it
    fi

    # Ubuntu with a driver that CUDA 13 runs on.
    image=$(ask THE_IMAGE aws ssm get-parameter --query Parameter.Value --output text \
        --name /aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id)
    market=()
    [ "$SPOT" = 0 ] || market=(--instance-market-options 'MarketType=spot,SpotOptions={SpotInstanceType=one-time}')
    machine=$(ask THE_MACHINE aws ec2 run-instances --query 'Instances[0].InstanceId' --output text \
        --image-id "$image" --instance-type "$MACHINE" --key-name "$NAME" --security-groups "$NAME" \
        --iam-instance-profile "Name=$NAME" --metadata-options HttpTokens=required "${market[@]}" \
        --block-device-mappings "DeviceName=/dev/sda1,Ebs={VolumeSize=$DISK,VolumeType=gp3}" \
        --instance-initiated-shutdown-behavior terminate \
        --tag-specifications "ResourceType=instance,Tags=[{Key=Name,Value=$NAME}]")
fi

# ssh is open to the addresses from which this was run, and to nothing else.
address=$(ask YOUR_ADDRESS curl -sf https://checkip.amazonaws.com)
open=$(there true && aws ec2 describe-security-groups --group-names "$NAME" --output text \
    --query 'SecurityGroups[].IpPermissions[].IpRanges[].CidrIp' || true)
grep -qw "$address/32" <<<"$open" ||
    run aws ec2 authorize-security-group-ingress --group-name "$NAME" --protocol tcp --port 22 --cidr "$address/32" >/dev/null

run aws ec2 wait instance-running --instance-ids "$machine"
host=$(ask THE_HOST aws ec2 describe-instances --instance-ids "$machine" --output text \
    --query 'Reservations[0].Instances[0].PublicIpAddress')
options=(-o StrictHostKeyChecking=accept-new -i "${KEY%.pub}")
ssh="ssh ${options[*]} ubuntu@$host"
remote() { ssh -o ConnectTimeout=10 "${options[@]}" "ubuntu@$host" -- "$@"; }
prepare
farewell "s3://$BUCKET" "aws ec2 terminate-instances --region $AWS_REGION --instance-ids $machine"
