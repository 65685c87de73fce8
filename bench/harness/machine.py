"""What machine this is, and whether it is busy with something else."""
import os
import pathlib
import platform
import subprocess


def _read(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return "unknown"


def _field(path, name):
    for line in _read(path).splitlines():
        if line.split(":")[0].strip() == name:
            return line.split(":", 1)[1].strip()
    return "unknown"


def _first_line(command):
    try:
        output = subprocess.run(command, capture_output=True, text=True).stdout
    except OSError:
        return "unknown"
    return (output.splitlines() or ["unknown"])[0]


def describe():
    nodes = [p for p in pathlib.Path("/sys/devices/system/node").glob("node[0-9]*")]
    return {
        "processor": _field("/proc/cpuinfo", "model name"),
        "processors": len(os.sched_getaffinity(0)),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "memory_nodes": max(len(nodes), 1),
        "kernel": platform.release(),
        "hypervisor": "yes" if "hypervisor" in _field("/proc/cpuinfo", "flags") else "no",
        "libc": " ".join(platform.libc_ver()),
        "compiler": _first_line(["g++", "--version"]),
        "transparent_hugepage": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
    }


def load():
    """The load average over the last minute."""
    return os.getloadavg()[0]


def busy_seconds():
    """Processor time that the whole machine has spent so far, without idling and waiting."""
    fields = [int(x) for x in _read("/proc/stat").splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    ticks = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq + steal) / ticks
