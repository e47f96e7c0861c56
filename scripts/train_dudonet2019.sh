#!/usr/bin/env bash
# Train the learned methods for `dudonet2019`: first at half the resolution, then in full. One rule for all: the same
# start, cases, batch and seed, and as many samples. A method whose validation may still rise at the end of a stage goes
# on: at half the resolution for MORE_STEPS, in full for LONG_STEPS and then twice LAST_STEPS in place of FULL_STEPS. Run
# it again after an interruption: finished stages are passed over, the others go on. Checkpoints are in OUT, simulated
# cases in MARBENCH_CACHE.
#
#   scripts/train_dudonet2019.sh OUT [METHOD…]
#
# METHOD  (default: dudonet cnnmar rdn cgan)      PRESET (default small; in full, of DuDoNet, FULL_PRESET, default fine)
# RISING  methods whose validation may still rise at half the resolution (default: dudonet rdn), and LONG in full (dudonet)
# START   weights that every method begins from: a file, or a benchmark (default mini; empty: random networks)
# HALF_STEPS, MORE_STEPS, FULL_STEPS, LONG_STEPS, LAST_STEPS
#         of BATCH cases over all ranks (default 3000, 7000, 300, 3200 and 8000 of 8)
# MORE_RATE, LAST_RATE, FULL_RATE
#         learning rates of longer, of the last long and of short later stages, as shares of the method's (default 0.5,
#         0.4 and 0.1)
# scripts/training.sh has the other settings
set -euo pipefail

out=${1:?usage: scripts/train_dudonet2019.sh OUT [METHOD…]}
shift
source "$(dirname "$0")/training.sh"
methods=("$@")
[[ ${#methods[@]} -eq 0 ]] && methods=(dudonet cnnmar rdn cgan)

# stage METHOD FOLDER SPEC STEPS START RATE [PRESET]
stage() {
  train "$1" "$2" --preset "${7:-${PRESET:-small}}" --spec "$3" --steps "$4" ${5:+--start-from "$5"} \
    --learning-rate-factor "$6"
}

half=$root/scripts/dudonet2019_half.toml
for method in "${methods[@]}"; do
  name=$(folder_of "$method") steps=${FULL_STEPS:-300} rate=${FULL_RATE:-0.1} preset=
  [[ $method == dudonet ]] && preset=${FULL_PRESET:-fine}
  before=$out/half/$name
  stage "$method" "$before" "$half" "${HALF_STEPS:-3000}" "${START-mini}" 1
  if [[ " ${RISING-dudonet rdn} " == *" $method "* ]]; then
    weights=$(ls "$before"/*.safetensors) # a line of its own: within an argument, failing would end nothing
    stage "$method" "$out/more/$name" "$half" "${MORE_STEPS:-7000}" "$weights" "${MORE_RATE:-0.5}"
    before=$out/more/$name
  fi
  weights=$(ls "$before"/*.safetensors)
  if [[ " ${LONG-dudonet} " == *" $method "* ]]; then
    stage "$method" "$out/long/$name" dudonet2019 "${LONG_STEPS:-3200}" "$weights" "${MORE_RATE:-0.5}" "$preset"
    weights=$(ls "$out/long/$name"/*.safetensors) steps=${LAST_STEPS:-8000}
    stage "$method" "$out/last/$name" dudonet2019 "$steps" "$weights" "${MORE_RATE:-0.5}" "$preset"
    weights=$(ls "$out/last/$name"/*.safetensors) rate=${LAST_RATE:-0.4}
  fi
  stage "$method" "$out/$name" dudonet2019 "$steps" "$weights" "$rate" "$preset"
done
echo "To ship the weights with their plugins: python3 scripts/ship_weights.py $out"
