"""Programs under libhms for the tests of what watches them, and the command of the build, which HMS_COMMAND names."""

import json
import os
import shutil
import subprocess
import sys
import time

HMS = os.environ["HMS_COMMAND"]
TIERS = "fast=64M:bw=400G:lat=80,slow=256M:bw=50G:lat=300"
# Ten MiB that stay, and others that come and go.
BUSY = """import time
kept = [bytearray(100000) for _ in range(100)]
print('ready', flush=True)
while True:
    for i in range(50):
        kept[i] = bytearray(100000)
    more = [bytearray(70000) for _ in range(50)]
    del more
    time.sleep(0.01)
"""


def alone():
    """Goes on where nobody else's counters are, if this user may mount: hms top shows all that runs on the machine."""
    if "HMS_TEST_ALONE" in os.environ or os.geteuid() != 0 or not shutil.which("unshare"):
        return
    words = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*words, "true"], capture_output=True).returncode == 0:
        os.environ["HMS_TEST_ALONE"] = "1"
        os.execvp(words[0], [*words, sys.executable, *sys.argv])


def hms(*words, **environment):
    return subprocess.run([HMS, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, **environment})


class Busy:
    """A program under libhms that has counters already."""

    def __init__(self, *options, rules=("size>=64K:slow", "fast"), tiers=TIERS, name=None):
        command = [HMS, "run"]
        if tiers:
            command += ["--tiers", tiers]
        for rule in rules:
            command += ["--rule", rule]
        self.process = subprocess.Popen([*command, *options, "--", name or sys.executable, "-c", BUSY],
                                        stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        assert self.process.stdout.readline() == "ready\n"
        for _ in range(400):
            seen = [p["pid"] for p in json.loads(hms("stat", "--json").stdout)["processes"]]
            if self.pid in seen:
                return
            time.sleep(0.05)
        raise AssertionError("the program has no counters")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
