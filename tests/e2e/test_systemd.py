# SPDX-License-Identifier: MIT
"""The unit as it is installed, under a real systemd, with all its hardening:
systemd is told when the proxy is ready, has read its files anew, and stops;
and that it is alive."""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from cast import netns, systemd
from cast.caller import Caller
from cast.origin import HOST, Origin, pattern
from cast.proxy import ROOT
from cast.waiting import wait_until

UNIT = "leakproxy.service"
ADDRESS = ("127.0.0.1", 8080)
SMALL = "/200/length/1000"
# The smallest that is heeded, and a log that can be read here.
SETTINGS = """\
[Service]
WatchdogSec=2s
WatchdogSignal=SIGKILL
StandardError=append:{log}
"""


class Machine:
    def __init__(self, manager, scratch, origin):
        self.manager = manager
        self.scratch = scratch
        self.origin = origin

    def control(self, verb):
        self.manager.control(verb, UNIT)

    def told(self, name):
        return self.manager.property_of(UNIT, name)

    @property
    def log(self):
        return (self.scratch / "log").read_text()

    def status(self):
        """Of a response; None where nobody takes connections."""
        with contextlib.suppress(ConnectionError, EOFError), \
                Caller(None, address=ADDRESS) as caller:
            return caller.get(SMALL).status


@pytest.fixture(scope="module")
def machine(authority):
    """A directory in /tmp itself, as the unit's user may read it."""
    with tempfile.TemporaryDirectory() as directory, netns.entered(), \
            contextlib.closing(Origin(authority)) as origin:
        scratch = Path(directory)
        scratch.chmod(0o755)
        for name in "default", f"units/{UNIT}.d":
            (scratch / name).mkdir(parents=True)
        (scratch / f"units/{UNIT}.d/test.conf").write_text(
            SETTINGS.format(log=scratch / "log"))
        (scratch / "default/allow").write_text("127.0.0.0/8\n")
        (scratch / "default/leakproxy").write_text(
            "LEAKPROXY_ALLOW=@/etc/default/allow\n"
            f"LEAKPROXY_RESOLVE={HOST}:80:127.0.0.1:{origin.port}\n")
        subprocess.run(["make", "-s", "-C", ROOT, "install", "SAN=",
                        f"DESTDIR={scratch}/root", "PREFIX=/usr"], check=True)
        with systemd.running(scratch / "root/usr", scratch) as manager:
            yield Machine(manager, scratch, origin)


@pytest.fixture
def started(machine):
    """start returns once READY=1 was said: nothing has to be waited for."""
    machine.control("start")
    yield machine
    machine.control("stop")


def test_it_is_ready_when_it_says_so(started):
    with Caller(None, address=ADDRESS) as caller:
        assert caller.fetch(SMALL) == pattern(1000)
    assert started.told("ActiveState") == "active"
    uid = os.stat(f"/proc/{pid_of(started)}").st_uid
    assert 61184 <= uid <= 65519  # systemd's dynamic ones
    state = started.manager.run("stat", "-Lc", "%u %a",
                                "/var/lib/leakproxy/ca-key.pem").stdout
    assert state.split() == [str(uid), "600"]


def pid_of(machine):
    """As it is called out here."""
    inside = machine.told("MainPID")
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            text = status.read_text()
            if text.startswith("Name:\tleakproxy\n") and \
                    f"\t{inside}\n" in text.partition("NSpid:")[2]:
                return int(status.parent.name)
    raise AssertionError(f"process {inside} is not there")


def test_a_reload_is_over_when_it_says_so(started):
    """The list of who may use it is read anew; the process stays."""
    before = started.told("MainPID")
    assert started.status() == 200
    allow = started.scratch / "default/allow"
    allow.write_text("192.0.2.0/24\n")
    try:
        started.control("reload")
        assert started.status() == 403, started.log
    finally:
        allow.write_text("127.0.0.0/8\n")
    started.control("reload")
    assert started.status() == 200, started.log
    assert started.told("MainPID") == before


def test_a_stop_lets_an_exchange_end(machine):
    """Half of a response has come when it is told to stop."""
    may_go_on = threading.Event()

    def send_in_halves(exchange):
        exchange.head(200, "Content-Length: 2000")
        exchange.body(pattern(2000)[:1000])
        may_go_on.wait(10)
        exchange.body(pattern(2000)[1000:])

    machine.origin.script["/halves"] = send_in_halves
    machine.control("start")
    with Caller(None, address=ADDRESS) as caller:
        caller.get("/halves")
        body = caller.read(1000)
        machine.manager.control("stop", "--no-block", UNIT)
        wait_until(lambda: machine.told("ActiveState") == "deactivating"
                   and machine.status() is None, "nobody new is let in")
        may_go_on.set()
        assert body + caller.read(1000) == pattern(2000)
        caller.close()
    wait_until(lambda: machine.told("ActiveState") == "inactive", "it ended")
    assert machine.told("Result") == "success"
    assert machine.told("ExecMainStatus") == "0"


def test_the_watchdog_ends_it_when_it_hangs(started):
    """It says again and again that it is alive, until it is not."""
    before = started.told("MainPID")
    first = started.told("WatchdogTimestampMonotonic")
    wait_until(lambda: started.told("WatchdogTimestampMonotonic") != first,
               "it is alive")
    assert started.told("MainPID") == before, "it was taken for dead"
    os.kill(pid_of(started), signal.SIGSTOP)
    wait_until(lambda: started.told("NRestarts") == "1"
               and started.told("ActiveState") == "active", "another runs")
    assert started.told("MainPID") != before
    assert started.status() == 200
