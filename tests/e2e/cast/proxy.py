# SPDX-License-Identifier: MIT
"""The proxy under test: a process of its own, and what its admin says."""

import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
from collections import Counter
from pathlib import Path
from urllib.parse import urlencode

from cast.origin import HOST
from cast.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
RELEASE = str(ROOT / "build" / "leakproxy")
LEAKPROXY = os.environ.get("LEAKPROXY", RELEASE)

VERDICTS = ("none", "open", "drained", "undrained", "suspected", "abandoned",
            "unproven")

# Nothing in the caller's environment may lead a client elsewhere.
NOT_INHERITED = re.compile(
    r"(?i)(https?|all|no)_proxy$|LEAKPROXY_|SSL_CERT_|.*CA_BUNDLE$"
    r"|JAVA_TOOL_OPTIONS$|NODE_EXTRA_CA_CERTS$|GIT_SSL_CAINFO$")


def plain_environment(**more):
    return {name: value for name, value in os.environ.items()
            if not NOT_INHERITED.match(name)} | more


def split_authority(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def run(*arguments, **more):
    """Runs the program to its end."""
    return subprocess.run([LEAKPROXY, *arguments], capture_output=True,
                          text=True, timeout=30, env=plain_environment(),
                          **more)


class Proxy:
    """`leakproxy serve` or `exec`, once it is ready; `prefix` is a command
    that becomes it."""

    def __init__(self, directory, *options, command=("serve",), child=(),
                 stdin=subprocess.DEVNULL, environment=(), program=LEAKPROXY,
                 prefix=(), listen="127.0.0.1:0", admin="127.0.0.1:0",
                 log_level="debug", stderr=None):
        self.directory = Path(directory)
        self.is_killed = False  # by us
        self.state_dir = self.directory / "state"
        self.log_path = self.directory / "leakproxy.log"
        readable, writable = os.pipe()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*prefix, program, *command, "--listen", listen,
                 "--admin", admin, "--ready-fd", str(writable),
                 "--state-dir", self.state_dir, "--log-level", log_level,
                 *map(str, options), *child],
                stdin=stdin, stderr=stderr or log, pass_fds=[writable],
                env=plain_environment(**dict(environment)))
        os.close(writable)
        with open(readable, "rb") as ready:
            self.ready = self._read_ready(ready)
        # Sent with every question, as a token.
        self.admin_fields = {}
        self.address = split_authority(self.ready["listen"][0])
        self.admin = split_authority(self.ready["admin"])

    def _read_ready(self, ready):
        line = b""
        if select.select([ready], [], [], 10)[0]:
            line = ready.readline()
        if not line:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the proxy did not get ready:\n" + self.log)
        return json.loads(line)

    @property
    def pid(self):
        return self.process.pid

    @property
    def url(self):
        return "http://" + self.ready["listen"][0]

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    @property
    def ca(self):
        return self.state_dir / "ca.pem"

    @property
    def bundle(self):
        return self.state_dir / "bundle.pem"

    def stop(self):
        """Ends it as an operator would, unless the test saw to its end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            status = self._wait()
            assert status == 0, f"the proxy ended with {status}:\n{self.log}"
        assert self.process.returncode >= 0 or self.is_killed, \
            f"it crashed:\n{self.log}"
        assert "Sanitizer" not in self.log, self.log

    def _wait(self):
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                "the proxy did not end within 20 s of SIGTERM") from None

    def kill(self):
        self.is_killed = True
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    # ---- what its admin says ----

    def ask(self, path, method="GET", **parameters):
        """Returns status, fields and text."""
        if parameters:
            path += "?" + urlencode(parameters)
        connection = http.client.HTTPConnection(*self.admin, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, headers=self.admin_fields)
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()

    def post(self, path, body, content_type="application/json", **fields):
        """Returns status and text."""
        connection = http.client.HTTPConnection(*self.admin, timeout=20)
        with contextlib.closing(connection):
            connection.request(
                "POST", path, body if isinstance(body, str | bytes)
                else json.dumps(body),
                self.admin_fields | {"Content-Type": content_type} | fields)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def mark(self, name, phase):
        status, text = self.post("/api/marks", {"name": name, "phase": phase})
        assert status == 200, text

    def get(self, path, **parameters):
        status, _, text = self.ask(path, **parameters)
        assert status == 200, f"{path}: {status} {text}"
        return text

    def leaks(self):
        return json.loads(self.get("/api/leaks"))

    def totals(self):
        return self.leaks()["totals"]

    def exchanges(self, **filters):
        """Oldest first."""
        answer = json.loads(self.get("/api/exchanges", limit=10000, **filters))
        assert not answer["more"]
        return sorted(answer["exchanges"], key=lambda each: each["began_at"])

    def connections(self, **filters):
        return json.loads(
            self.get("/api/connections", **filters))["connections"]

    def report(self, columns=80):
        return self.get("/report", columns=columns)

    def metric(self, sample):
        """The value of a sample, labels and all."""
        for line in self.get("/metrics").splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
        raise AssertionError(f"/metrics has no {sample}")

    # ---- waiting for it ----

    def exchange(self, target):
        """The exchange whose URL ends so; None while there is none."""
        found = [exchange for exchange in self.exchanges()
                 if exchange["url"].endswith(target)]
        assert len(found) <= 1, f"{len(found)} exchanges end with {target}"
        return found[0] if found else None

    def wait_for(self, target, *verdicts, **more):
        """Waits for one of the verdicts; `more` must then hold too."""
        def look():
            exchange = self.exchange(target)
            if exchange is None or exchange["verdict"] not in verdicts:
                return None
            return exchange

        try:
            exchange = wait_until(look, f"{target} {' or '.join(verdicts)}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.exchange(target)}") from None
        for key, value in more.items():
            assert exchange[key] == value, exchange
        return exchange

    def check_totals(self):
        """The books balance: each exchange is counted under one verdict, at
        any time, and the list says what the totals say."""
        totals = self.totals()
        assert totals["exchanges"] == sum(totals[word] for word in VERDICTS)

        def is_listed():
            exchanges, totals = self.exchanges(), self.totals()
            counts = Counter(each["verdict"] for each in exchanges)
            counts.update(held_now=sum(each["held"] for each in exchanges))
            return all(totals[word] == counts[word]
                       for word in (*VERDICTS, "held_now"))

        # Two questions, and something may happen between them.
        wait_until(is_listed, "the totals are those of the list")
        return self.totals()


def resolving(origin, host=HOST):
    """Options that send `host` to the origin, plain and TLS."""
    return ("--resolve", f"{host}:80:127.0.0.1:{origin.port}",
            "--resolve", f"{host}:443:127.0.0.1:{origin.tls_port}")


def trusting(authority):
    return ("--upstream-ca", str(authority.ca))


def patience(stall_after, probe_after, probe_grace):
    return ("--stall-after", stall_after, "--probe-after", probe_after,
            "--probe-grace", probe_grace)


def established(pid, *options):
    """The process's connections, one line each, as ss shows them."""
    listing = subprocess.run(["ss", "-tnpHO", *options], check=True, capture_output=True,
                             text=True).stdout
    return [line for line in listing.splitlines() if f"pid={pid}," in line]


def unused_port():
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
