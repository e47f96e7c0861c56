#!/usr/bin/env bash
# Train everything that ships with `mini`: the four learned methods (preset small), then the ablation A–F of DuDoNet.
# One rule for all: the same cases, batch and seed, and the same budget. Run it again after an interruption: finished
# trainings are passed over, the others go on where they were.
#
#   scripts/train_mini.sh OUT [METHOD…]
#
# STEPS   of training for each method (default 4000: the same samples for all)
# ABLATION_STEPS  for the variants A–F (default: as above; anything else makes Table 1 compare variants of unequal
#                 budgets, for its row G is the method itself)
# DEVICE  cpu or cuda (default cpu)    BATCH (default 4)    POOL  cases held at a time (default 8192)
# SEED (default 0)    WORKERS, THREADS (default: all cores)
#
# On a CPU several trainings side by side, each with THREADS=1, get more out of the cores than one with all of them (two
# cores: 1.5 times as many samples a second): start the script once for each core, with methods of its own.
set -euo pipefail

out=${1:?usage: scripts/train_mini.sh OUT [METHOD…]}
shift
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1
steps=${STEPS:-4000}

methods=("$@")
if [[ ${#methods[@]} -eq 0 ]]; then
  methods=(dudonet rdn cnnmar cgan)
  for variant in A B C D E F; do methods+=("dudonet[variant=$variant]"); done
fi

for method in "${methods[@]}"; do
  folder="$out/$(tr -c 'a-zA-Z0-9\n' '-' <<<"$method")"
  [[ -f "$folder/weights.toml" ]] && { echo "$method: done"; continue; }
  echo "== $method"
  budget=$steps
  [[ $method == *variant=* ]] && budget=${ABLATION_STEPS:-$steps}
  python3 -c 'from marbench.cli import main; main()' train "$method" --spec mini --preset small --steps "$budget" \
    --out "$folder" --device "${DEVICE:-cpu}" --batch "${BATCH:-4}" --pool "${POOL:-8192}" --seed "${SEED:-0}" \
    ${WORKERS:+--workers "$WORKERS"} ${THREADS:+--threads "$THREADS"} --no-install
done
echo "To ship the weights with their plugins: python3 scripts/ship_weights.py $out"
