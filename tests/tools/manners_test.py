#!/usr/bin/env python3
"""hms in a hurry: full disks, closed pipes, wrong words, Ctrl-C, no /sys, no terminal worth the name."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from programs import HMS, Busy, hms
from terminal import Program


class MannersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.busy = Busy()
        cls.folder = tempfile.TemporaryDirectory()
        cls.profile = os.path.join(cls.folder.name, "profile")
        assert hms("record", "-o", cls.profile, "--", sys.executable, "-c", "x = [bytes(5000) for _ in range(500)]").returncode == 0
        pid = str(cls.busy.pid)
        cls.json = [["topology", "--json"], ["find", "--from", "cpu:0", "--by", "latency", "--json"], ["doctor", "--json"],
                    ["stat", "--json"], ["stat", pid, "--json"], ["top", "--json"], ["explain", "--json", "--", "ls"],
                    ["explain", pid, "--json"], ["check", pid, "--json"], ["report", "--json", cls.profile],
                    ["run", "--report=-", "--", "true"]]
        cls.printing = cls.json + [
            ["topology"], ["topology", "--dot"], ["topology", "--svg", "-"], ["find", "--from", "cpu:0", "--by", "latency"],
            ["doctor"], ["stat"], ["stat", pid], ["stat", "--prometheus"], ["stat", pid, "--watch"], ["top"], ["explain", pid],
            ["explain", "--", "ls"], ["check", pid], ["report", cls.profile], ["report", "--html", "-", cls.profile],
            ["completion", "bash"], ["completion", "zsh"], ["--help"], ["--version"], ["run", "--help"], ["help"]]

    @classmethod
    def tearDownClass(cls):
        cls.busy.__exit__()
        cls.folder.cleanup()

    def test_json_is_json(self):
        for words in self.json:
            run = hms(*words)
            self.assertEqual(run.returncode, 0, (words, run.stderr))
            self.assertEqual(json.loads(run.stdout)["schema"], 1, words)

    def test_a_full_disk_is_no_success(self):
        for words in self.printing:
            with open("/dev/full", "w") as full:
                run = subprocess.run([HMS, *words], stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
            self.assertEqual(run.returncode, 1, words)
            self.assertTrue(run.stderr.endswith("hms: cannot write to standard output\n"), (words, run.stderr))

    def test_a_reader_who_has_seen_enough(self):
        for words in self.printing:
            reading, writing = os.pipe()
            os.close(reading)
            run = subprocess.run([HMS, *words], stdout=writing, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                 restore_signals=True)
            os.close(writing)
            self.assertEqual(run.returncode, -13, words)
            self.assertNotIn("cannot write", run.stderr, words)

    def test_wrong_words_get_an_answer(self):
        for words in (["nonsense"], ["topo"], ["--nonsense"], ["run"], ["stat", "x"], ["stat", "0"], ["topology", "x"],
                      ["report", "--top", "-1", self.profile], ["find", "--from", "cpu:0", "--by", "beauty"], ["help", "nonsense"],
                      ["run", "--verison", "--", "true"], ["top", "--interval", "x"], ["completion", "tcsh"]):
            run = hms(*words)
            self.assertEqual((run.returncode, run.stdout), (2, ""), words)
            self.assertTrue(run.stderr.startswith("hms"), run.stderr)
            self.assertLess(max(map(len, run.stderr.splitlines())), 200, words)

    def test_help_is_a_word(self):
        self.assertEqual(hms("help", "run").stdout, hms("run", "--help").stdout)
        self.assertEqual(hms("help").stdout, hms("--help").stdout)
        self.assertIn("--rule", hms("help", "run").stdout)

    def test_a_folder_is_no_place_for_a_profile(self):
        mark = os.path.join(self.folder.name, "started")
        run = hms("record", "-o", self.folder.name, "--", "touch", mark)
        self.assertEqual(run.returncode, 2)
        self.assertIn("it is a folder", run.stderr)
        self.assertFalse(os.path.exists(mark))

    def test_measuring_makes_no_folders_but_its_own(self):
        run = hms("topology", "--measure=" + os.path.join(self.folder.name, "a/b"))
        self.assertEqual(run.returncode, 1)
        self.assertNotIn("a", os.listdir(self.folder.name))

    def test_interrupted_lines_end(self):
        for words, sign in ((["stat", str(self.busy.pid), "--watch"], "REFUSED"), (["stat", "--listen", "0"], "listening")):
            program = Program([HMS, *words], columns=200, rows=60)
            self.addCleanup(program.close)
            end = time.monotonic() + 20
            while sign not in program.raw and time.monotonic() < end:
                program.read(0.1)
            self.assertIn(sign, program.raw)
            program.type("\003")
            self.assertEqual(program.wait(), 0)
            self.assertTrue(program.raw.endswith("^C\r\n"), program.raw[-40:])

    def test_no_colours_in_pipes(self):
        for words in self.printing:
            if "--watch" not in words:
                self.assertNotIn("\033", hms(*words).stdout, words)

    def test_other_locales(self):
        for words in (["topology"], ["doctor"], ["stat", str(self.busy.pid)], ["report", self.profile]):
            for locale in ("C", "de_DE.ISO-8859-1", "tr_TR.UTF-8"):
                run = subprocess.run([HMS, *words], capture_output=True, env={**os.environ, "LC_ALL": locale})
                self.assertEqual(run.returncode, 0, (words, locale))
                run.stdout.decode("ascii")

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "hiding /sys needs root and unshare")
    def test_hidden_sys(self):
        hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys && exec "$@"', "sh", HMS]
        if subprocess.run([*hide, "--version"], capture_output=True).returncode != 0:
            self.skipTest("mounts are not allowed here")
        for words in (["topology"], ["find", "--from", "cpu:0", "--by", "latency"], ["doctor"], ["top"], ["explain", "--", "ls"],
                      ["run", "--rule", "node:0", "--report", "--", "true"],
                      ["run", "--tiers", "fast=64M", "--rule", "fast", "--", "true"]):
            run = subprocess.run([*hide, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
            self.assertEqual(run.returncode, 0, (words, run.stderr))
        hidden = json.loads(subprocess.run([*hide, "topology", "--json"], capture_output=True, text=True).stdout)
        self.assertEqual([t["key"] for t in hidden["targets"]], ["node:0"])


if __name__ == "__main__":
    unittest.main()
