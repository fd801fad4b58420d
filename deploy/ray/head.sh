#!/usr/bin/env bash
# Start the head of a cluster, which computes nothing itself, deploy a model on it, and keep both running. It creates the tokens if there
# are none. EARSHOT_SERVE_CONFIG names another config than serve.yaml; options go to ray start.
set -euo pipefail
folder=$(dirname "${BASH_SOURCE[0]}")
. "$folder/environment.sh"
mkdir -p "$EARSHOT_WORKER_FOLDER"
for file in "$RAY_AUTH_TOKEN_PATH" "$EARSHOT_MODEL_TOKEN_FILE"; do
    [ -s "$file" ] || (umask 077 && python3 -c 'import secrets; print(secrets.token_hex(32), end="")' > "$file")
done
"$folder/deploy.sh" "${EARSHOT_SERVE_CONFIG:-$folder/serve.yaml}" &
exec ray start --head --port="${EARSHOT_HEAD_PORT:-6379}" --num-cpus=0 --disable-usage-stats --block "$@"
