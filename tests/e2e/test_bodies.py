# SPDX-License-Identifier: MIT
"""Bodies of every size, both ways: each byte once and in its place, at the
pace of the slower side, in bounded memory; and what ends early, on whichever
side, ends early for both."""

import contextlib
import fcntl
import os
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

from cast.caller import Caller
from cast.origin import pattern
from cast.proxy import ROOT, Proxy, resolving, trusting
from cast.waiting import wait_until
from cast.wire import Wire

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MIB = 1 << 20
SIZES = [0, 1, 65535, 65536, 65537, 16 * MIB]


@pytest.fixture(params=["plain", "intercepted", "clear"])
def transport(request):
    return request.param


def chunked(body, size=100000):
    """In chunks of this size, the last chunk and all."""
    for at in range(0, len(body), size):
        part = body[at:at + size]
        yield b"%x\r\n%s\r\n" % (len(part), part)
    yield b"0\r\n\r\n"


# ---- sizes ----


@pytest.mark.parametrize("framing", ["length", "chunked", "eof"])
@pytest.mark.parametrize("size", SIZES)
def test_download(connect, wire, size, framing):
    """What the origin sends is what the caller gets."""
    body = pattern(size)

    def serve(line):
        while line.read_request():
            line.send(b"HTTP/1.1 200 OK\r\n" + {
                "length": b"Content-Length: %d\r\n" % size,
                "chunked": b"Transfer-Encoding: chunked\r\n",
                "eof": b"Connection: close\r\n"}[framing] + b"\r\n")
            for part in chunked(body) if framing == "chunked" else [body]:
                line.send(part)
            if framing == "eof":
                return

    wire.serve = serve
    caller = connect()
    for _ in range(2 if size < MIB else 1):
        response = caller.get("/")
        got = caller.read(response.length) if framing == "length" \
            else caller.read_chunked()[0]
        assert got == body


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", SIZES)
def test_upload(connect, wire, size, framing):
    """And the other way; an empty body keeps its Content-Length: 0."""
    body = pattern(size)
    caller = connect()
    for _ in range(2 if size < MIB else 1):
        if framing == "length":
            caller.request("/", ("Content-Length", size), method="PUT")
            caller.send(body)
        else:
            caller.request("/", ("Transfer-Encoding", "chunked"), method="PUT")
            for part in chunked(body):
                caller.send(part)
        assert caller.read(caller.read_head().length) == b"ok"
        assert wire.bodies[-1] == body
        assert wire.heads[-1].value("Content-Length") == (
            str(size) if framing == "length" else None)


def test_both_ways_at_once(connect, wire):
    """An origin that echoes as it reads, behind a caller that reads as it
    sends: neither way waits for the other's end."""
    size = 2 * MIB

    def serve(line):
        line.read_head()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            line.send(line.read(65536))

    wire.serve = serve
    caller = connect()
    caller.request("/", ("Content-Length", size), method="PUT")
    body = pattern(size)
    assert caller.read_head().status == 200
    for at in range(0, size, 65536):
        caller.send(body[at:at + 65536])
        assert caller.read(65536) == body[at:at + 65536]


