# SPDX-License-Identifier: MIT
"""Upgrade: what was asked for and granted becomes a relay, and nothing else
does.  The proxy must see HTTP as long as there is some (RFC 9110 §7.8)."""

import asyncio
import contextlib
import ssl
import subprocess
import threading

import pytest
import websockets
from websockets.legacy.client import WebSocketClientProtocol

from cast.caller import Caller
from cast.origin import pattern
from cast.proxy import plain_environment
from cast.waiting import wait_until
from cast.wire import answer_all, answer_once

SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
          b"Upgrade: %s\r\n\r\n")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(params=["plain", "intercepted", "clear"])
def transport(request):
    return request.param


# ---- a real server and a real client ----


@pytest.fixture(scope="module")
def server(authority):
    """python3-websockets, plain and TLS: echoes, and says how it closed."""
    loop = asyncio.new_event_loop()
    closed = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.leaf, authority.leaf_key)

    async def echo(connection, _path=None):
        await connection.send("welcome")
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in connection:
                await connection.send(message)
        closed.append(connection.close_code)

    async def listen(**more):
        serving = await websockets.serve(
            echo, "127.0.0.1", 0, max_size=None, **more)
        return serving.sockets[0].getsockname()[1]

    ports = {"plain": loop.run_until_complete(listen()),
             "intercepted": loop.run_until_complete(listen(ssl=tls))}
    ports["clear"] = ports["plain"]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield ports, closed
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


class ByAbsoluteForm(WebSocketClientProtocol):
    """A client that knows proxies of the old kind."""

    def write_http_request(self, path, headers):
        super().write_http_request(f"http://{headers['Host']}{path}", headers)


async def talk(socket, url, **more):
    """What a caller of WebSocket does: small, large, fragmented, ping."""
    async with websockets.connect(url, sock=socket, max_size=None,
                                  **more) as connection:
        assert await connection.recv() == "welcome"
        await connection.send("gr\xfc\xdfe")
        assert await connection.recv() == "gr\xfc\xdfe"
        await connection.send(pattern(3000000))
        assert await connection.recv() == pattern(3000000)
        await connection.send(["one ", "two ", "three"])
        assert await connection.recv() == "one two three"
        await (await connection.ping())
        await connection.close(4321, "done")
    assert connection.close_code == 4321
    assert "permessage-deflate" in \
        connection.response_headers["Sec-WebSocket-Extensions"]


def test_websocket(shared, wire, server, transport):
    """wss:// and ws:// through a CONNECT, and ws:// in absolute-form."""
    ports, closed = server
    proxy, _ = shared
    caller = Caller(proxy, "clear" if transport == "intercepted"
                    else transport, host="127.0.0.1", port=ports[transport])
    url = f"ws://127.0.0.1:{ports[transport]}/chat?a=b"
    more = {}
    if transport == "plain":
        more["create_protocol"] = ByAbsoluteForm
    elif transport == "intercepted":
        url = url.replace("ws:", "wss:")
        more = {"ssl": ssl.create_default_context(cafile=proxy.ca),
                "server_hostname": "127.0.0.1"}
    closed.clear()
    asyncio.run(asyncio.wait_for(talk(caller.socket, url, **more), 20))
    assert wait_until(lambda: closed, "the server was told") == [4321]
    last = proxy.exchanges()[-1]
    assert last["status"] == 101
    assert last["verdict"] == "none"


# ---- by hand ----


def ask(caller, *fields, path="/"):
    return caller.get(path, ("Connection", "Upgrade"), *fields)


def test_what_comes_with_the_switch(connect, wire):
    """Bytes in the same segment as the 101, and bytes of the caller's right
    behind its request: they belong to the new protocol, and stay in order."""
    got = []

    def serve(line):
        line.read_head()
        line.send(SWITCH % b"echo" + b"first ")
        got.append(line.read(6))
        line.send(b"second")

    wire.serve = serve
    caller = connect()
    caller.send(f"GET {caller.target('/')} HTTP/1.1\r\n"
                f"Host: {caller.authority}\r\nConnection: upgrade\r\n"
                "Upgrade: echo\r\n\r\nearly!".encode())
    response = caller.read_head()
    assert response.status == 101
    assert response.value("Connection") == "Upgrade"
    assert response.value("Upgrade") == "echo"
    assert caller.read_to_end() == b"first second"
    assert got == [b"early!"]


def test_an_upgrade_that_is_declined(connect, wire):
    """200: the request was served as it is, and the connection goes on."""
    wire.serve = answer_all(OK)
    caller = connect()
    for _ in range(2):
        response = ask(caller, ("Upgrade", "websocket"))
        assert response.status == 200
        assert response.value("Connection") is None
        assert caller.read(2) == b"ok"
    assert wire.heads[0].value("Upgrade") == "websocket"
    assert wire.heads[0].value("Connection") == "Upgrade"


