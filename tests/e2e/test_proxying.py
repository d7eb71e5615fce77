# SPDX-License-Identifier: MIT
"""What passes through: messages whole, and at the pace of the slower side."""

import contextlib
import gzip
import hashlib
import socket
import threading
import time

import pytest

from cast.caller import Caller
from cast.origin import HOST, Origin, noise, pattern
from cast.proxy import split_authority
from cast.waiting import wait_until

SMALL = "/200/length/1000"


# ---- where requests go ----


def test_absolute_form(proxy, origin):
    """HTTP_PROXY: the URL is whole, the origin gets path and Host."""
    with Caller(proxy, "plain") as caller:
        assert caller.fetch("/200/length/1000?a=b%20c&d") == pattern(1000)
    [request] = origin.requests
    assert request.target == "/200/length/1000?a=b%20c&d"
    assert request.values("Host") == [HOST]
    [connection] = proxy.connections()
    assert connection["transport"] == "plain"


def test_intercepted(proxy, origin):
    """HTTPS_PROXY: the caller trusts our CA, we trust the origin's."""
    with Caller(proxy, "intercepted") as caller:
        assert caller.fetch(SMALL) == pattern(1000)
        assert caller.socket.selected_alpn_protocol() == "http/1.1"
        [connection] = proxy.connections()
    assert connection["transport"] == "intercepted"
    assert connection["target"] == f"{HOST}:443"
    assert connection["tls_version"].startswith("TLSv1.")
    assert proxy.exchange(SMALL)["url"] == f"https://{HOST}:443{SMALL}"


def test_plain_http_inside_connect(proxy):
    """undici and others send plain requests through a CONNECT."""
    with Caller(proxy, "clear") as caller:
        assert caller.fetch(SMALL) == pattern(1000)
        [connection] = proxy.connections()
    assert connection["transport"] == "clear"
    assert proxy.exchange(SMALL)["url"].startswith("http://")


def test_passthrough_is_not_opened(start_proxy, authority):
    """--passthrough, for callers that pin certificates: the TLS they see is
    the origin's own."""
    proxy = start_proxy("--passthrough", "*.test")
    with Caller(proxy, "tunnel", ca=authority.ca) as caller:
        assert caller.fetch(SMALL) == pattern(1000)
        [connection] = proxy.connections()
    assert connection["transport"] == "tunnel"
    assert proxy.exchanges() == []


def test_what_is_not_http_is_tunnelled(start_proxy):
    """A CONNECT may carry anything; half-closes pass through it."""
    def echo():
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(4096):
                connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=echo, daemon=True).start()
        port = listener.getsockname()[1]
        proxy = start_proxy("--resolve", f"echo.test:{port}:127.0.0.1")
        with Caller(proxy, "clear", host="echo.test", port=port) as caller:
            caller.send(b"\x00\x01 not HTTP")
            assert caller.read(11) == b"\x00\x01 not HTTP"
            caller.socket.shutdown(socket.SHUT_WR)
            assert caller.read_to_end() == b""


@pytest.mark.parametrize("url_host", ["six.test", "[::1]"])
def test_ipv6(start_proxy, authority, transport, url_host):
    """Callers come over IPv6, origins are there, by name and by address."""
    with contextlib.closing(Origin(authority, "::1")) as six:
        port = six.port if transport == "plain" else six.tls_port
        proxy = start_proxy("--listen", "[::1]:0",
                            "--resolve", f"six.test:{port}:[::1]")
        address = split_authority(proxy.ready["listen"][1])
        host = url_host.strip("[]")
        with Caller(proxy, transport, host=host, port=port,
                    address=address) as caller:
            assert caller.fetch(SMALL) == pattern(1000)
        [request] = six.requests
        assert request.value("Host") == f"{url_host}:{port}"


def test_resolve_takes_wildcards(start_proxy, origin):
    """--resolve as curl's: any host, any port, another port."""
    proxy = start_proxy("--resolve", f"*:8888:127.0.0.1:{origin.port}",
                        "--resolve", f"any.test:*:127.0.0.1:{origin.port}")
    for host, port in ("elsewhere.test", 8888), ("any.test", 7777):
        with Caller(proxy, "plain", host=host, port=port) as caller:
            assert caller.fetch(SMALL) == pattern(1000)


# ---- framings ----


def test_chunked(call):
    """Chunks may be cut anew, the body and its end are the same."""
    caller = call()
    assert caller.get("/200/chunked/300000").value("Transfer-Encoding") \
        == "chunked"
    assert caller.read_chunked() == (pattern(300000), [])
    assert caller.fetch(SMALL) == pattern(1000)


