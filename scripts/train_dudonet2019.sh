#!/usr/bin/env bash
# Train the learned methods (preset base) for `dudonet2019`, in slices of minutes: every call goes on with all of them
# for MINUTES each, until their budgets of HOURS are used. Checkpoints are in OUT, simulated cases in MARBENCH_CACHE.
#
#   scripts/train_dudonet2019.sh OUT [METHOD…]
#
# HOURS    of training for each method (default 4)     MINUTES  of each in one call (default 9; 0: to the end)
# DEVICE   cpu or cuda (default cuda)   BATCH (default 8)   SEED (default 0)   POOL  cases held at a time
set -euo pipefail

out=${1:?usage: scripts/train_dudonet2019.sh OUT [METHOD…]}
shift
root=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1
seconds=$(awk -v minutes="${MINUTES:-9}" 'BEGIN { print minutes * 60 }')
methods=("$@")
[[ ${#methods[@]} -eq 0 ]] && methods=(dudonet rdn cnnmar cgan)

for method in "${methods[@]}"; do
  folder="$out/$(tr -c 'a-zA-Z0-9\n' '-' <<<"$method")"
  [[ -f "$folder/weights.toml" ]] && { echo "$method: done"; continue; }
  echo "== $method"
  status=0
  # On SIGTERM the trainer writes a checkpoint; `timeout 0` sets no limit.
  timeout --signal=TERM --kill-after=60 "$seconds" \
    python3 -c 'from marbench.cli import main; main()' train "$method" --spec dudonet2019 --preset base \
    --hours "${HOURS:-4}" --out "$folder" --device "${DEVICE:-cuda}" --batch "${BATCH:-8}" --seed "${SEED:-0}" \
    ${POOL:+--pool "$POOL"} --no-install || status=$?
  # 124: the slice is over. Anything else that is not 0 is a failure or the user's interruption.
  [[ $status -eq 0 || $status -eq 124 ]] || exit "$status"
done
