# SPDX-License-Identifier: MIT
"""TLS on both legs: versions, names, certificates, resumption, ends."""

import contextlib
import json
import os
import socket
import ssl
import stat
import subprocess
import threading
from types import SimpleNamespace

import pytest

from cast.caller import Caller
from cast.minting import mint
from cast.proxy import Proxy, plain_environment, run
from cast.tls import (ANSWER, SAME, TlsCaller, TlsOrigin, answer_and_close,
                      client_context, say_goodbye, server_context)
from cast.waiting import wait_until

STRANGERS = 16  # POOL_MAX_STRANGERS
VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2,
            "TLSv1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """Two roots that the proxy trusts, of which one has a CRL."""
    pki = SimpleNamespace(directory=tmp_path_factory.mktemp("pki"))
    pki.root = mint("root", is_ca=True)
    pki.strict = mint("strict root", is_ca=True)
    pki.revoked = mint("origin.test", issuer=pki.strict)
    pki.file = pki.directory / "roots.pem"
    pki.file.write_bytes(pki.root.pem + pki.strict.pem +
                         pki.strict.revoke(pki.revoked))
    pki.context = lambda *chain, **more: server_context(
        *chain, directory=pki.directory, **more)
    pki.leaf = mint("origin.test", "one.test", "two.test", "*.wild.test",
                    "xn--bcher-kva.test", "127.0.0.1", "::1",
                    issuer=pki.root)
    return pki


@pytest.fixture(scope="module")
def house(pki, tmp_path_factory):
    """One proxy for most tests, to which every name is 127.0.0.1."""
    proxy = Proxy(tmp_path_factory.mktemp("house"), "--upstream-ca", pki.file,
                  "--resolve", "*:*:127.0.0.1", "--workers", "1",
                  "--probe-grace", "500ms")
    try:
        yield proxy
        proxy.check_totals()
        proxy.stop()
    finally:
        proxy.kill()


@pytest.fixture
def secured(pki):
    with TlsOrigin(pki.context(pki.leaf)) as secured:
        yield secured


def check_refusal(caller, token, detail):
    response = caller.get("/")
    status = response.value("Proxy-Status")
    assert response.status == 502, response.fields
    assert f"error={token}" in status and detail in status
    text = caller.read(response.length).decode()
    assert detail in text and text.count("\n") == 1


# ---- versions, resumption, ALPN ----


def test_few_strangers_rest(house, pki):
    """Many hosts are asked once: of the connections to them only some rest in
    the pool, the last ones.  Whoever comes back is no stranger any more."""
    def idle():
        return house.metric(
            'leakproxy_connections{side="upstream",state="idle"}')

    def visit(number):
        with TlsCaller(house, f"s{number}.wild.test", origin.port) as caller:
            assert caller.fetch("/") == b"ok"

    def opened():
        return len(origin.handshakes)

    with TlsOrigin(pki.context(pki.leaf)) as origin:
        before = idle()
        for number in range(STRANGERS + 4):
            visit(number)
        assert idle() - before <= STRANGERS
        visit(STRANGERS + 3)
        assert opened() == STRANGERS + 4
        for number in range(3):  # these have not rested, and now they do
            visit(number)
        assert opened() == STRANGERS + 7
        for number in range(3):
            visit(number)
        assert opened() == STRANGERS + 7


@pytest.mark.parametrize("callers", VERSIONS)
@pytest.mark.parametrize("origins", VERSIONS)
def test_versions_and_resumption(house, pki, callers, origins):
    """Each leg has a version of its own, and takes up its last session: the
    second handshake is a short one, on both, and for the same name still."""
    context = pki.context(pki.leaf, version=VERSIONS[origins])
    trust = client_context(house, VERSIONS[callers])
    session = None
    with TlsOrigin(context, answer_and_close) as origin:
        for number in range(3):
            with TlsCaller(house, "127.0.0.9", origin.port, "origin.test",
                           context=trust, session=session) as caller:
                assert caller.socket.version() == callers
                assert caller.socket.selected_alpn_protocol() == "http/1.1"
                assert caller.socket.session_reused == (number > 0)
                assert caller.fetch("/") == b"ok"
                session = caller.socket.session
            handshake = origin.handshakes[number]
            assert handshake.version == origins
            assert handshake.protocol == "http/1.1"
            assert handshake.server_name == "origin.test"
            assert handshake.is_resumed == (number > 0)


def test_resumption_on_any_worker(start_proxy, pki):
    """Tickets are good on every thread; towards origins each has sessions of
    its own, and so needs one full handshake."""
    proxy = start_proxy("--workers", "2", "--upstream-ca", pki.file,
                        "--resolve", "*:*:127.0.0.1")
    trust = client_context(proxy)
    session = None
    with TlsOrigin(pki.context(pki.leaf), answer_and_close) as origin:
        for _ in range(12):
            with TlsCaller(proxy, "one.test", origin.port, context=trust,
                           session=session) as caller:
                assert caller.socket.session_reused == (session is not None)
                assert caller.fetch("/") == b"ok"
                session = caller.socket.session
        full = [each for each in origin.handshakes if not each.is_resumed]
        assert len(full) <= 2


def test_resumption_after_a_break(house, pki):
    """A caller leaves in the middle of what it sends, so that our end to the
    origin is not by the book: the session is good all the same (RFC 8446
    dropped what TLS 1.0 said of that)."""
    is_over = threading.Event()

    def answer_in_the_end(secured):
        is_over.wait(10)
        secured.sendall(ANSWER)
        return False

    with TlsOrigin(pki.context(pki.leaf), answer_in_the_end) as origin:
        with TlsCaller(house, "two.test", origin.port) as caller:
            caller.request("/", ("Content-Length", "99999999"), method="POST")
            caller.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                while True:
                    caller.send(bytes(65536))
        wait_until(lambda: not house.metric(
            'leakproxy_connections{side="upstream",state="active"}'),
            "the proxy has given up")
        is_over.set()
        with TlsCaller(house, "two.test", origin.port) as caller:
            assert caller.fetch("/") == b"ok"
        assert [each.is_resumed for each in origin.handshakes] == [False, True]


def test_alpn(house, secured):
    """HTTP/2 alone is refused in the handshake, by the alert that is for it:
    such a caller would speak what we cannot read.  None at all is well."""
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        TlsCaller(house, "origin.test", secured.port,
                  context=client_context(house, alpn=["h2"]))
    with TlsCaller(house, "origin.test", secured.port,
                   context=client_context(house, alpn=[])) as caller:
        assert caller.socket.selected_alpn_protocol() is None
        assert caller.fetch("/") == b"ok"


# ---- names ----


@pytest.mark.parametrize("host, name, asked_for", [
    ("origin.test", SAME, "origin.test"),
    ("origin.test", None, "origin.test"),
    ("ORIGIN.test", "Origin.TEST", "origin.test"),
    ("origin.test.", "origin.test", "origin.test"),
    ("origin.test.", None, "origin.test"),
    ("127.0.0.1", None, None),
    ("127.0.0.1", "one.test", "one.test"),
    ("elsewhere.test", "one.test", "one.test"),
    ("a.wild.test", SAME, "a.wild.test"),
    ("xn--bcher-kva.test", SAME, "xn--bcher-kva.test"),
])
def test_names(house, secured, host, name, asked_for):
    """CONNECT says where, the SNI says who: the origin is asked for that name
    and verified by it, as it would be in a tunnel."""
    with TlsCaller(house, host, secured.port, name) as caller:
        assert caller.fetch("/names") == b"ok"
    assert secured.handshakes[0].server_name == asked_for


@pytest.mark.parametrize("host, name", [
    ("origin.test", "other.test"),
    ("127.0.0.1", "other.test"),
    ("a.b.wild.test", SAME),
    ("wild.test", SAME),
    ("127.0.0.2", None),
])
def test_wrong_names(house, secured, host, name):
    """A certificate for another name is none; a wildcard stands for one
    label.  The origin gets no byte of the request."""
    with TlsCaller(house, host, secured.port, name) as caller:
        check_refusal(caller, "tls_certificate_error", "mismatch")
    assert secured.heard == b""


def test_an_address_of_version_6(start_proxy, pki):
    """No SNI for an address, and the certificate has to have it."""
    proxy = start_proxy("--upstream-ca", pki.file)
    with TlsOrigin(pki.context(pki.leaf), address="::1") as origin, \
            TlsCaller(proxy, "::1", origin.port, None) as caller:
        assert caller.fetch("/") == b"ok"
        assert origin.handshakes[0].server_name is None


def test_the_name_is_what_people_see(house, secured):
    """curl --connect-to: CONNECT has an address, and the ledger the name."""
    done = subprocess.run(
        ["curl", "-sS", "--proxy", house.url, "--cacert", house.ca,
         "--connect-to", f"one.test:{secured.port}:127.0.0.1:{secured.port}",
         f"https://one.test:{secured.port}/connect-to"],
        capture_output=True, text=True, timeout=20, env=plain_environment())
    assert done.stdout == "ok", done.stderr
    exchange = house.exchange("/connect-to")
    assert exchange["url"] == f"https://one.test:{secured.port}/connect-to"
    [connection] = [each for each in house.connections()
                    if each["id"] == exchange["connection"]] or [None]
    assert connection is None or \
        connection["target"] == f"127.0.0.1:{secured.port}"


def test_names_and_places_are_not_mixed(house, secured):
    """A kept connection, or a session, serves only whoever asked for the same
    name at the same place."""
    def fetch(host, name):
        with TlsCaller(house, host, secured.port, name) as caller:
            assert caller.fetch("/") == b"ok"
        return len(secured.handshakes), secured.handshakes[-1]

    assert fetch("127.0.0.1", "one.test")[0] == 1
    assert fetch("127.0.0.1", "two.test")[0] == 2
    assert fetch("one.test", "one.test")[0] == 3
    assert fetch("elsewhere.test", "one.test")[0] == 4
    assert not any(each.is_resumed for each in secured.handshakes)
    assert fetch("127.0.0.1", "one.test")[0] == 4
    assert fetch("elsewhere.test", "one.test")[0] == 4


def test_a_name_that_is_none(house, secured):
    """Where a certificate cannot be made for it, the handshake fails."""
    with pytest.raises(ssl.SSLError):
        TlsCaller(house, "origin.test", secured.port, "a_b!.test")


# ---- certificates ----


def certificates(pki):
    """Name, chain, and what OpenSSL says of it; None: it is good."""
    middle = mint("middle", issuer=pki.root, is_ca=True)
    below = mint("origin.test", issuer=middle)
    no_ca = mint("leaf.test", issuer=pki.root)
    unknown = mint("unknown", is_ca=True)

    def leaf(**more):
        return mint("origin.test", issuer=pki.root, **more)

    return {
        "expired": ([leaf(days=(-9, -2))], "expired"),
        "not yet valid": ([leaf(days=(2, 9))], "not yet valid"),
        "self-signed": ([mint("origin.test")], "self-signed"),
        "wrong name": ([mint("other.test", issuer=pki.root)], "mismatch"),
        "unknown issuer": ([mint("origin.test", issuer=unknown)],
                           "unable to get local issuer"),
        "unknown root": ([mint("origin.test", issuer=unknown), unknown],
                         "self-signed"),
        "revoked": ([pki.revoked], "revoked"),
        "not revoked": ([mint("origin.test", issuer=pki.strict)], None),
        "no intermediate": ([below], "unable to get local issuer"),
        "intermediate": ([below, middle], None),
        "wrong order": ([below, pki.root, middle], None),
        "no CA": ([mint("origin.test", issuer=no_ca), no_ca], "CA"),
    }


@pytest.mark.parametrize("kind", certificates(SimpleNamespace(
    root=mint("x"), strict=mint("x"), revoked=None)))
def test_certificates(house, pki, kind):
    """A bad one is 502, with the reason; no byte of the request is sent."""
    chain, reason = certificates(pki)[kind]
    with TlsOrigin(pki.context(*chain)) as origin, \
            TlsCaller(house, "origin.test", origin.port) as caller:
        if reason is None:
            assert caller.fetch("/") == b"ok"
            return
        check_refusal(caller, "tls_certificate_error", reason)
        assert origin.heard == b""


# ---- who we are towards an origin ----


@pytest.fixture(scope="module")
def identity(pki):
    pki.me = mint("me.test", issuer=pki.root)
    path = pki.directory / "me.pem"
    path.write_bytes(pki.me.pem + pki.me.key_pem)
    return path


@pytest.fixture(scope="module")
def known_house(pki, identity, tmp_path_factory):
    """A proxy that has a certificate for one.test, and for nobody else."""
    proxy = Proxy(tmp_path_factory.mktemp("known"), "--upstream-ca", pki.file,
                  "--resolve", "*:*:127.0.0.1", "--workers", "1",
                  "--client-cert", f"one.test={identity}")
    try:
        yield proxy
        proxy.stop()
    finally:
        proxy.kill()


@pytest.mark.parametrize("version", VERSIONS)
def test_client_certificate(known_house, pki, version):
    """The origin that --client-cert names gets it, when it asks; another gets
    none, though it asks too."""
    context = pki.context(pki.leaf, version=VERSIONS[version])
    context.load_verify_locations(pki.file)
    context.verify_mode = ssl.CERT_OPTIONAL
    with TlsOrigin(context) as origin:
        for host in ("one.test", "two.test"):
            with TlsCaller(known_house, host, origin.port) as caller:
                assert caller.fetch("/") == b"ok"
        with TlsCaller(known_house, "127.0.0.1", origin.port,
                       "one.test") as caller:
            assert caller.fetch("/") == b"ok"
    named, other, by_address = origin.handshakes
    assert ((("commonName", "me.test"),),) == named.certificate["subject"]
    assert not other.certificate
    assert by_address.certificate == named.certificate


@pytest.mark.parametrize("version", VERSIONS)
def test_client_certificate_is_required(known_house, pki, version):
    """Without one it is 502, which says that the origin ended TLS, and why;
    in TLS 1.3 that comes after the handshake."""
    context = pki.context(pki.leaf, version=VERSIONS[version])
    context.load_verify_locations(pki.file)
    context.verify_mode = ssl.CERT_REQUIRED
    with TlsOrigin(context) as origin:
        with TlsCaller(known_house, "one.test", origin.port) as caller:
            assert caller.fetch("/") == b"ok"
        with TlsCaller(known_house, "two.test", origin.port) as caller:
            check_refusal(caller, "tls_alert_received", "alert")


@pytest.mark.parametrize("content, says", [
    (lambda pki: pki.leaf.pem, "no private key"),
    (lambda pki: pki.leaf.key_pem, "no certificate"),
    (lambda pki: pki.leaf.pem + pki.revoked.key_pem, "does not match"),
    (lambda pki: b"", "no private key"),
    (None, "cannot be read"),
])
def test_client_certificate_mistakes(pki, tmp_path, content, says):
    """Found at the start, in one line that says what is missing."""
    path = tmp_path / "me.pem"
    if content:
        path.write_bytes(content(pki))
    done = run("serve", "--client-cert", f"one.test={path}")
    assert done.returncode == 2
    assert says in done.stderr and "--client-cert" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("text", ["one.test", "=me.pem", "a/b=me.pem"])
def test_client_certificate_form(text):
    """It is HOST=FILE."""
    done = run("serve", "--client-cert", text)
    assert done.returncode == 2
    assert "registry.test=client.pem" in done.stderr


def test_client_certificate_expired(start_proxy, pki, tmp_path):
    """Only a warning: what the origin makes of it, is the origin's."""
    old = mint("me.test", issuer=pki.root, days=(-9, -2))
    path = tmp_path / "old.pem"
    path.write_bytes(old.key_pem + old.pem)
    proxy = start_proxy("--client-cert", f"*.test={path}")
    assert "--client-cert: the certificate for *.test has expired" in proxy.log


