# SPDX-License-Identifier: MIT
"""One exchange, played step by step from both sides in one thread, so that a
fault falls exactly where its stage says.

The proxy is a process of its own, hence whatever one side has sent is on its
way while the other is asked."""

import contextlib
import datetime
import re
import socket
import ssl
import struct

from cast.caller import Caller
from cast.origin import HOST, pattern
from cast.waiting import wait_until

PATIENCE_S = 10
FULL_S = 0.2  # a socket that takes nothing for so long is full
TCP_CLOSE = 7

# --passthrough names it, so that its CONNECTs are opaque.
TUNNEL_HOST = "tunnel.test"

BODY = pattern(1000)
HALF = len(BODY) // 2
HEAD = b"HTTP/1.1 200 OK\r\nX-Stage: yes\r\n"
LENGTH = b"Content-Length: 1000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
TO_END = b"\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class Message:
    """What has come of a response so far."""

    def __init__(self, data):
        head, self.has_head, self.body = data.partition(b"\r\n\r\n")
        if not self.has_head:
            return
        line, *fields = head.decode("latin-1").split("\r\n")
        self.status = line.split()[1]
        self.fields = dict(field.lower().split(": ", 1) for field in fields)

    @property
    def is_chunked(self):
        return "transfer-encoding" in self.fields

    @property
    def is_whole(self):
        if not self.has_head:
            return False
        if self.is_chunked:
            return re.search(rb"(^|\r\n)0\r\n([^\r\n]+\r\n)*\r\n$",
                             self.body) is not None
        return len(self.body) >= int(self.fields["content-length"])

    @property
    def name(self):
        """Its status, and the token of an error of the proxy's own."""
        token = re.search(r"error=(\w+)", self.fields.get("proxy-status", ""))
        return self.status + (f" {token[1]}" if token else "")

    @property
    def payload(self):
        if not self.is_chunked:
            return self.body
        data, rest = b"", self.body
        while size := int(rest.partition(b"\r\n")[0], 16):
            rest = rest.partition(b"\r\n")[2]
            data += rest[:size]
            rest = rest[size + 2:]
        return data


def receive(end, size=65536):
    """Returns bytes, or how the other side ended: "fin" or "rst"."""
    try:
        return end.recv(size) or "fin"
    except ssl.SSLEOFError:
        # Without a close_notify, by FIN or by RST; the kernel knows.
        state = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return "rst" if state == TCP_CLOSE else "fin"
    except (ConnectionResetError, BrokenPipeError):
        return "rst"


def pour(end):
    """Sends until nothing more is taken."""
    end.settimeout(FULL_S)
    with contextlib.suppress(TimeoutError):
        while True:
            end.send(BODY)
    end.settimeout(PATIENCE_S)


def reset(end):
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                   struct.pack("ii", 1, 0))
    end.close()


def half_close(end):
    """The TCP way alone: no close_notify before it."""
    socket.socket.shutdown(end, socket.SHUT_WR)


