"""A Slurm of two nodes on this machine, in namespaces of its own: nothing of it is seen from outside, or outlives it.

The nodes n1 and n2 share files and the loopback (127.0.0.1 and 127.0.0.2); each has its name and its processes, so that
one can lose power.
"""
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = ("munged", "sbatch", "slurmctld", "slurmd", "unshare")
NAMESPACES = ["unshare", "--uts", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
INSIDE = "DDRO_TEST_CLUSTER"
NODES = {"n1": "127.0.0.1", "n2": "127.0.0.2"}

CONFIGURATION = """
ClusterName=test
SlurmctldHost=n0(127.0.0.1)
SlurmctldPort=17010
SrunPortRange=17100-17199
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=10
ReturnToService=2
JobRequeue=1
MailProg=/bin/true
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
NodeName=n1 NodeAddr=127.0.0.1 Port=17011 CPUs=4 RealMemory=1000
NodeName=n2 NodeAddr=127.0.0.2 Port=17012 CPUs=4 RealMemory=1000
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=60 DefaultTime=10 PriorityTier=10 GraceTime=10
PartitionName=high Nodes=n[1-2] MaxTime=60 DefaultTime=10 PriorityTier=20 PreemptMode=OFF
"""


def why_not():
    """What this machine lacks for a cluster; None if nothing."""
    path = os.environ["PATH"] + ":/usr/sbin"
    missing = [name for name in COMMANDS if shutil.which(name, path=path) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if os.geteuid() != 0 or subprocess.run([*NAMESPACES, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        return "no right to make namespaces"
    return None


def enter():
    """Starts the program again where the cluster will be, unless it is there already."""
    if INSIDE in os.environ:
        return
    # The shell, the first process there, collects what daemons leave.
    os.environ |= {INSIDE: "1", "PATH": os.environ["PATH"] + ":/usr/sbin"}
    os.execvp("unshare", [*NAMESPACES, "sh", "-c", 'hostname n0; "$@"; exit $?', "sh", sys.executable, *sys.argv])


def raise_loopback():
    """With a second address: a machine that has 127.0.0.1 alone is taken for one without a network."""
    set_flags, set_address, up_and_running = 0x8914, 0x8916, 0x41  # SIOCSIFFLAGS, SIOCSIFADDR; IFF_UP | IFF_RUNNING
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up_and_running))
        address = struct.pack("16sHH4s8x", b"lo:2", socket.AF_INET, 0, socket.inet_aton(NODES["n2"]))
        fcntl.ioctl(any_socket, set_address, address)


def name_nodes(folder):
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost n0\n" + "".join(f"{address} {name}\n" for name, address in NODES.items()))
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)


def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(what() if callable(what) else what)
        time.sleep(0.1)
    return value


def ask(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


class Cluster:
    def __init__(self, folder):
        self.root = Path(folder)
        for name in ("munge", "state", "spool"):
            (self.root / name).mkdir()
        raise_loopback()
        name_nodes(self.root)
        (self.root / "slurm.conf").write_text(CONFIGURATION.format(root=self.root))
        os.environ["SLURM_CONF"] = str(self.root / "slurm.conf")
        self.root.chmod(0o711)
        self.start_munge()
        subprocess.run(["slurmctld", "-i"], check=True)
        self.nodes = {}
        for name in NODES:
            self.start_node(name)

    def start_munge(self):
        key = self.root / "munge/key"
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
        (self.root / "munge").chmod(0o711)
        files = [f"--{option}={self.root}/munge/{name}" for option, name in
                 {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}.items()]
        subprocess.run(["munged", *files], check=True)

    def start_node(self, name):
        self.nodes[name] = subprocess.Popen(
            ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
             f"hostname {name}; slurmd; while sleep 1; do :; done"], env=os.environ | {"DDRO_TEST_NODE": name},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: name in ask("sinfo", "-h", "-N", "-t", "idle,mixed,allocated", "-o", "%N"), 30, f"{name} does not come up")

    def cut_power(self, name):
        """The node's processes are gone at once, and nobody is told."""
        self.nodes[name].kill()
        self.nodes[name].wait()

    def cut_off(self, name):
        """The node's jobs go on, and nobody can ask it about them."""
        os.kill(self.process_on(name, "slurmd"), signal.SIGSTOP)

    def process_on(self, name, program):
        """The youngest process of this name on the node."""
        found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and is_on(name, entry, program)]
        return max(found)


def is_on(node, process, program):
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
        return ((process / "comm").read_text().strip() == program and
                (f"DDRO_TEST_NODE={node}".encode() in variables or f"SLURMD_NODENAME={node}".encode() in variables))
    except OSError:  # it has ended
        return False
