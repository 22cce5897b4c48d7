#!/bin/sh
# Makes the pods 0 to NODES-1 one cluster, of primaries with a replica each: creates it, finds it again when all pods have
# come back at new addresses, grows it, shrinks it. What is so already is left as it is, so it may run at any time, and again
# when it was cut off.
#
#   NODES   how many pods shall be in the cluster: 6, 8, 10, ...
#   PODS    how many pods the StatefulSet has; those from NODES on are taken out of the cluster
#   DOMAIN  valkey.NAMESPACE.svc.cluster.local
set -eu
FIRST=6
if [ "$NODES" -lt "$FIRST" ] || [ "$NODES" -gt "$PODS" ] || [ $((NODES % 2)) -ne 0 ]; then
  echo "NODES is $NODES: it has to be even, at least $FIRST, and not above PODS, which is $PODS" >&2
  exit 2
fi

node() { echo "valkey-$1.$DOMAIN:6379"; }
# The nodes from $1 up to, and without, $2; before each stands $3.
nodes() {
  i=$1
  while [ "$i" -lt "$2" ]; do
    echo "${3:-} $(node "$i")"
    i=$((i + 1))
  done
}
seed=$(node 0)

status=0
rcluster create $(nodes 0 "$FIRST") --replicas 1 --if-missing --yes || status=$?
if [ "$status" -eq 3 ]; then
  # They are a cluster, and it is not healthy. Some of that passes; but when all pods are new at once, nobody knows where the
  # others are. All pods are named, or, when the last ones have not joined yet, only the first.
  healthy() { rcluster wait "$seed" $(nodes 1 "$PODS" --seed) --for healthy --timeout 15s; }
  healthy || {
    rcluster fix "$seed" $(nodes 1 "$PODS" --seed) --yes || rcluster fix "$seed" $(nodes 1 "$FIRST" --seed) --yes
    healthy
  }
elif [ "$status" -ne 0 ]; then
  exit "$status"
fi

new=$FIRST
while [ "$new" -lt "$NODES" ]; do
  rcluster add-node "$(node "$new")" "$seed" --if-missing --yes
  rcluster add-node "$(node $((new + 1)))" "$seed" --replica --primary "$(node "$new")" --if-missing --yes
  new=$((new + 2))
done
if [ "$NODES" -lt "$PODS" ]; then
  rcluster del-node "$seed" $(nodes "$NODES" "$PODS") --drain --if-present --yes
fi
rcluster rebalance "$seed" --use-empty --yes
rcluster wait "$seed" --for healthy --nodes "$NODES"
rcluster info "$seed"