# ---- SSLKEYLOGFILE ----


@pytest.mark.parametrize("version", VERSIONS)
def test_secrets(start_proxy, pki, tmp_path, monkeypatch, version):
    """The file has the secrets that the caller and the origin have, line by
    line, for the owner's eyes only; and the start says what that means."""
    path = tmp_path / "secrets"
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    proxy = start_proxy("--upstream-ca", pki.file,
                        "--resolve", "*:*:127.0.0.1")
    monkeypatch.delenv("SSLKEYLOGFILE")
    assert "can decrypt" in proxy.log
    trust = client_context(proxy, VERSIONS[version])
    trust.keylog_filename = tmp_path / "of the caller"
    context = pki.context(pki.leaf, version=VERSIONS[version])
    context.keylog_filename = tmp_path / "of the origin"
    with TlsOrigin(context) as origin, \
            TlsCaller(proxy, "one.test", origin.port, context=trust) as caller:
        assert caller.fetch("/") == b"ok"

    def secrets(file):
        lines = file.read_text().splitlines()
        return {line for line in lines if not line.startswith("#")}

    theirs = [secrets(tmp_path / "of the caller"),
              secrets(tmp_path / "of the origin")]
    assert all(theirs)
    assert secrets(path) == theirs[0] | theirs[1]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    label = "CLIENT_RANDOM" if version == "TLSv1.2" \
        else "CLIENT_TRAFFIC_SECRET_0"
    assert sum(line.startswith(label) for line in secrets(path)) == 2