@pytest.mark.parametrize("asks, switches_to", [
    (["a"], b"a"), (["a, b"], b"b"), (["a", "b/2"], b"B/2"),
    (["a, b"], b"b, a"), (["h2c, a"], b"a")])
def test_one_of_the_offers_is_granted(connect, wire, asks, switches_to):
    """The origin chooses among what it was offered."""
    wire.serve = answer_once(SWITCH % switches_to + b"!", "wait")
    caller = connect()
    response = ask(caller, *(("Upgrade", each) for each in asks))
    assert response.status == 101
    assert response.value("Upgrade") == switches_to.decode()
    assert caller.read(1) == b"!"


@pytest.mark.parametrize("lines, answer", [
    ([], SWITCH % b"a"),
    (["Upgrade: a"], SWITCH % b"a"),  # Connection does not name it
    (["Connection: Upgrade"], SWITCH % b"a"),
    (["Connection: Upgrade", "Upgrade: a"], SWITCH % b"b"),
    (["Connection: Upgrade", "Upgrade: a"], SWITCH % b"a, b"),
    (["Connection: Upgrade", "Upgrade: a/1"], SWITCH % b"a/2"),
    (["Connection: Upgrade", "Upgrade: a"],
     b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    (["Connection: Upgrade", "Upgrade: a"], SWITCH % b""),
    (["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAAQAAP__"], SWITCH % b"h2c"),
    (["Connection: Upgrade", "Upgrade: a, h2c"], SWITCH % b"h2c"),
    (["HTTP/1.0", "Connection: Upgrade", "Upgrade: a"], SWITCH % b"a"),
])
def test_a_switch_that_was_not_asked_for(connect, wire, lines, answer):
    """502 (RFC 9110 §15.2.2): the caller would read the other protocol's
    bytes as HTTP, or the other way round."""
    wire.serve = answer_once(answer + b"HTTP/1.1 200 OK\r\n\r\n", "wait")
    caller = connect()
    version = "HTTP/1.1"
    if lines[:1] == ["HTTP/1.0"]:
        version, lines = lines[0], lines[1:]
    caller.send("\r\n".join([f"GET {caller.target('/')} {version}",
                             f"Host: {caller.authority}", *lines, "", ""])
                .encode())
    response = caller.read_head()
    assert response.status == 502
    assert "error=http_protocol_error" in response.value("Proxy-Status")
    caller.read(response.length)
    assert wire.wait_for_end()


def test_a_switch_within_the_request(connect, wire):
    """502: the rest of the body would become the new protocol's bytes."""
    def serve(line):
        line.read_head()
        line.send(SWITCH % b"a")
        line.drain()

    wire.serve = serve
    caller = connect()
    caller.request("/", ("Connection", "Upgrade"), ("Upgrade", "a"),
                   ("Content-Length", 5), method="POST")
    response = caller.read_head()
    assert response.status == 502
    assert response.value("Connection") == "close"


def test_h2c_stays_here(connect, wire):
    """What would hide the traffic from us is not offered to the origin; with
    HTTP/1.0 there is no Upgrade at all (RFC 9110 §7.8)."""
    wire.serve = answer_all(OK)
    caller = connect()
    settings = ("HTTP2-Settings", "AAMAAABkAAQAAP__")
    for upgrade in "h2c", "H2C", "h2c, websocket":
        response = caller.get("/", ("Connection", "Upgrade, HTTP2-Settings"),
                              ("Upgrade", upgrade), settings)
        assert caller.read(response.length) == b"ok"
    caller.fetch("/", settings)
    caller.send(f"GET {caller.target('/')} HTTP/1.0\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode())
    caller.read_head()
    assert [head.values("Upgrade") for head in wire.heads] == [
        [], [], ["websocket"], [], []]
    assert [head.values("Connection") for head in wire.heads] == [
        [], [], ["Upgrade"], [], []]
    for head in wire.heads:
        assert head.value("HTTP2-Settings") is None


def test_curl_that_wants_http2(shared, wire):
    """curl --http2 on http:// asks for h2c, and is content without."""
    wire.serve = answer_all(OK)
    done = subprocess.run(
        ["curl", "-sS", "--http2", "-x", shared[0].url, "-w",
         "%{http_version} %{response_code}", "http://origin.test/"],
        capture_output=True, text=True, timeout=20, env=plain_environment())
    assert done.stdout == "ok1.1 200", done.stderr
    assert wire.heads[0].value("User-Agent").startswith("curl/")
    assert wire.heads[0].value("Upgrade") is None
