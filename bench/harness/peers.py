"""The allocators that are compared, and how a process is put on each."""
import dataclasses
import pathlib
import re
import subprocess

# Two tiers over whatever nodes there are: small blocks prefer one, the others the other.
TWO_TIERS = "tiers fast=4G,slow=16G; size>=4096: slow>fast; fast>slow"
# Tiering with nothing to gain: near memory is larger than any of the programs. They are so small
# that it waits; hms-divided does not.
NULL_POLICY = {"HMS_CONF": "tiers fast=8G,slow=8G", "HMS_TIERING": "auto"}
MEM_TIERS = "KIND:DRAM,RATIO:1;POLICY:STATIC_RATIO"


@dataclasses.dataclass
class Peer:
    name: str
    library: str  # what is preloaded; "" for the C library's own malloc
    package: str
    api: str = "plain"  # the interface that bench_micro drives
    env: dict = dataclasses.field(default_factory=dict)
    path: str = ""
    version: str = ""

    @property
    def plain(self):
        """True if it serves malloc, so that whole programs can run on it."""
        return self.api == "plain"

    def settings(self, beneath=""):
        """The environment of a process; `beneath`: what to preload where this peer preloads nothing."""
        preload = self.path or beneath
        return {**self.env, **({"LD_PRELOAD": preload} if preload else {})}


def known():
    """Every peer, in the order of tables and plots."""
    return [
        Peer("glibc", "", "libc6"),
        Peer("jemalloc", "libjemalloc.so.2", "libjemalloc2"),
        Peer("mimalloc", "libmimalloc.so.2", "libmimalloc2.0"),
        Peer("tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
        Peer("tbb", "libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
        Peer("memtier", "libmemtier.so.0", "libmemkind0", env={"MEMKIND_MEM_TIERS": MEM_TIERS}),
        Peer("hms", "libhms_malloc.so", ""),
        Peer("hms-rules", "libhms_malloc.so", "", env={"HMS_CONF": TWO_TIERS}),
        Peer("hms-tiering", "libhms_malloc.so", "", env=NULL_POLICY),
        Peer("hms-divided", "libhms_malloc.so", "", env={**NULL_POLICY, "HMS_TIERING_AFTER": "0"}),
        Peer("memkind-default", "libmemkind.so.0", "libmemkind0", "memkind",
             {"HMS_BENCH_KIND": "MEMKIND_DEFAULT"}),
        Peer("memkind-regular", "libmemkind.so.0", "libmemkind0", "memkind",
             {"HMS_BENCH_KIND": "MEMKIND_REGULAR"}),
        Peer("memtier-api", "libmemkind.so.0", "libmemkind0", "memtier"),
        Peer("hms-tier", "libhms_malloc.so", "", "tier"),
        Peer("hms-omp", "libhms_omp.so", ""),
    ]


def _linker_cache():
    """Library name -> path, as the dynamic linker would find it."""
    try:
        listing = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    except OSError:
        listing = ""
    found = {}
    for name, path in re.findall(r"^\s+(\S+) \([^)]*\) => (\S+)$", listing, re.M):
        found.setdefault(name, path)
    return found


def _package_version(package):
    try:
        asked = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package],
                               capture_output=True, text=True)
    except OSError:
        return "unknown"
    return asked.stdout if asked.returncode == 0 else "unknown"


def discover(build, hms_version):
    """(present, missing): peers whose libraries are there, and messages for the others."""
    cache = _linker_cache()
    present, missing = [], []
    for peer in known():
        if peer.library and not peer.package:
            path = pathlib.Path(build) / peer.library
            peer.path = str(path) if path.exists() else ""
            peer.version = hms_version
            way_out = f"build it (no {path})"
        else:
            peer.path = cache.get(peer.library, "")
            peer.version = _package_version(peer.package)
            way_out = f"install {peer.package}"
        if peer.library and not peer.path:
            missing.append(f"{peer.name}: {way_out}")
        else:
            present.append(peer)
    return present, missing


def c_library():
    """Path of the C library: preloading it puts its malloc in front of one that a program links."""
    return _linker_cache().get("libc.so.6", "")