def test_trailers(call, origin):
    """What follows the last chunk is passed on."""
    def send(exchange):
        exchange.head(200, "Transfer-Encoding: chunked", "Trailer: X-Sum")
        exchange.chunk(b"hello")
        exchange.send(b"0\r\nX-Sum: 42\r\n\r\n")

    origin.script["/trailer"] = send
    caller = call()
    caller.get("/trailer")
    assert caller.read_chunked() == (b"hello", [b"X-Sum: 42"])


def test_close_delimited(call):
    """The origin's close is the end.  A caller of HTTP/1.1 is told so by a
    last chunk, or by a close."""
    caller = call()
    response = caller.get("/200/eof/300000")
    if response.value("Transfer-Encoding") == "chunked":
        body, _ = caller.read_chunked()
    else:
        body = caller.read_to_end()
    assert body == pattern(300000)


def test_gzip_is_left_alone(call):
    """Content codings are end to end."""
    caller = call()
    response = caller.get("/200/gzip/20000")
    assert response.value("Content-Encoding") == "gzip"
    assert gzip.decompress(caller.read(response.length)) == noise(20000)


def test_head(call):
    """HEAD has the length of a body that does not come."""
    caller = call()
    assert caller.get(SMALL, method="HEAD").length == 1000
    assert caller.fetch(SMALL) == pattern(1000)


def test_many_megabytes(call):
    """Bytes are neither lost nor doubled nor swapped."""
    caller = call()
    caller.get("/200/length/20000000")
    digest = hashlib.sha256()
    for _ in range(200):
        digest.update(caller.read(100000))
    assert digest.digest() == hashlib.sha256(pattern(20000000)).digest()


def accept_upload(exchange):
    exchange.answer(201, b"stored\n")


def test_upload(call, origin):
    """A request body with a length, large enough to need many writes."""
    origin.script["/upload"] = accept_upload
    caller = call()
    caller.request("/upload", ("Content-Length", 3000000), method="PUT")
    caller.send(pattern(3000000))
    assert caller.read_head().status == 201
    [request] = origin.requests_for("/upload")
    assert request.body == pattern(3000000)


def test_chunked_upload(call, origin):
    """A request body in chunks."""
    origin.script["/upload"] = accept_upload
    caller = call()
    caller.request("/upload", ("Transfer-Encoding", "chunked"), method="PUT")
    for size in 1, 70000, 8:
        caller.send(b"%x\r\n%s\r\n" % (size, pattern(size)))
    caller.send(b"0\r\n\r\n")
    assert caller.read_head().status == 201
    [request] = origin.requests_for("/upload")
    assert request.body == pattern(1) + pattern(70000) + pattern(8)


def test_expect_100_continue(call, origin):
    """The caller waits for the origin's word before it sends the body."""
    origin.script["/upload"] = accept_upload
    caller = call()
    caller.request("/upload", ("Content-Length", 5),
                   ("Expect", "100-continue"), method="PUT")
    assert caller.read_head().status == 100
    caller.send(b"hello")
    assert caller.read_head().status == 201
    [request] = origin.requests_for("/upload")
    assert request.body == b"hello"


def test_upgrade(call, origin):
    """After 101 both sides say what they like."""
    def switch(exchange):
        exchange.head(101, "Upgrade: echo", "Connection: Upgrade")
        while data := exchange.connection.recv(100):
            exchange.send(data)
        exchange.must_close = True

    origin.script["/socket"] = switch
    caller = call()
    response = caller.get("/socket", ("Connection", "Upgrade"),
                          ("Upgrade", "echo"))
    assert response.status == 101
    assert response.value("Upgrade") == "echo"
    caller.send(b"ping")
    assert caller.read(4) == b"ping"


# ---- fields ----


def test_hop_by_hop_fields_end_here(call, origin):
    """What is between two neighbours does not pass the proxy, in either
    direction; what is ours never goes upstream; Via tells that we were
    there."""
    def answer(exchange):
        exchange.answer(200, b"ok", "Connection: X-Hop", "X-Hop: 1",
                        "Proxy-Authenticate: Basic", "X-End: 1")

    origin.script["/fields"] = answer
    response = call().get(
        "/fields", ("Connection", "X-Secret, keep-alive"), ("X-Secret", "1"),
        ("Keep-Alive", "timeout=9"), ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic am9iOg=="), ("TE", "gzip"),
        ("Leakproxy-Tag", "job=x"), ("Leakproxy-Other", "1"),
        ("X-End", "1"), ("X-End", "2"), ("Authorization", "Bearer t"),
        ("Range", "bytes=1-"))

    [request] = origin.requests
    for name in ("X-Secret", "Keep-Alive", "Proxy-Connection", "TE",
                 "Proxy-Authorization", "Leakproxy-Tag", "Leakproxy-Other"):
        assert request.values(name) == [], name
    assert request.values("X-End") == ["1", "2"]
    assert request.value("Authorization") == "Bearer t"
    assert request.value("Range") == "bytes=1-"
    assert request.value("Via").startswith("1.1 ")
    assert response.values("X-Hop") == []
    assert response.value("X-End") == "1"
    assert response.value("Via").startswith("1.1 ")


