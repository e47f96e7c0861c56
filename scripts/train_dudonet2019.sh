#!/usr/bin/env bash
# Train the learned methods for `dudonet2019`: most samples at half the resolution, the last ones in full. One rule for
# all: the same start, cases, batch and seed, and as many samples in full. At half resolution a method whose validation
# may still rise after HALF_STEPS goes on for MORE_STEPS. Run it again after an interruption: finished stages are passed
# over, the others go on. Checkpoints are in OUT, simulated cases in MARBENCH_CACHE.
#
#   scripts/train_dudonet2019.sh OUT [METHOD…]
#
# METHOD  (default: dudonet cnnmar rdn cgan)      PRESET (default small)
# RISING  methods whose validation may still rise (default: dudonet rdn)
# START   weights that every method begins from: a file, or a benchmark (default mini; empty: random networks)
# HALF_STEPS, MORE_STEPS, FULL_STEPS  of BATCH cases over all ranks (default 3000, 7000 and 300 of 8)
# MORE_RATE, FULL_RATE  learning rates of the later stages, as a share of the method's (default 0.5 and 0.1; in full 0.3 of
#         DuDoNet, whose sinogram network meets other bins)
# scripts/training.sh has the other settings
set -euo pipefail

out=${1:?usage: scripts/train_dudonet2019.sh OUT [METHOD…]}
shift
source "$(dirname "$0")/training.sh"
methods=("$@")
[[ ${#methods[@]} -eq 0 ]] && methods=(dudonet cnnmar rdn cgan)

# stage METHOD FOLDER SPEC STEPS START RATE
stage() { train "$1" "$2" --preset "${PRESET:-small}" --spec "$3" --steps "$4" ${5:+--start-from "$5"} --learning-rate-factor "$6"; }

half=$root/scripts/dudonet2019_half.toml
for method in "${methods[@]}"; do
  name=$(folder_of "$method") rate=0.1
  [[ $method == dudonet ]] && rate=0.3
  before=$out/half/$name
  stage "$method" "$before" "$half" "${HALF_STEPS:-3000}" "${START-mini}" 1
  if [[ " ${RISING-dudonet rdn} " == *" $method "* ]]; then
    stage "$method" "$out/more/$name" "$half" "${MORE_STEPS:-7000}" "$(ls "$before"/*.safetensors)" "${MORE_RATE:-0.5}"
    before=$out/more/$name
  fi
  stage "$method" "$out/$name" dudonet2019 "${FULL_STEPS:-300}" "$(ls "$before"/*.safetensors)" "${FULL_RATE:-$rate}"
done
echo "To ship the weights with their plugins: python3 scripts/ship_weights.py $out"
