# SPDX-License-Identifier: MIT
"""Limits and patience: what would hold a proxy for ever does not, and nobody
else notices."""

import contextlib
import os
import resource
import socket
import threading
import time

import pytest

from cast.caller import PATIENCE_S, Caller
from cast.origin import pattern
from cast.proxy import RELEASE, patience
from cast.waiting import wait_until

SMALL = "/200/length/1000"

# Verdicts are not the subject here, and must not come in between.
CALM = patience("20s", "20s", "20s")


def read_refusal(caller, status, token, begun=b""):
    response = caller.read_head(begun)
    assert response.status == status
    assert f"error={token}" in response.value("Proxy-Status")
    return response, caller.read(response.length).decode()


def check_refusal(caller, status, token, begun=b""):
    """An answer of ours, and then the end."""
    response, text = read_refusal(caller, status, token, begun)
    assert response.value("Connection") == "close"
    assert caller.read_to_end() == b""
    return text


def closed(proxy, reason):
    """The one connection that was closed for it."""
    return [each for each in proxy.connections(state="closed")
            if each["close_reason"] == reason]


# ---- heads ----


def dribble(caller):
    """A byte now and then, until there is an answer; its first byte.  All in
    one thread: TLS may not be read and written by two."""
    caller.socket.settimeout(0.05)
    for _ in range(200):
        with contextlib.suppress(TimeoutError):
            return caller.socket.recv(1)
        caller.send(b"x")
    raise AssertionError("it dribbles for ever")


def test_a_head_that_dribbles_in(start_proxy, transport):
    """Slowloris: a byte now and then does not buy more time."""
    proxy = start_proxy("--header-timeout", "500ms", patience=CALM)
    with Caller(proxy, transport) as caller:
        caller.send(b"GET / HTTP/1.1\r\nX: ")
        begun = dribble(caller)
        caller.socket.settimeout(PATIENCE_S)
        text = check_refusal(caller, 408, "http_request_error", begun)
    assert "--header-timeout" in text


def test_many_dribble_and_others_are_served(start_proxy, origin):
    """Two hundred of them at once: everybody else is served meanwhile, and
    all of them are sent away."""
    proxy = start_proxy("--header-timeout", "1s", patience=CALM)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Caller(proxy)) for _ in range(200)]
        for caller in slow:
            caller.send(b"GET http://origin.test/ HTTP/1.1\r\n")
        with Caller(proxy) as caller:
            for _ in range(20):
                assert caller.fetch(SMALL) == pattern(1000)
        for caller in slow:
            assert caller.read_head().status == 408
    assert len(origin.requests) == 20


def test_a_resting_connection_has_time(start_proxy, transport):
    """Its head has not begun: --header-timeout is not for it, and a head that
    comes after a rest has its whole time again."""
    proxy = start_proxy("--header-timeout", "600ms", patience=CALM)
    with Caller(proxy, transport) as caller:
        assert caller.fetch(SMALL) == pattern(1000)
        time.sleep(1)
        caller.send(b"GET ")
        time.sleep(0.1)
        target = caller.url(SMALL) if transport == "plain" else SMALL
        caller.send(f"{target} HTTP/1.1\r\nHost: {caller.authority}\r\n\r\n"
                    .encode())
        assert caller.read(caller.read_head().length) == pattern(1000)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_a_handshake_that_does_not_come(start_proxy, sent):
    """Nothing, or half of a ClientHello, inside a CONNECT."""
    proxy = start_proxy("--header-timeout", "300ms", patience=CALM)
    with Caller(proxy, "clear", port=443) as caller:
        caller.send(sent)
        with contextlib.suppress(ConnectionResetError):
            assert caller.read_to_end() == b""
        wait_until(lambda: closed(proxy, "timeout"), "it is closed")


# ---- idle and total ----


@pytest.fixture
def release(origin):
    """Origins that wait end with the test."""
    event = threading.Event()
    yield event
    event.set()


def test_an_origin_that_does_not_answer(start_proxy, origin, transport,
                                        release):
    """504, though the connection stands."""
    origin.script["/silent"] = lambda exchange: release.wait(20)
    proxy = start_proxy("--idle-timeout", "400ms", patience=CALM)
    with Caller(proxy, transport) as caller:
        caller.request("/silent")
        _, text = read_refusal(caller, 504, "connection_read_timeout")
        assert "--idle-timeout" in text
        # It asked for nothing wrong, and may go on.
        assert caller.fetch(SMALL) == pattern(1000)
    assert proxy.exchange("/silent")["error"] == "connection_read_timeout"