# ---- connections and pace ----


def test_upstream_connections_are_reused(start_proxy, origin, transport):
    """Five callers in a row: the origin sees one connection."""
    proxy = start_proxy("--workers", 1)
    for _ in range(5):
        with Caller(proxy, transport) as caller:
            caller.fetch(SMALL)
    assert len(origin.requests) == 5
    assert origin.connections == 1


def test_a_reused_connection_that_died_is_no_error(start_proxy, origin,
                                                   transport):
    """The origin closed an idle connection: the next request takes another."""
    def answer_once(exchange):
        exchange.answer(200, b"ok")
        exchange.must_close = True

    origin.script["/once"] = answer_once
    proxy = start_proxy("--workers", 1)
    with Caller(proxy, transport) as caller:
        for _ in range(3):
            assert caller.fetch("/once") == b"ok"


# Far below what is offered; a sanitized proxy keeps freed memory for a while.
GROWTH_BYTES = 16_000_000


def settled(look, quiet_s=0.5):
    """Returns the number once it has not changed for a while."""
    last = look()
    since = time.monotonic()

    def is_quiet():
        nonlocal last, since
        now = look()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > quiet_s

    wait_until(is_quiet, "it settles", patience_s=20)
    return last


def resident_bytes(proxy):
    with open(f"/proc/{proxy.pid}/status") as status:
        [line] = [line for line in status if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def test_a_caller_that_does_not_read_stops_the_origin(proxy, origin, call):
    """200 MB for eight callers that take nothing: what the proxy takes from
    the origin is bounded, and its memory stays as it was."""
    call().fetch(SMALL)
    before = resident_bytes(proxy)
    callers = [call() for _ in range(8)]
    for caller in callers:
        caller.get("/200/length/25000000")

    def taken():
        return sum(request.sent_bytes for request in
                   origin.requests_for("/200/length/25000000"))

    assert settled(taken) < len(callers) * 8_000_000
    assert resident_bytes(proxy) - before < GROWTH_BYTES

    assert callers[0].read(25000000) == pattern(25000000)


def test_an_origin_that_does_not_read_stops_the_caller(proxy, origin, call):
    """The same the other way: an upload waits in the caller."""
    before = resident_bytes(proxy)
    may_read = threading.Event()
    origin.before_body["/slow"] = lambda: may_read.wait(20)
    origin.script["/slow"] = accept_upload
    caller = call()
    caller.request("/slow", ("Content-Length", 50000000), method="PUT")
    caller.socket.settimeout(0.5)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 50000000:
            sent += caller.socket.send(pattern(50000000)[sent:sent + 65536])
    assert sent < 30_000_000
    assert resident_bytes(proxy) - before < GROWTH_BYTES
    caller.close()
    may_read.set()


def test_truncation_without_framing_is_a_reset(proxy, origin):
    """To an HTTP/1.0 caller a clean end is the end of the body: only a reset
    tells that the origin died."""
    def die(exchange):
        exchange.head(200, "Transfer-Encoding: chunked")
        exchange.send(b"5\r\nhello\r\n")
        exchange.must_close = True

    origin.script["/dies"] = die
    with Caller(proxy) as caller:
        caller.send(f"GET {caller.url('/dies')} HTTP/1.0\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            caller.read_to_end()


def test_a_tunnel_ends_when_both_ways_are_written(proxy):
    """The origin has sent all and closed, the caller half-closes while most is
    queued for it: it still gets the rest."""
    size = 80000
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        def serve():
            peer, _ = server.accept()
            with peer:
                peer.recv(1)
                peer.sendall(pattern(size))
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(1 << 16):
                    pass

        origin = threading.Thread(target=serve, daemon=True)
        origin.start()
        with Caller(proxy, "clear", host="127.0.0.1", window=4096,
                    port=server.getsockname()[1]) as caller:
            caller.send(b"\x01")  # neither TLS nor HTTP
            caller.socket.recv(1, socket.MSG_PEEK)
            caller.socket.shutdown(socket.SHUT_WR)
            origin.join(10)
            assert caller.read_to_end() == pattern(size)


def test_a_truncated_response_is_truncated(call, origin):
    """The origin dies in the middle: the caller must not take what came for
    the whole."""
    def die(exchange):
        exchange.head(200, *exchange.request.values("X-Framing"))
        exchange.send(b"3e8\r\n" + pattern(500))
        exchange.must_close = True

    origin.script["/dies"] = die
    for framing in "Content-Length: 1005", "Transfer-Encoding: chunked":
        caller = call()
        response = caller.get("/dies", ("X-Framing", framing))
        with pytest.raises((EOFError, OSError)):
            if response.value("Content-Length"):
                caller.read(response.length)
            else:
                caller.read_chunked()
        caller.close()
