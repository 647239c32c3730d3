#!/usr/bin/env bash
# Installs the Debian packages that miao is built with; a second run finds them all and does nothing.
#   scripts/setup.sh        to build, test and run
#   scripts/setup.sh --ci   also clang, clang-format, clang-tidy and the sanitizer runtimes
set -euo pipefail

packages=(g++ make cmake ninja-build pkg-config ccache git ca-certificates python3 python3-dev python3-venv
  libgtest-dev libcli11-dev libspdlog-dev nlohmann-json3-dev libsimdjson-dev libcurl4-openssl-dev libssl-dev
  libutf8proc-dev libedit-dev libzip-dev zlib1g-dev libxxhash-dev libsndfile1-dev libmpg123-dev libsoxr-dev libhnswlib-dev
  libsqlite3-dev)
case "${1:-}" in
  --ci) packages+=(clang clang-format clang-tidy libclang-rt-14-dev espeak-ng) ;;
  "") ;;
  *) echo "usage: scripts/setup.sh [--ci]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "scripts/setup.sh knows only Debian and its relatives (it found no dpkg and apt-get)." >&2
  echo "Install these, or what your system calls them, and run cmake --preset release yourself:" >&2
  echo "  ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Run as root, or install sudo: apt-get install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}")
# The package lists may be absent or stale: refresh them once when the first try fails.
"${install[@]}" >/dev/null 2>&1 || { "${as_root[@]}" apt-get update -q && "${install[@]}"; }
