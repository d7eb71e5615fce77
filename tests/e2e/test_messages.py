# SPDX-License-Identifier: MIT
"""Messages to the letter: what leaves the proxy is what HTTP/1 says it must
be, in both directions and over every transport that is taken apart."""

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


def raw(caller, method, path, *lines, version="1.1", body=b""):
    """A request's bytes in the transport's form."""
    head = [f"{method} {caller.target(path)} HTTP/{version}",
            *([f"Host: {HOST}"] if version == "1.1" else []), *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def is_ended(caller):
    """Whether the proxy has closed, without a byte more."""
    return caller.read_to_end() == b""


# ---- one connection, many requests ----


def test_pipelining(connect, wire):
    """Four requests in one write, with bodies, behind a slow first answer:
    the answers come in order, and each body reaches its own request."""
    def serve(line):
        while head := line.read_request():
            if head.target == "/1":
                time.sleep(0.1)
            line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
                      + head.target.encode())

    wire.serve = serve
    caller = connect()
    caller.send(raw(caller, "GET", "/1")
                + raw(caller, "POST", "/2", "Content-Length: 5", body=b"hello")
                + raw(caller, "POST", "/3", "Transfer-Encoding: chunked",
                      body=b"3\r\nabc\r\n0\r\n\r\n")
                + raw(caller, "GET", "/4", "Connection: close")
                + raw(caller, "GET", "/5"))
    for path in b"/1", b"/2", b"/3", b"/4":
        assert caller.read(caller.read_head().length) == path
    assert is_ended(caller)
    assert [head.target for head in wire.heads] == ["/1", "/2", "/3", "/4"]
    assert wire.bodies == [b"", b"hello", b"abc", b""]


def test_pipelining_stops_at_a_refusal(connect, wire):
    """What follows a refused request is not looked at: it may be its body."""
    caller = connect()
    caller.send(raw(caller, "GET", "/1")
                + raw(caller, "GET", "/2", "Host: other.test")
                + raw(caller, "GET", "/3"))
    assert caller.read(caller.read_head().length) == b"ok"
    refusal = caller.read_head()
    assert refusal.status == 400
    assert refusal.value("Connection") == "close"
    caller.read(refusal.length)
    assert is_ended(caller)
    assert [head.target for head in wire.heads] == ["/1"]


@pytest.mark.parametrize("transport", ["plain", "clear"], indirect=True)
def test_a_pipeline_with_a_half_close(connect, wire):
    """printf | nc -N: the FIN is behind the requests, and all are answered.
    (Python's ssl cannot half-close.)"""
    caller = connect()
    caller.send(b"".join(raw(caller, "GET", f"/{n}") for n in range(3)))
    caller.socket.shutdown(1)
    for _ in range(3):
        assert caller.read(caller.read_head().length) == b"ok"
    assert is_ended(caller)


@pytest.mark.parametrize("version, asks, answers, is_kept", [
    ("1.1", None, None, True),
    ("1.1", "keep-alive", None, True),
    ("1.1", "close", None, False),
    ("1.1", "Close, TE", None, False),
    ("1.1", None, "close", True),  # the origin's is about its own
    ("1.0", None, None, False),
    ("1.0", "keep-alive", None, True),
    ("1.0", "keep-alive", "close", True),
    ("1.0", "keep-alive, close", None, False),
])
def test_persistence(connect, wire, version, asks, answers, is_kept):
    """RFC 9112 §9.3, for each side by its own version and words."""
    said = f"Connection: {answers}\r\n".encode() if answers else b""
    wire.serve = (answer_once if answers else answer_all)(
        OK.replace(b"\r\n", b"\r\n" + said, 1))
    caller = connect()
    lines = [f"Connection: {asks}"] if asks else []
    for _ in range(3 if is_kept else 1):
        caller.send(raw(caller, "GET", "/", *lines, version=version))
        response = caller.read_head()
        assert response.line == "HTTP/1.1 200 OK"
        assert response.value("Connection") == (
            "close" if not is_kept
            else "keep-alive" if version == "1.0" else None)
        assert caller.read(response.length) == b"ok"
    if not is_kept:
        assert is_ended(caller)
    assert len(wire.lines) == (3 if answers and is_kept else 1)


