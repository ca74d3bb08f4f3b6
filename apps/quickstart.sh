#!/bin/sh
# Installs what is missing, builds, trains a small model on the text that comes with blalm, and lets it write.
# Arguments go to 'blalm train' as they are: apps/quickstart.sh --train.epochs 2
set -eu
cd "$(dirname "$0")/.."
blalm_more_packages=""
. apps/setup.sh
blalm_build release "blalm first_tape"

echo
echo "A two-layer network and its gradients, as the tape has them:"
build/release/first_tape

# Four passes over the text take one to two minutes on two cores with AMX or AVX-512; what is slower makes fewer.
if [ $# -eq 0 ]; then
  seconds=$(build/release/blalm train --dry-run 12 | sed -n 's/.* a whole run of .* takes about //p' |
    awk -F: '{ for (i = 1; i <= NF; i++) s = 60 * s + $i; print int(s) }')
  if [ "${seconds:-0}" -gt 150 ]; then
    passes=$((480 / seconds > 1 ? 480 / seconds : 1))
    echo
    echo "Four passes over the text would take $seconds seconds on this machine: it makes $passes."
    set -- --train.epochs "$passes"
  fi
fi

run="runs/quickstart-$(date +%Y%m%d-%H%M%S)"
echo
echo "A language model, trained on children's stories:"
build/release/blalm train --run "$run" "$@"

echo
echo "What it writes:"
build/release/blalm generate --model "$run" --prompt "Once upon a time" --prompt "The little girl" --ignore-end --max-tokens 60
echo
echo "Next: build/release/blalm generate --model $run --prompt 'The lion said'"
