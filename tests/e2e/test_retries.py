# SPDX-License-Identifier: MIT
"""A kept connection to the origin may die under the next request.  Who may be
asked twice is asked twice, once, and nobody else (RFC 9112 §9.3.1, RFC 9110
§9.2.2).  And what breaks off, breaks off for the caller, too."""

import contextlib
import ssl
import threading
import time

import pytest

from cast.caller import Caller
from cast.origin import HOST
from cast.waiting import wait_until
from cast.wire import answer_all, answer_once

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(params=["plain", "intercepted", "clear"])
def transport(request):
    return request.param


def warm(connect, wire, dies):
    """Leaves one connection in the pool, which does `dies` when the second
    request is on it; those after it answer.  Returns a caller."""
    def serve(line):
        line.read_request()
        line.send(OK)
        if line.number == first:
            dies(line)
        else:
            answer_all(OK)(line)

    first = wire.connections + 1
    wire.serve = serve
    caller = connect()
    assert caller.fetch("/warm") == b"ok"
    return caller


def fin(line):
    line.read_head()


def fin_unread(line):
    """Closes without having read the request: the kernel resets."""
    line.socket.recv(1)


def rst(line):
    line.read_head()
    line.reset()


def half_a_line(line):
    line.read_head()
    line.send(b"HTT")


def interim(line):
    line.read_head()
    line.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")


DEATHS = [fin, fin_unread, rst]


@pytest.mark.parametrize("dies", DEATHS)
@pytest.mark.parametrize("method", [
    "GET", "HEAD", "OPTIONS", "TRACE", "DELETE", "PUT"])
def test_what_may_be_repeated_is(connect, wire, method, dies):
    """The caller does not notice: once more, on a fresh connection."""
    caller = warm(connect, wire, dies)
    response = caller.get("/again", method=method)
    assert response.status == 200
    if method != "HEAD":
        assert caller.read(response.length) == b"ok"
    assert len(wire.lines) == 2
    assert caller.fetch("/next") == b"ok"


@pytest.mark.parametrize("dies", DEATHS)
@pytest.mark.parametrize("method, fields, body", [
    ("POST", [], b""),
    ("PATCH", [], b""),
    ("FROBNICATE", [], b""),
    ("get", [], b""),
    ("PUT", [("Content-Length", 4)], b"body"),
    ("GET", [("Content-Length", 4)], b"body"),
    ("PUT", [("Transfer-Encoding", "chunked")], b"4\r\nbody\r\n0\r\n\r\n"),
    ("PUT", [("Transfer-Encoding", "chunked")], b"0\r\n\r\n"),
])
def test_what_may_not_be_repeated_is_not(connect, wire, method, fields, body,
                                         dies):
    """It may have had its effect, or its body is gone: 502, and the origin
    has seen it at most once."""
    caller = warm(connect, wire, dies)
    lines = [f"{method} {caller.target('/once')} HTTP/1.1", f"Host: {HOST}",
             *(f"{name}: {value}" for name, value in fields), "", ""]
    caller.send("\r\n".join(lines).encode() + body)
    response = caller.read_head()
    assert response.status == 502
    assert "error=connection_terminated" in response.value("Proxy-Status")
    caller.read(response.length)
    assert len(wire.lines) == 1
    assert sum(head.target == "/once" for head in wire.heads) <= 1


@pytest.mark.parametrize("dies", [half_a_line, interim])
def test_what_began_to_be_answered_is_not_repeated(connect, wire, dies):
    """One byte of the answer shows that the origin had the request."""
    caller = warm(connect, wire, dies)
    response = caller.get("/begun")
    if dies is interim:
        assert response.status == 103
        response = caller.read_head()
    assert response.status == 502
    token = ("connection_terminated" if dies is interim else
             "http_response_incomplete")
    assert f"error={token}" in response.value("Proxy-Status")
    assert len(wire.lines) == 1


def test_nothing_is_repeated_twice(connect, wire):
    """The fresh connection dies, too: that is the origin's answer."""
    def serve(line):
        line.read_request()
        if not wire.heads[1:]:
            line.send(OK)
            line.read_head()

    wire.serve = serve
    caller = connect()
    caller.fetch("/warm")
    response = caller.get("/again")
    assert response.status == 502
    assert "error=connection_terminated" in response.value("Proxy-Status")
    assert len(wire.lines) == 2


def test_a_fresh_connection_is_not_retried(connect, wire):
    """It died because of this request, not before it."""
    wire.serve = lambda line: line.read_request()
    response = connect().get("/")
    assert response.status == 502
    assert "error=connection_terminated" in response.value("Proxy-Status")
    assert len(wire.lines) == 1


@pytest.mark.parametrize("transport", ["plain"], indirect=True)
def test_a_post_takes_no_rested_connection(connect, wire):
    """A POST that meets a dying connection is lost.  So it takes one only
    that was in use a moment ago, and else a fresh one; GET takes both."""
    wire.serve = answer_all(OK)
    caller = connect()

    def ask(method):
        response = caller.get("/", method=method)
        assert caller.read(response.length) == b"ok"
        return wire.connections - before

    before = wire.connections
    assert ask("GET") == 1
    assert ask("POST") == 1
    time.sleep(1.05)
    assert ask("GET") == 1
    time.sleep(1.05)
    assert ask("POST") == 2
    assert ask("POST") == 2


@pytest.mark.parametrize("timeout, is_reused", [
    ("timeout=0", False), ("timeout=1", True), ("max=9, timeout=60", True),
    ("timeout=x", True), ("TIMEOUT=0", False), ("timeout=" + "9" * 30, True)])
