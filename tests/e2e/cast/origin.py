# SPDX-License-Identifier: MIT
"""A scripted origin, plain and TLS, one thread a connection.

A path's end says what is answered, /STATUS/FRAMING/SIZE, for example

    /200/length/1000     Content-Length
    /200/later/1000      the same, the body some time after the head
    /200/chunked/1000    chunked, in one chunk
    /200/gzip/1000       Content-Encoding: gzip, 1000 bytes unpacked
    /200/eof/1000        delimited by the close
    /200/json/400        one JSON value, padded with whitespace to 400 bytes
    /200/json_later/400  the same chunked, and the last chunk some time later
    /204/none/0          no body
    /401/later/157       401, but 200 for whoever sends Authorization

A test may put a function of its own in front, origin.script["/path"], and one
that runs before the request's body is read, origin.before_body["/path"].  The
head always leaves in a write of its own.
"""

import contextlib
import functools
import gzip
import http
import random
import re
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass

HOST = "origin.test"
LATER_S = 0.15
WRITE_BYTES = 65536


BLOCK = b"".join(b"%07d\n" % at for at in range(0, 1000000, 8))


@functools.cache
def pattern(size):
    """A body in which no part can be taken for its neighbour."""
    return (BLOCK * (size // len(BLOCK) + 1))[:size]


@functools.cache
def noise(size):
    """A body that does not get smaller."""
    return random.Random(size).randbytes(size)


@dataclass
class Request:
    method: str
    target: str
    fields: list
    connection: int
    body: bytes = b""
    sent_bytes: int = 0  # of the response, taken by our kernel
    body_bytes: int = 0  # of them, the response's body
    is_answered: bool = False

    @property
    def path(self):
        return self.target.partition("?")[0]

    def values(self, name):
        return [value for key, value in self.fields
                if key.lower() == name.lower()]

    def value(self, name):
        return next(iter(self.values(name)), None)


@dataclass
class Exchange:
    """What a script gets: the request, and the way to answer it."""
    request: Request
    connection: socket.socket
    must_close: bool = False

    def send(self, data):
        view = memoryview(data)
        while view:
            sent = self.connection.send(view[:WRITE_BYTES])
            self.request.sent_bytes += sent
            view = view[sent:]

    def head(self, status, *fields):
        lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
                 *fields, "", ""]
        self.send("\r\n".join(lines).encode())

    def body(self, data):
        self.request.body_bytes += len(data)
        self.send(data)

    def chunk(self, data):
        self.send(b"%x\r\n" % len(data))
        self.body(data)
        self.send(b"\r\n")

    def answer(self, status, data, *fields):
        self.head(status, f"Content-Length: {len(data)}", *fields)
        if self.request.method != "HEAD":
            self.body(data)


# ---- framings ----


def send_length(exchange, status, size):
    exchange.answer(status, pattern(size))


def send_later(exchange, status, size):
    exchange.head(status, f"Content-Length: {size}")
    time.sleep(LATER_S)
    exchange.body(pattern(size))


def send_chunked(exchange, status, size):
    exchange.head(status, "Transfer-Encoding: chunked")
    exchange.chunk(pattern(size))
    exchange.send(b"0\r\n\r\n")


def send_gzip(exchange, status, size):
    packed = gzip.compress(noise(size))
    exchange.answer(status, packed, "Content-Encoding: gzip")


def send_eof(exchange, status, size):
    exchange.head(status, "Connection: close")
    exchange.body(pattern(size))
    exchange.must_close = True


def json_body(size):
    return b'{"value": 1}'.ljust(size - 1) + b"\n"


def send_json(exchange, status, size):
    exchange.answer(status, json_body(size))


def send_json_later(exchange, status, size):
    exchange.head(status, "Transfer-Encoding: chunked")
    exchange.chunk(json_body(size))
    time.sleep(LATER_S)
    exchange.send(b"0\r\n\r\n")


def send_none(exchange, status, _size):
    exchange.head(status)


FRAMINGS = {name.removeprefix("send_"): send
            for name, send in globals().items() if name.startswith("send_")}


def answer_by_path(exchange):
    found = re.search(r"/(\d{3})/(\w+)/(\d+)$", exchange.request.path)
    if not found:
        exchange.answer(404, b"no such path\n")
        return
    status, framing, size = found.groups()
    if status == "401" and exchange.request.value("Authorization"):
        status, framing = "200", "length"
    FRAMINGS[framing](exchange, int(status), int(size))


# ---- the server ----


def say_goodbye(connection):
    """Sends close_notify, where there is TLS, and waits for none."""
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(0)
        with contextlib.suppress(OSError, ValueError):
            connection.unwrap()


class Origin:
    def __init__(self, certificate, address="127.0.0.1"):
        """`certificate` is the authority's; see Authority."""
        self.script = {}
        self.before_body = {}
        self.requests = []
        self.connections = 0
        self._open = set()
        self._lock = threading.Lock()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate.leaf, certificate.leaf_key)
        self._listeners = []
        self.port = self._listen(address, self._serve)
        self.tls_port = self._listen(address, self._serve_tls)

    def _listen(self, address, serve):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, 0), family=family,
                                        backlog=256)
        self._listeners.append(listener)
        threading.Thread(target=self._accept, args=(listener, serve),
                         daemon=True).start()
        return listener.getsockname()[1]

    def _accept(self, listener, serve):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(serve, connection),
                             daemon=True).start()

    def _run(self, serve, connection):
        with self._lock:
            self.connections += 1
            number = self.connections
            self._open.add(connection)
        try:
            # The other side may go at any time.
            with contextlib.suppress(OSError):
                serve(connection, number)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _serve_tls(self, connection, number):
        with self._tls.wrap_socket(connection, server_side=True) as secured:
            with self._lock:
                self._open.add(secured)
            try:
                self._serve(secured, number)
            finally:
                with self._lock:
                    self._open.discard(secured)

    def serve_instead(self, serve):
        """From now on, serve(connection, number) does, over both ports."""
        self._serve_requests = serve

    def _serve(self, connection, number):
        self._serve_requests(connection, number)

    def _serve_requests(self, connection, number):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection.makefile("rb") as reader:
            while request := self._read_request(reader, connection, number):
                exchange = Exchange(request, connection)
                answer = self.script.get(request.path, answer_by_path)
                answer(exchange)
                request.is_answered = True
                if exchange.must_close:
                    say_goodbye(connection)
                    connection.shutdown(socket.SHUT_RDWR)
                    return

    def _read_request(self, reader, connection, number):
        line = reader.readline()
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split()
        fields = []
        while (line := reader.readline()) not in (b"\r\n", b""):
            name, value = line.decode("latin-1").split(":", 1)
            fields.append((name, value.strip()))
        request = Request(method, target, fields, number)
        with self._lock:
            self.requests.append(request)
        if request.value("Expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.before_body.get(request.path, lambda: None)()
        request.body = self._read_body(request, reader)
        return request

    def _read_body(self, request, reader):
        if not request.value("Transfer-Encoding"):
            return reader.read(int(request.value("Content-Length") or 0))
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
        return body

    def requests_for(self, path):
        with self._lock:
            return [request for request in self.requests
                    if request.path == path]

    def request_for(self, target):
        """The one request with this target, query and all."""
        with self._lock:
            [request] = [request for request in self.requests
                         if request.target == target]
        return request

    def close(self):
        with self._lock:
            ends = self._listeners + list(self._open)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Authority:
    """A CA of the test's own, and one leaf for every origin."""

    def __init__(self, directory):
        self.ca = directory / "origin-ca.pem"
        self.leaf = directory / "origin.pem"
        self.leaf_key = directory / "origin-key.pem"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-days", "30"]
        ca_key = directory / "origin-ca-key.pem"
        self._openssl("req", "-x509", *key, "-subj", "/CN=origin CA",
                      "-keyout", ca_key, "-out", self.ca)
        self._openssl("req", "-x509", *key, "-subj", f"/CN={HOST}",
                      "-CA", self.ca, "-CAkey", ca_key,
                      "-addext", "basicConstraints=critical,CA:FALSE",
                      "-addext", f"subjectAltName=DNS:{HOST},DNS:six.test,"
                                 "IP:127.0.0.1,IP:::1",
                      "-keyout", self.leaf_key, "-out", self.leaf)

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True,
                       capture_output=True)
