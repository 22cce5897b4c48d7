#!/usr/bin/env bash
# Runs a command, after installing the npm packages where they are missing or older than package-lock.json.
#
#   scripts/with-packages.sh COMMAND [ARG ...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

node -e '
  const [major, minor] = process.versions.node.split(".").map(Number)
  process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)
' || {
  echo "rcluster needs Node.js 20.19 or newer; this is $(node --version)." >&2
  exit 1
}

# npm writes this file last.
if [[ ! -f node_modules/.package-lock.json || package-lock.json -nt node_modules/.package-lock.json ]]; then
  echo 'Installing the npm packages into node_modules (npm ci) ...' >&2
  npm ci --no-audit --no-fund --loglevel=error >&2
fi
exec "$@"