# ---- framings ----


def test_chunk_extensions_and_trailers(connect, wire):
    """Extensions end at the first recipient; trailers pass both ways, but for
    those that decide framing, routing or trust (RFC 9110 §6.5.1)."""
    body = (b'3;name="a;b";x\r\nabc\r\n2;\r\nde\r\n000;last\r\n'
            b"X-Sum: 7\r\nAuthorization: a\r\nSet-Cookie: a\r\n"
            b"Host: x\r\nContent-Type: a\r\nConnection: close\r\n"
            b"Leakproxy-Tag: a=b\r\nX-sum: 8\r\n\r\n")
    got = []

    def serve(line):
        while line.read_head():
            got.append(line.read_chunked())
            line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                      b"Trailer: X-Sum\r\n\r\n" + body)

    wire.serve = serve
    caller = connect()
    for _ in range(2):
        caller.send(raw(caller, "POST", "/", "TE: trailers, gzip",
                        "Trailer: X-Sum", "Transfer-Encoding: chunked",
                        body=body))
        response = caller.read_head()
        assert response.value("Trailer") == "X-Sum"
        assert caller.read_chunked() == (b"abcde",
                                         [b"X-Sum: 7", b"X-sum: 8"])
    assert got == [(b"abcde", [b"X-Sum: 7", b"X-sum: 8"])] * 2
    [head, _] = wire.heads
    assert head.value("TE") == "trailers"
    assert head.value("Connection") == "TE"
    assert head.value("Trailer") == "X-Sum"


def test_chunks_of_one_byte(connect, wire):
    """Cut at every place, both ways, each byte in a write of its own."""
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in b"chunks") + \
        b"0\r\nX: y\r\n\r\n"

    def serve(line):
        line.read_head()
        assert line.read_chunked() == (b"chunks", [b"X: y"])
        for byte in (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     + body):
            line.send(bytes([byte]))

    wire.serve = serve
    caller = connect()
    for byte in raw(caller, "PUT", "/", "Transfer-Encoding: chunked",
                    body=body):
        caller.send(bytes([byte]))
    assert caller.read_head().status == 200
    assert caller.read_chunked() == (b"chunks", [b"X: y"])


@pytest.mark.parametrize("method, answer, length", [
    ("HEAD", "200 OK\r\nContent-Length: 5", "5"),
    ("HEAD", "200 OK\r\nTransfer-Encoding: chunked", None),
    ("HEAD", "200 OK", None),
    ("HEAD", "404 Not Found\r\nContent-Length: 5000000000", "5000000000"),
    ("GET", "204 No Content", None),
    ("GET", "204 No Content\r\nContent-Length: 5", None),
    ("GET", "304 Not Modified\r\nContent-Length: 5", "5"),
    ("GET", "304 Not Modified\r\nTransfer-Encoding: chunked", None),
    ("GET", "200 OK\r\nContent-Length: 0", "0"),
    ("POST", "205 Reset Content\r\nContent-Length: 0", "0"),
])
def test_no_body(connect, wire, method, answer, length):
    """Whatever the head says, none comes (RFC 9112 §6.3): the next response
    begins right behind it, and the length field stays where it may."""
    wire.serve = answer_all(f"HTTP/1.1 {answer}\r\n\r\n".encode())
    caller = connect()
    for _ in range(2):
        response = caller.get("/", method=method)
        assert response.line == "HTTP/1.1 " + answer.split("\r\n")[0]
        assert response.value("Content-Length") == length
        assert response.value("Transfer-Encoding") is None
        assert response.value("Connection") is None
    # A 204 that has a length may have a body behind it all the same.
    is_odd = answer.startswith("204") and "Length: 5" in answer
    assert len(wire.lines) == (2 if is_odd else 1)


def test_methods_are_case_sensitive(connect, wire):
    """RFC 9110 §9.1: "head" is not HEAD, and its answer has a body."""
    caller = connect()
    response = caller.get("/", method="head")
    assert caller.read(response.length) == b"ok"
    assert wire.heads[0].method == "head"


