#!/usr/bin/env python3
"""The manual pages against the command and the code: no option and no variable that only one of them knows."""

import pathlib
import re
import unittest

from programs import hms

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = TOP / "docs/man"
CODE = ("runtime", "allocator", "openmp", "cli")
# Of the C library, of shells, of terminals and of OpenMP: they mean there what they mean everywhere.
FOREIGN = {"HOME", "PATH", "TERM", "TMPDIR", "LD_PRELOAD", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "OMP_ALLOCATOR",
           "OMP_DISPLAY_ENV"}


def page(name):
    return (PAGES / name).read_text().replace("\\-", "-")


def subcommands():
    return re.findall(r"^  ([a-z]+) ", hms("--help").stdout.split("Subcommands:")[1], re.M)


def options(name):
    """Long options of a subcommand as --help lists them, without --help itself."""
    listed = hms(name, "--help").stdout
    listed = listed[listed.index("\nOptions:"):]
    return set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", listed, re.M)) - {"--help"}


class ManualTest(unittest.TestCase):
    def test_options_of_the_help_are_in_the_manual(self):
        for name in subcommands():
            for option in options(name):
                self.assertRegex(page("hms-%s.1" % name), r"%s\b" % option, "hms %s %s" % (name, option))

    def test_options_of_the_manual_are_in_the_help(self):
        for name in subcommands():
            section = page("hms-%s.1" % name).partition(".SH OPTIONS\n")[2].partition("\n.SH ")[0]
            headings = re.findall(r"^\.TP\n(.*)$", section, re.M)
            told = {word for heading in headings for word in re.findall(r"--[a-z-]+", heading)}
            self.assertEqual(told - options(name), set(), name)

    def test_zsh_knows_the_options(self):
        script = hms("completion", "zsh").stdout
        for name in subcommands():
            part = script.partition("        %s)\n" % name)[2].partition(";;\n")[0]
            known = set(re.findall(r"(--[a-z-]+)[=\[+-]", part))
            self.assertEqual(options(name) - known, set(), name)

    def test_each_subcommand_is_in_the_overview(self):
        for name in subcommands():
            self.assertIn("hms-%s (1)" % name, page("hms.1"), name)

    def test_variables_are_in_the_overview(self):
        read = set()
        for folder in CODE:
            for path in (TOP / folder).rglob("*.cc"):
                text = path.read_text()
                read.update(re.findall(r'getenv\("([A-Z_]+)"', text))
                read.update(re.findall(r'"(HMS_[A-Z_]+)"', text))
        self.assertIn("HMS_CONF", read)
        overview = page("hms.1")
        missing = {name for name in read - FOREIGN if not re.search(r"\b%s\b" % name, overview)}
        self.assertEqual(missing, set())
        told = set(re.findall(r"\b(HMS_[A-Z_]+)\b", overview))
        self.assertEqual(told - read, set(), "nobody reads them")

    def test_references_lead_somewhere(self):
        for path in PAGES.iterdir():
            for name, section in re.findall(r"\b(hms(?:-[a-z]+)?) \((\d)\)", page(path.name)):
                self.assertTrue((PAGES / ("%s.%s" % (name, section))).exists(), "%s: %s(%s)" % (path.name, name, section))


if __name__ == "__main__":
    unittest.main()