def test_an_origin_that_stops_in_the_middle(start_proxy, origin, transport,
                                            release):
    """What came is no whole response, and is not told as one."""
    def stop(exchange):
        exchange.head(200, "Content-Length: 2000")
        exchange.body(pattern(1000))
        release.wait(20)

    origin.script["/stops"] = stop
    proxy = start_proxy("--idle-timeout", "400ms", patience=CALM)
    with Caller(proxy, transport) as caller:
        caller.get("/stops")
        with pytest.raises(EOFError, match="1000 of 2000"):
            caller.read(2000)


def test_an_origin_that_is_slow_is_not_idle(start_proxy, origin, transport):
    """A byte now and then is life."""
    def dribble(exchange):
        exchange.head(200, "Content-Length: 12")
        for at in range(12):
            time.sleep(0.1)
            exchange.body(pattern(12)[at:at + 1])

    origin.script["/slow"] = dribble
    proxy = start_proxy("--idle-timeout", "600ms", patience=CALM)
    with Caller(proxy, transport) as caller:
        assert caller.fetch("/slow") == pattern(12)


def test_a_body_that_does_not_come(start_proxy, origin, transport):
    """The caller stops in its request: 408, and the origin sees it cut."""
    proxy = start_proxy("--idle-timeout", "400ms", patience=CALM)
    with Caller(proxy, transport) as caller:
        caller.request("/upload", ("Content-Length", 100), method="PUT")
        caller.send(b"half")
        check_refusal(caller, 408, "http_request_error")
    [request] = origin.requests_for("/upload")
    wait_until(lambda: request.body or request.is_answered,
               "the origin met the end")
    assert request.body == b"half"


def test_a_caller_that_does_not_read_is_not_idle(start_proxy, transport):
    """It is a leak to be watched, and we do not end it: its end would be all
    that it leaves behind."""
    proxy = start_proxy("--idle-timeout", "300ms", "--workers", 1,
                        patience=patience("300ms", "200ms", "200ms"))
    with Caller(proxy, transport) as held, Caller(proxy, transport) as stuck:
        held.get("/200/later/1000")
        stuck.get("/200/length/3000000")
        proxy.wait_for("/later/1000", "undrained", held=True)
        proxy.wait_for("/3000000", "undrained", held=True)
        with Caller(proxy, transport) as other:
            other.fetch(SMALL)
            # Its probe shows that the sweeps went on.
            other.answer_probe()
        assert proxy.exchange("/later/1000")["held"]
        assert proxy.exchange("/3000000")["held"]
        assert stuck.read(3000000) == pattern(3000000)


def test_resting_connections_end(start_proxy, transport):
    """Without probes too."""
    proxy = start_proxy("--idle-timeout", "300ms", "--probe-after", "off",
                        patience=())
    with Caller(proxy, transport) as caller:
        caller.fetch(SMALL)
        assert caller.read_to_end() == b""
    proxy.wait_for(SMALL, "drained")


def test_a_tunnel_that_rests_ends(start_proxy, authority):
    """And one that moves does not."""
    proxy = start_proxy("--idle-timeout", "500ms", "--passthrough", "*",
                        patience=CALM)
    with Caller(proxy, "tunnel", ca=authority.ca) as caller:
        for _ in range(8):
            time.sleep(0.1)
            assert caller.fetch(SMALL) == pattern(1000)
        with contextlib.suppress(OSError):
            assert caller.read_to_end() == b""
    assert len(closed(proxy, "timeout")) == 1


def test_total_timeout(start_proxy, origin, transport, release):
    """Bytes move and it still takes too long: 504 before the head, a cut
    after it."""
    def dribble(exchange):
        exchange.head(200, "Transfer-Encoding: chunked")
        while not release.wait(0.05):
            exchange.chunk(b"x")

    origin.script["/endless"] = dribble
    origin.script["/silent"] = lambda exchange: release.wait(20)
    proxy = start_proxy("--total-timeout", "600ms", patience=CALM)
    with Caller(proxy, transport) as caller:
        caller.request("/silent")
        _, text = read_refusal(caller, 504, "http_response_timeout")
        assert "--total-timeout" in text
    with Caller(proxy, transport) as caller:
        caller.get("/endless")
        with pytest.raises((EOFError, OSError)):
            caller.read_chunked()


# ---- how many ----


def test_max_connections(start_proxy, transport):
    """One too many is told so, and does not take another's place."""
    proxy = start_proxy("--max-connections", 2, patience=CALM)
    with Caller(proxy, transport) as first, Caller(proxy, transport) as second:
        assert first.fetch(SMALL) == pattern(1000)
        assert second.fetch(SMALL) == pattern(1000)
        with Caller(proxy, "plain") as third:
            third.request(SMALL)
            text = check_refusal(third, 503, "connection_limit_reached")
            assert "--max-connections" in text
        assert first.fetch(SMALL) == pattern(1000)
        first.close()
        wait_until(lambda: len(closed(proxy, "client-fin")) == 1,
                   "its place is free")
        wait_until(lambda: len(closed(proxy, "limit")) == 1,
                   "the one turned away has left")
        with Caller(proxy, transport) as fourth:
            assert fourth.fetch(SMALL) == pattern(1000)


