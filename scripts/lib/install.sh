# SPDX-License-Identifier: Apache-2.0
# What Weir needs from Debian's packages, installed only if missing. Sourced by the scripts beside it.

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# Compiling and running.
packages_build="gcc libc6-dev make cmake ninja-build pkg-config libcurl4-openssl-dev libjson-c-dev libyaml-dev liblmdb-dev"
# The demonstration: something to post with, something to receive with.
packages_demo="curl python3"
# The tests: second compiler, sanitizers and fuzzer runtimes, test library, client libraries of brokers, syscall faults.
packages_test="g++ clang libclang-rt-14-dev libcmocka-dev librdkafka-dev libnats-dev kcat strace ccache binutils openssl $packages_demo"

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "need root to run '$*': run this as root, install sudo, or run that command yourself first"
	fi
}

# install_packages NAME...: from Debian's archive, those that are not there yet.
install_packages() {
	command -v dpkg-query >/dev/null || die "this script installs with apt; on another system install: $*"
	local missing=() name
	for name in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "installing ${missing[*]}"
	local attempt
	for attempt in 1 2 3; do
		if as_root apt-get update -qq &&
			DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
			return 0
		fi
		say "apt failed (attempt $attempt of 3)"
	done
	die "could not install: ${missing[*]}"
}
