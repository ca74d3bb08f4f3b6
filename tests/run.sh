#!/bin/sh
# Installs what is missing, builds, and runs all tests.
#   tests/run.sh                 everything
#   tests/run.sh -L fast         what ctest understands: here only the fast ones (under a minute)
# Extra arguments for CMake come from the environment: BLALM_CMAKE_ARGUMENTS="-DBLALM_WERROR=ON".
set -eu
cd "$(dirname "$0")/.."
blalm_more_packages=""
. apps/setup.sh
blalm_build release all ${BLALM_CMAKE_ARGUMENTS:-}
exec ctest --preset release "$@"
