#!/usr/bin/env bash
# Runs a command with a throw-away Redis Cluster, and looks at the cluster afterwards:
#
#   ./on-a-cluster.sh npm test
#
# The command finds the nodes in CLUSTER_NODES, "127.0.0.1:7000 127.0.0.1:7001 ...". Needs rcluster, and redis-server or
# valkey-server, on PATH. PORT is the first of six ports.
set -euo pipefail
port=${PORT:-7000}
seed=127.0.0.1:$port
# What stands in the JSON document on stdin: field result.isHealthy
field() { node -pe "JSON.parse(require('fs').readFileSync(0, 'utf8')).$1"; }

trap 'rcluster local down --quiet' EXIT
up=$(rcluster local up --port "$port" --primaries 3 --replicas 1 --json)
CLUSTER_NODES=$(field 'result.addresses.join(" ")' <<<"$up")
export CLUSTER_NODES
rcluster wait "$seed" --for healthy --nodes 6 --timeout 1m

"$@"

status=0
report=$(rcluster check "$seed" --json) || status=$?
case $status in
  0) echo 'The cluster is healthy.' ;;
  1) field 'result.findings.map(({severity, message}) => `${severity}: ${message}`).join("\n")' <<<"$report" ;;
  *) field error.message <<<"$report" ;;
esac >&2
exit "$status"