def test_secrets_that_cannot_be_kept(tmp_path, monkeypatch):
    """Whoever wants them learns at the start that there will be none."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "nowhere" / "secrets"))
    done = run("serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
               "--state-dir", str(tmp_path))
    assert done.returncode == 2
    assert "SSLKEYLOGFILE" in done.stderr and done.stderr.count("\n") == 1


# ---- callers that do not go through with it ----


def client_hello(name="origin.test", alpn=("http/1.1",)):
    """The bytes of a ClientHello, records and all."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(list(alpn))
    out = ssl.MemoryBIO()
    handshake = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        handshake.do_handshake()
    return out.read()


def failed_handshakes(proxy):
    return proxy.metric('leakproxy_tls_handshakes_total{side="client",'
                        'result="failed"}')


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("offset", [1, 4, 5, 6, 100, -1, None])
def test_leaving_in_the_handshake(house, end, offset):
    """At any byte: the connection ends, and is told as what it was."""
    before = failed_handshakes(house)
    with Caller(house, "clear", port=443) as caller:
        caller.send(client_hello()[:offset])
        number = house.metric("leakproxy_connections_total")
        if offset is None:
            caller.socket.recv(1)
        getattr(caller, end)()
    wait_until(lambda: failed_handshakes(house) > before, "it has failed")
    assert number


