#!/usr/bin/env bash
# Make this machine a worker of a cluster, and keep it running: join.sh HEAD, the head's name or address.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
[ $# -ge 1 ] || { echo "give the head's name or address: join.sh HEAD" >&2; exit 2; }
require_tokens
head=$1
shift
exec ray start --address="$head:${EARSHOT_HEAD_PORT:-6379}" --resources='{"worker": 1}' --disable-usage-stats --block "$@"