def test_a_crowd_above_max_connections(start_proxy):
    """Far too many: some are told, all are let go, and it goes on."""
    proxy = start_proxy("--max-connections", 4, patience=CALM)
    with contextlib.ExitStack() as stack:
        kept = [stack.enter_context(Caller(proxy)) for _ in range(4)]
        for caller in kept:
            caller.fetch(SMALL)
        crowd = [stack.enter_context(
            socket.create_connection(proxy.address, timeout=10))
            for _ in range(100)]
        for connection in crowd:
            with contextlib.suppress(OSError):
                connection.sendall(b"GET http://origin.test/ HTTP/1.1\r\n"
                                   b"Host: origin.test\r\n\r\n")
        answers = []
        for connection in crowd:
            with contextlib.suppress(OSError):
                answers.append(connection.recv(12))
        assert answers.count(b"HTTP/1.1 503") >= 4
        assert set(answers) <= {b"HTTP/1.1 503", b""}
        for caller in kept:
            assert caller.fetch(SMALL) == pattern(1000)
    wait_until(lambda: proxy.metric("leakproxy_refused_connections_total"),
               "those let go are counted")


def test_descriptors_run_out(start_proxy, origin):
    """EMFILE: accepting pauses and goes on, nothing ends."""
    proxy = start_proxy("--max-connections", 1000, "--workers", 1,
                        patience=CALM)
    with Caller(proxy) as kept:
        kept.fetch(SMALL)
        used = len(open_descriptors(proxy))
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE,
                         (used + 5, used + 5))
        waiting = [socket.create_connection(proxy.address, timeout=10)
                   for _ in range(20)]
        wait_until(lambda: "accepting pauses" in proxy.log, "it pauses")
        assert kept.fetch(SMALL) == pattern(1000)
        for connection in waiting:
            connection.close()
        with Caller(proxy) as caller:
            assert caller.fetch(SMALL) == pattern(1000)


def test_no_descriptor_for_the_origin(start_proxy, origin):
    """503 for the one who asked, and no harm to the rest."""
    proxy = start_proxy("--max-connections", 1000, "--workers", 1,
                        patience=CALM)
    other = f"127.0.0.1:{origin.port}"
    request = (f"GET http://{other}{SMALL} HTTP/1.1\r\n"
               f"Host: {other}\r\n\r\n").encode()
    with Caller(proxy) as caller:
        caller.fetch(SMALL)
        used = len(open_descriptors(proxy))
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (used, used + 50))
        caller.send(request)
        read_refusal(caller, 503, "connection_limit_reached")
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE,
                         (used + 50, used + 50))
        caller.send(request)
        assert caller.read(caller.read_head().length) == pattern(1000)


def open_descriptors(proxy):
    return os.listdir(f"/proc/{proxy.pid}/fd")


def test_the_limit_of_files_is_raised(start_proxy):
    """What the system grants is used; exec's child keeps what it had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    proxy = start_proxy()
    assert resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    assert f"{hard}" in proxy.get("/metrics")


# ---- many who never read ----

NEVER_READ = 500
NEVER_READ_BYTES = 10_000_000

# What they may hold for each: a stream's queue, TLS, records.
GROWTH_BYTES_EACH = 220_000


def test_500_who_never_read(start_proxy, origin, transport):
    """Ten megabytes for each of five hundred who take nothing: memory is
    bounded for each, and everyone else is served as before."""
    # A sanitizer keeps freed memory, and adds to each block.
    proxy = start_proxy(patience=patience("1s", "20s", "20s"),
                        program=RELEASE)
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(Caller(proxy, transport))
        other.fetch(SMALL)
        before = resident_bytes(proxy)
        for number in range(NEVER_READ):
            caller = stack.enter_context(
                Caller(proxy, transport, window=8192))
            caller.request(f"/200/length/{NEVER_READ_BYTES}")
            if number % 50 == 0:
                assert other.fetch(SMALL) == pattern(1000)
        wait_until(lambda: proxy.totals()["held_now"] == NEVER_READ,
                   "all are found", patience_s=30, every_s=0.5)
        for _ in range(50):
            assert other.fetch(SMALL) == pattern(1000)
        grown = resident_bytes(proxy) - before
        assert grown < NEVER_READ * GROWTH_BYTES_EACH
    # The callers are gone, and so is what was held for them.
    wait_until(lambda: proxy.totals()["held_now"] == 0, "none are held")


def resident_bytes(proxy):
    with open(f"/proc/{proxy.pid}/status") as status:
        [line] = [line for line in status if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024