class Scene:
    """`transport` is plain, clear, intercepted or tunnel."""

    def __init__(self, proxy, transport, name, secure):
        # As the API writes it: to tell who had the same port before.
        self.began_at = datetime.datetime.now(datetime.timezone.utc).strftime(
            "%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        self.proxy = proxy
        self.transport = transport
        self.path = f"/{name}"
        self.agent = name
        self.caller = self.origin = None
        self.received = b""  # by the caller
        self.rest = b""      # of the response, at the origin
        self.crowd = []
        self._secure = secure
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self.listener.settimeout(PATIENCE_S)
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        ends = [self.listener, self.origin, self.caller, *self.crowd]
        for end in filter(None, ends):
            with contextlib.suppress(OSError):
                end.close()

    # ---- the caller ----

    def open(self, transport=None, window=None):
        host = TUNNEL_HOST if self.transport == "tunnel" else HOST
        self.caller = Caller(
            self.proxy, transport or self.transport, host=host,
            port=self.port, connect_fields=[("User-Agent", self.agent)],
            window=window)
        self.meet()
        if transport is None and self.transport == "intercepted":
            self._take_tickets()
        return self.caller

    def _take_tickets(self):
        """TLS 1.3 sends session tickets: unread, they would make of each
        close a reset."""
        wait_until(lambda: self.caller.unread() > 0, "the tickets")
        self.caller.socket.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.caller.socket.recv(1)
        self.caller.socket.settimeout(PATIENCE_S)

    def meet(self):
        self.caller.fields = [("User-Agent", self.agent)]
        host, port = self.caller.socket.getsockname()
        self.address = f"{host}:{port}"

    def ask(self, *fields, method="GET"):
        if self.caller is None:
            self.open()
        self.caller.request(self.path, *fields, method=method)

    def read_response(self):
        """The caller reads on, and says what it has in the end."""
        ended = None
        while not Message(self.received).is_whole and not ended:
            part = receive(self.caller.socket)
            if isinstance(part, str):
                ended = part
            else:
                self.received += part
        message = Message(self.received)
        if not message.has_head:
            return ended
        return message.name + (f" cut by {ended}" if ended else "")

    def read_some(self, size):
        """The caller takes exactly so much."""
        self.received += self.caller.read(size)

    def read_head(self):
        while not self.received.endswith(b"\r\n\r\n"):
            self.read_some(1)

    # ---- the origin ----

    def accept(self):
        """Takes the proxy's connection; no byte is exchanged yet."""
        self.origin, _ = self.listener.accept()
        self.origin.settimeout(PATIENCE_S)
        self.origin.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def accept_request(self, end=b"\r\n\r\n"):
        """Takes the connection and reads until the request ends so."""
        self.accept()
        if self.transport == "intercepted":
            self.origin = self._secure.wrap_socket(
                self.origin, server_side=True, suppress_ragged_eofs=False)
        request = b""
        while not request.endswith(end):
            part = receive(self.origin)
            assert not isinstance(part, str), (request, part)
            request += part

    def say(self, data):
        if data:  # nothing, too, would wait for room
            self.origin.sendall(data)

    def origin_end(self):
        """The origin reads to the end, and says which it was."""
        while not isinstance(part := receive(self.origin), str):
            pass
        return part


# ---- the stages ----
#
# Each leaves a scene where the next thing that happens is the fault; `rest`
# is what the origin would still send.


def before_any_byte(scene):
    scene.open()


def mid_request_head(scene):
    target = scene.open().url(scene.path)
    if scene.transport != "plain":
        target = scene.path
    scene.caller.send(f"GET {target} HTTP/1.1\r\nHos".encode())


def _mid_request(scene, field, data):
    scene.ask(field, method="POST")
    scene.caller.send(data)
    scene.rest = HEAD + LENGTH + BODY


def mid_request_body(scene):
    _mid_request(scene, ("Content-Length", "10"), b"hello")
    scene.accept_request(b"hello")


def mid_request_chunk_size(scene):
    _mid_request(scene, ("Transfer-Encoding", "chunked"), b"5\r\nhello\r\n1")
    scene.accept_request(b"hello\r\n")


def mid_request_trailer(scene):
    _mid_request(scene, ("Transfer-Encoding", "chunked"),
                 b"5\r\nhello\r\n0\r\nX-T")
    scene.accept_request(b"hello\r\n")


def before_response_head(scene):
    scene.ask()
    scene.accept_request()
    scene.rest = HEAD + LENGTH + BODY


def mid_response_head(scene):
    before_response_head(scene)
    scene.say(HEAD[:-5])
    scene.rest = scene.rest[len(HEAD) - 5:]


def _after_head(scene, framing, body, sent, rest):
    before_response_head(scene)
    scene.say(HEAD + framing)
    scene.read_head()
    scene.say(body)
    scene.read_some(sent)
    scene.rest = rest


def between_head_and_body(scene):
    _after_head(scene, LENGTH, b"", 0, BODY)


def between_head_and_chunks(scene):
    _after_head(scene, CHUNKED, b"", 0, chunk(BODY) + b"0\r\n\r\n")


def mid_body(scene):
    _after_head(scene, LENGTH, BODY[:HALF], HALF, BODY[HALF:])


def mid_body_chunked(scene):
    part = chunk(BODY[:HALF])
    _after_head(scene, CHUNKED, part, len(part),
                chunk(BODY[HALF:]) + b"0\r\n\r\n")


def mid_body_to_end(scene):
    part = chunk(BODY[:HALF])  # that is how it reaches the caller
    _after_head(scene, TO_END, BODY[:HALF], len(part), BODY[HALF:])


def mid_chunk(scene):
    part = chunk(BODY)[:HALF]
    # A chunk is passed on as it comes, in a chunk of its own.
    shown = chunk(part.partition(b"\r\n")[2])
    _after_head(scene, CHUNKED, part, len(shown),
                chunk(BODY)[HALF:] + b"0\r\n\r\n")


def mid_chunk_size(scene):
    part = chunk(BODY[:-1])
    _after_head(scene, CHUNKED, part + b"1", len(part),
                b"\r\n" + BODY[-1:] + b"\r\n0\r\n\r\n")


def mid_trailer(scene):
    part = chunk(BODY)
    _after_head(scene, CHUNKED, part + b"0\r\nX-T: ", len(part),
                b"yes\r\n\r\n")


def _complete(scene, read):
    """The caller has read the head and so much of the body, which left after
    the head and so is in a segment of its own."""
    before_response_head(scene)
    scene.say(HEAD + LENGTH)
    scene.read_head()
    scene.say(BODY)
    scene.read_some(read)
    if read == 0:
        wait_until(lambda: scene.caller.unread() >= len(BODY), "it is there")
    scene.rest = b""


def idle(scene):
    _complete(scene, len(BODY))


def idle_unread(scene):
    _complete(scene, 0)


def idle_half_read(scene):
    _complete(scene, len(BODY) - 1)


def flooded(scene):
    """A body too large for all the buffers on its way, of which the caller
    has read a little."""
    scene.open(window=16384)
    before_response_head(scene)
    scene.say(HEAD + b"Content-Length: 100000000\r\n\r\n")
    scene.read_head()
    pour(scene.origin)
    scene.read_some(HALF)
    scene.rest = b""


def flooding(scene):
    """The caller sends such a body, and the origin reads none of it."""
    scene.ask(("Content-Length", "100000000"), method="POST")
    scene.accept_request()
    pour(scene.caller.socket)


def _early(scene):
    _mid_request(scene, ("Content-Length", "10"), b"hello")
    scene.accept_request(b"hello")
    scene.say(HEAD + LENGTH)
    scene.read_head()
    scene.say(BODY)
    scene.rest = b""


def early_answer(scene):
    _early(scene)
    scene.read_some(len(BODY))


def early_unread(scene):
    _early(scene)


def connect(scene):
    """The origin's queue is full: no connection comes about."""
    scene.crowd = [socket.socket() for _ in range(4)]
    for each in scene.crowd:
        each.setblocking(False)
        each.connect_ex(("127.0.0.1", scene.port))
    scene.caller = Caller(scene.proxy)
    scene.meet()
    scene.caller.send_head(
        f"CONNECT {TUNNEL_HOST}:{scene.port} HTTP/1.1",
        ("Host", f"{TUNNEL_HOST}:{scene.port}"), ("User-Agent", scene.agent))


def caller_handshake(scene, share=1):
    """CONNECT is answered, and the ClientHello is on its way."""
    scene.open("clear")
    outgoing = ssl.MemoryBIO()
    secure = ssl.create_default_context(cafile=scene.proxy.ca)
    tls = secure.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=HOST)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    scene.caller.send(hello[:int(len(hello) * share)])
    if share == 1:
        assert scene.caller.read(1)


def mid_client_hello(scene):
    caller_handshake(scene, 0.5)


def origin_handshake(scene):
    scene.ask()
    scene.accept()
    assert scene.origin.recv(65536)


def mid_server_hello(scene):
    origin_handshake(scene)
    scene.say(b"\x16\x03\x03\x00\x7a\x02\x00\x00")


def _echo(scene):
    scene.caller.send(b"\x00ping")
    assert scene.origin.recv(16) == b"\x00ping"
    scene.say(b"pong")
    assert scene.caller.read(4) == b"pong"


def tunnel(scene):
    scene.open("clear")
    scene.accept()
    _echo(scene)


def upgraded(scene):
    scene.ask(("Connection", "Upgrade"), ("Upgrade", "echo"))
    scene.accept_request()
    scene.say(b"HTTP/1.1 101 Switching Protocols\r\n"
              b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    scene.read_head()
    _echo(scene)
