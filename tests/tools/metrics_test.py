#!/usr/bin/env python3
"""hms stat --prometheus and --listen: the format, the limits of the server, and its end."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from programs import HMS, Busy, hms

LINE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\["\\n])*",?)*)\})? ([-+.0-9eE]+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """{name: (type, {labels: value})}; the rules of the format are asserted."""
    families, current, samples = {}, None, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split()[2]
            assert current not in families, line
            families[current] = [None, {}]
        elif line.startswith("# TYPE "):
            assert line.split()[2] == current, line
            families[current][0] = line.split()[3]
        else:
            match = LINE.match(line)
            assert match and match.group(1) == current, line
            name, labels, value = match.groups()
            assert (name, labels) not in samples, "twice: " + line
            samples.add((name, labels))
            families[name][1][tuple(LABEL.findall(labels or ""))] = float(value)
    for name, (kind, _) in families.items():
        assert name.startswith("hms_") and kind == ("counter" if name.endswith("_total") else "gauge"), name
    assert text.endswith("\n")
    return families


def value(families, name, **labels):
    found = [v for k, v in families[name][1].items() if labels.items() <= dict(k).items()]
    assert len(found) == 1, (name, labels, families.get(name))
    return found[0]


class Server:
    def __init__(self, *words):
        self.process = subprocess.Popen([HMS, "stat", *words], stderr=subprocess.PIPE, text=True)
        self.line = self.process.stderr.readline()
        found = re.search(r"http://(.*):(\d+)/metrics", self.line)
        assert found, self.line
        self.host, self.port = found.group(1).strip("[]"), int(found.group(2))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=20)

    def ask(self, request):
        """Status, headers, body."""
        with self.connect() as client:
            client.sendall(request)
            answer = b""
            while True:
                piece = client.recv(65536)
                if not piece:
                    break
                answer += piece
        head, _, body = answer.decode().partition("\r\n\r\n")
        lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        assert int(headers["Content-Length"]) == len(body)
        return int(lines[0].split()[1]), headers, body

    def get(self, path="/metrics"):
        return self.ask(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())


class MetricsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        # A name of a program that has to be escaped; anything else than ASCII is cleaned away before.
        cls.name = os.path.join(cls.folder.name, 'a "b" \\c')
        os.symlink(os.path.realpath(sys.executable), cls.name)
        cls.busy = Busy("--quota", "slow=64M")

    @classmethod
    def tearDownClass(cls):
        cls.busy.__exit__()
        cls.folder.cleanup()

    def test_text(self):
        run = hms("stat", "--prometheus")
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        families = parse(run.stdout)
        mine = {"pid": str(self.busy.pid)}
        self.assertGreaterEqual(value(families, "hms_processes"), 1)
        self.assertGreater(value(families, "hms_target_allocated_bytes_total", target="tier:slow", **mine), 9000000)
        self.assertEqual(value(families, "hms_target_quota_bytes", target="tier:slow", **mine), 64 << 20)
        self.assertEqual(value(families, "hms_target_refused_total", target="tier:slow", reason="full", **mine), 0)
        self.assertEqual(value(families, "hms_target_info", target="tier:slow", emulated="true", node="0", **mine), 1)
        self.assertNotIn(dict(target="tier:fast", **mine).items(),
                         [dict(k).items() for k in families["hms_target_quota_bytes"][1]])
        self.assertNotIn(str(self.busy.pid), [dict(k)["pid"] for k in families.get("hms_target_resident_bytes", [0, {}])[1]])

    def test_one_process_is_verified(self):
        families = parse(hms("stat", str(self.busy.pid), "--prometheus").stdout)
        self.assertEqual(value(families, "hms_processes"), 1)
        self.assertGreater(value(families, "hms_target_verified_pages", target="tier:slow"), 1000)
        self.assertEqual(value(families, "hms_target_misplaced_pages", target="tier:slow"), 0)
        families = parse(hms("stat", str(self.busy.pid), "--prometheus", "--no-verify").stdout)
        self.assertNotIn("hms_target_verified_pages", families)
        families = parse(hms("stat", "--prometheus", "--verify").stdout)
        self.assertGreater(value(families, "hms_target_verified_pages", target="tier:slow", pid=str(self.busy.pid)), 1000)

    def test_escapes(self):
        with Busy(name=self.name) as odd:
            text = hms("stat", str(odd.pid), "--prometheus").stdout
        self.assertIn('program="a \\"b\\" \\\\c"', text)
        parse(text)

    def test_none(self):
        with Busy() as gone:
            pid = str(gone.pid)
        run = hms("stat", pid, "--prometheus")
        self.assertEqual((run.returncode, run.stdout), (1, ""))

    def test_serves(self):
        with Server("--listen", "0") as server:
            self.assertEqual(server.host, "127.0.0.1")
            status, headers, body = server.get()
            self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
            first = value(parse(body), "hms_target_allocated_bytes_total", target="tier:slow", pid=str(self.busy.pid))
            time.sleep(0.1)
            second = value(parse(server.get("/metrics?x=y")[2]), "hms_target_allocated_bytes_total", target="tier:slow",
                           pid=str(self.busy.pid))
            self.assertGreater(second, first)
            if shutil.which("curl"):
                run = subprocess.run(["curl", "-sf", "http://127.0.0.1:%d/metrics" % server.port], capture_output=True, text=True)
                self.assertEqual(run.returncode, 0)
                parse(run.stdout)

    def test_only_that_page(self):
        with Server("--listen", "0") as server:
            for path in ("/", "/metrics/", "/metricsx", "/../metrics", "/etc/passwd"):
                self.assertEqual(server.get(path)[0], 404, path)
            for method in (b"POST", b"HEAD", b"PUT", b"get"):
                status, headers, _ = server.ask(method + b" /metrics HTTP/1.1\r\n\r\n")
                self.assertEqual((status, headers["Allow"]), (405, "GET"), method)
            for request in (b"\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics\r\n\r\n", b"GET /metrics SMTP\r\n\r\n",
                            b"\0\xff \x80\r\n\r\n"):
                self.assertEqual(server.ask(request)[0], 400, request)
            self.assertEqual(server.ask(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 4096 + b"\r\n\r\n")[0], 431)
            self.assertEqual(server.ask(b"x" * 5000)[0], 431)
            self.assertEqual(server.get()[0], 200)

    def test_slow_and_silent_clients(self):
        with Server("--listen", "0") as server:
            silent = [server.connect() for _ in range(20)]
            silent[0].sendall(b"GET /met")
            self.assertEqual(server.get()[0], 200)
            # They are let go by themselves.
            for client in silent:
                self.assertEqual(client.recv(10), b"")
                client.close()
            # In pieces, as slow lines bring it.
            with server.connect() as client:
                for byte in b"GET /metrics HTTP/1.1\r\n\r\n":
                    client.sendall(bytes([byte]))
                self.assertIn(b"200 OK", client.recv(1000))
            # A client that goes away with its answer half read ends nothing.
            with server.connect() as client:
                client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.assertEqual(server.get()[0], 200)

    def test_ends(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with Server("--listen", "0") as server, server.connect():
                server.process.send_signal(number)
                self.assertEqual(server.process.wait(20), 0)
                self.assertEqual(server.process.stderr.read(), "")

    def test_a_process_that_ends(self):
        with Busy() as busy, Server(str(busy.pid), "--listen", "0") as server:
            self.assertEqual(value(parse(server.get()[2]), "hms_processes"), 1)
            busy.process.kill()
            busy.process.wait()
            self.assertEqual(value(parse(server.get()[2]), "hms_processes"), 0)

    def test_addresses(self):
        for words in (["0.0.0.0:0"], ["[::]:0"], ["192.0.2.1:0"]):
            run = hms("stat", "--listen", *words)
            self.assertEqual(run.returncode, 2)
            self.assertIn("--expose", run.stderr)
        for word in ("", ":", "x", "70000", "127.0.0.1", "127.0.0.1:", "::1:0", "[127.0.0.1]:0", "example.org:80", "-1", "1e3"):
            self.assertEqual(hms("stat", "--listen", word).returncode, 2, word)
        with Server("--listen", "0.0.0.0:0", "--expose") as server:
            server.host = "127.0.0.1"
            self.assertEqual(server.get()[0], 200)
        for words in (["--expose"], ["--listen", "0", "--json"], ["--prometheus", "--watch"], ["--prometheus", "--json"],
                      ["--verify", "--no-verify"]):
            self.assertEqual(hms("stat", *words).returncode, 2, words)
        with Server("--listen", "localhost:0") as server:
            run = hms("stat", "--listen", str(server.port))
            self.assertEqual(run.returncode, 1)
            self.assertIn("Address already in use", run.stderr)
        if os.path.exists("/proc/net/if_inet6"):
            with open("/proc/net/if_inet6") as file:
                if re.search(r" lo$", file.read(), re.M):
                    with Server("--listen", "[::1]:0") as server:
                        self.assertEqual(server.get()[0], 200)


if __name__ == "__main__":
    unittest.main()
