# SPDX-License-Identifier: Apache-2.0
# What the harnesses beside it share; the verbs are those of include/weir/harness.h. Sourced. Servers are started by
# scripts/brokers, in a folder of their own below the tree, so that they disturb no others.
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export WEIR_BROKERS=${WEIR_BROKERS:-$tree/build-brokers}
none=77

# A port of loopback that nobody listens on, such that the one 4000 above (monitoring) is free too.
free_port() {
	local port
	for port in $(shuf -i 20000-28000 -n 50); do
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null &&
			! (exec 3<>"/dev/tcp/127.0.0.1/$((port + 4000))") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
	return 1
}

# remember KEY VALUE, recall KEY: between one verb and the next.
remember() { echo "$2" >"$WEIR_BROKERS/run/harness-$1"; }
recall() { cat "$WEIR_BROKERS/run/harness-$1"; }
mkdir -p "$WEIR_BROKERS/run"
