# SPDX-License-Identifier: MIT
"""A stranger's first ten minutes: what README.md says to type for each use is
typed as it stands there, into a shell in a network namespace where its ports
are free, and the leak is found.

Only /trust and /var/tmp/captures are directories of the test's own, and the
user leakproxy is one that there is.  The environment says where origins are and has the proxy judge sooner; the
stranger's service is a Go program that never reads what it was answered."""

import contextlib
import os
import select
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from cast import netns, program, readme
from cast.origin import HOST, Origin
from cast.proxy import LEAKPROXY, plain_environment
from cast.waiting import PATIENCE_S, wait_until

MANIFEST = "/v2/tools/agent/manifests/3.2"
REGISTRY = "hub.registry.test"
# More than Go's own buffers take.
BODY = b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'.ljust(40000)
LEAK = "LEAK 1   1 held now, 1 undrained"

SERVICE = """\
#!/bin/sh
# Until the proxy is there; a service would try again.
until leakproxy report >/dev/null 2>&1; do sleep 0.02; done
(echo step; exec sleep 60) | {client} leave {url} job=imagecheck
"""

GO_TEST = f"""\
package manifest

import (
	"io"
	"net/http"
	"os"
	"testing"
	"time"
)

func TestMain(m *testing.M) {{
	status := m.Run()
	time.Sleep(time.Second)
	os.Exit(status)
}}

func TestManifest(t *testing.T) {{
	response, err := http.Get("https://{HOST}{MANIFEST}")
	if err != nil {{
		t.Fatal(err)
	}}
	if os.Getenv("IS_FIXED") != "" {{
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}}
}}
"""


@dataclass
class Desk:
    """Where the stranger sits."""
    directory: Path
    environment: dict
    shells: list
    alive: int  # a pipe's end, which whatever runs here holds open

    def write_service(self, url):
        path = self.directory / "your-service"
        path.write_text(SERVICE.format(url=url,
                                       client=program.BUILD / "client-go"))
        path.chmod(0o755)

    def mine(self, block):
        for ours in "/trust", "/var/tmp/captures":
            block = block.replace(ours, str(self.directory / Path(ours).name))
        return block.replace("--user leakproxy", "--user daemon")

    def type(self, block):
        """Into a new terminal, which stays open."""
        with open(self.directory / "terminal.log", "ab") as log:
            shell = subprocess.Popen(
                ["sh"], cwd=self.directory, env=self.environment, text=True,
                stdin=subprocess.PIPE, stdout=log, stderr=log,
                pass_fds=[self.alive], start_new_session=True)
        self.shells.append(shell)
        shell.stdin.write(self.mine(block))
        shell.stdin.flush()

    def run(self, block, **environment):
        return subprocess.run(
            ["sh", "-c", self.mine(block)], cwd=self.directory, text=True,
            env=self.environment | environment, capture_output=True,
            timeout=60)

    def wait_for_leak(self):
        report = readme.blocks("HTTP_PROXY")[1]
        with self.shown():
            wait_until(lambda: LEAK in self.run(report).stdout, LEAK)

    @contextlib.contextmanager
    def shown(self):
        try:
            yield
        except AssertionError as error:
            log = (self.directory / "terminal.log").read_text()
            raise AssertionError(f"{error}\n{log}") from None

    def leave(self):
        for shell in self.shells:
            os.killpg(shell.pid, signal.SIGTERM)
        for shell in self.shells:
            shell.stdin.close()
            shell.wait()


@pytest.fixture
def desk(authority, tmp_path):
    program.build()
    for name in "bin", "trust":
        (tmp_path / name).mkdir()
    (tmp_path / "bin/leakproxy").symlink_to(LEAKPROXY)
    readable, alive = os.pipe()
    with netns.entered(), contextlib.closing(Origin(authority)) as origin:
        origin.script[MANIFEST] = lambda exchange: exchange.answer(
            404, BODY)
        desk = Desk(tmp_path, plain_environment(
            HOME=str(tmp_path), PATH=f"{tmp_path}/bin:{os.environ['PATH']}",
            LEAKPROXY_RESOLVE=f"*:443:127.0.0.1:{origin.tls_port},"
                              f"*:80:127.0.0.1:{origin.port}",
            LEAKPROXY_UPSTREAM_CA=str(authority.ca),
            LEAKPROXY_STALL_AFTER="300ms", LEAKPROXY_PROBE_GRACE="300ms",
            LEAKPROXY_DRAIN_TIMEOUT="100ms"), [], alive)
        try:
            yield desk
        finally:
            desk.leave()
            os.close(alive)
            is_over = select.select([readable], [], [], PATIENCE_S)[0]
            os.close(readable)
            assert is_over, "a program that was started has not ended"
    log = (tmp_path / "terminal.log")
    assert not log.exists() or "Sanitizer" not in log.read_text()


