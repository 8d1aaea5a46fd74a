# SPDX-License-Identifier: Apache-2.0
# Real servers for tests: installing them from package registries, starting them on loopback, stopping them.
# Sourced by the scripts beside it. Everything lives below $WEIR_BROKERS (default: build-brokers in the tree). A server is
# only ever signalled through the pid file written here, and only while that pid still has the start time recorded.
set -euo pipefail
brokers_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$brokers_source/../lib/install.sh"
brokers=${WEIR_BROKERS:-$(cd "$brokers_source/../.." && pwd)/build-brokers}
mkdir -p "$brokers/bin" "$brokers/run" "$brokers/data"

# started PID: the kernel's start time of that process; fails if there is none or it is a zombie.
started() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	stat=${stat##*) }
	# shellcheck disable=SC2086
	set -- $stat
	[ "$1" != Z ] && echo "${20}"
}

# running NAME: prints the pid if the server that was started under this name still runs.
running() {
	local pid start
	[ -f "$brokers/run/$1.pid" ] || return 1
	read -r pid start <"$brokers/run/$1.pid"
	[ -n "$start" ] && [ "$(started "$pid")" = "$start" ] && echo "$pid"
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# launch NAME PORTS COMMAND...: in the background, its output in run/NAME.log. PORTS must be free.
launch() {
	local name=$1 port
	for port in $2; do
		! listening "$port" || die "port $port is taken by a process that was not started here; cannot start $name"
	done
	shift 2
	setsid "$@" >"$brokers/run/$name.log" 2>&1 </dev/null &
	echo "$! $(started $! || true)" >"$brokers/run/$name.pid"
}

# until_ready NAME SECONDS COMMAND...: until COMMAND succeeds; shows the log's end if the server dies or takes too long.
until_ready() {
	local name=$1 end=$((SECONDS + $2))
	shift 2
	until "$@" >/dev/null 2>&1; do
		if ! running "$name" >/dev/null || [ $SECONDS -ge $end ]; then
			tail -n 20 "$brokers/run/$name.log" >&2
			die "$name did not become ready"
		fi
		sleep 0.1
	done
}

# signal NAME SIGNAL: to a server started here.
signal() {
	local pid
	pid=$(running "$1") || die "$1 does not run"
	kill "-$2" "$pid"
}

# stop NAME: in an orderly way, by force after 15 s. Quiet if it does not run.
stop() {
	local pid end=$((SECONDS + 15))
	pid=$(running "$1") || return 0
	kill -TERM "$pid"
	while running "$1" >/dev/null; do
		[ $SECONDS -lt $end ] || kill -KILL "$pid" 2>/dev/null || true
		sleep 0.1
	done
	rm -f "$brokers/run/$1.pid"
}

# go_tool NAME MODULE@VERSION: builds a program from the Go module proxy into bin/NAME, unless it is there.
go_tool() {
	[ "$(cat "$brokers/bin/.$1" 2>/dev/null)" = "$2" ] && [ -x "$brokers/bin/$1" ] && return 0
	command -v go >/dev/null || install_packages golang-go
	say "building $1 from the Go module proxy (once)"
	local out
	out=$(mktemp -d)
	GOBIN=$out go install -ldflags '-s -w' "$2" >"$brokers/run/go-$1.log" 2>&1 || {
		tail -n 20 "$brokers/run/go-$1.log" >&2
		die "go install $2 failed"
	}
	mv "$out"/* "$brokers/bin/$1"
	rmdir "$out"
	echo "$2" >"$brokers/bin/.$1"
}
