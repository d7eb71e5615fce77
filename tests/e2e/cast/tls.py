# SPDX-License-Identifier: MIT
"""Both ends of TLS, where a test chooses what each does: an origin that
records handshakes and every byte it could read, and a caller whose SNI need
not be its CONNECT's."""

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field

from cast.caller import PATIENCE_S, Caller
from cast.waiting import wait_until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LAST_ANSWER = ANSWER.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")


def server_context(*chain, directory, version=None):
    """`chain` begins with the origin's own, whose key it has."""
    path = directory / f"chain-{id(chain):x}.pem"
    path.write_bytes(chain[0].key_pem + b"".join(each.pem for each in chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return strict(context, version)


def strict(context, version):
    """One version alone where there is one; and an end without close_notify
    is no end."""
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if version:
        context.minimum_version = context.maximum_version = version
    return context


@dataclass
class Handshake:
    server_name: str = None
    version: str = None
    protocol: str = None
    is_resumed: bool = None
    certificate: dict = None
    heard: bytes = b""
    end: str = None     # "notified", "cut", "reset"; None: not yet


@dataclass
class TlsOrigin:
    """Answers each request (nothing but heads) by `answer`, which gets the
    connection and returns whether to go on."""
    context: ssl.SSLContext
    answer: object = None
    address: str = "127.0.0.1"
    handshakes: list = field(default_factory=list)
    failures: list = field(default_factory=list)

    def __enter__(self):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._names = threading.local()
        self.context.sni_callback = self._on_server_name
        self._listener = socket.create_server((self.address, 0),
                                              family=family)
        self.port = self._listener.getsockname()[1]
        self._open = set()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for end in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _on_server_name(self, _connection, name, _context):
        self._names.name = name

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,),
                             daemon=True).start()

    def _serve(self, connection):
        self._names.name = None
        connection.settimeout(PATIENCE_S)
        self._open.add(connection)
        try:
            secured = self.context.wrap_socket(
                connection, server_side=True, suppress_ragged_eofs=False)
        except (OSError, ValueError) as error:
            self.failures.append(error)
            connection.close()
            return
        self._open.add(secured)
        handshake = Handshake(
            self._names.name, secured.version(),
            secured.selected_alpn_protocol(), secured.session_reused,
            secured.getpeercert())
        self.handshakes.append(handshake)
        try:
            self._talk(secured, handshake)
        except ssl.SSLEOFError:
            handshake.end = "cut"
        except OSError as error:
            handshake.end = "reset"
            self.failures.append(error)
        secured.close()

    def _talk(self, secured, handshake):
        head = b""
        while part := secured.recv(65536):
            handshake.heard += part
            head += part
            if not head.endswith(b"\r\n\r\n"):
                continue
            head = b""
            if self.answer is None:
                secured.sendall(ANSWER)
            elif not self.answer(secured):
                return
        handshake.end = "notified"

    @property
    def heard(self):
        return b"".join(each.heard for each in self.handshakes)

    def wait_for_end(self):
        return wait_until(lambda: self.handshakes[-1].end, "its end")


def answer_and_close(secured):
    """So that the next request needs a connection of its own."""
    secured.sendall(LAST_ANSWER)
    say_goodbye(secured)
    return False


def say_goodbye(secured):
    """Sends close_notify and reads on."""
    secured.settimeout(0)
    with contextlib.suppress(ssl.SSLWantReadError):
        secured.unwrap()
    secured.settimeout(PATIENCE_S)


SAME = object()


class TlsCaller(Caller):
    """A caller whose SNI is `name`; None: it sends none."""

    def __init__(self, proxy, host, port, name=SAME, context=None,
                 session=None):
        super().__init__(proxy, "clear", host=host, port=port)
        context = context or client_context(proxy)
        if name is SAME:
            name = host
        elif name is None:
            context.check_hostname = False
        try:
            self.socket = context.wrap_socket(
                self.socket, server_hostname=name, session=session,
                suppress_ragged_eofs=False)
        except BaseException:
            self.close()
            raise
        self.scheme = "https"


def client_context(proxy, version=None, alpn=("h2", "http/1.1")):
    context = ssl.create_default_context(cafile=proxy.ca)
    context.set_alpn_protocols(list(alpn))
    return strict(context, version)
