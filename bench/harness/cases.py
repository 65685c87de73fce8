"""The cases: each is measured once per peer and round. A sample is a dictionary with `value` (time, or
what the case's unit says), `cpu` (the same by processor time, where it is a time), `rss_kib`, `faults`
and `others`; smaller is better."""
import dataclasses
import json
import pathlib
import re
import shutil
import subprocess
import time
from typing import Callable

from . import measure, peers

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "programs"
TABLE = ("pair/64", "batch/64x1000", "random/16-1024")  # the cases with a goal of their own


@dataclasses.dataclass
class Case:
    name: str
    group: str  # "micro", "program", "memory", "openmp"
    unit: str
    threads: int
    sample: Callable  # (bench, peer) -> sample
    plain_only: bool = False
    slow: bool = False  # left out by --quick
    rounds: int = 0  # at most, 0: as many as asked for


def micro(bench, min_time):
    """The cases of bench_micro, as it lists them."""
    listing = subprocess.run([bench.program("bench_micro"), "--benchmark_list_tests"],
                             capture_output=True, text=True, check=True).stdout
    cases = []
    for full_name in listing.split():
        name = re.split(r"/(?:iterations|process_time|real_time)", full_name)[0]
        threads = int((re.findall(r"threads:(\d+)", full_name) or ["1"])[0])
        cases.append(Case(f"{name} @{threads}", "micro", "ns", threads,
                          _micro_sample(full_name, min_time)))
    return cases


def _micro_sample(full_name, min_time):
    def sample(bench, peer):
        told = bench.run([bench.program("bench_micro"), f"--api={peer.api}",
                          f"--benchmark_filter=^{full_name}$",
                          f"--benchmark_min_time={min_time}", "--benchmark_format=json"],
                         peer.settings())
        result = json.loads(told["output"])["benchmarks"][0]
        value = 1e9 / result["items_per_second"]
        return {"value": value, "cpu": value * result["cpu_time"] / result["real_time"],
                "rss_kib": told["rss_kib"], "faults": result["faults_per_item"],
                "others": told["others"]}
    return sample


def programs(bench):
    """Whole programs; those that are not installed are told, not run."""
    python = "/usr/bin/python3"
    own = [Case(f"{name}", "program", "s", 1, _program([bench.program(f"bench_{name}")]), True)
           for name in ("cubes", "bignum", "words", "images")]
    own.append(Case("documents", "program", "s", 2,
                    _program([bench.program("bench_documents")]), True))
    commands = {
        "sqlite3": ["sqlite3", ":memory:", f".read {SOURCES}/bulk.sql"],
        "python3": [python, str(SOURCES / "objects.py")],
        "g++": ["g++", "-std=c++17", "-O1", "-c", "-o", "/dev/null", str(SOURCES / "compile_me.cc")],
    }
    # Python's own small-object allocator would hide malloc.
    extra = {"python3": {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}}
    missing = []
    for name, command in commands.items():
        if shutil.which(command[0]):
            own.append(Case(name, "program", "s", 1, _program(command, extra.get(name)), True))
        else:
            missing.append(f"{name}: install {command[0]}")
    if shutil.which("redis-server") and shutil.which("redis-benchmark"):
        own.append(Case("redis", "program", "s", 1, _redis, True))
    else:
        missing.append("redis: install redis-server and redis-tools")
    return own, missing


def _program(command, extra=None):
    def sample(bench, peer):
        told = bench.run(command, {**peer.settings(), **(extra or {})})
        return {"value": told["wall_s"], "cpu": told["user_s"] + told["system_s"],
                "rss_kib": told["rss_kib"], "faults": told["minor_faults"],
                "others": told["others"], "output": told["output"]}
    return sample


