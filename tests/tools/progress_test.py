#!/usr/bin/env python3
"""What hms says while it takes long: a line on a terminal, gone at the end, and never anywhere else."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from programs import HMS, TIERS, hms
from terminal import Program

# Has counters, and asks for no memory: rules for it are left until the patience of hms ctl is over.
IDLE = [HMS, "run", "--tiers", TIERS, "--rule", "fast", "--", sys.executable, "-c",
        "kept = [bytearray(100000) for _ in range(100)]; print('ready', flush=True); input()"]
WAITING = r"hms ctl: \d+ s, waiting until process \d+"


class ProgressTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.idle = subprocess.Popen(IDLE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert cls.idle.stdout.readline() == "ready\n"

    @classmethod
    def tearDownClass(cls):
        cls.idle.communicate("\n")

    def words(self, wait):
        return [HMS, "ctl", str(self.idle.pid), "rules", "--none", "--wait", str(wait)]

    def start(self, command, **options):
        program = Program(command, **options)
        self.addCleanup(program.close)
        return program

    def line(self, program, pattern):
        """Waits until a line of the terminal matches, and returns it."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for line in program.screen.lines:
                if re.search(pattern, line):
                    return line
            self.assertTrue(program.read(0.2), program.raw)
        raise AssertionError("no %r in %r" % (pattern, program.raw))

    def gone(self, program):
        self.assertNotIn("waiting until", "\n".join(program.screen.lines))

    def test_shows_and_takes_it_back(self):
        program = self.start(self.words(4))
        self.line(program, WAITING)
        self.line(program, "hms ctl: 3 s, ")
        self.assertEqual(program.screen.overflow, 0)
        self.assertEqual(program.wait(), 1)
        self.gone(program)
        self.assertRegex(program.screen.lines[0], "^hms ctl: process .* has not asked for memory")

    def test_short_work_says_nothing(self):
        program = self.start(self.words(0.5))
        program.wait()
        self.assertNotIn("waiting until", program.raw)

    def test_not_in_pipes_nor_on_dumb_terminals(self):
        run = subprocess.run(self.words(3), capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertRegex(run.stderr, r"\Ahms ctl: process [^\n\r\033]*\n\Z")
        program = self.start(self.words(3), TERM="dumb")
        program.wait()
        self.assertNotIn("waiting until", program.raw)

    def test_narrow_terminals(self):
        program = self.start(self.words(4), columns=20, rows=8)
        self.assertLessEqual(len(self.line(program, "hms ctl: ")), 17)
        self.assertEqual(program.screen.overflow, 0)
        program.type("\003")
        self.assertEqual(program.wait(), -signal.SIGINT)

    def test_interrupted(self):
        for keys, expected in (("\003", -signal.SIGINT), ("\034", -signal.SIGQUIT)):
            program = self.start(self.words(20))
            self.line(program, WAITING)
            program.type(keys)
            self.assertEqual(program.wait(), expected)
            self.gone(program)
            self.assertEqual(program.screen.column, 0)
        program = self.start(self.words(20))
        self.line(program, WAITING)
        program.kill(signal.SIGTERM)
        self.assertEqual(program.wait(), -signal.SIGTERM)
        self.gone(program)

    def test_stopped_and_woken(self):
        # A shell with job control, or nobody could wake it and it would not stop.
        shell = ["bash", "-c", "set -m; \"$@\"; echo stopped; read x; fg", "bash"]
        program = self.start(shell + self.words(30))
        self.line(program, WAITING)
        program.type("\032")
        self.line(program, "^stopped")
        self.gone(program)
        program.type("\n")
        self.line(program, WAITING)
        program.type("\003")
        self.assertNotEqual(program.wait(), 0)
        self.gone(program)

    def test_record(self):
        with tempfile.TemporaryDirectory() as folder:
            words = [HMS, "record", "-o", os.path.join(folder, "p"), "--", "sleep", "4"]
            program = self.start(words)
            self.line(program, r"hms record: \d+ s, (nothing yet|\d+ places)")
            program.type("\003")  # reaches the command, too
            program.wait()
            self.assertNotRegex("\n".join(program.screen.lines), r"\d+ s, ")
            quiet = self.start(words[:2] + ["--quiet"] + words[2:])
            quiet.wait()
            self.assertNotRegex(quiet.raw, r"\d+ s, ")

    def test_measuring(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "measured")
            program = self.start([HMS, "topology", "--json", "--measure=" + path])
            # A fast machine with one memory measures it in less than what is worth a line: held up, it takes longer.
            time.sleep(0.3)
            program.kill(signal.SIGSTOP)
            time.sleep(2.5)
            program.kill(signal.SIGCONT)
            self.line(program, r"hms topology: \d+ s, measuring .* \(1 of \d+\)")
            program.type("\003")
            self.assertEqual(program.wait(), 130)
            self.assertEqual(program.screen.lines[0], "hms topology: interrupted; nothing was written")
            self.assertEqual(os.listdir(folder), [])
            plain = hms("topology", "--json", "--measure=" + path)
            json.loads(plain.stdout)
            self.assertNotRegex(plain.stderr, "\\(1 of|\033")


if __name__ == "__main__":
    unittest.main()