def test_a_chunked_body_of_nothing(connect, wire):
    """The last chunk alone, both ways."""
    def serve(line):
        while line.read_head():
            assert line.read_chunked() == (b"", [])
            line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      b"0\r\n\r\n")

    wire.serve = serve
    caller = connect()
    for _ in range(2):
        caller.send(raw(caller, "PUT", "/", "Transfer-Encoding: chunked",
                        body=b"0\r\n\r\n"))
        caller.read_head()
        assert caller.read_chunked() == (b"", [])


# ---- HTTP/1.0 ----


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    b"HTTP/1.0 200 OK\r\n\r\nhello",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=9\r\n"
    b"Content-Length: 5\r\n\r\nhello",
])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_versions_meet(connect, wire, version, answer):
    """Each side gets a framing of its own version: no chunks to 1.0, and what
    the origin ends by its close has a mark of its end in 1.1."""
    wire.serve = answer_once(answer)
    caller = connect()
    caller.send(raw(caller, "GET", "/", "Connection: keep-alive",
                    version=version))
    response = caller.read_head()
    assert response.line == "HTTP/1.1 200 OK"
    assert response.value("Keep-Alive") != "timeout=9"
    if response.value("Content-Length"):
        assert caller.read(response.length) == b"hello"
    elif version == "1.1":
        assert caller.read_chunked()[0] == b"hello"
    else:
        assert response.value("Transfer-Encoding") is None
        assert response.value("Connection") == "close"
        assert caller.read_to_end() == b"hello"
    [head] = wire.heads
    assert head.version == "HTTP/1.1"
    assert head.value("Host") == HOST
    assert head.value("Via").startswith(version + " leakproxy")


# ---- 100 and its kin ----


def test_interim_responses(connect, wire):
    """All of them, in order and with their fields, whether asked for or not;
    none has a length or a word on the connection (RFC 9110 §15.2)."""
    interim = (b"HTTP/1.1 100 Continue\r\n\r\n"
               b"HTTP/1.1 102 Processing\r\nX: 1\r\nContent-Length: 0\r\n\r\n"
               b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n"
               b"Connection: X-Hop\r\nX-Hop: 1\r\n\r\n"
               b"HTTP/1.1 103 Early Hints\r\nLink: </c>\r\n\r\n")
    wire.serve = answer_all(interim + OK)
    caller = connect()
    for _ in range(2):
        caller.send(raw(caller, "GET", "/"))
        heads = [caller.read_head() for _ in range(5)]
        assert [head.status for head in heads] == [100, 102, 103, 103, 200]
        for head in heads[:4]:
            for name in ("Content-Length", "Connection", "Keep-Alive",
                         "X-Hop"):
                assert head.value(name) is None, name
        assert heads[1].value("X") == "1"
        assert heads[2].values("Link") == ["</a>", "</b>"]
        assert caller.read(heads[4].length) == b"ok"

    caller = connect()
    caller.send(raw(caller, "GET", "/", version="1.0"))
    assert caller.read_head().status == 200


def test_interim_responses_wait_for_the_caller(connect, wire):
    """An origin that says 103 for ever, to a caller that does not read, is
    not read on: what we hold has a bound."""
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: <" + b"x" * 8000 + b">\r\n\r\n"
    sent = []

    def serve(line):
        line.read_head()
        line.socket.settimeout(0.5)
        for _ in range(5000):
            line.send(hint)
            sent.append(hint)

    wire.serve = serve
    caller = connect()
    caller.send(raw(caller, "GET", "/"))
    wait_until(lambda: len(sent) > 100, "it began")
    wait_until(lambda: wire.is_quiet, "it could not go on")
    assert len(sent) < 5000


@pytest.mark.parametrize("status, reads", [
    (417, False), (401, False), (413, False), (201, True)])