def _redis(bench, peer):
    """Time of redis-benchmark's requests; memory of the server. Debian's server is linked with
    jemalloc, so the C library is preloaded to measure it."""
    scratch = pathlib.Path(bench.scratch.name)
    socket, result = scratch / "redis.sock", scratch / "redis.json"
    for stale in (socket, result):
        stale.unlink(missing_ok=True)
    server = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "",
              "--appendonly", "no", "--dir", str(scratch), "--logfile", str(scratch / "redis.log")]
    watch = measure.Watch()
    process = subprocess.Popen(bench.command(server, peer.settings(peers.c_library()), result),
                               env=bench.environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def client(tool, *arguments):
        return subprocess.run([tool, "-s", str(socket), *arguments], capture_output=True,
                              text=True, env=bench.environment(), timeout=bench.timeout)

    try:
        for _ in range(500):
            if socket.exists() or process.poll() is not None:
                break
            time.sleep(0.01)
        start = time.monotonic()
        for size, tests in (("48", "set,get,lpush,hset"), ("1800", "set,get"), ("12000", "set")):
            count = {"48": "150000", "1800": "80000", "12000": "20000"}[size]
            done = client("redis-benchmark", "-q", "-c", "20", "-P", "16", "-r", "60000", "-n", count,
                          "-d", size, "-t", tests)
            if done.returncode != 0:
                raise measure.Failed("redis-benchmark: " + done.stderr.strip())
        wall = time.monotonic() - start
    finally:
        client("redis-cli", "shutdown", "nosave")
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
    told = json.loads(result.read_text()) if result.exists() else {"status": -1}
    if told["status"] != 0:
        raise measure.Failed(f"redis-server: status {told['status']}")
    return {"value": wall, "cpu": told["user_s"] + told["system_s"], "rss_kib": told["rss_kib"],
            "faults": told["minor_faults"], "others": watch.others()}


def memory():
    """What allocators keep: footprint of a GiB of small blocks, residue of a burst."""
    gib = str(1 << 30)
    return [
        Case("footprint 1 GiB of 64 B", "memory", "B/B", 1,
             _memory(["footprint", "64", gib], lambda told: told["per_byte"]), slow=True, rounds=1),
        Case("footprint 256 MiB of 1000 B", "memory", "B/B", 1,
             _memory(["footprint", "1000", str(1 << 28)], lambda told: told["per_byte"]), rounds=1),
        Case("residue 10 s after 1 GiB", "memory", "MiB", 1, _memory(["decay", "1024", "10"], _residue),
             slow=True, rounds=1),
    ]


def _memory(arguments, value):
    def sample(bench, peer):
        told = bench.run([bench.program("bench_memory"), f"--api={peer.api}", *arguments],
                         peer.settings())
        return {"value": value(json.loads(told["output"])), "rss_kib": told["rss_kib"],
                "faults": told["minor_faults"], "others": told["others"]}
    return sample


def _residue(told):
    """MiB above the floor at the end that are not live blocks."""
    return max(told["samples"][-1][1] - told["floor_bytes"] - told["kept_bytes"], 0) / (1 << 20)


def openmp(bench):
    """omp_alloc and omp_free in a parallel region, by each compiler's runtime; malloc beside them."""
    found = []
    for compiler in ("gcc", "clang-14"):
        program = pathlib.Path(bench.folder) / "openmp" / f"pair.{compiler}"
        if not program.exists():
            continue
        for kind in ("malloc", "default", "null", "own", "pool", "calls"):
            found.append(Case(f"omp pair/64 {kind}, {compiler} @2", "openmp", "ns", 2,
                              _openmp([str(program), kind, "2", "200"])))
    return found


def _openmp(command):
    def sample(bench, peer):
        told = bench.run(command, peer.settings())
        return {"value": float(told["output"]), "rss_kib": told["rss_kib"],
                "faults": told["minor_faults"], "others": told["others"]}
    return sample


POLICY_CALLS = ("mbind", "set_mempolicy", "set_mempolicy_home_node", "migrate_pages", "move_pages",
                "get_mempolicy")
OTHER_CALLS = ("mmap", "munmap", "mprotect", "madvise", "mremap", "brk")


def system_calls(bench, peer, millions=4):
    """Memory and policy system calls per million small allocations in steady state, by strace; None
    if it is not installed."""
    if not shutil.which("strace"):
        return None
    log = pathlib.Path(bench.scratch.name) / "strace.log"
    options = [f"-E{name}={value}" for name, value in peer.settings().items()]
    calls = ",".join((*POLICY_CALLS, *OTHER_CALLS, "write"))
    done = subprocess.run(["strace", "-f", "-o", str(log), "-e", f"trace={calls}", *options,
                           bench.program("bench_memory"), f"--api={peer.api}", "steady",
                           str(millions)], env=bench.environment(), capture_output=True, text=True,
                          timeout=bench.timeout)
    if done.returncode != 0 or '"steady' not in log.read_text():
        return None
    steady = log.read_text().split('"steady', 1)[1]
    per_million = 2 / millions  # the second half of the run
    count = lambda names: sum(len(re.findall(rf"\b{name}\(", steady)) for name in names) * per_million
    return {"policy": count(POLICY_CALLS), "memory": count(OTHER_CALLS)}
