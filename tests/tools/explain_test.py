#!/usr/bin/env python3
"""hms explain: what it says of rules against what the library does, and of addresses against the kernel."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

from programs import HMS, TIERS, Busy, hms

REAL = os.path.realpath(sys.executable)
# Prints the target of a block of each size, as the library of the process knows it.
ASK = """import ctypes, sys
c = ctypes.CDLL(None)
c.malloc.restype = c.hms_target_of.restype = ctypes.c_void_p
c.malloc.argtypes, c.hms_target_of.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
for size in map(int, sys.argv[1:]):
    key = ctypes.cast(c.hms_target_of(c.malloc(size)), ctypes.c_char_p).value
    print(size, key.decode())
"""


def explain(*words, **environment):
    run = hms("explain", "--json", *words, **environment)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def decided(explanation, size):
    found = [r for r in explanation["requests"] if r["min_bytes"] <= size and (r["max_bytes"] is None or size <= r["max_bytes"])]
    assert len(found) == 1
    return found[0]


class RulesTest(unittest.TestCase):
    def test_as_the_library_decides(self):
        rules = ["program=nobody:slow", "size=1000..2000:slow", "size>=64K:slow>fast", "size=1500..70000:fast",
                 "size<100:default", "program=%s,size=100..200:slow" % os.path.basename(REAL), "fast"]
        options = ["--tiers", TIERS]
        for rule in rules:
            options += ["--rule", rule]
        explanation = explain(*options, "--", REAL)
        sizes = [16, 99, 100, 200, 201, 999, 1000, 1500, 2000, 2001, 65535, 65536, 70000, 70001, 1 << 20]
        run = subprocess.run([HMS, "run", *options, "--", REAL, "-c", ASK, *map(str, sizes)], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        for line in run.stdout.splitlines():
            size, key = line.split()
            first = decided(explanation, int(size))["placement"].split(">")[0]
            self.assertEqual(key, first if first == "default" else "tier:" + first, size)
        self.assertEqual(len(run.stdout.splitlines()), len(sizes))
        self.assertEqual([i["rule"] for i in explanation["never_decide"]], [0])
        ranges = explanation["requests"]
        self.assertEqual((ranges[0]["min_bytes"], ranges[-1]["max_bytes"]), (0, None))
        for one, two in zip(ranges, ranges[1:]):
            self.assertEqual(one["max_bytes"] + 1, two["min_bytes"])

    def test_conditions(self):
        text = hms("explain", "--rule", "thread=bio_*,size>=4K:node:0", "--rule", "object=libx.so,symbol=f:node:0!", "--", REAL).stdout
        self.assertIn("if the thread is bio_*", text)
        self.assertIn("if the calling object is libx.so and the calling function is f", text)
        self.assertIn("NULL with ENOMEM", text)
        one = explain("--rule", "thread=x:node:0", "--rule", "local", "--", REAL)["requests"]
        self.assertEqual((one[0]["conditional_rules"], one[0]["rule"], len(one)), ([0], 1, 1))

    def test_never(self):
        text = hms("explain", "--rule", "size>=4K:node:0", "--rule", "size>=8K:local", "--rule", "program=x*:local", "--", "ls").stdout
        self.assertIn("rule 2: size>=8K:local\n    rules before it hold for all its sizes", text)
        self.assertIn("this program is called ls", text)

    def test_limits_of_targets(self):
        text = hms("explain", "--tiers", TIERS, "--rule", "fast>slow", "--quota", "fast=32M", "--", "ls").stdout
        self.assertIn("tier:fast (emulated on node 0, holds 64.00 MiB, quota 32.00 MiB), then tier:slow", text)

    def test_what_placements_do(self):
        text = hms("explain", "--rule", "size>=2M:node:0@huge", "--rule", "size>=1M:node:0>local", "--rule", "default@huge", "--", "ls").stdout
        self.assertIn("node:0@huge: node:0; in huge pages where the kernel gives them; when that is full, the kernel's choice", text)
        self.assertIn("node:0>local: the first with room of node:0, then local; that is never full", text)
        self.assertIn("default@huge: default; in huge pages where the kernel gives them; that is never full", text)

    def test_environment(self):
        one = explain("--", "ls", HMS_CONF="size>=1M:node:0")
        self.assertEqual(one["rules"][0]["where"].split(",")[0], "HMS_CONF")
        self.assertEqual(decided(one, 1 << 20)["placement"], "node:0")
        none = explain("--", "ls", HMS_CONF="")
        self.assertEqual((none["rules"], none["requests"][0]["placement"]), ([], "default"))

    def test_tiering(self):
        self.assertIsNone(explain("--tiers", TIERS, "--", "ls")["tiering"])
        sides = {"near": "tier:fast", "far": "tier:slow"}
        self.assertEqual(explain("--tiers", TIERS, "--tiering", "auto", "--", "ls")["tiering"], sides)
        self.assertEqual(explain("--tiers", TIERS, "--", "ls", HMS_TIERING="fast>slow")["tiering"], sides)
        self.assertIsNone(explain("--tiers", TIERS, "--tiering", "off", "--", "ls", HMS_TIERING="auto")["tiering"])
        text = hms("explain", "--tiers", TIERS, "--tiering", "auto", "--", "ls").stdout
        self.assertIn("What no rule claims is tiered between tier:fast (near) and tier:slow (far)", text)
        text = hms("explain", "--tiers", "only=64M", "--tiering", "auto", "--", "ls").stdout
        self.assertIn("Tiering is asked for, and does nothing: ", text)
        words = ["explain", "--tiers", TIERS, "--", "ls"]
        text = hms(*words, HMS_TIERING="auto", HMS_NEAR_FAR="nonsense").stdout
        self.assertIn("does nothing: HMS_NEAR_FAR: 'nonsense' is neither", text)
        words[1:1] = ["--tiering", "auto", "--json"]
        named = hms(*words, HMS_NEAR_FAR="slow>fast")
        self.assertEqual(json.loads(named.stdout)["tiering"], {"near": "tier:slow", "far": "tier:fast"})
        wrong = hms(*words, HMS_NEAR_FAR="nonsense")
        self.assertEqual((wrong.returncode, wrong.stdout), (2, ""))
        self.assertIn("HMS_NEAR_FAR: 'nonsense' is neither", wrong.stderr)

    def test_scripts_and_programs_that_cannot(self):
        with tempfile.NamedTemporaryFile("w", suffix=".sh") as script:
            script.write("#!%s\n" % REAL)
            script.flush()
            os.chmod(script.name, 0o755)
            os.close(os.open(script.name, os.O_RDONLY))
            self.assertEqual(explain("--", script.name)["program"], [os.path.basename(REAL)])
        if os.path.exists("/bin/busybox"):
            static = explain("--", "/bin/busybox")
            self.assertFalse(static["in_effect"])
            self.assertIn("statically linked", static["why_not"])

    def test_refusals(self):
        for words in (["--rule", "sise>1:fast", "--", "ls"], ["--rule", "fast", "--tiers", "x=1M", "--", "ls"], [],
                      ["1", "0x10", "0x20"], ["1", "nonsense"], ["1", "0x"], ["--rule", "local", "1"], ["--tiering", "auto", "1"],
                      ["--tiering", "nonsense", "--", "ls"], ["--tiering", "fast>nowhere", "--tiers", TIERS, "--", "ls"]):
            self.assertEqual(hms("explain", *words).returncode, 2, words)
        for words in (["--", "no-such-program"], ["4194304"], ["1"]):
            run = hms("explain", *words)
            self.assertEqual(run.returncode, 1, words)
            self.assertTrue(run.stderr.startswith("hms explain: "))


class ProcessTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.busy = Busy("--quota", "slow=64M")

    @classmethod
    def tearDownClass(cls):
        cls.busy.__exit__()

    def test_process(self):
        one = explain(str(self.busy.pid))
        self.assertEqual(one["rules_from"], "HMS_CONF")
        self.assertEqual(decided(one, 65536)["placement"], "slow")
        self.assertIn("tier:slow", [w["target"] for w in one["windows"]])
        text = hms("explain", str(self.busy.pid)).stdout
        self.assertIn("rule 1: size>=64K:slow", text)
        self.assertIn("quota 64.00 MiB", text)

    def test_addresses(self):
        pid = str(self.busy.pid)
        for window in explain(pid)["windows"]:
            base = int(window["base"], 16)
            for address in (base, base + window["bytes"] - 1):
                one = explain(pid, hex(address))
                self.assertEqual((one["targets"], one["window"]["base"]), ([window["target"]], window["base"]))
                if one["node"] is None:
                    self.assertEqual(one["verdict"], "no page yet")
                elif window["target"] == "default":
                    self.assertEqual(one["verdict"], "any node")
                else:
                    self.assertEqual((one["verdict"], one["node"]), ("placed", 0))
                if window["target"] == "tier:slow":
                    self.assertEqual(one["rules"], ["rule 1: size>=64K:slow"])
        text = hms("explain", pid, window["base"]).stdout
        self.assertIn("memory of libhms for " + window["target"], text)

    def test_other_memory(self):
        pid = str(self.busy.pid)
        with open("/proc/%s/maps" % pid) as maps:
            lines = [line.split() for line in maps]
        stack = [line[0] for line in lines if line[-1] == "[stack]"][0].split("-")
        one = explain(pid, hex(int(stack[1], 16) - 4096))
        self.assertEqual((one["mapped"], one["targets"], one["window"], one["node"]), (True, [], None, 0))
        code = [line[0] for line in lines if line[1] == "r-xp" and "/" in line[-1]][0].split("-")[0]
        self.assertIn("a file that the program mapped", hms("explain", pid, code).stdout)
        nothing = explain(pid, "0x1000")
        self.assertEqual((nothing["mapped"], nothing["node"]), (False, None))
        self.assertIn("nothing is mapped", hms("explain", pid, "0x1000").stdout)

    @unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/usr/bin/setpriv"), "needs root, to be somebody else")
    def test_of_others(self):
        run = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", HMS, "explain", str(self.busy.pid)],
                             capture_output=True, text=True)
        if "cannot execute" not in run.stderr and "ermission denied" not in run.stderr:
            self.assertEqual((run.returncode, "belongs to user 0" in run.stderr), (1, True), run.stderr)


if __name__ == "__main__":
    unittest.main()
