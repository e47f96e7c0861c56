# What the scripts that train have in common; they source it.
#
# DEVICE   cpu or cuda (default cpu)
# BATCH    cases a step, over all ranks (default 8)
# RANKS    processes that share each step, through torchrun (default 1); on a CPU one for each core, with THREADS=1
# PRECISION  32-true or bf16-mixed (default: the faster one on this machine)
# POOL     cases held at a time    SEED (default 0)    WORKERS, THREADS (default: all cores)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" OMP_WAIT_POLICY=PASSIVE PYTHONUNBUFFERED=1
# glibc: memory is taken in huge pages and kept. Steps were measured 10 to 20 % faster.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=20000000000

program=(python3 -c 'from marbench.cli import main; main()')
if [[ ${RANKS:-1} -gt 1 ]]; then
  program=(python3 -m torch.distributed.run --standalone --nproc-per-node "$RANKS" --no-python "${program[@]}")
fi

# train METHOD FOLDER OPTION…: goes on with what was interrupted, and passes over what is finished.
train() {
  local method=$1 folder=$2
  shift 2
  [[ -f $folder/weights.toml ]] && { echo "$folder: done"; return; }
  echo "== $folder"
  "${program[@]}" train "$method" --out "$folder" --device "${DEVICE:-cpu}" --batch "${BATCH:-8}" --seed "${SEED:-0}" "$@" \
    ${POOL:+--pool "$POOL"} ${PRECISION:+--precision "$PRECISION"} ${WORKERS:+--workers "$WORKERS"} \
    ${THREADS:+--threads "$THREADS"} --no-install
}

# folder_of METHOD: a name for its folder.
folder_of() { tr -c 'a-zA-Z0-9\n' '-' <<<"$1"; }
