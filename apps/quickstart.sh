#!/bin/sh
# Installs what is missing, builds, and runs the main job.
set -eu
cd "$(dirname "$0")/.."
blalm_more_packages=""
. apps/setup.sh
blalm_build release "blalm first_tape"
build/release/first_tape
echo
echo "Next: 'build/release/blalm train' trains a small model on the text that comes with blalm."
