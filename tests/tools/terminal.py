"""A program on a pseudo-terminal, and the screen that it draws: as much of a terminal as hms top needs."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

PIECE = re.compile(r"\033\[(\??)([0-9;]*)([A-Za-z])|(\r)|(\n)|([^\033\r\n]+)")


class Screen:
    """What the bytes of a program leave on a terminal. Unknown sequences are errors, so that none goes unnoticed."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.lines = [""] * rows
        self.shown = ""  # the last picture that was complete
        self.row = self.column = 0
        self.modes = {}
        self.colours = 0
        self.overflow = 0  # characters that did not fit into a line, lines that did not fit on the screen
        self.rest = ""

    def feed(self, text):
        text = self.rest + text
        at = 0
        while at < len(text):
            piece = PIECE.match(text, at)
            if not piece:
                if len(text) - at > 20:
                    raise ValueError("not understood: %r" % text[at:at + 20])
                break
            at = piece.end()
            self.take(piece)
        self.rest = text[at:]

    def take(self, piece):
        private, numbers, final, start, down, plain = piece.groups()
        if start:
            self.column = 0
        elif down:
            self.row += 1
            if self.row >= self.rows:
                self.overflow += 1
                self.row = self.rows - 1
        elif plain:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[:self.column] + plain + line[self.column + len(plain):]
            self.column += len(plain)
            self.overflow += max(0, len(self.lines[self.row]) - self.columns)
        elif private:
            self.modes[numbers] = final == "h"
            if numbers == "25":  # said at the end of each picture
                self.shown = "\n".join(self.lines)
            if numbers == "1049":
                self.lines = [""] * self.rows
                self.shown = ""
        elif final == "H":
            self.row = self.column = 0
        elif final == "K":  # after a full line the cursor is on its last character still
            self.lines[self.row] = self.lines[self.row][:min(self.column, self.columns - 1)]
        elif final == "J":
            if numbers == "2":
                self.lines = [""] * self.rows
            else:
                self.lines[self.row + 1:] = [""] * (self.rows - self.row - 1)
                self.lines[self.row] = self.lines[self.row][:min(self.column, self.columns - 1)]
        elif final == "m":
            self.colours += 1
        else:
            raise ValueError("not understood: %r" % piece.group(0))

    def text(self):
        return self.shown


class Program:
    """A command on a pseudo-terminal of its own, its controlling one: Ctrl-C and sizes reach it as they do in life."""

    def __init__(self, command, columns=80, rows=24, **environment):
        self.screen = Screen(columns, rows)
        self.raw = ""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvpe(command[0], command, {**os.environ, "TERM": "xterm", **environment})
        self.before = None
        self.status = None

    def state(self):
        return termios.tcgetattr(self.terminal)

    def resize(self, columns, rows):
        self.screen = Screen(columns, rows)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def kill(self, number):
        os.kill(self.pid, number)

    def read(self, seconds):
        """False: the program has closed the terminal."""
        if not select.select([self.terminal], [], [], seconds)[0]:
            return True
        try:
            text = os.read(self.terminal, 65536).decode("ascii")
        except OSError:
            return False
        self.raw += text
        self.screen.feed(text)
        return text != ""

    def expect(self, pattern, seconds=20):
        """Waits until the screen has the pattern; the match."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.screen.text(), re.M)
            if found:
                return found
            if time.monotonic() > end or not self.read(0.2):
                raise AssertionError("no %r on the screen:\n%s" % (pattern, self.screen.text()))

    def expect_gone(self, pattern, seconds=20):
        end = time.monotonic() + seconds
        while re.search(pattern, self.screen.text(), re.M):
            if time.monotonic() > end or not self.read(0.2):
                raise AssertionError("%r stays on the screen:\n%s" % (pattern, self.screen.text()))

    def wait(self, seconds=20):
        """The status of its end, as subprocess has it."""
        end = time.monotonic() + seconds
        while self.status is None:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read(0.1) and select.select([self.terminal], [], [], 0)[0]:
                    pass
                self.status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                raise AssertionError("it does not end; the screen:\n" + self.screen.text())
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.terminal)
