#!/usr/bin/env python3
"""hms top on pseudo-terminals of several sizes, and without one."""

import json
import os
import re
import signal
import tempfile
import time
import unittest

from programs import HMS, Busy, alone, hms
from terminal import Program

ALTERNATE, CURSOR, WRAP = "1049", "25", "7"
LFLAG = 3
FINDINGS = json.loads(hms("doctor", "--json").stdout)["findings"]
SAMPLER = any(f["name"].startswith("sampler-") and f["status"] == "ok" for f in FINDINGS)


class TopTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.one = Busy("--quota", "slow=32M")
        cls.two = Busy(rules=("slow",))

    @classmethod
    def tearDownClass(cls):
        cls.one.__exit__()
        cls.two.__exit__()

    def start(self, *options, columns=80, rows=24, **environment):
        program = Program([HMS, "top", "--interval", "0.2", *options], columns, rows, **environment)
        self.addCleanup(program.close)
        return program

    def order(self, program):
        """The watched processes in the order of the screen."""
        pids = (self.one.pid, self.two.pid)
        return [int(p) for p in re.findall(r"^ *(\d+) ", program.screen.text(), re.M) if int(p) in pids]

    def assert_restored(self, program):
        self.assertEqual({m: program.screen.modes[m] for m in (ALTERNATE, CURSOR, WRAP)},
                         {ALTERNATE: False, CURSOR: True, WRAP: True})

    def test_screen_of_80_by_24(self):
        top = self.start()
        top.expect(r"^hms top: \d+ processes, .* by committed")
        top.expect(r"PID PROGRAM +THR COMMITTED ALLOC/S +FREE/S +MISPL +HITS$")
        top.expect(r"^ *%d python\S* .* [\d.]+[KM] +[\d.]+[KM] +- +-$" % self.one.pid)
        bar = top.expect(r"tier:slow +\[(#*)(\.*)\] ([\d.]+)M/32.0M \(quota\)")
        share = float(bar.group(3)) / 32
        filled, empty = len(bar.group(1)), len(bar.group(2))
        self.assertAlmostEqual(filled, share * (filled + empty), delta=0.6)
        self.assertEqual(top.screen.overflow, 0)
        self.assertTrue(top.screen.modes[ALTERNATE])
        self.assertGreater(top.screen.colours, 0)

    def test_screen_of_40_by_10(self):
        top = self.start(columns=40, rows=10)
        top.expect(r"PID PROGRAM +COMMITTED ALLOC/S$")
        top.expect(r"^ *\d+ \S+ +[\d.]+[KMG]")
        top.expect(r"\? help")
        self.assertEqual(top.screen.overflow, 0)

    def test_very_small_screens_and_back(self):
        top = self.start()
        top.expect("PROGRAM")
        for columns, rows in ((10, 3), (1, 1), (200, 60), (40, 10)):
            top.resize(columns, rows)
            top.expect(r"\S" if columns == 1 else "hms top")
            self.assertEqual(top.screen.overflow, 0, (columns, rows))
        top.type("q")
        self.assertEqual(top.wait(), 0)

    def test_sorting(self):
        top = self.start("--sort", "pid")
        top.expect("by pid,")
        low, high = sorted((self.one.pid, self.two.pid))
        self.assertEqual(self.order(top), [low, high])
        top.type("p")
        top.expect("by pid reversed")
        self.assertEqual(self.order(top), [high, low])
        top.type(">")
        top.expect("by program,")
        top.type("<<")
        top.expect("by hits,")
        for key, column in zip("cafemn", ("committed", "allocated", "freed", "threads", "misplaced", "program")):
            top.type(key)
            top.expect("by " + column)
        top.type("r")
        top.expect("by program reversed")

    def test_pause_and_help(self):
        top = self.start()
        top.expect("PROGRAM")
        top.type(" ")
        top.expect("PAUSED")
        frozen = top.screen.text()
        for _ in range(5):
            top.read(0.2)
        self.assertEqual(top.screen.text(), frozen)
        top.type("?")
        top.expect("hms top: help")
        top.expect("q +quit")
        top.type("x")
        top.expect("PAUSED")
        top.type("  ")
        top.type(" ")
        top.expect_gone("PAUSED")

    def test_targets_and_scrolling(self):
        top = self.start(columns=80, rows=9)
        top.expect(r"1-\d+/\d+")
        top.type("\033[B")
        top.expect(r"2-\d+/\d+")
        top.type("\033[6~")
        top.expect(r"[3-9]-\d+/\d+")
        top.type("\033[5~\033[5~\033[A")
        top.expect(r"1-\d+/\d+")
        top.resize(80, 24)
        top.type("t")
        top.expect_gone(r"\(quota\)")
        top.type("t")
        top.expect(r"\(quota\)")

    def test_says_what_tiering_waits_for(self):
        os.environ["HMS_TIERING_AFTER"] = "1G"
        self.addCleanup(os.environ.pop, "HMS_TIERING_AFTER")
        with Busy("--tiering", "auto", rules=()):
            top = self.start()
            top.expect("tiering waits: the program has less than 1 GiB")
            top.type("x")
            top.expect_gone("tiering waits")
            top.type("x")
            top.expect("tiering waits")
            once = hms("top", "--once", "--no-places").stdout
            self.assertNotIn("tiering waits", once)

    @unittest.skipUnless(SAMPLER, "nothing tells this user which memory is used (hms doctor)")
    def test_shows_the_places_that_are_used_most(self):
        with Busy("--tiering", "auto", rules=(), tiers="fast=4M,slow=256M"):
            top = self.start(columns=100)
            top.expect(r" {8} *\d+\.\d% \S+\+0x[0-9a-f]+.*, [0-9.]+[KM]", seconds=120)

    def test_verifies(self):
        top = self.start("--verify")
        top.expect(r"^ *%d .* 0.0%% +-$" % self.one.pid)
        top.expect(r"tier:slow .* 0.0% misplaced")
        self.assertNotIn("not verified", top.screen.text())
        top.type("v")
        top.expect("not verified")

    def test_dump(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "dump")
            top = self.start("--dump", path)
            top.expect("PROGRAM")
            for lines in (1, 2):
                top.type("d")
                top.expect("added to")
                for _ in range(100):
                    top.read(0.05)
                    with open(path) as file:
                        looks = file.readlines()
                    if len(looks) == lines:
                        break
                self.assertEqual(len(looks), lines)
            self.assertIn(self.one.pid, [p["pid"] for p in json.loads(looks[1])["processes"]])
            top.type("q")
            self.assertEqual(top.wait(), 0)
            top = self.start("--dump", folder)
            top.expect("PROGRAM")
            top.type("d")
            top.expect("cannot write .*: Is a directory")

    def ended_by(self, end, expected, *options):
        top = self.start(*options)
        lflag = top.state()[LFLAG]
        top.expect("PROGRAM")
        self.assertNotEqual(top.state()[LFLAG], lflag)
        end(top)
        self.assertEqual(top.wait(), expected)
        self.assertEqual(top.state()[LFLAG], lflag)
        self.assert_restored(top)

    def test_the_terminal_is_as_before(self):
        self.ended_by(lambda top: top.type("q"), 0)
        self.ended_by(lambda top: top.type("\003"), 0)
        self.ended_by(lambda top: top.kill(signal.SIGTERM), -signal.SIGTERM)
        self.ended_by(lambda top: top.kill(signal.SIGHUP), -signal.SIGHUP)
        self.ended_by(lambda top: top.type("\034"), -signal.SIGQUIT)

    def test_stops_and_goes_on(self):
        top = self.start()
        before = top.state()[LFLAG]
        top.expect("PROGRAM")
        top.type("\032")
        for _ in range(100):
            top.read(0.05)
            with open("/proc/%d/stat" % top.pid) as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "T":
                    break
        top.read(0.1)
        self.assert_restored(top)
        self.assertEqual(top.state()[LFLAG], before)
        top.kill(signal.SIGCONT)
        top.expect("PROGRAM")
        self.assertTrue(top.screen.modes[ALTERNATE])
        top.type("q")
        self.assertEqual(top.wait(), 0)

    def test_ends_with_the_terminal(self):
        top = self.start()
        top.expect("PROGRAM")
        os.close(top.terminal)
        top.terminal = os.open(os.devnull, os.O_RDONLY)
        for _ in range(200):
            pid, status = os.waitpid(top.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.05)
        top.status = os.waitstatus_to_exitcode(status) if pid else None
        self.assertIn(top.status, (1, -signal.SIGHUP))

    def test_no_colours(self):
        top = self.start(NO_COLOR="1")
        top.expect(r"tier:slow +\[#")
        self.assertEqual(top.screen.colours, 0)

    def test_plain(self):
        plain = hms("top")
        self.assertEqual(plain.returncode, 0)
        self.assertNotIn("\033", plain.stdout)
        row = re.search(r"^ *%d .*$" % self.one.pid, plain.stdout, re.M).group(0).split()
        self.assertRegex(row[4], r"^[\d.]+[KM]$", "it allocates all the time")
        dumb = self.start(TERM="dumb")
        self.assertEqual(dumb.wait(), 0)
        self.assertNotIn("\033", dumb.raw)
        once = self.start("--once", NO_COLOR="1")
        self.assertEqual(once.wait(), 0)
        self.assertNotIn("\033", once.raw)

    def test_json(self):
        report = json.loads(hms("top", "--json").stdout)
        mine = [p for p in report["processes"] if p["pid"] == self.one.pid][0]
        self.assertGreater(mine["rates"]["allocated_bytes_per_s"], 0)
        self.assertEqual(mine["verified"], "never")
        verified = json.loads(hms("top", "--json", "--verify").stdout)
        self.assertEqual({p["verified"] for p in verified["processes"] if p["pid"] == self.one.pid}, {"now"})

    def test_wrong_words(self):
        for words in (["--sort", "beauty"], ["--interval", "0"], ["4711"]):
            self.assertEqual(hms("top", *words).returncode, 2, words)


if __name__ == "__main__":
    alone()
    unittest.main()
