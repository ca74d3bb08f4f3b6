#!/bin/bash
# Runs the fuzz targets of a build (cmake --preset fuzz; cmake --build --preset fuzz --target fuzz).
#   tests/fuzz/run.sh SECONDS [TARGET …]   each target, or those named, for so many seconds, two at a time
#   tests/fuzz/run.sh 0                    only the inputs that failed once (regressions/TARGET/)
# The inputs that failed once come first. Then each target begins with its seeds, golden files and those in
# seeds/TARGET/, and with what earlier runs found in BUILD/corpus/TARGET/, where it adds what it finds.
# One line a target says how many inputs were tried and how much of the code they reached. A failing input is kept in
# BUILD/failed/: mend the fault, then move it to tests/fuzz/regressions/TARGET/.
# BLALM_FUZZ_BUILD is the build folder (build/fuzz), BLALM_FUZZ_JOBS how many run at a time (2).
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BLALM_FUZZ_BUILD:-build/fuzz}
seconds=${1:?seconds a target}
shift
all="archive checkpoint config json_lines manifest safetensors shard tokenizer toml"
targets=${*:-$all}

# Files of the targets: in memory where there is such a folder, and gone at the end whatever happens.
TMPDIR=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")" blalm-fuzz-XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
export OMP_NUM_THREADS=1 ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

# The longest input of a target: enough for all that its format has, little enough for thousands a second.
longest() {
  case $1 in
    checkpoint) echo 16384 ;;
    tokenizer) echo 8192 ;;
    *) echo 4096 ;;
  esac
}

# What a reader may take for such an input. An archive says how large a window its reader needs, up to 2 GiB.
limits="-timeout=60 -rss_limit_mb=2048 -print_final_stats=1"
most_memory() { [ "$1" = archive ] && echo 3072 || echo 128; }

run_target() {
  local target=$1 program=$build/fuzz-$1 log=$build/fuzz-$1.log
  local options="$limits -malloc_limit_mb=$(most_memory "$target") -artifact_prefix=$build/failed/$target-"
  local known=""
  [ ! -d "tests/fuzz/regressions/$target" ] || known=$(find "tests/fuzz/regressions/$target" -type f | sort)
  mkdir -p "$build/failed" "$build/corpus/$target"
  if [ -n "$known" ] && ! $program $options $known >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "FAILED $target: an input of tests/fuzz/regressions/$target fails again; $log has all" >&2
    return 1
  fi
  local replayed
  replayed=$(echo "$known" | grep -c . || true)
  if [ "$seconds" -eq 0 ]; then
    printf '%-12s %3d regressions\n' "$target" "$replayed"
    return 0
  fi
  local seeds="$build/seeds/$target"
  [ ! -d "tests/fuzz/seeds/$target" ] || seeds="$seeds tests/fuzz/seeds/$target"
  mkdir -p "$build/seeds/$target"
  if ! $program $options -max_len="$(longest "$target")" -max_total_time="$seconds" -dict="tests/fuzz/dictionaries/$target.dict" \
      "$build/corpus/$target" $seeds >"$log" 2>&1; then
    grep -v '^#[0-9]' "$log" | tail -n 60
    echo "FAILED $target: the input lies in $build/failed/; $log has all" >&2
    return 1
  fi
  # Its last line of progress: "#1234 DONE cov: 567 ft: 890 corp: 12/345b …".
  local executed covered features kept
  read -r executed covered features kept < <(sed -nE 's/^#([0-9]+)\s+DONE\s+cov: ([0-9]+) ft: ([0-9]+) corp: ([0-9]+).*/\1 \2 \3 \4/p' "$log")
  printf '%-12s %3d regressions, %4d s, %8d inputs, %5d edges, %6d features, %5d in the corpus\n' "$target" "$replayed" \
    "$seconds" "$executed" "$covered" "$features" "$kept"
}

[ "$seconds" -eq 0 ] || "$build/fuzz-seeds" "$build/seeds"
export -f run_target longest most_memory
export build seconds limits
printf '%s\n' $targets | xargs -P "${BLALM_FUZZ_JOBS:-2}" -I TARGET bash -c 'set -euo pipefail; run_target TARGET'
