# What the commands in this folder share; they read it. Earshot and Ray must be installed: pip install -e ".[workers]"

# Ray reports nothing to its makers, and HAProxy instead of a Python process is the nodes' entry.
export RAY_USAGE_STATS_ENABLED=0
export RAY_SERVE_ENABLE_HA_PROXY=1
# A small or busy head may take longer than Ray's 5 s to start it, and Ray would end it and start again.
export RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S=30
# A machine that does not answer for 3 s is gone.
export RAY_health_check_initial_delay_ms=1000
export RAY_health_check_period_ms=1000
export RAY_health_check_timeout_ms=1000
export RAY_health_check_failure_threshold=3
# A worker that has lost its head for 10 s ends, and joins again once the head is back: a head knows nothing of the one before.
export RAY_gcs_rpc_server_reconnect_timeout_s=10
# The entry asks each worker every second whether it is well. With Ray's choice of a worker, leastconn, a request waits for a second after a
# worker has refused a connection. random(16), the least busy of 16 draws, takes another worker at once, as long as Ray counts both as up.
export RAY_SERVE_HAPROXY_BALANCE_ALGORITHM='random(16)'
export RAY_SERVE_HAPROXY_OBSERVE_MARK_DOWN_ENABLED=0
export RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER=1s
export RAY_SERVE_HAPROXY_TIMEOUT_CONNECT_S=1

# Two tokens, each a file that only its owner can read: that of the cluster, which lets its holder run code on all machines, and that of
# the model, which nodes have. The first command creates them; copy them to the machines that join.
export EARSHOT_WORKER_FOLDER=${EARSHOT_WORKER_FOLDER:-$HOME/.config/earshot}
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=$EARSHOT_WORKER_FOLDER/cluster-token
export EARSHOT_MODEL_TOKEN_FILE=$EARSHOT_WORKER_FOLDER/model-token

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[ -d "$checkout/.venv" ] && export PATH="$checkout/.venv/bin:$PATH"

require_tokens() {
    for file in "$RAY_AUTH_TOKEN_PATH" "$EARSHOT_MODEL_TOKEN_FILE"; do
        [ -s "$file" ] || { echo "there is no token in $file: copy it from the head" >&2; exit 1; }
    done
}