def test_http_proxy(desk):
    desk.write_service(f"https://{HOST}{MANIFEST}")
    desk.type(readme.blocks("HTTP_PROXY")[0])
    desk.wait_for_leak()


def test_sidecar(desk):
    """Two terminals, which share but the volume; no key lies in it."""
    desk.write_service(f"https://{HOST}{MANIFEST}")
    sidecar, service = readme.blocks("Sidecar")
    desk.type(sidecar)
    desk.type(service)
    desk.wait_for_leak()
    [bundle] = (desk.directory / "trust").iterdir()
    assert "PRIVATE" not in bundle.read_text()


def test_redirect(desk, authority):
    """A service of another user, which knows of no proxy, is seen until the
    rules are taken away."""
    if not shutil.which("nft"):
        pytest.skip("nft (nftables) is needed")
    [typed] = readme.blocks("Redirect")
    *first, last = typed.splitlines(keepends=True)
    far = netns.FAR_ADDRESSES[0]
    with netns.neighbour(), contextlib.ExitStack() as stack:
        with netns.visited(netns.FAR):
            origin = stack.enter_context(
                contextlib.closing(Origin(authority, far)))
        ask = ("setpriv --reuid=65534 --clear-groups curl -sS --resolve "
               f"{HOST}:{origin.port}:{far} "
               f"http://{HOST}:{origin.port}/200/length/1000")
        report = readme.blocks("HTTP_PROXY")[1]
        desk.type("".join(first))
        with desk.shown():
            wait_until(lambda: desk.run(report).returncode == 0, "it is there")
            wait_until(lambda: "redirect" in desk.run("nft list ruleset")
                       .stdout, "the rules are there")
        for words in ask, last, ask:
            done = desk.run(words)
            assert done.returncode == 0, done.stderr
        assert "1 of 1 response" in desk.run(report).stdout
        assert len(origin.requests) == 2


def test_compare(desk):
    """The jobs leak, and with the fix they do not."""
    path = desk.directory / "run-jobs"
    # They stay until it is proven.
    steps = "(for i in 1 2 3 4 5 6 7 8; do echo step; done; sleep 1)"
    path.write_text(f"#!/bin/sh\n{steps} | {program.BUILD}/client-go "
                    f"${{HOW:-leave}} http://{REGISTRY}{MANIFEST} job=test\n")
    path.chmod(0o755)
    [typed] = readme.blocks("Did the fix work?")
    before, after, compare = typed.splitlines(keepends=True)
    assert "1 LEAK" in desk.run(before).stderr
    assert "No leaks" in desk.run(after, HOW="drain").stderr
    done = desk.run(compare)
    assert done.returncode == 0, done.stderr
    assert "1 leak: 1 gone" in done.stdout


def test_ci(desk):
    """The run fails for the leak alone, and is good once it is fixed."""
    (desk.directory / "go.mod").write_text("module manifest\n")
    (desk.directory / "manifest_test.go").write_text(GO_TEST)
    [gate] = readme.blocks("CI")
    done = desk.run(gate, **program.GO)
    assert done.returncode == 99, done.stdout + done.stderr
    assert "1 LEAK" in done.stderr
    done = desk.run(gate, IS_FIXED="1", **program.GO)
    assert done.returncode == 0, done.stdout + done.stderr


def test_capture(desk):
    """What is captured is served again."""
    desk.write_service(f"http://{REGISTRY}{MANIFEST}")
    capture, replay = readme.blocks("Capture all of staging")
    desk.type(capture)
    captures = desk.directory / "captures"
    with desk.shown():
        wait_until(lambda: any(file.stat().st_size for file in
                               captures.glob("*.ndjson")), "it is captured")

    serve, ask = replay.splitlines(keepends=True)
    desk.type(serve)
    with desk.shown():
        wait_until(lambda: "HTTP/1.1 404 Not Found" in desk.run(ask).stdout,
                   "it is served again")
