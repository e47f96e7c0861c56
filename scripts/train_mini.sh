#!/usr/bin/env bash
# Train everything that ships with `mini`: the learned methods (preset small), then rows A–G of DuDoNet's ablation
# (preset ablation, a smaller budget). One rule for each of the two lists: the same cases, batch and seed, and the same
# number of samples. Run it again after an interruption: finished trainings are passed over, the others go on.
#
#   scripts/train_mini.sh OUT [METHOD…]
#
# METHOD  name or name[parameter=value], for the ablation followed by @ablation (default: everything)
# STEPS   of training for each method (default 4500), and ABLATION_STEPS for each row of the ablation (default 2000)
# BATCH   cases a step, over all ranks (default 8)    DEVICE  cpu or cuda (default cpu)
# RANKS   processes that share each step, through torchrun (default 1); on a CPU one for each core, with THREADS=1
# PRECISION  32-true or bf16-mixed (default: the faster one on this machine)
# START   weights that every method begins from: a file, or a benchmark as "mini" (default: random networks)
# POOL    cases held at a time (default 8192)    SEED (default 0)    WORKERS, THREADS (default: all cores)
#
# The shipped weights were made with THREADS=1 and one or two ranks; their cards tell which, the precision and the hardware.
set -euo pipefail

out=${1:?usage: scripts/train_mini.sh OUT [METHOD…]}
shift
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1
# glibc: memory is taken in huge pages and kept. Steps were measured 10 to 20 % faster.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=20000000000

methods=("$@")
if [[ ${#methods[@]} -eq 0 ]]; then
  methods=(dudonet rdn cnnmar cgan dudonetpp dicdnet indudonet nmar_cnn unet_sinogram oscnet acdnet dudodp)
  for variant in A B C D E F; do methods+=("dudonet[variant=$variant]@ablation"); done
  methods+=(dudonet@ablation)
fi
program=(python3 -c 'from marbench.cli import main; main()')
if [[ ${RANKS:-1} -gt 1 ]]; then
  program=(python3 -m torch.distributed.run --standalone --nproc-per-node "$RANKS" --no-python "${program[@]}")
fi

for each in "${methods[@]}"; do
  method=${each%@*} preset=small steps=${STEPS:-4500}
  if [[ $each == *@ablation ]]; then preset=ablation steps=${ABLATION_STEPS:-2000}; fi
  folder="$out/$(tr -c 'a-zA-Z0-9\n' '-' <<<"$each")"
  [[ -f "$folder/weights.toml" ]] && { echo "$each: done"; continue; }
  echo "== $each"
  "${program[@]}" train "$method" --spec mini --preset "$preset" --steps "$steps" --out "$folder" \
    --device "${DEVICE:-cpu}" --batch "${BATCH:-8}" --pool "${POOL:-8192}" --seed "${SEED:-0}" \
    ${START:+--start-from "$START"} ${PRECISION:+--precision "$PRECISION"} ${WORKERS:+--workers "$WORKERS"} ${THREADS:+--threads "$THREADS"} --no-install
done
echo "To ship the weights with their plugins: python3 scripts/ship_weights.py $out"
