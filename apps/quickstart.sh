#!/bin/sh
# Installs what is missing, builds, and runs the main job.
set -eu
cd "$(dirname "$0")/.."
blalm_more_packages=""
. apps/setup.sh
blalm_build release first_tape
exec build/release/first_tape
