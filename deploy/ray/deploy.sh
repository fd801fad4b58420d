#!/usr/bin/env bash
# Deploy a model on the cluster of this head, or change it while nodes use it: deploy.sh [CONFIG], by default serve.yaml.
set -euo pipefail
folder=$(dirname "${BASH_SOURCE[0]}")
. "$folder/environment.sh"
require_tokens
for _ in $(seq 60); do # the head may be starting
    serve status > /dev/null 2>&1 && break
    sleep 1
done
exec serve deploy "${1:-$folder/serve.yaml}"
