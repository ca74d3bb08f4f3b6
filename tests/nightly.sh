#!/bin/bash
# What is too long for .ci/run, to be run over a night and before a large change is called done:
#   tests/nightly.sh [SECONDS]   each fuzz target for so many seconds, 600 if nothing is said
# All tests, slow ones too, under g++'s sanitizers with oneDNN and what this processor has, and in a clang++ build without
# sanitizers; the fast tests of a build for any x86-64 processor, on an emulated one of 2008; then the fuzz targets.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
step() { printf '\n== %s (%d s)\n' "$*" $((SECONDS - started)); }

if [ -d ../shared/data/tokenizers ]; then export BLALM_TOKENIZERS=$PWD/../shared/data/tokenizers; fi
blalm_more_packages="clang-14 libomp-14-dev libclang-rt-14-dev qemu-user"
. apps/setup.sh

step "g++ with sanitizers, all tests"
blalm_build sanitize all -DBLALM_WERROR=ON
ctest --preset sanitize

step "debug: the engine unoptimised, with assertions"
engine_tests="test-engine-core test-engine-kernels test-engine-autograd test-engine-ops test-engine-inspect test-engine-io"
blalm_build debug "$engine_tests"
BLALM_CENSUS_ELEMENTS=16 ctest --preset debug -L fast -R '^test-engine-'

step "clang++, each source by itself, without oneDNN and AVX-512, all tests"
blalm_build clang all -DBLALM_WERROR=ON
ctest --preset clang

step "a processor of 2008, emulated, fast tests"
# A program that a test starts would run on the real processor: the tests of commands, which start them, are left out, and
# so is the case that forks, which the emulator cannot. It keeps a note for each page of addresses: with terabytes of them
# reserved, as the heap does, it takes all memory.
blalm_build portable all -DBLALM_WERROR=ON
(
  ulimit -v $((64 << 20))
  export BLALM_CENSUS_ELEMENTS=4 OMP_WAIT_POLICY=passive OMP_NUM_THREADS=2
  for program in build/portable/test-{engine-core,engine-kernels,engine-autograd,engine-ops,engine-inspect,engine-io,models,optim,data}; do
    echo "$program"
    qemu-x86_64 -cpu Nehalem "$program" --test-suite-exclude=slow --test-case-exclude='a preparation that is killed*'
  done
)

step "fuzz targets, ${1:-600} s each"
blalm_build fuzz fuzz -DBLALM_WERROR=ON
tests/fuzz/run.sh 0
tests/fuzz/run.sh "${1:-600}"

step "done"
