#!/usr/bin/env bash
# Train everything that ships with `mini`: the four learned methods (preset small), then the ablation A–F of DuDoNet.
# One rule for all: the same cases, batch and seed, and the same budget. Run it again after an interruption: finished
# trainings are passed over, the others go on where they were.
#
#   scripts/train_mini.sh OUT [METHOD…]
#
# HOURS   of training for each method (default 1.5)         STEPS  instead of hours: the same samples for all
# ABLATION_HOURS, ABLATION_STEPS  for the variants A–F (default: as above; anything else makes Table 1 compare
#                                 variants of unequal budgets, for its row G is the method itself)
# DEVICE  cpu or cuda (default cpu)    BATCH (default 8)    SEED (default 0)    WORKERS (default: all cores)
set -euo pipefail

out=${1:?usage: scripts/train_mini.sh OUT [METHOD…]}
shift
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1
hours=${HOURS:-1.5}
budget=(--hours "$hours")
[[ -n ${STEPS:-} ]] && budget=(--steps "$STEPS")
ablation=("${budget[@]}")
[[ -n ${ABLATION_HOURS:-} ]] && ablation=(--hours "$ABLATION_HOURS")
[[ -n ${ABLATION_STEPS:-} ]] && ablation=(--steps "$ABLATION_STEPS")

methods=("$@")
if [[ ${#methods[@]} -eq 0 ]]; then
  methods=(dudonet rdn cnnmar cgan)
  for variant in A B C D E F; do methods+=("dudonet[variant=$variant]"); done
fi

for method in "${methods[@]}"; do
  folder="$out/$(tr -c 'a-zA-Z0-9\n' '-' <<<"$method")"
  [[ -f "$folder/weights.toml" ]] && { echo "$method: done"; continue; }
  echo "== $method"
  chosen=("${budget[@]}")
  [[ $method == *variant=* ]] && chosen=("${ablation[@]}")
  python3 -c 'from marbench.cli import main; main()' train "$method" --spec mini --preset small "${chosen[@]}" \
    --out "$folder" --device "${DEVICE:-cpu}" --batch "${BATCH:-8}" --seed "${SEED:-0}" \
    ${WORKERS:+--workers "$WORKERS"} --no-install
done
echo "To ship the weights with their plugins: python3 scripts/ship_weights.py $out"