@pytest.mark.parametrize("rest", [
    bytes(300), b"\x16" * 300, b"\x03\x01\xff\xff" + bytes(300),
    b"\x03\x01\x00\x05\x01\x00\x00\x01\x00" + bytes(40)])
def test_garbage_for_a_handshake(house, rest):
    """The first byte promised TLS, and the rest is none."""
    before = failed_handshakes(house)
    with Caller(house, "clear", port=443) as caller:
        caller.send(b"\x16" + rest)
        with contextlib.suppress(ConnectionResetError):
            caller.read_to_end()
    assert failed_handshakes(house) == before + 1


def reframe(records, size):
    """The same handshake in records of `size` bytes."""
    message = b""
    while records:
        length = int.from_bytes(records[3:5], "big")
        message += records[5:5 + length]
        records = records[5 + length:]
    return b"".join(
        b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part
        for part in (message[at:at + size]
                     for at in range(0, len(message), size)))


def dribble(caller, data):
    caller.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(len(data)):
        caller.send(data[at:at + 1])


MANY = [f"protocol-{number:0200}" for number in range(100)] + ["http/1.1"]


@pytest.mark.parametrize("hello, send", [
    (client_hello(alpn=MANY), Caller.send),
    (reframe(client_hello(alpn=MANY), 100), Caller.send),
    (reframe(client_hello(), 1), Caller.send),
    (client_hello(), dribble),
], ids=["20 KiB", "in many records", "a byte a record", "dribbled"])
def test_odd_hellos(house, hello, send):
    """Long, cut into records, byte by byte: it is answered."""
    with Caller(house, "clear", port=443) as caller:
        send(caller, hello)
        assert caller.read(6)[::5] == b"\x16\x02"  # a ServerHello


