# SPDX-License-Identifier: MIT
"""An origin that keeps every byte it gets, plain and TLS, and reads requests
as strictly as the RFCs allow: what it cannot read raises."""

import contextlib
import re
import socket
import ssl
import threading
import time

from cast.waiting import wait_until

PLAIN = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n"
         b"\r\nok")

LATER_S = 0.05
VIA = re.compile(rb"Via: 1\.[01] leakproxy-\w+\r\n")


def head_end(data):
    """Where the first head in `data` ends, 0 while it has no end."""
    return data.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in data else 0


def value_of(head, name):
    found = re.findall(rb"\r\n" + name + rb": ([^\r\n]*)(?=\r\n)", head)
    assert len(found) <= 1, head
    return found[0] if found else None


def read_chunks(data):
    """Returns the body and what follows its last chunk's size line."""
    body = b""
    while found := re.match(rb"([0-9a-f]+)\r\n", data):
        size, data = int(found[1], 16), data[found.end():]
        if size == 0:
            return body, data
        if len(data) < size + 2:
            return None
        assert data[size:size + 2] == b"\r\n", data
        body, data = body + data[:size], data[size + 2:]
    assert b"\r\n" not in data, data
    return None


def read_request(data):
    """Returns the first request with its chunks made one, and what follows
    it; None while it is not complete."""
    end = head_end(data)
    if not end:
        return None
    head, rest = data[:end], data[end:]
    if value_of(head, b"Transfer-Encoding") == b"chunked":
        assert value_of(head, b"Content-Length") is None, head
        if not (chunks := read_chunks(rest)):
            return None
        body, rest = chunks
        end = 2 if rest.startswith(b"\r\n") else head_end(rest)
        if not end:
            return None
        body = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        return head + body + b"0\r\n" + rest[:end], rest[end:]
    length = int(value_of(head, b"Content-Length") or 0)
    if len(rest) < length:
        return None
    return head + rest[:length], rest[length:]


class Recording:
    """One connection."""

    def __init__(self, caller):
        self.caller = caller
        self.data = b""
        self.requests = []
        self.has_ended = False

    @property
    def requests_without_via(self):
        return [VIA.sub(b"", request) for request in self.requests]


class Recorder:
    """Answers each request with what is first in `answers`, a list of pieces
    that are sent one after the other, else with a plain 200.  `early_answers`
    do not wait for the request's body."""

    def __init__(self, certificate):
        self.answers = []
        self.early_answers = []
        self.recordings = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate.leaf, certificate.leaf_key)
        self._listeners = []
        self.port = self._listen(lambda connection: connection)
        self.tls_port = self._listen(self._secure)

    def _listen(self, secure):
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listeners.append(listener)
        threading.Thread(target=self._accept, args=(listener, secure),
                         daemon=True).start()
        return listener.getsockname()[1]

    def _accept(self, listener, secure):
        while True:
            try:
                connection, caller = listener.accept()
            except OSError:
                return
            recording = Recording(caller)
            self.recordings.append(recording)
            threading.Thread(target=self._run,
                             args=(secure, connection, recording),
                             daemon=True).start()

    def _secure(self, connection):
        return self._tls.wrap_socket(connection, server_side=True)

    def _run(self, secure, connection, recording):
        # The proxy may go at any time.
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = secure(connection)
            self._serve(connection, recording)
        recording.has_ended = True
        connection.close()

    def _serve(self, connection, recording):
        unread = b""
        while data := connection.recv(65536):
            recording.data += data
            unread += data
            if self.early_answers and head_end(unread):
                connection.sendall(self.early_answers.pop(0))
            while found := read_request(unread):
                request, unread = found
                recording.requests.append(request)
                self._answer(connection)

    def _answer(self, connection):
        for piece in self.answers.pop(0) if self.answers else [PLAIN]:
            if piece is LATER_S:
                time.sleep(LATER_S)
            else:
                connection.sendall(piece)

    def take(self):
        """What was recorded since the last time.  Connections are taken in
        the order in which they came, so behind one of our own there is none
        left over."""
        for port in self.port, self.tls_port:
            with socket.create_connection(("127.0.0.1", port)) as last:
                self._wait_for(last.getsockname())
        taken, self.recordings = self.recordings, []
        return taken

    def _wait_for(self, caller):
        """Until it was accepted; it is none of the recordings."""
        def is_there():
            ours = [each for each in list(self.recordings)
                    if each.caller == caller]
            for each in ours:
                self.recordings.remove(each)
            return ours

        wait_until(is_there, "it is accepted", every_s=0.001)

    def close(self):
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
