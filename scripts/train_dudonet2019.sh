#!/usr/bin/env bash
# Train the learned methods for `dudonet2019`: most samples at half the resolution, the last ones in full. One rule for
# all: the same start, cases, batch, seed and number of samples. Run it again after an interruption: finished stages are
# passed over, the others go on. Checkpoints are in OUT, simulated cases in MARBENCH_CACHE.
#
#   scripts/train_dudonet2019.sh OUT [METHOD…]
#
# METHOD  (default: dudonet cnnmar rdn cgan)      PRESET (default small)
# START   weights that every method begins from: a file, or a benchmark (default mini; empty: random networks)
# HALF_STEPS, FULL_STEPS  of BATCH cases over all ranks (default 3000 and 300 of 8)
# FULL_RATE  learning rates in full, as a share of the method's: networks that are good already are refined (default 0.1)
# RANKS   processes that share each step, through torchrun (default 1); on a CPU one for each core, with THREADS=1
# DEVICE  cpu or cuda (default cpu)    PRECISION  32-true or bf16-mixed (default: the faster one on this machine)
# SEED (default 0)    POOL  cases held at a time    WORKERS, THREADS (default: all cores)
set -euo pipefail

out=${1:?usage: scripts/train_dudonet2019.sh OUT [METHOD…]}
shift
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1
# glibc: memory is taken in huge pages and kept. Steps were measured 10 to 20 % faster.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=20000000000
preset=${PRESET:-small}
methods=("$@")
[[ ${#methods[@]} -eq 0 ]] && methods=(dudonet cnnmar rdn cgan)
program=(python3 -c 'from marbench.cli import main; main()')
if [[ ${RANKS:-1} -gt 1 ]]; then
  program=(python3 -m torch.distributed.run --standalone --nproc-per-node "$RANKS" --no-python "${program[@]}")
fi

# stage METHOD SPEC STEPS FOLDER START RATE
stage() {
  [[ -f $4/weights.toml ]] && { echo "$4: done"; return; }
  echo "== $4"
  "${program[@]}" train "$1" --spec "$2" --preset "$preset" --steps "$3" --out "$4" --device "${DEVICE:-cpu}" \
    --batch "${BATCH:-8}" --seed "${SEED:-0}" ${5:+--start-from "$5"} ${6:+--learning-rate-factor "$6"} ${POOL:+--pool "$POOL"} \
    ${PRECISION:+--precision "$PRECISION"} ${WORKERS:+--workers "$WORKERS"} ${THREADS:+--threads "$THREADS"} --no-install
}

for method in "${methods[@]}"; do
  folder=$(tr -c 'a-zA-Z0-9\n' '-' <<<"$method")
  stage "$method" "$root/scripts/dudonet2019_half.toml" "${HALF_STEPS:-3000}" "$out/half/$folder" "${START-mini}"
  stage "$method" dudonet2019 "${FULL_STEPS:-300}" "$out/$folder" \
    "$(ls "$out/half/$folder"/*.safetensors)" "${FULL_RATE:-0.1}"
done
echo "To ship the weights with their plugins: python3 scripts/ship_weights.py $out"
