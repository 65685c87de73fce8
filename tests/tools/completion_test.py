#!/usr/bin/env python3
"""hms completion: what bash offers, that the options are those of --help, and what zsh makes of it."""

import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest

from programs import HMS, Busy, hms

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_WORDS[0]=$HMS_COMMAND
_hms
printf '%s\\n' "${COMPREPLY[@]}"
"""


def subcommands():
    listed = hms("--help").stdout.split("Subcommands:")[1]
    return re.findall(r"^  ([a-z]+) ", listed, re.M)


class BashTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.script = os.path.join(cls.folder.name, "hms.bash")
        run = hms("completion", "bash")
        assert run.returncode == 0
        with open(cls.script, "w") as file:
            file.write(run.stdout)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def offers(self, line, folder=None):
        """What is offered for the last word of a line, in the pieces that bash makes."""
        words = [w for w in re.split(r"\s|(=)", line) if w is not None and w != ""]
        if line[-1] in " =":
            words.append("") if line[-1] == " " else None
        run = subprocess.run(["bash", "-c", ASK, "bash", self.script, *words], capture_output=True, text=True, cwd=folder)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        return [w for w in run.stdout.split("\n") if w]

    def test_syntax(self):
        for arguments in (["bash", "-n"], ["shellcheck", "-s", "bash", "-S", "warning"]):
            if shutil.which(arguments[0]):
                run = subprocess.run([*arguments, self.script], capture_output=True, text=True)
                self.assertEqual((run.returncode, run.stdout + run.stderr), (0, ""))

    def test_subcommands(self):
        names = subcommands()
        self.assertIn("top", names)
        self.assertEqual(sorted(self.offers("hms ")), sorted(names))
        self.assertEqual(sorted(self.offers("hms to")), ["top", "topology"])
        self.assertEqual(self.offers("hms --v"), ["--version"])
        self.assertEqual(self.offers("hms nonsense --"), [])

    def test_options_are_those_of_the_help(self):
        for name in subcommands():
            listed = hms(name, "--help").stdout
            listed = listed[listed.index("\nOptions:"):]
            options = set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", listed, re.M))
            self.assertIn("--help", options)
            self.assertNotRegex(listed, r"(?m)^  -\S*\{\(")
            self.assertEqual(set(self.offers("hms %s --" % name)), options, name)

    def test_values(self):
        self.assertEqual(self.offers("hms top --sort c"), ["committed"])
        self.assertEqual(self.offers("hms top --sort=c"), ["committed"])
        self.assertEqual(self.offers("hms top --sort="), self.offers("hms top --sort "))
        self.assertEqual(self.offers("hms run --rule x"), [])
        self.assertEqual(self.offers("hms completion z"), ["zsh"])
        self.assertEqual(self.offers("hms ctl 1 "), ["rules"])
        self.assertEqual(self.offers("hms ctl --wait 3 1 r"), ["rules"])
        self.assertEqual(self.offers("hms ctl --wait=3 1 r"), ["rules"])

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            open(os.path.join(folder, "a.conf"), "w").close()
            self.assertEqual(self.offers("hms run --config a", folder), ["a.conf"])
            self.assertEqual(self.offers("hms report a", folder), ["a.conf"])
            self.assertEqual(self.offers("hms top --dump a", folder), ["a.conf"])
            self.assertEqual(self.offers("hms run -- cat a", folder), ["a.conf"])

    def test_commands(self):
        for line in ("hms run mkd", "hms run -- mkd", "hms record --quiet -- mkd", "hms run --rule x --omp -- mkd"):
            self.assertIn("mkdir", self.offers(line), line)
        # Options after the program are the program's.
        self.assertNotIn("--rule", self.offers("hms run -- ls --ru"))
        self.assertNotIn("--rule", self.offers("hms run ls --ru"))

    def test_processes(self):
        with Busy() as busy:
            for line in ("hms stat ", "hms ctl ", "hms check "):
                self.assertIn(str(busy.pid), self.offers(line))

    def test_unknown_shell(self):
        self.assertEqual(hms("completion", "fish").returncode, 2)
        self.assertEqual(hms("completion").returncode, 2)


@unittest.skipUnless(shutil.which("zsh"), "no zsh here")
class ZshTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.script = os.path.join(self.folder.name, "_hms")
        with open(self.script, "w") as file:
            file.write(hms("completion", "zsh").stdout)

    def test_syntax(self):
        run = subprocess.run(["zsh", "-n", self.script], capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stderr), (0, ""))

    def completed(self, line, expected):
        """Types a line and a tab into a zsh, and waits for what comes of it."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="dumb", PS1="> ", ZDOTDIR=self.folder.name,
                              PATH=os.path.dirname(HMS) + ":" + os.environ["PATH"])
            os.execvp("zsh", ["zsh", "-f", "-i"])
        seen = ""

        def expect(text):
            nonlocal seen
            end = time.monotonic() + 20
            while text not in seen:
                if time.monotonic() > end or not select.select([terminal], [], [], 20)[0]:
                    raise AssertionError("no %r in %r" % (text, seen))
                seen += os.read(terminal, 65536).decode(errors="replace")

        try:
            os.write(terminal, ("fpath=(%s $fpath); autoload -Uz compinit; compinit -D -u; echo rea''dy\n" % self.folder.name).encode())
            expect("ready")
            seen = ""
            os.write(terminal, (line + "\t").encode())
            expect(expected)
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            os.close(terminal)

    def test_completes(self):
        self.completed("hms topo", "hms topology ")
        self.completed("hms ctl --non", "hms ctl --none")
        self.completed("hms top --sort allo", "--sort allocated")
        self.completed("hms completion z", "hms completion zsh")
        self.completed("hms run --om", "hms run --omp")


if __name__ == "__main__":
    unittest.main()