def test_no_tls_at_all(house, pki):
    """On an intercepted port too: HTTP is HTTP, and anything else is none of
    our business."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        port = listener.getsockname()[1]
        for said in (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", b"\0\1\2", b"220 "):
            with Caller(house, "clear", port=port) as caller:
                caller.send(said)
                connection, _ = listener.accept()
                with connection:
                    assert connection.recv(100) == said
                    connection.sendall(b"heard")
                    assert caller.read(5) == b"heard"


def test_the_origin_speaks_first(house):
    """SSH, SMTP: a caller that waits for a banner gets it.  One that was only
    slow is intercepted all the same."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(10)
        secret = stack.enter_context(TlsOrigin(ssl.SSLContext(
            ssl.PROTOCOL_TLS_SERVER)))
        waiting = stack.enter_context(Caller(
            house, "clear", port=listener.getsockname()[1]))
        slow = stack.enter_context(Caller(house, "clear", port=secret.port))
        connection, _ = listener.accept()
        stack.enter_context(connection)
        connection.sendall(b"220 mail.test ESMTP\r\n")
        assert waiting.read(21) == b"220 mail.test ESMTP\r\n"
        waiting.send(b"EHLO me\r\n")
        assert connection.recv(100) == b"EHLO me\r\n"
        connection.shutdown(socket.SHUT_WR)
        assert waiting.socket.recv(1) == b""
        wait_until(lambda: len(secret._open) == 1, "it is listened to")
        secured = client_context(house).wrap_socket(
            slow.socket, server_hostname="origin.test")
        assert secured.selected_alpn_protocol() == "http/1.1"