def test_expectations_are_the_origins(connect, wire, status, reads):
    """The origin's word comes at its time: a 100 after a while, or a final
    answer at once, for which no caller waits in vain."""
    may_go_on = threading.Event()

    def serve(line):
        head = line.read_head()
        assert head.value("Expect") == "100-continue"
        may_go_on.wait(10)
        if reads:
            line.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            line.bodies.append(line.read(5))
        line.send(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % status)
        line.drain()

    wire.serve = serve
    caller = connect()
    caller.send(raw(caller, "PUT", "/", "Content-Length: 5",
                    "Expect: 100-continue"))
    wait_until(lambda: wire.heads, "the head goes on without the body")
    caller.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        caller.socket.recv(1)
    caller.socket.settimeout(10)
    may_go_on.set()
    if reads:
        assert caller.read_head().status == 100
        caller.send(b"hello")
    response = caller.read_head()
    assert response.status == status
    assert caller.read(response.length) == b"ok"
    if reads:
        assert wire.bodies == [b"hello"]
        return
    # Whether the body still comes cannot be known (RFC 9110 §10.1.1).
    assert response.value("Connection") == "close"
    assert is_ended(caller)
    caller.close()
    assert wire.wait_for_end()


def test_an_expectation_may_be_ignored(connect, wire):
    """By an origin that never says 100, and by a caller that does not wait;
    HTTP/1.0 knows none, and gets no 100."""
    caller = connect()
    caller.send(raw(caller, "PUT", "/", "Content-Length: 5",
                    "Expect: 100-continue", body=b"hello"))
    assert caller.read_head().status == 200
    assert wire.bodies == [b"hello"]

    caller = connect()
    caller.send(raw(caller, "PUT", "/", "Content-Length: 5",
                    "Expect: 100-continue", version="1.0", body=b"hello"))
    assert caller.read_head().status == 200
    assert wire.heads[1].value("Expect") is None


# ---- what is not ours to change ----


@pytest.mark.parametrize("method", [
    "GET", "DELETE", "PROPFIND", "M-SEARCH", "FROBNICATE", "get", "!#$%"])
def test_any_method_with_any_body(connect, wire, method):
    """A method is a token, known or not, and any may have a body."""
    caller = connect()
    for _ in range(2):
        caller.send(raw(caller, method, "/x", "Content-Length: 4",
                        body=b"body"))
        assert caller.read(caller.read_head().length) == b"ok"
    assert [head.method for head in wire.heads] == [method] * 2
    assert wire.bodies == [b"body"] * 2


FIELDS = [
    ("x-CaSe", "Kept"), ("X-Repeated", "1"), ("Empty", ""),
    ("X-Repeated", "2, 3"), ("x-repeated", "4"),
    ("X-Bytes", "caf\xe9 \x80\xff \xc3\xa9"), ("X-Tab", "a\tb  c"),
    ("X-Quoted", '"a\\"b", (c)'), ("!#$%&'*+-.^_`|~1", "token"),
    ("X-Long", "x" * 30000),
    *((f"X-{number}", str(number)) for number in range(150))]


def test_fields_pass_as_they_are(connect, wire):
    """Order, case, repetitions, odd bytes and empty values, both ways; the
    length of a value and the number of fields have no limit of their own."""
    lines = [f"{name}: {value}" for name, value in FIELDS]
    cookies = ["Set-Cookie: a=1; Path=/", "Set-Cookie: b=2, c",
               "set-cookie: c=3"]
    wire.serve = answer_all("\r\n".join([
        "HTTP/1.1 299 Odd \x80 reason", *lines, *cookies,
        "Content-Length: 2", "", "ok"]).encode("latin-1"))
    caller = connect()
    caller.send(raw(caller, "GET", "/", *lines, "Cookie: a=1", "Cookie: b"))
    response = caller.read_head()
    assert response.line == "HTTP/1.1 299 Odd \x80 reason"
    assert response.fields[:len(FIELDS)] == FIELDS
    assert response.values("Set-Cookie") == ["a=1; Path=/", "b=2, c", "c=3"]
    for name in "Date", "Server", "Age":
        assert response.value(name) is None
    [head] = wire.heads
    assert head.fields[0] == ("Host", HOST)
    assert head.fields[1:len(FIELDS) + 1] == FIELDS
    assert head.values("Cookie") == ["a=1", "b"]