def test_the_origins_timeout_is_heeded(connect, wire, timeout, is_reused):
    """Keep-Alive: timeout says when the origin will close."""
    wire.serve = answer_all(OK.replace(
        b"\r\n", b"\r\nKeep-Alive: " + timeout.encode() + b"\r\n", 1))
    caller = connect()
    for _ in range(2):
        assert caller.fetch("/") == b"ok"
    assert len(wire.lines) == (1 if is_reused else 2)


@pytest.mark.parametrize("transport", ["plain"], indirect=True)
def test_the_origins_timeout_runs_out(connect, wire):
    """timeout=1: half a second later nothing is sent there any more."""
    wire.serve = answer_all(OK.replace(
        b"\r\n", b"\r\nKeep-Alive: timeout=1\r\n", 1))
    caller = connect()
    caller.fetch("/")
    time.sleep(0.55)
    caller.fetch("/")
    assert len(wire.lines) == 2


# ---- truncation ----


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CUTS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
    "length, no byte": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
    "length, keep-alive 1.0": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
                              b"Content-Length: 9\r\n\r\nhello",
    "size": CHUNKED + b"5\r\nhello\r\n1",
    "size line": CHUNKED + b"5\r\nhello\r\n10\r",
    "extension": CHUNKED + b"5\r\nhello\r\n5;a=",
    "data": CHUNKED + b"9\r\nhello",
    "data's end": CHUNKED + b"5\r\nhello",
    "before the last": CHUNKED + b"5\r\nhello\r\n",
    "last chunk": CHUNKED + b"5\r\nhello\r\n0",
    "trailer": CHUNKED + b"5\r\nhello\r\n0\r\n",
    "trailer field": CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n",
    "trailer's end": CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n\r",
    "to the end": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
}


def read_whole(caller, response, version):
    """Reads as a strict client does.  Raises where the end is not one."""
    if response.value("Content-Length"):
        return caller.read(response.length)
    if response.value("Transfer-Encoding"):
        assert version == "1.1"
        return caller.read_chunked()[0]
    assert version == "1.0"
    return caller.read_to_end()


@pytest.mark.parametrize("cut, ends", [
    *((cut, "fin") for cut in CUTS if cut != "to the end"),
    *((cut, "rst") for cut in CUTS)])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_truncation_stays_truncation(connect, wire, cut, version, ends):
    """RFC 9112 §8: wherever the origin breaks off, the caller can see that
    it did."""
    is_taken = threading.Event()

    def serve(line):
        line.read_request()
        line.send(CUTS[cut])
        is_taken.wait(10)  # a reset overtakes
        if ends == "rst":
            line.reset()

    wire.serve = serve
    caller = connect()
    host = f"Host: {HOST}\r\n" if version == "1.1" else ""
    caller.send(f"GET {caller.target('/')} HTTP/{version}\r\n{host}\r\n"
                .encode())
    response = caller.read_head()
    assert response.status == 200
    if b"hello" in CUTS[cut] and version == "1.1" and \
            response.value("Transfer-Encoding"):
        # It has what there is, before it breaks off.
        assert caller.read(10) == b"5\r\nhello\r\n"
        is_taken.set()
        with pytest.raises((EOFError, OSError)):
            caller.read_chunked()
        return
    is_taken.set()
    with pytest.raises((EOFError, OSError)):
        read_whole(caller, response, version)


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Le", b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("ends", ["fin", "rst"])
def test_a_head_that_breaks_off(connect, wire, answer, ends):
    """Nothing has been said yet: 502."""
    wire.serve = answer_once(answer, ends)
    caller = connect()
    response = caller.get("/")
    if response.status == 100:
        response = caller.read_head()
    assert response.status == 502
    token = ("connection_terminated" if answer.endswith(b"\r\n\r\n") else
             "http_response_incomplete")
    assert f"error={token}" in response.value("Proxy-Status")
    assert len(wire.lines) == 1


# ---- what is only relayed ----


def tunnel(stack, shared):
    """A caller whose bytes are neither TLS nor HTTP."""
    caller = stack.enter_context(Caller(shared[0], "clear"))
    caller.send(b"\x00")
    return caller


def test_a_reset_passes_through_a_tunnel(shared, wire):
    """Where only the close ends a message, a reset must not become one; in
    both directions."""
    ways = []

    def serve(line):
        ways.append(line.read(2))
        if ways[-1] == b"\x00o":
            line.send(b"half")
            line.read(1)
            line.reset()
        else:
            line.drain()

    wire.serve = serve
    with contextlib.ExitStack() as stack:
        caller = tunnel(stack, shared)
        caller.send(b"o")
        assert caller.read(4) == b"half"
        caller.send(b"x")
        with pytest.raises(ConnectionResetError):
            caller.read_to_end()
        caller = tunnel(stack, shared)
        caller.send(b"c")
        wait_until(lambda: len(ways) == 2, "the tunnel is open")
        caller.reset()
        wait_until(lambda: wire.lines[1].end, "the origin reads the end")
        assert wire.lines[1].end == "rst"


def test_an_end_is_an_end_in_a_tunnel(shared, wire):
    """And a clean close stays one."""
    wire.serve = lambda line: line.send(b"whole" + line.read(1))
    with contextlib.ExitStack() as stack:
        assert tunnel(stack, shared).read_to_end() == b"whole\x00"


def test_truncation_in_passthrough(start_proxy, origin, authority):
    """--passthrough: TLS is between caller and origin, and tells of a cut."""
    def die(exchange):
        exchange.head(200, "Content-Length: 1000")
        exchange.send(b"x")
        exchange.must_close = True

    origin.script["/dies"] = die
    proxy = start_proxy("--passthrough", "*.test")
    with Caller(proxy, "tunnel", ca=authority.ca) as caller:
        response = caller.get("/dies")
        with pytest.raises((EOFError, OSError, ssl.SSLError)):
            caller.read(response.length)