# ---- origins that do not go through with it ----


@pytest.mark.parametrize("said, end, token", [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "close", "tls_protocol_error"),
    (b"", "close", "tls_protocol_error"),
    (b"", "reset", "tls_protocol_error"),
    (b"\x16\x03\x03\x00\x7a\x02", "close", "tls_protocol_error"),
    (b"\x15\x03\x03\x00\x02\x02\x28", "close", "tls_alert_received"),
])
def test_an_origin_that_fails_the_handshake(house, said, end, token):
    """No TLS, an end in its middle, an alert: 502, and why."""
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            TlsCaller(house, "origin.test",
                      listener.getsockname()[1]) as caller:
        caller.request("/")
        connection, _ = listener.accept()
        heard = connection.recv(65536)
        connection.sendall(said)
        if end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                  b"\1\0\0\0\0\0\0\0")
        connection.close()
        response = caller.read_head()
        assert response.status == 502
        assert f"error={token}" in response.value("Proxy-Status")
        assert heard[0] == 0x16 and b"GET" not in heard


def test_an_origin_that_stalls_the_handshake(start_proxy):
    """504 within --connect-timeout."""
    proxy = start_proxy("--connect-timeout", "300ms",
                        "--resolve", "*:*:127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            TlsCaller(proxy, "one.test", listener.getsockname()[1]) as caller:
        response = caller.get("/")
        assert response.status == 504
        assert "connection_timeout" in response.value("Proxy-Status")


# ---- key update ----


def test_key_update(house, pki, tmp_path):
    """Both ends may change their keys at any time (RFC 8446 §4.6.3), and ask
    for ours to be changed."""
    chain = tmp_path / "chain.pem"
    chain.write_bytes(pki.leaf.key_pem + pki.leaf.pem)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE,
             "stderr": subprocess.STDOUT, "bufsize": 0}
    with contextlib.ExitStack() as stack:
        def openssl(*arguments):
            process = stack.enter_context(
                subprocess.Popen(["stdbuf", "-oL", "openssl", *arguments],
                                 **pipes))
            stack.callback(process.kill)
            return process

        def wait_for(process, word):
            heard = b""
            while word not in heard:
                part = process.stdout.read(4096)
                assert part, heard
                heard += part
            return heard

        server = openssl("s_server", "-accept", "127.0.0.1:0", "-cert", chain,
                         "-tls1_3")
        port = wait_for(server, b"ACCEPT").split(b":")[-1].split()[0].decode()
        client = openssl("s_client", "-proxy", house.url[7:], "-connect",
                         f"origin.test:{port}", "-servername", "origin.test",
                         "-CAfile", house.ca)
        wait_for(client, b"Verify return code")
        for turn in range(3):
            client.stdin.write(b"K\n")
            wait_for(client, b"KEYUPDATE")
            client.stdin.write(b"GET /%d HTTP/1.1\r\nHost: origin.test:%s\r\n"
                               b"\r\n" % (turn, port.encode()))
            wait_for(server, b"/%d HTTP/1.1" % turn)
            server.stdin.write(b"K\n")
            wait_for(server, b"SSL_do_handshake -> 1")
            server.stdin.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
                               b"turn%d" % turn)
            wait_for(client, b"turn%d" % turn)


