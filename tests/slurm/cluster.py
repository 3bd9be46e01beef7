"""A real Slurm of its own: munged, slurmctld and a slurmd per node, started and ended by the tests.

Two ways, chosen by what this process may do:
- namespaces (root with CAP_SYS_ADMIN): each node has its own network, host name, process ids and /dev/shm, wired to a
  bridge; the controller has a network too, so nothing is seen on the machine's own. Killing a node's first process is a
  power cut. What dies with a namespace (interfaces, processes, shared memory) cannot be left behind.
- one host (anyone): several slurmd on loopback, on ports of their own. Ranks of two such nodes would take each other's
  shared-memory files for their own, so MPI talks over TCP. There are no devices and no power cuts.
All files are in one temporary folder; nothing in /etc is touched. Every daemon runs in the foreground as a child.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import confs

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "srun", "mpirun")
NODES = 4
BUSY = 3
SBIN = "/usr/sbin:/sbin"


def missing() -> str:
    """Why no cluster can be started here, or nothing."""
    path = os.environ["PATH"] + ":" + SBIN
    absent = [name for name in NEEDED if shutil.which(name, path=path) is None]
    if absent:
        return f"{', '.join(absent)} not installed (launch/setup.sh --test)"
    return "" if list(Path("/usr").glob("lib*/**/slurm*/mpi_pmix*.so")) else "Slurm has no PMIx plugin"


def may_unshare() -> bool:
    """Namespaces, virtual Ethernet and device files all need root's capabilities, which a container may lack."""
    if os.geteuid() != 0 or shutil.which("ip", path=os.environ["PATH"] + ":" + SBIN) is None:
        return False
    attempt = "mount -t tmpfs none /mnt && ip link add v0 type veth peer name v1 && ip link add br0 type bridge"
    command = ["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return subprocess.run([*command, "sh", "-c", attempt], capture_output=True, check=False).returncode == 0


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def until(condition: Callable[[], object], seconds: float, what: str, story: Callable[[], str] = str) -> None:
    """seconds: of a machine that does nothing else; ours may be busy. story: what else to say when it does not come
    true in time."""
    end = time.monotonic() + BUSY * seconds
    while not condition():
        assert time.monotonic() < end, f"waited {BUSY * seconds:.0f} s in vain: {what}\n{story()}"
        time.sleep(0.05)


class Cluster:
    """Use as a context. `run` starts a client command where the controller is."""

    def __init__(self, namespaces: bool):
        self.namespaces = namespaces
        self.home = Path(tempfile.mkdtemp(prefix="weightscope-slurm-"))
        self.names = [f"n{i}" for i in range(1, NODES + 1)]
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = os.environ | {
            "SLURM_CONF": str(self.home / "slurm.conf"),
            "PATH": os.environ["PATH"] + ":" + SBIN,
        }
        if not namespaces:
            self.environment["OMPI_MCA_btl"] = "self,tcp"

    def __enter__(self) -> "Cluster":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if "slurmctld" in self.daemons:
            jobs = self.run("squeue", "-h", "-o", "%A", check=False).split()
            if jobs:
                self.run("scancel", *set(jobs), check=False)
            if not self.namespaces:  # steps are no children of slurmd: they have to be waited for
                end = time.monotonic() + 10
                while self.run("squeue", "-h", "-t", "all", "-o", "%T", check=False).count("COMPLETING"):
                    if time.monotonic() > end:
                        break
                    time.sleep(0.1)
        for name in reversed(list(self.daemons)):
            self._end(name, signal.SIGKILL if self.namespaces else signal.SIGTERM)
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, *command: object, check: bool = True, cwd: Path | None = None, **environment: str) -> str:
        """Standard output and error together."""
        done = subprocess.run(
            [*self._in_head(), *map(str, command)],
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            cwd=cwd,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}: {done.stdout}"
        return done.stdout

    def power_off(self, name: str) -> None:
        """Everything on the node is gone at once, as without electricity."""
        assert self.namespaces
        self._end(name, signal.SIGKILL)

    def power_on(self, name: str) -> None:
        self._boot(name)
        self.run("scontrol", "update", f"nodename={name}", "state=resume", check=False)
        self._wait_for_nodes()

    def logs(self) -> str:
        """The last lines of every daemon, for a test that failed."""
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-80:])
            for path in sorted([*(self.home / "log").glob("*"), *self.home.glob("munge.log")])
        )

    def _start(self) -> None:
        for folder in ("state", "log", "run", *(f"{kind}.{n}" for kind in ("spool", "tmp") for n in self.names)):
            (self.home / folder).mkdir()
        self.home.chmod(0o755)
        (self.home / "munge.key").write_bytes(os.urandom(1024))
        (self.home / "munge.key").chmod(0o600)
        confs.write(self.home, self.names, self.namespaces, free_ports(1 + len(self.names)))
        if self.namespaces:
            self._spawn("head", ["unshare", "--net", "--pid", "--fork", "--kill-child", "sleep", "infinity"])
            until(self._head_is_apart, 5, "a network namespace")
            self._ip("link add br0 type bridge", "addr add 10.0.0.254/24 dev br0", "link set br0 up", "link set lo up")
        at = {name: f"--{name}={self.home}/munge.{end}" for name, end in confs.MUNGE_FILES.items()}
        self._spawn("munged", [*self._in_head(), "munged", "--foreground", *at.values(), "--num-threads=2"])
        until((self.home / "munge.sock").exists, 10, "munged", self.logs)
        self._spawn("slurmctld", [*self._in_head(), "slurmctld", "-D", "-c"])
        for name in self.names:
            self._boot(name)
        self._wait_for_nodes()

    def _boot(self, name: str) -> None:
        if not self.namespaces:
            self._spawn(name, ["slurmd", "-D", "-N", name])
            return
        number = self.names.index(name) + 1
        # The card's address stays when the power fails: neighbours would send to a former one for ten seconds.
        ours = f"""
            rm -rf {self.home}/tmp.{name}/*; hostname {name}
            mount --bind {self.home}/hosts /etc/hosts; mount -t tmpfs none /dev/shm
            until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
            ip link set lo up; ip link set eth0 address 02:00:00:00:00:{number:02}
            ip addr add 10.0.0.{number}/24 dev eth0; ip link set eth0 up
            exec slurmd -D -N {name}"""
        apart = ["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._spawn(name, [*apart, "sh", "-c", ours])
        pid = self.daemons[name].pid
        until(lambda: self._network(pid) not in (self._network(os.getpid()), ""), 5, "a network namespace")
        self._ip(f"link add {name} type veth peer name eth0 netns {pid}", f"link set {name} master br0 up")

    def _wait_for_nodes(self) -> None:
        ready = ("sinfo", "-h", "-N", "-p", "main", "-t", "idle,alloc,mix", "-o", "%N")
        until(lambda: len(self.run(*ready, check=False).split()) == NODES, 30, "nodes of the cluster", self.logs)

    def _spawn(self, name: str, command: list[str]) -> None:
        """A child that dies with this process, whatever ends it."""
        with (self.home / "log" / f"{name}.out").open("ab") as out:
            self.daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self.environment,
                start_new_session=True,
            )

    def _end(self, name: str, how: signal.Signals) -> None:
        daemon = self.daemons.pop(name)
        daemon.send_signal(how)
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait(10)

    def _in_head(self) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.daemons['head'].pid}/ns/net"] if self.namespaces else []

    def _ip(self, *commands: str) -> None:
        for command in commands:
            self.run("ip", *command.split())

    @staticmethod
    def _network(pid: int) -> str:
        try:
            return os.readlink(f"/proc/{pid}/ns/net")
        except OSError:
            return ""

    def _head_is_apart(self) -> bool:
        return self._network(self.daemons["head"].pid) not in (self._network(os.getpid()), "")
