#!/usr/bin/env bash
# Train everything that ships with `mini`: the learned methods (preset small), then rows A–G of DuDoNet's ablation
# (preset ablation, a smaller budget). One rule for each of the two lists: the same cases, batch and seed, and the same
# number of samples. Run it again after an interruption: finished trainings are passed over, the others go on.
#
#   scripts/train_mini.sh OUT [METHOD…]
#
# METHOD  name or name[parameter=value], for the ablation followed by @ablation (default: everything)
# STEPS   of training for each method (default 4500), and ABLATION_STEPS for each row of the ablation (default 2000)
# START   weights that every method begins from: a file, or a benchmark as "mini" (default: random networks)
# POOL    cases held at a time (default 8192); scripts/training.sh has the other settings
#
# The shipped weights were made with THREADS=1 and one or two ranks; their cards tell which, the precision and the hardware.
set -euo pipefail

out=${1:?usage: scripts/train_mini.sh OUT [METHOD…]}
shift
source "$(dirname "$0")/training.sh"
POOL=${POOL:-8192}

methods=("$@")
if [[ ${#methods[@]} -eq 0 ]]; then
  methods=(dudonet rdn cnnmar cgan dudonetpp dicdnet indudonet nmar_cnn unet_sinogram oscnet acdnet dudodp)
  for variant in A B C D E F; do methods+=("dudonet[variant=$variant]@ablation"); done
  methods+=(dudonet@ablation)
fi

for each in "${methods[@]}"; do
  preset=small steps=${STEPS:-4500}
  if [[ $each == *@ablation ]]; then preset=ablation steps=${ABLATION_STEPS:-2000}; fi
  train "${each%@*}" "$out/$(folder_of "$each")" --spec mini --preset "$preset" --steps "$steps" ${START:+--start-from "$START"}
done
echo "To ship the weights with their plugins: python3 scripts/ship_weights.py $out"