# ---- ends ----


def test_close_notify_to_an_idle_origin(start_proxy, pki):
    """A kept connection that we end, ends by the book."""
    proxy = start_proxy("--upstream-ca", pki.file,
                        "--resolve", "*:*:127.0.0.1")
    with TlsOrigin(pki.context(pki.leaf)) as origin, \
            TlsCaller(proxy, "one.test", origin.port) as caller:
        assert caller.fetch("/") == b"ok"
        caller.close()
        proxy.stop()
        assert origin.wait_for_end() == "notified"


def test_close_notify_to_callers(house, secured):
    """After a response that says close, and after an error of ours."""
    for fields, body in ([("Connection", "close")], b"ok"), \
            ([("Host", "other.test")], None):
        with TlsCaller(house, "origin.test", secured.port) as caller:
            response = caller.get("/", *fields)
            assert body in (None, caller.read(response.length))
            caller.read_to_end()  # raises where it is cut off


def test_close_notify_from_a_caller(house, pki):
    """It closes one way: the response comes all the same."""
    def answer_late(secured):
        with contextlib.suppress(TimeoutError):
            secured.settimeout(0.7)
            secured.recv(1)
        secured.sendall(ANSWER)
        return True

    with TlsOrigin(pki.context(pki.leaf), answer_late) as origin, \
            TlsCaller(house, "origin.test", origin.port) as caller:
        caller.request("/")
        wait_until(lambda: origin.heard, "the request has come")
        say_goodbye(caller.socket)
        response = caller.read_head()
        assert caller.read(response.length) == b"ok"


def upgrade(secured):
    """Becomes another protocol, says all it has to say, and listens on."""
    secured.sendall(b"HTTP/1.1 101 Switching Protocols\r\n"
                    b"Connection: upgrade\r\nUpgrade: x\r\n\r\nall")
    say_goodbye(secured)
    return True


def test_close_notify_from_an_origin(house, pki):
    """It closes one way: what the caller still sends, arrives."""
    with TlsOrigin(pki.context(pki.leaf), upgrade) as origin, \
            TlsCaller(house, "origin.test", origin.port) as caller:
        response = caller.get("/", ("Connection", "upgrade"),
                              ("Upgrade", "x"))
        assert response.status == 101
        assert caller.read_to_end() == b"all"
        caller.send(b"but I go on")
        wait_until(lambda: b"but I go on" in origin.heard, "it arrives")


def upgrade_and_reset(secured):
    secured.sendall(b"HTTP/1.1 101 Switching Protocols\r\n"
                    b"Connection: upgrade\r\nUpgrade: x\r\n\r\nall")
    secured.recv(1)
    secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                       b"\1\0\0\0\0\0\0\0")
    return False


def test_a_broken_relay_has_no_clean_end(house, pki):
    """The origin resets what came of an Upgrade: the caller gets no
    close_notify, which would say that this was all."""
    with TlsOrigin(pki.context(pki.leaf), upgrade_and_reset) as origin, \
            TlsCaller(house, "origin.test", origin.port) as caller:
        caller.get("/", ("Connection", "upgrade"), ("Upgrade", "x"))
        assert caller.read(3) == b"all"
        caller.send(b"x")
        with pytest.raises(OSError):
            caller.read_to_end()