def test_an_origin_that_reads_slowly(connect, wire):
    """It takes a little at a time: it gets all, and the caller's answer
    waits for it."""
    body = pattern(8 * MIB)

    def serve(line):
        line.read_head()
        got = b""
        for _ in range(16):
            got += line.read(len(body) // 16)
            time.sleep(0.01)
        line.bodies.append(got)
        line.send(OK)

    wire.serve = serve
    caller = connect()
    caller.request("/", ("Content-Length", len(body)), method="PUT")
    caller.send(body)
    assert caller.read_head().status == 200
    assert wire.bodies == [body]


# ---- who leaves ----


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_caller_that_leaves_within_its_upload(connect, wire, framing, how):
    """The origin sees it cut: less than the length, or no last chunk."""
    got = []

    def serve(line):
        line.read_head()
        with contextlib.suppress(OSError, EOFError):
            while True:
                got.append(line.read(1))

    wire.serve = serve
    caller = connect()
    if framing == "length":
        caller.request("/", ("Content-Length", 100), method="PUT")
        caller.send(b"x" * 99)
        whole = 99
    else:
        caller.request("/", ("Transfer-Encoding", "chunked"), method="PUT")
        caller.send(b"5\r\nhello\r\n3\r\nab")
        whole = len(b"5\r\nhello\r\n")
    wait_until(lambda: len(got) >= whole, "most of it arrives")
    getattr(caller, how)()
    assert wire.wait_for_end()
    data = b"".join(got)
    assert len(data) < 100
    assert not data.endswith(b"0\r\n\r\n")


def test_a_caller_that_leaves_within_its_download(connect, wire):
    """The origin is not read to the end for nobody."""
    def serve(line):
        line.read_head()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(100):
                line.send(pattern(MIB))
        line.end = "cut"

    wire.serve = serve
    caller = connect()
    caller.get("/")
    caller.close()
    wire.wait_for_end()


# ---- answers that come early ----


def send_all(caller, body):
    """Sends as a program does that reads only afterwards.  Returns whether
    it could."""
    try:
        caller.send(body)
    except ConnectionError:
        return False
    return True


def unsent_bytes(sender):
    answer = fcntl.ioctl(sender.fileno(), termios.TIOCOUTQ,
                         struct.pack("i", 0))
    return struct.unpack("i", answer)[0]


@pytest.mark.parametrize("is_large", [False, True])
def test_an_early_refusal(connect, wire, transport, is_large):
    """413 at once and a reset behind it, while the caller sends 50 MB and
    reads only then: it gets the whole answer, is told to close, and nothing
    hangs; also where the answer is more than the proxy takes at once."""
    # But no more than fits into the kernel's buffers, whose one towards the
    # origin does not grow before the caller is seen to read.
    size = 100000 if is_large else 2
    body = pattern(size)

    def serve(line):
        line.read_head()
        line.send(b"HTTP/1.1 413 X\r\nConnection: close\r\n"
                  b"Content-Length: %d\r\n\r\n" % size + body)
        # Until it is in the proxy's kernel, where a reset does not reach it.
        wait_until(lambda: unsent_bytes(line.socket) == 0, "it is on its way")
        # Its close resets: there is more to read than it read.

    wire.serve = serve
    caller = connect(window=4096)
    caller.request("/", ("Content-Length", 50000000), method="PUT")
    assert send_all(caller, pattern(50000000))
    response = caller.read_head()
    assert response.status == 413
    assert response.value("Connection") == "close"
    assert caller.read(response.length) == body
    assert caller.read_to_end() == b""


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_early_answer_does_not_cut_the_request(connect, wire, framing):
    """200 early, and the origin reads on: it gets the whole request, though
    its answer was complete long before."""
    def serve(line):
        line.read_head()
        line.send(OK)
        if framing == "chunked":
            line.bodies.append(line.read_chunked()[0])
        else:
            line.bodies.append(line.read(10 * MIB))
        line.drain()

    wire.serve = serve
    caller = connect()
    body = pattern(10 * MIB)
    parts = [body] if framing == "length" else list(chunked(body))
    field = ("Content-Length", len(body)) if framing == "length" \
        else ("Transfer-Encoding", "chunked")
    caller.request("/", field, method="POST")
    caller.send(parts[0][:100])
    response = caller.read_head()
    assert response.value("Connection") == "close"
    assert caller.read(response.length) == b"ok"
    caller.send(parts[0][100:] + b"".join(parts[1:]))
    assert caller.read_to_end() == b""
    wait_until(lambda: wire.bodies, "the request is whole")
    assert wire.bodies == [body]


def test_an_early_answer_to_who_sends_nothing(connect, wire):
    """The caller may wait for a 100 that will not come: it is told to close,
    and gets our FIN at once."""
    def serve(line):
        line.read_head()
        line.send(OK)
        line.drain()

    wire.serve = serve
    caller = connect()
    caller.request("/", ("Content-Length", 10), ("Expect", "100-continue"),
                   method="POST")
    response = caller.read_head()
    assert response.value("Connection") == "close"
    assert caller.read(2) == b"ok"
    assert caller.read_to_end() == b""
    assert wire.wait_for_end()


@pytest.mark.parametrize("ends", ["fin", "wait"])
def test_who_still_sends_does_not_hold(start_proxy, authority, ends):
    """A caller got its answer early and sends on for longer than any
    patience: it will read when it has sent, and is not accused before."""
    with contextlib.closing(Wire(authority)) as wire:
        def serve(line):
            line.read_head()
            line.send(OK)
            if ends == "wait":
                line.read(30)

        wire.serve = serve
        proxy = start_proxy("--resolve", f"*:80:127.0.0.1:{wire.port}")
        with Caller(proxy, host="early.test") as caller:
            caller.request("/early", ("Content-Length", 30), method="PUT")
            for _ in range(30):
                caller.send(b"x")
                time.sleep(0.05)
                assert proxy.exchange("/early")["verdict"] == "open"
            assert caller.read(caller.read_head().length) == b"ok"
        proxy.wait_for("/early", "drained", "abandoned")


# ---- 5 GiB ----


BIG = 5 << 30
BLOCK_BYTES = 4 * MIB
BLOCK_COUNT = BIG // BLOCK_BYTES
GROWTH_BYTES = 8_000_000


def blocks():
    """The body, block by block: each carries its number, so that none can be
    taken for another.  The same buffer again and again."""
    block = bytearray(pattern(BLOCK_BYTES))
    for number in range(BLOCK_COUNT):
        block[:8] = number.to_bytes(8, "big")
        yield block


class Memory:
    """The proxy's resident memory, sampled while something goes on."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.before = self.now()
        self.growth = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def now(self):
        with open(f"/proc/{self.proxy.pid}/statm") as statm:
            return int(statm.read().split()[1]) * 4096

    def _sample(self):
        while not self._is_over.wait(0.05):
            self.growth = max(self.growth, self.now() - self.before)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()


@pytest.fixture(scope="module")
def release(authority, tmp_path_factory):
    """The program as it is shipped: sanitized, this would take minutes."""
    subprocess.run(["make", "-s", "SAN=", "all"], cwd=ROOT, check=True,
                   env={name: value for name, value in os.environ.items()
                        if not name.startswith("MAKE")})
    with contextlib.closing(Wire(authority)) as wire:
        proxy = Proxy(tmp_path_factory.mktemp("release"), *resolving(wire),
                      *trusting(authority), program=ROOT / "build/leakproxy")
        try:
            yield proxy, wire
            proxy.check_totals()
            proxy.stop()
        finally:
            proxy.kill()


def receive(connection, buffer):
    """Fills the buffer; TLS gives a record at a time."""
    view = memoryview(buffer)
    while view:
        count = connection.recv_into(view)
        assert count, f"{len(view)} bytes are missing"
        view = view[count:]


BIG_TRANSPORTS = pytest.mark.parametrize("transport", ["plain", "intercepted"])


@BIG_TRANSPORTS
def test_5_gib_down(release, transport):
    """A length beyond 32 bits, each byte compared (which is more than their
    hash says), in flat memory."""
    proxy, wire = release
    path = f"/down-{transport}"

    def serve(line):
        line.read_head()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
        for block in blocks():
            line.send(block)

    wire.serve = serve
    got = bytearray(BLOCK_BYTES)
    with Caller(proxy, transport) as caller:
        assert caller.get(path).length == BIG
        with Memory(proxy) as memory:
            for block in blocks():
                receive(caller.socket, got)
                assert got == block
    assert memory.growth < GROWTH_BYTES
    exchange = proxy.wait_for(path, "drained")
    assert exchange["body_bytes"] == BIG


@BIG_TRANSPORTS
def test_5_gib_up(release, transport):
    """The same as an upload in chunks, which the proxy cuts anew."""
    proxy, wire = release
    path = f"/up-{transport}"

    def serve(line):
        head = line.read_head()
        assert head.value("Transfer-Encoding") == "chunked"
        line.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        line.socket.settimeout(None)
        reader = line.socket.makefile("rb", buffering=MIB)
        got = bytearray(BLOCK_BYTES)
        view = memoryview(got)
        filled = 0
        expected = blocks()
        while size := int(reader.readline(), 16):
            while size:
                part = min(size, BLOCK_BYTES - filled)
                reader.readinto(view[filled:filled + part])
                size -= part
                filled += part
                if filled == BLOCK_BYTES:
                    assert got == next(expected)
                    filled = 0
            assert reader.read(2) == b"\r\n"
        assert next(expected, None) is None
        line.send(OK)

    wire.serve = serve
    with Caller(proxy, transport) as caller:
        # The origin reads its head and its body by different means.
        head = caller.get(path, ("Transfer-Encoding", "chunked"),
                          ("Expect", "100-continue"), method="PUT")
        assert head.status == 100
        caller.socket.settimeout(None)
        caller.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        between = size_line = b"%x\r\n" % BLOCK_BYTES
        with Memory(proxy) as memory:
            for block in blocks():
                caller.send(between)
                between = b"\r\n" + size_line
                caller.send(block)
            caller.send(b"\r\n0\r\n\r\n")
            response = caller.read_head()
        assert caller.read(response.length) == b"ok"
    assert memory.growth < GROWTH_BYTES
    assert proxy.exchange(path)["request_body_bytes"] == BIG
