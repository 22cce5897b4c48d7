#!/usr/bin/env bash
# Runs a command with a throw-away Redis Cluster, and looks at the cluster afterwards:
#
#   ./on-a-cluster.sh npm test
#
# The command finds the nodes in CLUSTER_NODES, "127.0.0.1:7000 127.0.0.1:7001 ...". Needs rcluster, and redis-server or
# valkey-server, on PATH. PORT is the first of six ports; without it they are the first free ones from 7000 on.
set -euo pipefail
# What stands in the JSON document on stdin: field result.isHealthy
field() { node -pe "JSON.parse(require('fs').readFileSync(0, 'utf8')).$1"; }

up=$(rcluster local up ${PORT:+--port "$PORT"} --primaries 3 --replicas 1 --json)
# Only now: a local cluster that was there before is not ours to remove.
trap 'rcluster local down' EXIT
CLUSTER_NODES=$(field 'result.addresses.join(" ")' <<<"$up")
export CLUSTER_NODES
seed=${CLUSTER_NODES%% *}
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
