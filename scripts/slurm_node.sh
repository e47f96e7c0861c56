#!/usr/bin/env bash
# One SLURM node on this machine, for tests/bench/test_slurm.py: scripts/slurm_node.sh start|stop. For root on Debian.
# It has a folder, a key and ports of its own; a SLURM that is there already is left alone.
set -euo pipefail

folder=/run/marbench-slurm
conf=$folder/slurm.conf

start() {
    if [ "$(id -u)" != 0 ]; then
        echo "slurmd and munged are started by root only." >&2
        exit 1
    fi
    if ! command -v slurmd slurmctld munged sbatch >/dev/null; then
        apt-get update -qq
        # Their own services, with the configuration of the system, are not to start.
        DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq -y --no-install-recommends slurm-wlm munge
    fi
    stop
    mkdir -p -m 755 $folder $folder/state $folder/spool
    (umask 077 && head -c 1024 /dev/urandom >$folder/munge.key)
    munged --key-file=$folder/munge.key --socket=$folder/munge.socket --pid-file=$folder/munged.pid \
        --log-file=$folder/munged.log --seed-file=$folder/munge.seed
    # No cgroups, so that it works in containers; no memory is managed, so jobs may not ask for any (--mem).
    cat >$conf <<EOF
ClusterName=marbench
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
    slurmctld -f $conf
    slurmd -f $conf
    for _ in $(seq 60); do
        if SLURM_CONF=$conf sinfo --noheader --format=%t 2>/dev/null | grep -qx idle; then
            echo "SLURM is ready: export SLURM_CONF=$conf"
            return
        fi
        sleep 1
    done
    echo "The node did not come up; see $folder/*.log." >&2
    exit 1
}

stop() {
    if [ -e $conf ]; then
        SLURM_CONF=$conf timeout 10 scancel --user=root 2>/dev/null || true
    fi
    for daemon in slurmd slurmctld munged; do
        if [ -e $folder/$daemon.pid ]; then
            pid=$(cat $folder/$daemon.pid)
            kill "$pid" 2>/dev/null || true
            for _ in $(seq 50); do
                kill -0 "$pid" 2>/dev/null || break
                sleep 0.2
            done
        fi
    done
    rm -rf $folder
}

case "${1:-}" in
start) start ;;
stop) stop ;;
*)
    echo "Use: $0 start|stop" >&2
    exit 2
    ;;
esac
