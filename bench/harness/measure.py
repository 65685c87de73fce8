"""One measurement: a process of its own on one peer, with what it used and what disturbed it."""
import json
import os
import pathlib
import subprocess
import tempfile
import time

from . import machine

DISTURBED = 0.25  # processors' worth of work by others during a sample


class Failed(Exception):
    """A process that did not end well; the text says how."""


class Bench:
    """The built benchmark programs, and a scratch folder."""

    def __init__(self, folder, timeout):
        self.folder = pathlib.Path(folder)
        self.timeout = timeout
        self.scratch = tempfile.TemporaryDirectory(prefix="hms-bench-")

    def program(self, name):
        return str(self.folder / name)

    def command(self, argv, settings, result):
        options = [part for name, value in settings.items() for part in ("-e", f"{name}={value}")]
        return [self.program("bench_measure"), *options, "-o", str(result), "--", *argv]

    def environment(self):
        """A fixed environment: no allocator's settings leak in from outside."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return {**kept, "LC_ALL": "C"}

    def run(self, argv, settings, stdin=None):
        """Runs a command. Gives what bench_measure tells, plus `output` and `others` (see Watch)."""
        result = pathlib.Path(self.scratch.name) / "result.json"
        result.unlink(missing_ok=True)
        watch = Watch()
        try:
            process = subprocess.run(self.command(argv, settings, result), capture_output=True,
                                     text=True, env=self.environment(), stdin=subprocess.DEVNULL,
                                     timeout=self.timeout, cwd=self.scratch.name)
        except subprocess.TimeoutExpired:
            raise Failed(f"{argv[0]}: not done after {self.timeout} s") from None
        told = json.loads(result.read_text()) if result.exists() else {"status": -1}
        if told["status"] != 0:
            said = (process.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise Failed(f"{pathlib.Path(argv[0]).name}: status {told['status']}: {said}")
        told["output"] = process.stdout
        told["others"] = watch.others()
        return told


class Watch:
    """Tells how much processor time others than us and our children used meanwhile, in processors."""

    def __init__(self):
        self.start, self.busy, self.own = time.monotonic(), machine.busy_seconds(), self._own()

    @staticmethod
    def _own():
        return sum(os.times()[:4])  # user and system time, also of children that have ended

    def others(self):
        wall = max(time.monotonic() - self.start, 1e-3)
        foreign = machine.busy_seconds() - self.busy - (self._own() - self.own)
        # The clock of /proc/stat ticks each 10 ms on every processor; less than two ticks is nothing.
        return max(foreign - 0.02 * (os.cpu_count() or 1), 0.0) / wall
