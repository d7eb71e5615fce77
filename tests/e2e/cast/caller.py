# SPDX-License-Identifier: MIT
"""A raw-socket client that chooses when to read.

It takes heads byte by byte, so that what follows stays in the kernel, as with
a program that was written to show it."""

import contextlib
import fcntl
import socket
import ssl
import struct
import termios

from cast.origin import HOST

PATIENCE_S = 10


class Response:
    def __init__(self, text):
        line, *rest = text.split("\r\n")
        self.line = line
        self.status = int(line.split()[1])
        self.fields = [tuple(part.strip() for part in field.split(":", 1))
                       for field in rest if field]

    def values(self, name):
        return [value for key, value in self.fields
                if key.lower() == name.lower()]

    def value(self, name):
        return next(iter(self.values(name)), None)

    @property
    def length(self):
        return int(self.value("Content-Length"))


class Caller:
    """`transport` is plain, clear, tunnel or intercepted.  `fields` are sent
    with each request, `connect_fields` with the CONNECT.  `resume` is a
    caller whose TLS session is taken up again."""

    def __init__(self, proxy, transport="plain", host=HOST, port=None,
                 fields=(), connect_fields=(), ca=None, window=None,
                 address=None, resume=None):
        self.transport = transport
        self.fields = [("User-Agent", "caller"), *fields]
        address = address or proxy.address
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(address)
        is_tls = transport in ("intercepted", "tunnel")
        port = port or (443 if is_tls else 80)
        self.scheme = "https" if is_tls else "http"
        url_host = f"[{host}]" if ":" in host else host
        is_usual = port == (443 if is_tls else 80)
        self.authority = url_host if is_usual else f"{url_host}:{port}"
        if transport != "plain":
            self._connect(f"{url_host}:{port}", connect_fields)
        if is_tls:
            self._secure(host, ca or proxy.ca, resume)

    def _connect(self, authority, fields):
        self.send_head(f"CONNECT {authority} HTTP/1.1", ("Host", authority),
                       *fields)
        self.established = self.read_head()
        if self.established.status != 200:
            raise ConnectionRefusedError(self.established.line)

    def _secure(self, host, ca, resume):
        if resume:
            trust, session = resume.socket.context, resume.socket.session
        else:
            trust, session = ssl.create_default_context(cafile=ca), None
            trust.set_alpn_protocols(["h2", "http/1.1"])
        self.socket = trust.wrap_socket(
            self.socket, server_hostname=host, suppress_ragged_eofs=False,
            session=session)

    # ---- sending ----

    def send_head(self, line, *fields):
        lines = [line, *(f"{name}: {value}" for name, value in fields), "", ""]
        self.send("\r\n".join(lines).encode())

    def send(self, data):
        self.socket.sendall(data)

    def url(self, path):
        return f"{self.scheme}://{self.authority}{path}"

    def target(self, path):
        """A request target in the transport's form."""
        return self.url(path) if self.transport == "plain" else path

    def request(self, path, *fields, method="GET"):
        """Sends a request's head in the transport's form."""
        self.send_head(f"{method} {self.target(path)} HTTP/1.1",
                       ("Host", self.authority), *self.fields, *fields)

    def get(self, path, *fields, method="GET"):
        """Sends a request, and returns the head of its response."""
        self.request(path, *fields, method=method)
        return self.read_head()

    def fetch(self, path, *fields):
        """Drains a response of known length."""
        return self.read(self.get(path, *fields).length)

    # ---- reading ----

    def read_head(self, text=b""):
        """`text` has been read of it already."""
        while not text.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                raise EOFError(text)
            text += byte
        return Response(text.decode("latin-1").removesuffix("\r\n\r\n"))

    def read(self, size):
        data = bytearray()
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError(f"{len(data)} of {size} bytes")
            data += part
        return bytes(data)

    def read_to_end(self):
        parts = []
        while part := self.socket.recv(1 << 20):
            parts.append(part)
        return b"".join(parts)

    def read_chunked(self):
        """Returns the body and the trailer's lines."""
        body = b""
        while size := int(self._read_line().split(b";")[0], 16):
            body += self.read(size)
            self.read(2)
        trailer = []
        while line := self._read_line():
            trailer.append(line)
        return body, trailer

    def _read_line(self):
        line = b""
        while not line.endswith(b"\r\n"):
            line += self.read(1)
        return line.removesuffix(b"\r\n")

    def unread(self):
        """Bytes in our receive queue, as the kernel counts them."""
        answer = fcntl.ioctl(self.socket.fileno(), termios.FIONREAD,
                             struct.pack("i", 0))
        return struct.unpack("i", answer)[0]

    # ---- ending ----

    def answer_probe(self):
        """Waits for the proxy's FIN, and closes, as a pool that watches its
        idle connections does."""
        assert self.socket.recv(1) == b""
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack("ii", 1, 0))
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