def test_a_response_that_is_given_up_has_no_clean_end(start_proxy, pki):
    """So does a response without framing that the proxy breaks off."""
    def begin(secured):
        secured.sendall(b"HTTP/1.1 200 OK\r\n\r\nbegun")
        with contextlib.suppress(OSError):
            secured.recv(1)
        return False

    proxy = start_proxy("--upstream-ca", pki.file, "--drain-timeout", "0s",
                        "--resolve", "*:*:127.0.0.1")
    with TlsOrigin(pki.context(pki.leaf), begin) as origin, \
            TlsCaller(proxy, "one.test", origin.port) as caller:
        caller.send_head("GET / HTTP/1.0")
        caller.read_head()
        assert caller.read(5) == b"begun"
        proxy.stop()
        with pytest.raises(OSError):
            caller.read_to_end()


CUT = {
    "eof": b"HTTP/1.1 200 OK\r\n\r\nok",
    "length": ANSWER,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"2\r\nok\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("framing", CUT)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_origin_without_close_notify(house, pki, framing, version):
    """Many leave it out: of no importance where the response says where it
    ends.  Where the end of the connection is the response's, anybody on the
    way could have cut it off: the caller must not take it for whole."""
    def answer_and_vanish(secured):
        secured.sendall(CUT[framing])
        return False

    with TlsOrigin(pki.context(pki.leaf), answer_and_vanish) as origin, \
            TlsCaller(house, "origin.test", origin.port) as caller:
        caller.send_head(f"GET /cut HTTP/{version}",
                         ("Host", f"origin.test:{origin.port}"))
        response = caller.read_head()
        body, is_whole = b"", True
        try:
            if response.value("Transfer-Encoding"):
                body, _ = caller.read_chunked()
            elif response.value("Content-Length"):
                body = caller.read(response.length)
            else:
                body = caller.read_to_end()
        except (EOFError, OSError):
            is_whole = False
    assert is_whole == (framing != "eof")
    assert body == b"ok" or not is_whole


# ---- what a scanner says ----


class Opened:
    """A plain TCP port that leads into a CONNECT, for programs that know no
    proxies."""

    def __init__(self, proxy, authority):
        self._proxy = proxy.address
        self._connect = (f"CONNECT {authority} HTTP/1.1\r\n"
                         f"Host: {authority}\r\n\r\n").encode()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, daemon=True,
                                 args=self._listener.accept()[:1]).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection, \
                socket.create_connection(self._proxy) as inside:
            inside.sendall(self._connect)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += inside.recv(1)
            threading.Thread(target=self._pump, daemon=True,
                             args=(connection, inside)).start()
            self._pump(inside, connection)

    @staticmethod
    def _pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def test_no_weak_protocol_or_cipher(house, tmp_path):
    """testssl.sh finds nothing older than TLS 1.2, and nothing but AEAD with
    forward secrecy."""
    file = tmp_path / "found.json"
    with contextlib.closing(Opened(house, "origin.test:443")) as opened:
        done = subprocess.run(
            ["testssl", "--quiet", "--warnings", "off", "--color", "0",
             "--ip", "127.0.0.1", "--openssl", "/usr/bin/openssl", "-p", "-s",
             "--jsonfile", file, f"origin.test:{opened.port}"],
            capture_output=True, text=True, timeout=120,
            env=plain_environment())
    findings = {each["id"]: each for each in json.loads(file.read_text())}
    assert not [each for each in findings.values()
                if each["severity"] in ("LOW", "MEDIUM", "HIGH", "CRITICAL",
                                        "FATAL")], done.stdout
    for offered in ("TLS1_2", "TLS1_3"):
        assert findings[offered]["severity"] == "OK", done.stdout
    for weak in ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "cipherlist_NULL",
                 "cipherlist_aNULL", "cipherlist_EXPORT", "cipherlist_LOW",
                 "cipherlist_3DES_IDEA", "cipherlist_AVERAGE"):
        assert findings[weak]["finding"].startswith("not offered"), weak
