#!/bin/bash
# Installs the Debian packages that building, running or testing needs: tools/setup.sh [--check] build|run|test|package|bench...
# Quick when nothing is missing. With --check it installs nothing: it lists what is missing and fails.
set -euo pipefail

# To compile and link.
build_packages=(gcc libc6-dev meson ninja-build pkg-config python3-minimal librocksdb-dev liburing-dev
  libmicrohttpd-dev libjansson-dev libcurl4-openssl-dev libinih-dev libxxhash-dev libssl-dev
  libldns-dev libzstd-dev libsnappy-dev zlib1g-dev libpq-dev libxml2-dev libyaml-dev)
# Faster AES-GCM; there is none for other processors, and all works without it.
if [ "$(uname -m)" = x86_64 ]; then build_packages+=(libipsec-mb-dev); fi
# For `make run`, beyond what the libraries above bring along.
run_packages=(diffutils findutils)
# For `make check` and `make test`: tools, then the clients of the end-to-end tests.
test_packages=(clang clang-format clang-tidy libclang-rt-dev libcmocka-dev python3-pytest python3-pytest-xdist shellcheck
  python3-boto3 python3-venv awscli user-mode-linux busybox-static nfs-common iproute2 socat util-linux
  git make dpkg-dev docker-compose python3-yaml bind9-dnsutils dnsmasq-base unbound fish zsh sqlite3 fio strace curl procps xz-utils postgresql pgbouncer openssl stunnel4)
# For `make deb`.
package_packages=(dpkg-dev)
# For `make bench`: the server that ours is compared with.
bench_packages=(nfs-ganesha nfs-ganesha-vfs)

check_only=false
wanted=()
for word in "$@"; do
  case $word in
    --check) check_only=true ;;
    build) wanted+=("${build_packages[@]}") ;;
    run) wanted+=("${run_packages[@]}") ;;
    package) wanted+=("${package_packages[@]}") ;;
    bench) wanted+=("${bench_packages[@]}") ;;
    test) wanted+=("${test_packages[@]}") ;;
    *) echo "tools/setup.sh: unknown word '$word' (build, run, test, package, bench, --check)" >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query > /dev/null; then
  echo "This is not Debian, so packages are not installed. What is needed, by its Debian names:" >&2
  printf '  %s\n' "${wanted[@]}" >&2
  if $check_only; then exit 0; fi
  exit 1
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2> /dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  as_root=(sudo)
  command -v sudo > /dev/null || as_root=(none)
fi
if $check_only || [ "${as_root[0]:-}" = none ]; then
  echo "These Debian packages are missing:" >&2
  printf '  %s\n' "${missing[@]}" >&2
  echo "Install them as root: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@"; }
# The lists of packages may be missing or old: they are fetched only when the installation needs it.
if ! apt install -y --no-install-recommends "${missing[@]}" > /tmp/shoal-setup.$$ 2>&1; then
  apt update
  apt install -y --no-install-recommends "${missing[@]}"
fi
rm -f /tmp/shoal-setup.$$
