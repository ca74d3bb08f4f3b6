#!/bin/sh
# Installs what is missing, builds, trains a small model on the text that comes with blalm, and lets it write.
# Arguments go to 'blalm train': apps/quickstart.sh --train.epochs 8
set -eu
cd "$(dirname "$0")/.."
blalm_more_packages=""
. apps/setup.sh
blalm_build release "blalm first_tape"

echo
echo "A two-layer network and its gradients, as the tape has them:"
build/release/first_tape

run="runs/quickstart-$(date +%Y%m%d-%H%M%S)"
echo
echo "A language model, trained on children's stories for about two minutes on two cores:"
build/release/blalm train --run "$run" "$@"

echo
echo "What it writes:"
build/release/blalm generate --model "$run" --prompt "Once upon a time" --prompt "The little girl" --ignore-end --max-tokens 60
echo
echo "Next: build/release/blalm generate --model $run --prompt 'The lion said'"
