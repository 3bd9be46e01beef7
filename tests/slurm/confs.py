"""The configuration files of the tests' cluster. Each unusual line says why."""

import getpass
import os
import socket
import stat
from pathlib import Path

CPUS, GPUS = 64, 8  # of each node, pretended: the shipped scripts ask for that many
MUNGE_FILES = {
    "key-file": "key",
    "socket": "sock",
    "pid-file": "pid",
    "log-file": "log",
    "seed-file": "seed",
}

SLURM_CONF = """
ClusterName=weightscope
SlurmctldHost={host}({address})
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits until its credential has expired: two minutes as delivered; 5 is the least.
AuthInfo=socket={home}/munge.sock,cred_expire=5
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool.%n
TmpFS={home}/tmp.%n
SlurmctldPidFile={home}/run/slurmctld.pid
SlurmdPidFile={home}/run/slurmd.%n.pid
SlurmctldLogFile={home}/log/slurmctld.log
SlurmdLogFile={home}/log/slurmd.%n.log
SlurmctldDebug=verbose
SlurmdDebug=verbose
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
# Each node has temporary files of its own: OpenMPI names its folder after host and process, which here are not unique.
TaskProlog={home}/prolog.sh
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
SwitchType=switch/none
# As sites have it: scripts have to say --mpi=pmix themselves.
MpiDefault=none
# Nodes have more CPUs than the machine.
SlurmdParameters=config_overrides
ReturnToService=1
# Scripts have to ask for it.
JobRequeue=0
SlurmdTimeout=30
KillWait=3
MinJobAge=3600
MessageTimeout=10
TCPTimeout=2
CompleteWait=0
{gres}
NodeName=n[1-{count}] {places} CPUs={cpus} RealMemory=4000 {node_gres} State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PreemptMode=OFF PriorityTier=5
PartitionName=low Nodes=ALL MaxTime=INFINITE State=UP PreemptMode=REQUEUE PriorityTier=1 GraceTime=20
PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PreemptMode=OFF PriorityTier=10
"""


def write(home: Path, names: list[str], namespaces: bool, ports: list[int]) -> None:
    """ports: the controller's, then one for each node; with namespaces each node may have the same."""
    host, count = socket.gethostname().split(".")[0], len(names)
    places = f"NodeAddr=10.0.0.[1-{count}] Port={ports[1]}"
    if not namespaces:
        places = f"NodeHostname={host} NodeAddr=127.0.0.1 Port=[{','.join(map(str, ports[1:]))}]"
    (home / "slurm.conf").write_text(
        SLURM_CONF.format(
            host=host,
            address="10.0.0.254" if namespaces else "127.0.0.1",
            port=ports[0],
            user=getpass.getuser(),
            home=home,
            count=count,
            places=places,
            cpus=CPUS,
            gres="GresTypes=gpu" if namespaces else "",
            node_gres=f"Gres=gpu:{GPUS}" if namespaces else "",
        )
    )
    (home / "prolog.sh").write_text(f"#!/bin/sh\necho export TMPDIR={home}/tmp.$SLURMD_NODENAME\n")
    (home / "prolog.sh").chmod(0o755)
    # Named, because Slurm cannot find out by itself where no control group is mounted.
    (home / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    if namespaces:
        pretend_gpus(home)
        lines = ["127.0.0.1 localhost", f"10.0.0.254 {host}"]
        lines += [f"10.0.0.{i} {name}" for i, name in enumerate(names, 1)]
        (home / "hosts").write_text("\n".join(lines) + "\n")


def pretend_gpus(home: Path) -> None:
    """Slurm wants character devices; these are /dev/null by another name. It deals them out as it does GPUs."""
    for i in range(GPUS):
        os.mknod(home / f"nvidia{i}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (home / "gres.conf").write_text(f"Name=gpu Flags=nvidia_gpu_env File={home}/nvidia[0-{GPUS - 1}]\n")