def test_via_is_added_behind(connect, wire):
    """Our name and the version that we received, after those before us."""
    wire.serve = answer_all(OK.replace(b"\r\n", b"\r\nVia: 1.0 a\r\n", 1))
    caller = connect()
    caller.send(raw(caller, "GET", "/", "Via: 1.0 b, 1.1 c"))
    response = caller.read_head()
    assert len(response.values("Via")) == len(wire.heads[0].values("Via")) == 2
    assert response.values("Via")[1].startswith("1.1 leakproxy")
    assert wire.heads[0].values("Via")[0] == "1.0 b, 1.1 c"
    assert wire.heads[0].values("Via")[1].startswith("1.1 leakproxy")


def test_what_is_hop_by_hop_to_the_origin(connect, wire):
    """A 407 of the origin's is passed on as a status; its challenge is not
    ours to pass (RFC 9110 §11.7.1), and a challenge of 401 is not ours to
    hold."""
    wire.serve = answer_all(
        b"HTTP/1.1 407 Nope\r\nProxy-Authenticate: Basic realm=x\r\n"
        b"WWW-Authenticate: Bearer realm=y\r\nKeep-Alive: timeout=3\r\n"
        b"Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\n"
        b"Proxy-Connection: close\r\nUpgrade: h2c\r\n"
        b"Content-Length: 0\r\n\r\n")
    response = connect().get("/", ("Authorization", "Bearer z"),
                             ("Proxy-Authorization", "Basic eDp5"))
    assert response.status == 407
    for name in ("Proxy-Authenticate", "X-Mine", "Connection", "Upgrade",
                 "Proxy-Connection"):
        assert response.value(name) is None, name
    assert response.value("Keep-Alive") != "timeout=3"
    assert response.value("WWW-Authenticate") == "Bearer realm=y"
    assert wire.heads[0].value("Authorization") == "Bearer z"
    assert wire.heads[0].value("Proxy-Authorization") is None


TARGETS = [
    "/", "//", "/a//b/", "/a/./b/../c", "/..", "/a;b=c;d", "/a%2Fb%2f%7e~",
    "/?", "/a?", "/a?b?c", "/a?b=c&d=%00%0d%0a", "/%E2%82%AC/%e2%82%ac",
    "/a+b%20c", "/a:b@c", "/(a)'!*,=$&", "/%", "/%zz", "/a|b^c`{d}",
    "/x?sig=A%2BB%2F%3D&se=2026-11-26T10%3A00%3A00Z", "/http://b.test/c",
    "/a\\b", "/" + "x" * 8000]


def test_targets_pass_to_the_byte(connect, wire):
    """A signature may cover them, and %2F is not a slash."""
    caller = connect()
    for target in TARGETS:
        caller.send(raw(caller, "GET", target))
        assert caller.read(caller.read_head().length) == b"ok", target
    assert [head.target for head in wire.heads] == TARGETS


def test_redirects_and_ranges_pass_to_the_byte(connect, wire):
    """A blob store's answers: a signed Location, 206 of one range and of
    many."""
    location = ("https://blob.test/a%2Fb/%E2%82%AC?X-Sig=a%2Bb%2f%3D%3d"
                "&X-Date=20261126T100000Z&q=%20+;,#frag%23")
    parts = (b"--b\r\nContent-Type: text/plain\r\n"
             b"Content-Range: bytes 0-1/9\r\n\r\nab\r\n--b\r\n"
             b"Content-Range: bytes 8-8/9\r\n\r\nz\r\n--b--\r\n")
    answers = iter([
        f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\n"
        "Content-Length: 0\r\n\r\n".encode(),
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-5/9\r\n"
        b"Content-Length: 3\r\nETag: W/\"x\"\r\n\r\ndef",
        b"HTTP/1.1 206 Partial Content\r\n"
        b"Content-Type: multipart/byteranges; boundary=b\r\n"
        b"Content-Length: %d\r\n\r\n" % len(parts) + parts,
        b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */9\r\n"
        b"Content-Length: 0\r\n\r\n"])

    def serve(line):
        while line.read_request():
            line.send(next(answers))

    wire.serve = serve
    caller = connect()
    assert caller.get("/").value("Location") == location
    ranges = ["bytes=3-5", "bytes=0-1,-1", "bytes=99-"]
    response = caller.get("/", ("Range", ranges[0]), ("If-Range", 'W/"x"'))
    assert response.status == 206
    assert response.value("Content-Range") == "bytes 3-5/9"
    assert response.value("ETag") == 'W/"x"'
    assert caller.read(3) == b"def"
    response = caller.get("/", ("Range", ranges[1]))
    assert response.value("Content-Type") == \
        "multipart/byteranges; boundary=b"
    assert caller.read(response.length) == parts
    response = caller.get("/", ("Range", ranges[2]))
    assert response.value("Content-Range") == "bytes */9"
    assert [head.value("Range") for head in wire.heads[1:]] == ranges


