# SPDX-License-Identifier: MIT
"""An origin that a test scripts byte by byte, plain and TLS: wire.serve is
called with each connection, in a thread of its own."""

import contextlib
import socket
import struct

from cast.origin import Origin, say_goodbye
from cast.waiting import wait_until

PATIENCE_S = 10


class Head:
    """A request's head as it came, names and values to the letter."""

    def __init__(self, data):
        text = data.decode("latin-1").removesuffix("\r\n\r\n")
        self.line, *lines = text.split("\r\n")
        self.method, self.target, self.version = self.line.split(" ")
        self.fields = [tuple(line.split(": ", 1)) for line in lines]

    def values(self, name):
        return [value for key, value in self.fields
                if key.lower() == name.lower()]

    def value(self, name):
        return next(iter(self.values(name)), None)


class Line:
    """One connection to the origin."""

    def __init__(self, connection, number):
        self.socket = connection
        self.number = number
        self.heads = []
        self.bodies = []
        self.end = None  # "fin" or "rst", once it was read
        self._ahead = bytearray()
        connection.settimeout(PATIENCE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _more(self):
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionError:
            self.end = "rst"
            raise
        except TimeoutError:
            raise
        except OSError:
            data = b""  # TLS: an end without close_notify
        if not data:
            self.end = "fin"
            raise EOFError
        self._ahead += data

    def _take(self, size):
        data = bytes(self._ahead[:size])
        del self._ahead[:size]
        return data

    def read(self, size):
        while len(self._ahead) < size:
            self._more()
        return self._take(size)

    def read_until(self, end):
        while (at := self._ahead.find(end)) < 0:
            self._more()
        return self._take(at + len(end))

    def read_head(self):
        self.heads.append(Head(self.read_until(b"\r\n\r\n")))
        return self.heads[-1]

    def read_chunked(self):
        """Returns the body and the trailer's lines."""
        body = b""
        while size := int(self.read_until(b"\r\n").split(b";")[0], 16):
            body += self.read(size)
            assert self.read(2) == b"\r\n"
        trailer = []
        while line := self.read_until(b"\r\n").removesuffix(b"\r\n"):
            trailer.append(line)
        return body, trailer

    def read_request(self):
        """Returns the head; its body goes to self.bodies."""
        head = self.read_head()
        if head.value("Transfer-Encoding"):
            self.bodies.append(self.read_chunked()[0])
        else:
            self.bodies.append(
                self.read(int(head.value("Content-Length") or 0)))
        return head

    def drain(self):
        """Reads to the end, which self.end tells then."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._ahead.clear()
                self._more()

    def send(self, data):
        self.socket.sendall(data)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack("ii", 1, 0))
        self.socket.close()


class Wire(Origin):
    def __init__(self, certificate):
        super().__init__(certificate)
        self.forget()

    def forget(self):
        """Before each test that shares it: ends what the proxy has kept."""
        with self._lock:
            kept = list(self._open)
        for connection in kept:
            # ssl's own shutdown() would end our reading, too.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_WR)
        wait_until(lambda: self.is_quiet, "no connection is left over")
        self.lines = []
        self.serve = answer_all(b"HTTP/1.1 200 OK\r\n"
                                b"Content-Length: 2\r\n\r\nok")

    def _serve(self, connection, number):
        line = Line(connection, number)
        self.lines.append(line)
        try:
            # The other side may go at any time.
            with contextlib.suppress(EOFError, OSError):
                self.serve(line)
        finally:
            say_goodbye(connection)

    @property
    def is_quiet(self):
        """Whether no connection is open."""
        return not self._open

    @property
    def heads(self):
        return [head for line in list(self.lines) for head in line.heads]

    @property
    def bodies(self):
        return [body for line in list(self.lines) for body in line.bodies]

    def wait_for_end(self):
        """How the one connection ended, as the origin reads it."""
        [line] = self.lines
        return wait_until(lambda: line.end, "the connection's end is read")


def answer_all(answer):
    """Answers every request with the same bytes."""
    def serve(line):
        while line.read_request():
            line.send(answer)
    return serve


def answer_once(answer, ends="fin"):
    """Answers one request and ends: by FIN, by RST, or not before the proxy
    does."""
    def serve(line):
        line.read_request()
        line.send(answer)
        if ends == "rst":
            line.reset()
        elif ends == "wait":
            line.drain()
    return serve
