"""libhms from Python: memories and their costs, the best ones for a purpose, programs under rules, where pages are.

No build and no dependency: each function asks the command `hms`, or the one that HMS_PYTHON_COMMAND names, and returns its
JSON as dictionaries; docs/topology.md and docs/stats.md explain the fields. The library itself is not loaded into Python: it
keeps what belongs to a thread in static TLS, for speed, and a process that runs already seldom has room for that.

    import hms
    best = hms.find(by="bandwidth")[0]
    report = hms.run(["redis-server"], rules=["size>=64K:" + best["key"]])
"""

import json
import os
import subprocess
import tempfile

__all__ = ["Error", "find", "report", "run", "stat", "topology", "version"]


class Error(Exception):
    """What `hms` refused, in its own words; `status` is its exit code."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def _program():
    return os.environ.get("HMS_PYTHON_COMMAND", "hms")


def _ask(*arguments):
    words = [_program(), *arguments]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Error(done.returncode, done.stderr.strip() or f"{words[0]} ended with {done.returncode}")
    return done.stdout


def _json(*arguments):
    return json.loads(_ask(*arguments))


def _rules(rules, tiers, quotas):
    words = [f"--rule={rule}" for rule in rules] + [f"--quota={quota}" for quota in quotas]
    return words + ([f"--tiers={tiers}"] if tiers else [])


def _input(source):
    return [f"--input={source}"] if source else []


def version():
    """(major, minor, patch) of the command."""
    return tuple(int(part) for part in _ask("--version").split()[-1].split("."))


def topology(source=None):
    """Targets, initiators, links and bridges of this machine, or of "xml:FILE", "synthetic:SPEC", "tiers:SPEC"."""
    return _json("topology", "--json", *_input(source))


def find(initiators=None, by="bandwidth", size=0, source=None):
    """The targets that all of the initiators (keys; None: every CPU) reach and that have `size` bytes, best first."""
    if initiators is None:
        initiators = [i["key"] for i in topology(source)["initiators"] if i["kind"] == "cpu"]
    words = ["find", "--json", "--from", ",".join(initiators), "--by", by, *_input(source)]
    try:
        return _json(*words, *([f"--size={size}"] if size else []))["targets"]
    except Error as error:
        if "nothing found" in str(error):
            return []
        raise


def stat(pid=None, verify=True):
    """Where the memory of a process is, by the kernel's answer; without one, the counters of all processes."""
    words = ["stat", "--json"]
    if pid is not None:
        words.append(str(int(pid)))
    return _json(*words, *([] if verify else ["--no-verify"]))


def report(*profiles):
    """What profiles of a program say, added up."""
    return _json("report", "--json", *[os.fspath(p) for p in profiles])


def run(command, rules=(), tiers=None, quotas=(), **popen):
    """Runs a command under libhms, waits for it, and returns the report: where its pages were, and its `exit`.

    Other arguments go to subprocess.run (stdin, env, cwd ...). The report as a table goes to stderr. Raises Error if
    `hms run` refused, after its message there.
    """
    with tempfile.TemporaryDirectory(prefix="hms-") as folder:
        path = os.path.join(folder, "report.json")
        words = [_program(), "run", f"--report={path}", *_rules(rules, tiers, quotas), "--", *command]
        done = subprocess.run(words, check=False, **popen)
        text = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                text = file.read()
    if not text:
        raise Error(done.returncode, f"no report; hms run ended with {done.returncode}")
    return json.loads(text)