# ---- OPTIONS, TRACE, Max-Forwards ----


def test_options_asterisk(connect, wire, transport):
    """The last proxy turns a URL without a path into "*" (RFC 9112
    §3.2.4)."""
    caller = connect()
    for target in [""] if transport == "plain" else ["*"]:
        caller.send(raw(caller, "OPTIONS", target))
        caller.read(caller.read_head().length)
    caller.send(raw(caller, "OPTIONS", "/"))
    caller.read(caller.read_head().length)
    assert [head.target for head in wire.heads] == ["*", "/"]


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
def test_max_forwards_counts_down(connect, wire, method):
    """RFC 9110 §7.6.2.  Other methods have none."""
    caller = connect()
    for value in "1", "10", "007", "9" * 40:
        caller.send(raw(caller, method, "/", f"Max-Forwards: {value}"))
        caller.read(caller.read_head().length)
    values = [head.values("Max-Forwards") for head in wire.heads]
    assert values == [["0"], ["9"], ["6"], ["9" * 17 + "8"]]
    caller.send(raw(caller, "GET", "/", "Max-Forwards: 0"))
    caller.read(caller.read_head().length)
    assert wire.heads[-1].value("Max-Forwards") == "0"


def test_a_trace_that_ends_here(connect, wire):
    """At 0 we are the one who answers: with the request as it came, without
    what must not be shown."""
    caller = connect()
    request = raw(caller, "TRACE", "/a?b", "Max-Forwards: 0", "X-One: 1",
                  "Via: 1.1 before")
    secrets = (b"Authorization: Bearer x\r\nCookie: a=b\r\n"
               b"Proxy-Authorization: Basic eDp5\r\n\r\n")
    caller.send(request.removesuffix(b"\r\n") + secrets)
    response = caller.read_head()
    assert response.status == 200
    assert response.value("Content-Type") == "message/http"
    assert caller.read(response.length) == request
    assert wire.heads == []


def test_options_that_end_here(connect, wire):
    """Our own options, then, and no body."""
    caller = connect()
    caller.send(raw(caller, "OPTIONS", "/", "Max-Forwards: 0"))
    response = caller.read_head()
    assert response.status == 200
    assert "GET" in response.value("Allow")
    assert response.length == 0
    assert is_ended(caller)
    assert wire.heads == []


@pytest.mark.parametrize("lines", [
    ["Max-Forwards: -1"], ["Max-Forwards: x"], ["Max-Forwards:"],
    ["Max-Forwards: 1, 2"], ["Max-Forwards: 0x1"],
    ["Max-Forwards: 1", "Max-Forwards: 0"]])
def test_max_forwards_is_a_number(connect, wire, lines):
    """Where two could read it differently, nobody gets it."""
    caller = connect()
    caller.send(raw(caller, "TRACE", "/", *lines))
    assert caller.read_head().status == 400
    assert wire.heads == []


# ---- plain HTTP inside CONNECT ----


def test_a_whole_session_inside_connect(shared, wire):
    """undici's way: requests right behind the CONNECT, in the same write."""
    with Caller(shared[0]) as caller:
        request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        caller.send(f"CONNECT {HOST}:80 HTTP/1.1\r\nHost: {HOST}:80\r\n\r\n"
                    .encode() + request + request)
        assert caller.read_head().status == 200
        for _ in range(2):
            assert caller.read(caller.read_head().length) == b"ok"
    assert len(wire.heads) == 2
