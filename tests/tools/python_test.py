#!/usr/bin/env python3
"""The Python module against the command of the build, which HMS_PYTHON_COMMAND names."""

import os
import subprocess
import sys
import time
import unittest

import hms

TIERS = "fast=64M:bw=400G:lat=80,slow=256M:bw=50G:lat=300"
HOLD = "import time; kept = [bytearray(100000) for _ in range(100)]; print('ready', flush=True); time.sleep(60)"


class TopologyTest(unittest.TestCase):
    def test_this_machine(self):
        machine = hms.topology()
        self.assertEqual(machine["schema"], 1)
        self.assertGreater(sum(t["bytes"] for t in machine["targets"]), 1 << 28)

    def test_order_and_cost(self):
        source = "tiers:" + TIERS
        self.assertEqual([t["key"] for t in hms.find(by="bandwidth", source=source)][:2], ["tier:fast", "tier:slow"])
        emulated = [t["key"] for t in hms.find(size=128 << 20, source=source) if t["emulated"]]
        self.assertEqual(emulated, ["tier:slow"])
        fast = hms.find(["cpu:0"], by="latency", source=source)[0]
        self.assertEqual((fast["latency_ns"], fast["latency_from"], fast["bytes"]), (80.0, "declared", 64 << 20))
        self.assertEqual(hms.find(size=1 << 50, source=source), [])

    def test_errors_say_why(self):
        with self.assertRaises(hms.Error) as caught:
            hms.topology("tiers:fast=nonsense")
        self.assertIn("nonsense", str(caught.exception))
        with self.assertRaises(hms.Error):
            hms.find(by="beauty")
        with self.assertRaises(hms.Error):
            hms.find(["cpu:12345"])

    def test_version(self):
        self.assertGreaterEqual(hms.version(), (1, 0, 0))


class ProcessTest(unittest.TestCase):
    def test_run_reports(self):
        report = hms.run([sys.executable, "-c", "kept = [bytearray(100000) for _ in range(100)]; raise SystemExit(3)"],
                         rules=["size>=64K:slow", "fast"], tiers=TIERS, stderr=subprocess.DEVNULL)
        self.assertEqual(report["exit"], 3)
        slow = [t for t in report["targets"] if t["key"] == "tier:slow"][0]
        self.assertGreater(slow["allocated_bytes"], 9000000)
        self.assertEqual(slow["misplaced_pages"], 0)

    def test_run_refuses(self):
        with self.assertRaises(hms.Error) as caught:
            hms.run(["true"], rules=["sise>=1:fast"], tiers=TIERS, stderr=subprocess.DEVNULL)
        self.assertEqual(caught.exception.status, 2)

    def test_stat(self):
        command = [os.environ["HMS_PYTHON_COMMAND"], "run", "--tiers", TIERS, "--rule", "size>=64K:slow", "--rule",
                   "fast", "--", sys.executable, "-c", HOLD]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                self.assertEqual(process.stdout.readline(), "ready\n")
                # The counters are published when a process has allocated for a while.
                for _ in range(200):
                    if process.pid in [p["pid"] for p in hms.stat()["processes"]]:
                        break
                    time.sleep(0.05)
                seen = hms.stat(process.pid)
                self.assertEqual(seen["processes"][0]["verified"], "now")
                slow = [t for t in seen["targets"] if t["key"] == "tier:slow"][0]
                self.assertGreater(slow["verified_pages"], 2000)
                self.assertEqual(hms.stat(process.pid, verify=False)["processes"][0]["verified"], "never")
            finally:
                process.kill()
        with self.assertRaises(hms.Error):
            hms.stat(process.pid)


if __name__ == "__main__":
    unittest.main()
