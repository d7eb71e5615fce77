# SPDX-License-Identifier: MIT
"""Real clients: built, started behind a proxy, and driven line by line (the
manner of driving them is told in tests/clients/cases.py)."""

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
from pathlib import Path

from cast.proxy import ROOT, plain_environment

CLIENTS = ROOT / "tests" / "clients"
BUILD = ROOT / "build" / "clients"
STEP_PATIENCE_S = 20

COMMANDS = {
    "go": [BUILD / "client-go"],
    "python": ["/usr/bin/python3", CLIENTS / "client.py"],
    "node": ["node", CLIENTS / "client.js"],
    # Short-lived: the optimising compiler would never earn its start.
    "java": ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
             "-cp", BUILD, "Client"],
    "curl": ["sh", CLIENTS / "client.sh"],
}

GO = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local",
      "GOCACHE": str(ROOT / "build" / "go-cache"),
      "GOPATH": str(ROOT / "build" / "go")}

# Debian's node looks there by itself.
NODE_PATH = "/usr/share/nodejs"


def build_go():
    BUILD.mkdir(parents=True, exist_ok=True)
    build_one(CLIENTS / "client.go", BUILD / "client-go",
              ["go", "build", "-o", BUILD / "client-go", "client.go"], GO)


def build():
    """Compiles what needs it, where it is older than its source."""
    build_go()
    build_one(CLIENTS / "Client.java", BUILD / "Client.class",
              ["javac", "-d", BUILD, "Client.java"], {})


def build_one(source, product, command, environment):
    """Once, whichever of the workers comes first."""
    with open(BUILD / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if product.exists() and \
                product.stat().st_mtime > source.stat().st_mtime:
            return
        done = subprocess.run(command, cwd=CLIENTS, capture_output=True,
                              text=True, env=os.environ | environment)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def environment_behind(proxy):
    """What `leakproxy exec` gives its child."""
    host, port = proxy.address
    bundle = str(proxy.bundle)
    truststore = proxy.state_dir / "truststore.p12"
    return plain_environment(
        HTTP_PROXY=proxy.url, HTTPS_PROXY=proxy.url,
        http_proxy=proxy.url, https_proxy=proxy.url,
        SSL_CERT_FILE=bundle, REQUESTS_CA_BUNDLE=bundle,
        CURL_CA_BUNDLE=bundle, NODE_EXTRA_CA_CERTS=str(proxy.ca),
        NODE_PATH=NODE_PATH,
        JAVA_TOOL_OPTIONS=f"-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} "
                          f"-Dhttps.proxyHost={host} -Dhttps.proxyPort={port} "
                          f"-Djavax.net.ssl.trustStore={truststore} "
                          "-Djavax.net.ssl.trustStorePassword=changeit")


class Program:
    """A client that runs.  Its standard input keeps it alive: should we die,
    so does it.  `prefix` is a command that becomes it."""

    def __init__(self, case, target, tags, environment, log_path, prefix=()):
        self.log_path = Path(log_path)
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*prefix, *COMMANDS[case.program], case.manner, target, tags],
                env=environment, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, bufsize=0,
                process_group=0)
        self._lines = b""
        assert self.hear() == {"ready": True}

    def tell(self, word):
        """Says a word, and returns the answer."""
        self.process.stdin.write(word.encode() + b"\n")
        return self.hear()

    def hear(self):
        stdout = self.process.stdout
        while b"\n" not in self._lines:
            if not select.select([stdout], [], [], STEP_PATIENCE_S)[0]:
                raise AssertionError(f"{self.process.args}: no answer within "
                                     f"{STEP_PATIENCE_S} s; {self.log}")
            part = os.read(stdout.fileno(), 4096)
            if not part:
                raise AssertionError(f"{self.process.args}: gone; {self.log}")
            self._lines += part
        line, _, self._lines = self._lines.partition(b"\n")
        answer = json.loads(line)
        assert not answer.get("error"), f"{self.process.args}: {answer}"
        return answer

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def end(self):
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        # The shell's curl may have been left, stopped.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
