#!/bin/bash
# Runs each fuzz target for SECONDS_PER_TARGET (60) seconds; a finding is left in build-fuzz/ and ends with failure.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -f build-fuzz/build.ninja ]; then
  CC=clang CFLAGS=-fsanitize=fuzzer-no-link meson setup build-fuzz -Dfuzz=true -Dbuildtype=debugoptimized \
    -Db_sanitize=address,undefined -Db_lundef=false
fi
ninja -C build-fuzz
failed=0
for target in build-fuzz/tests/fuzz/fuzz_*; do
  if [ ! -f "$target" ] || [ ! -x "$target" ]; then continue; fi
  name=$(basename "$target")
  # What earlier runs found interesting is kept in the build directory; seeds of the tree come first.
  mkdir -p "build-fuzz/corpus/$name"
  seeds=()
  [ -d "tests/fuzz/corpus/$name" ] && seeds=("tests/fuzz/corpus/$name")
  echo "== $name"
  "$target" -max_total_time="${SECONDS_PER_TARGET:-60}" -print_final_stats=1 -rss_limit_mb=2048 \
    -artifact_prefix="build-fuzz/$name-" "build-fuzz/corpus/$name" "${seeds[@]}" || failed=$((failed + 1))
done
echo "$failed fuzz targets found something"
exit "$((failed > 0))"
