# SPDX-License-Identifier: MIT
"""SIGTERM: what is under way ends well, what rests ends at once, and the
proxy leaves with status 0."""

import signal
import socket
import threading
import time

import pytest

from cast.caller import Caller
from cast.origin import pattern
from cast.waiting import wait_until

SMALL = "/200/length/1000"
LATER = "/200/later/1000"


def refuses(address):
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_response_under_way_is_finished(start_proxy, origin, transport,
                                          number):
    """Half of a response has come: its other half still does, but nobody new
    is let in."""
    may_go_on = threading.Event()

    def send_in_halves(exchange):
        exchange.head(200, "Content-Length: 2000")
        exchange.body(pattern(2000)[:1000])
        may_go_on.wait(10)
        exchange.body(pattern(2000)[1000:])

    origin.script["/halves"] = send_in_halves
    proxy = start_proxy()
    with Caller(proxy, transport) as caller:
        caller.get("/halves")
        body = caller.read(1000)
        proxy.process.send_signal(number)
        wait_until(lambda: refuses(proxy.address), "nobody new is let in")
        assert proxy.process.poll() is None
        may_go_on.set()
        body += caller.read(1000)
        assert body == pattern(2000)
        caller.close()
        assert proxy.process.wait(5) == 0


def test_what_is_queued_still_arrives(start_proxy):
    """The response is handed over and its exchange is done, but a slow caller
    has most of it to come."""
    proxy = start_proxy("--workers", 1, "--probe-after", "off")
    with Caller(proxy, window=4096) as caller, Caller(proxy) as resting:
        caller.get("/200/length/70000")
        wait_until(lambda: proxy.exchange("/70000")["duration_s"],
                   "the response is handed over")
        resting.fetch(SMALL)
        proxy.process.send_signal(signal.SIGTERM)
        # Its end comes after the slow caller's turn.
        assert resting.socket.recv(1) == b""
        assert caller.read(70000) == pattern(70000)
        assert proxy.process.wait(5) == 0


def test_resting_connections_do_not_delay(start_proxy, transport):
    """An idle connection in somebody's pool is closed at once."""
    proxy = start_proxy()
    with Caller(proxy, transport) as caller:
        caller.fetch(SMALL)
        began = time.monotonic()
        proxy.process.send_signal(signal.SIGTERM)
        assert caller.socket.recv(1) == b""
        caller.close()
        assert proxy.process.wait(5) == 0
    assert time.monotonic() - began < 2


def test_leaks_do_not_delay_for_ever(start_proxy, transport):
    """Who never reads is waited for no longer than --drain-timeout."""
    proxy = start_proxy("--drain-timeout", "500ms")
    with Caller(proxy, transport) as leak, Caller(proxy, transport) as stall:
        leak.get(LATER)
        stall.get("/200/length/2000000")
        proxy.wait_for("2000000", "undrained")
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(5) == 0


def test_tunnels_are_cut_in_the_end(start_proxy, authority):
    """A tunnel may last for ever; the proxy may not."""
    proxy = start_proxy("--drain-timeout", "500ms", "--passthrough", "*")
    with Caller(proxy, "tunnel", ca=authority.ca) as caller:
        caller.fetch(SMALL)
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(5) == 0


def test_many_of_everything(start_proxy, transport):
    """Connections in every state, and no one waits for another."""
    proxy = start_proxy("--drain-timeout", "500ms")
    callers = []
    for number in range(40):
        caller = Caller(proxy, transport)
        callers.append(caller)
        path = (SMALL, LATER, "/200/length/2000000", "/200/eof/1000")[
            number % 4]
        caller.request(path)
    proxy.process.send_signal(signal.SIGTERM)
    assert proxy.process.wait(10) == 0
    for caller in callers:
        caller.close()


def test_an_answer_to_the_pulse_is_late(start_proxy, tmp_path):
    """The machine was suspended: its SIGTERM and the pulse that asks the
    workers for news come at once, and their answers when all is over."""
    proxy = start_proxy("--events", tmp_path / "events", "--workers", 4)
    proxy.process.send_signal(signal.SIGSTOP)
    proxy.process.send_signal(signal.SIGTERM)
    time.sleep(1.1)  # until the pulse is due
    proxy.process.send_signal(signal.SIGCONT)
    assert proxy.process.wait(5) == 0
