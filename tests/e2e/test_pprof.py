# SPDX-License-Identifier: MIT
"""The other end's own account: a real Go service's goroutine profile beside
the proxy's counts."""

import contextlib
import json
import subprocess

import pytest

from cast import program
from cast.caller import Caller
from cast.origin import HOST
from cast.proxy import plain_environment, run, unused_port
from cast.waiting import wait_until

LATER = f"http://{HOST}/200/later/1000"


class Service:
    """Its proxy can be named only when its own address is known."""

    def __init__(self):
        self.port = unused_port()

    def start(self, proxy):
        source = program.CLIENTS / "pprof"
        binary = program.BUILD / "pprof"
        go = {"GO111MODULE": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local",
              "GOCACHE": str(program.ROOT / "build" / "go-cache"),
              "GOPATH": str(program.ROOT / "build" / "go")}
        program.BUILD.mkdir(parents=True, exist_ok=True)
        program.build_one(source / "main.go", binary,
                          ["go", "build", "-o", binary, "pprof/main.go"], go)
        self.process = subprocess.Popen(
            [binary, f"127.0.0.1:{self.port}"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=plain_environment(HTTP_PROXY=proxy.url))
        assert self.process.stdout.readline().strip()

    def leak(self, count):
        for at in range(count):
            self.process.stdin.write(f"{LATER}?{at}\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "200\n"

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def service():
    with contextlib.closing(Service()) as service:
        yield service


def pprof(proxy):
    return json.loads(proxy.get("/api/leaks"))["pprof"]


def test_the_counts_agree(start_proxy, service):
    """Five leaked: five are held here, and the service has as many read
    loops, one or two more for what is about to be reused."""
    proxy = start_proxy("--pprof", f"http://127.0.0.1:{service.port}")
    service.start(proxy)
    service.leak(5)
    wait_until(lambda: proxy.totals()["held_now"] == 5, "all are found")

    def agrees():
        told = pprof(proxy)
        return "The counts agree." in told["says"] and told

    told = wait_until(agrees, "the profile is read", patience_s=15)
    assert told["read_loops"] == told["write_loops"] >= 5
    assert told["goroutines"] > 10
    report = " ".join(proxy.report().split())
    assert "goroutines in persistConn.readLoop: 5 hold a response" in report


def test_others_leak_too(start_proxy, service):
    """The service has fewer read loops than are held here: it is not, or not
    alone, the one that leaks."""
    proxy = start_proxy("--pprof", f"http://127.0.0.1:{service.port}")
    service.start(proxy)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            caller = stack.enter_context(Caller(proxy))
            caller.get("/200/later/1000")
        wait_until(lambda: proxy.totals()["held_now"] == 3, "all are found")
        wait_until(lambda: "others than that service leak too"
                   in pprof(proxy)["says"], "it says so", patience_s=15)


def test_nobody_answers_there(start_proxy):
    """No count is invented, and the proxy goes on."""
    proxy = start_proxy("--pprof", f"http://127.0.0.1:{unused_port()}")
    told = wait_until(
        lambda: "nothing answers" in pprof(proxy)["says"] and pprof(proxy),
        "it says so")
    assert list(told) == ["says"]
    with Caller(proxy) as caller:
        caller.fetch("/200/length/1000")


def test_what_is_no_profile(start_proxy, origin):
    """The address of something else."""
    proxy = start_proxy("--pprof", f"http://127.0.0.1:{origin.port}/x")
    wait_until(lambda: "answers with an error" in pprof(proxy)["says"],
               "it says so")


def test_not_asked(proxy):
    assert pprof(proxy) is None
    assert "pprof" not in proxy.report()


def test_its_url_is_checked():
    done = run("serve", "--pprof", "6060")
    assert done.returncode == 2
    assert "--pprof" in done.stderr and "http://127.0.0.1:6060" in done.stderr
