#!/usr/bin/env bash
# Twelve minutes on a CUDA machine: are the kernels right, how fast are they (--quick tables), and then training until
# the time is up; what is not done by then is ended.
# Prints the tables, and leaves weights and their cards in OUT, at most 8 files of at most 16 MiB; called again with
# these in START, it goes on from them.
#
#   scripts/gpu.sh OUT [--device cpu] [--quick]
#
# MINUTES  of everything together (default 12)           METHODS  to train (default: dudonet rdn cnnmar cgan)
# SPEC     the benchmark to train for (default dudonet2019)   PRESET   of the methods (default base)
# START    a folder with weights of an earlier call      PYTHON   an interpreter that has marbench's packages
# --device cpu --quick goes from end to end where there is no GPU, on small sizes, however long it takes: its figures
# mean nothing.
set -euo pipefail

out=$(realpath -m "${1:?usage: scripts/gpu.sh OUT [--device cpu] [--quick]}")
shift
device=cuda quick=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --device) device=$2; shift ;;
    --quick) quick=(--quick) ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
  shift
done
end=$(($(date +%s) + ${MINUTES:-12} * 60))
start=${START:+$(realpath -m "$START")}
python=${PYTHON:-python3}
[[ $python == */* ]] && python=$(realpath -s "$python") # an environment's is a link that must stay one
cd "$(dirname "$0")/.."
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1 MARBENCH_CACHE="$work/cache"

# Whatever fails is told, and costs nothing of what follows.
section() {
  echo "## $1"
  shift
  local status=0 left=$((end - $(date +%s))) limit=()
  [[ ${quick:-} ]] || limit=(timeout --foreground --kill-after=5 $((left > 1 ? left : 1)))
  "${limit[@]}" "$@" >"$work/said" 2>&1 || status=$?
  if [[ -f $work/table ]]; then cat "$work/table"; else tail -n 25 "$work/said"; fi
  rm -f "$work/table"
  # 137 is also what a program ends with that was killed for lack of memory.
  [[ ${quick:-} || $(date +%s) -lt $end || ($status != 124 && $status != 137) ]] || echo "ended: the time is up"
  echo "exit code $status"
}

section "equality of the kernels with the reference" \
  "$python" -m pytest -q -p no:cacheprovider tests/ct/test_triton.py tests/ct/test_cuda.py ${quick:+-k "adjoint or precision"}
spec=${SPEC:-dudonet2019} preset=${PRESET:-base}
[[ ${quick:-} ]] && spec=mini preset=small
read -ra methods <<<"${METHODS:-dudonet rdn cnnmar cgan}"
for script in gpu_ril gpu_training table3; do
  only=()
  [[ $script == gpu_training ]] && only=(--methods "$(IFS=, && echo "${methods[*]}")")
  section "$script" "$python" "benchmarks/$script.py" --device "$device" --out "$work/table" --quick "${only[@]}"
done

left=${#methods[@]}
for method in "${methods[@]}"; do
  # What is left is shared evenly; half a minute of each goes to loading and to the last validation.
  seconds=$(((end - $(date +%s)) / left - 30))
  left=$((left - 1))
  budget=(--hours "$(awk -v s="$seconds" 'BEGIN { printf "%.4f", s / 3600 }')")
  [[ ${quick:-} ]] && budget=(--steps 2 --batch 4)
  [[ $seconds -ge 20 || ${quick:-} ]] || { echo "no time is left for $method"; continue; }
  before="${start:-}/$method-$preset-$spec.safetensors" begin=()
  [[ -f $before ]] && begin=(--start-from "$before")
  section "training of $method" "$python" -c 'from marbench.cli import main; main()' train "$method" --spec "$spec" \
    --preset "$preset" "${budget[@]}" --device "$device" --no-install --out "$work/$method" "${begin[@]}"
  cp -f "$work/$method/$method-$preset-$spec".{safetensors,json} "$out/" 2>/dev/null || echo "$method left no weights"
done
find "$out" -type f -size +16M -print -delete | sed 's/$/ is larger than 16 MiB and left out/'
