# SPDX-License-Identifier: MIT
"""A service that knows of no proxy: rules of the kernel send its connections
to one.

The whole module runs in a network namespace of its own; the origins are in
another, a link away.  The service is a user of its own, as in a pod, and the
rules are the ones that leakproxy prints."""

import contextlib
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from cast import netns, program, proxy as proxies
from cast.origin import HOST, Origin, pattern
from cast.waiting import wait_until

SETTINGS = Path("/etc/netns") / netns.NAME
V6_HOST = "six.test"
HERE, HERE_V6 = netns.NEAR_ADDRESSES
FAR, FAR_V6 = netns.FAR_ADDRESSES
BODY = "/200/later/1000"

PROXY_UID = 0
SERVICE_UID = 65534
AS_SERVICE = ("ip", "netns", "exec", netns.NAME, "setpriv",
              f"--reuid={SERVICE_UID}", f"--regid={SERVICE_UID}",
              "--clear-groups")
GREETING = b"220 ready\r\n"


@pytest.fixture(scope="module", autouse=True)
def namespace():
    if not shutil.which("nft"):
        pytest.skip("nft (nftables) is needed")
    try:
        SETTINGS.mkdir(parents=True)
        (SETTINGS / "hosts").write_text(f"{FAR} {HOST}\n{FAR_V6} {V6_HOST}\n")
        with netns.entered(), netns.neighbour():
            yield
    finally:
        shutil.rmtree(SETTINGS, ignore_errors=True)


class Greeter:
    """Speaks first, as SMTP and MySQL do, then gives back what it hears."""

    def __init__(self):
        self._listener = socket.create_server((FAR, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,),
                                 daemon=True).start()

    @staticmethod
    def _serve(connection):
        with connection, contextlib.suppress(OSError):
            connection.sendall(GREETING)
            while data := connection.recv(4096):
                connection.sendall(data)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture(scope="module")
def far(authority):
    """What can be reached over the link."""
    with contextlib.ExitStack() as stack:
        with netns.visited(netns.FAR):
            ends = [stack.enter_context(contextlib.closing(end))
                    for end in (Origin(authority, FAR),
                                Origin(authority, FAR_V6), Greeter())]
        yield SimpleNamespace(origin=ends[0], six=ends[1], greeter=ends[2])


def nft(script):
    subprocess.run(["nft", "-f", "-"], input=script, check=True, text=True,
                   capture_output=True)


def ruleset():
    return subprocess.run(["nft", "list", "ruleset"], check=True, text=True,
                          capture_output=True).stdout


def printed_rules(*options):
    done = proxies.run("redirect-rules", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def start(start_proxy):
    """Starts a proxy, and has the rules that it prints redirect to it those
    who are not `uid`."""
    def start(*options, uid=PROXY_UID):
        proxy = start_proxy("--redirect", "127.0.0.1:0",
                            "--redirect", "[::1]:0", *options)
        nft(printed_rules(
            "--uid", str(uid), *(word for address in proxy.ready["redirect"]
                                 for word in ("--redirect", address))))
        return proxy

    yield start
    nft(printed_rules("--remove"))


@pytest.fixture
def redirecting(start):
    return start()


@pytest.fixture
def trust():
    """Where the service, who may not read the state directory, finds the
    CA."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        path = Path(directory) / "ca.pem"

        def trust(pem):
            path.write_text(pem)
            path.chmod(0o644)
            return path
        yield trust


def curl(url, *options):
    """As the service; returns what came, or None."""
    done = subprocess.run(
        [*AS_SERVICE, "curl", "-sS", "-m", "10", *options, url],
        env=proxies.plain_environment(), capture_output=True)
    if done.returncode != 0:
        print(f"curl: {done.returncode}: {done.stderr}")
        return None
    return done.stdout


@contextlib.contextmanager
def connected(port, address=FAR):
    """A socket of the service's: who opens it is what the rules go by."""
    os.seteuid(SERVICE_UID)
    try:
        end = socket.socket()
    finally:
        os.seteuid(PROXY_UID)
    with end:
        end.settimeout(10)
        end.connect((address, port))
        yield end


@contextlib.contextmanager
def service(language, manner, proxy, far, trust, tmp_path):
    """A labelled client; its environment has a CA, and no proxy."""
    program.build_go()
    ca = str(trust(proxy.get("/ca.pem")))
    client = program.Program(
        SimpleNamespace(program=language, manner=manner),
        f"https://{HOST}:{far.origin.tls_port}/{language}{BODY}", "job=check",
        proxies.plain_environment(SSL_CERT_FILE=ca, REQUESTS_CA_BUNDLE=ca),
        tmp_path / "client.log", prefix=AS_SERVICE)
    try:
        yield client
    finally:
        client.end()


def connection_of(proxy, target):
    [found] = [each for each in proxy.connections()
               if each["target"] == target]
    assert found["redirected"] and found["local"], found
    return found


def test_plain_http(redirecting, far):
    """Origin-form, and Host says who the origin is, whose address nobody but
    the kernel has told."""
    authority = f"{HOST}:{far.origin.port}"
    assert curl(f"http://{authority}/plain{BODY}") == pattern(1000)
    [request] = far.origin.requests_for(f"/plain{BODY}")
    assert request.value("Host") == authority
    exchange = redirecting.wait_for(f"/plain{BODY}", "drained")
    assert exchange["url"] == f"http://{authority}/plain{BODY}"
    assert exchange["origin"] == f"http://{authority}"
    connection = connection_of(redirecting, f"{FAR}:{far.origin.port}")
    assert connection["transport"] == "clear"
    assert connection["client_address"].startswith(f"{HERE}:")


def test_one_address_has_many_names(redirecting, far):
    """Connections are kept by name and address: what another Host names goes
    its own way, and says whose it is."""
    url = f"http://{FAR}:{far.origin.port}/many{BODY}"
    for name in ("a.test", "b.test"):
        assert curl(url, "-H", f"Host: {name}") == pattern(1000)
    assert {each["origin"] for each in redirecting.exchanges()} == {
        f"http://{name}:{far.origin.port}" for name in ("a.test", "b.test")}
    assert len({request.connection for request
                in far.origin.requests_for(f"/many{BODY}")}) == 2
    assert curl(url, "-H", "Host: a b", "-f") is None


def test_tls(redirecting, far, trust):
    """The SNI names the origin: our certificate is for it, and its own is
    verified by it."""
    ca = trust(redirecting.get("/ca.pem"))
    authority = f"{HOST}:{far.origin.tls_port}"
    assert curl(f"https://{authority}/tls{BODY}",
                "--cacert", ca) == pattern(1000)
    exchange = redirecting.wait_for(f"/tls{BODY}", "drained")
    assert exchange["origin"] == f"https://{authority}"
    connection = connection_of(redirecting, f"{authority}")
    assert connection["transport"] == "intercepted"


def test_ipv6(redirecting, far, trust):
    ca = trust(redirecting.get("/ca.pem"))
    assert curl(f"http://{V6_HOST}:{far.six.port}/v6{BODY}") == pattern(1000)
    assert curl(f"https://{V6_HOST}:{far.six.tls_port}/v6tls{BODY}",
                "--cacert", ca) == pattern(1000)
    exchange = redirecting.wait_for(f"/v6tls{BODY}", "drained")
    assert exchange["origin"] == f"https://{V6_HOST}:{far.six.tls_port}"
    assert connection_of(redirecting, f"[{FAR_V6}]:{far.six.port}")


def test_a_response_that_was_read_is_no_leak(redirecting, far, trust,
                                             tmp_path):
    """A connection that rests in the service's pool answers the probe."""
    with service("go", "drain", redirecting, far, trust, tmp_path) as client:
        client.tell("step")
        redirecting.wait_for(f"/go{BODY}?step=1", "drained", evidence="probe")


@pytest.mark.parametrize("language, manner", [
    ("go", "leave"), ("python", "requests_leave")])
def test_a_leak_is_found(
        redirecting, far, trust, tmp_path, language, manner):
    """A response that is left unread is proven by what lies in the service's
    own socket, which knows the origin's address and not ours."""
    with service(
            language, manner, redirecting, far, trust, tmp_path) as client:
        client.tell("step")
        exchange = redirecting.wait_for(
            f"/{language}{BODY}?step=1", "undrained", evidence="unread")
        owner = wait_until(
            lambda: redirecting.leaks()["leaks"][0]["callers"][0],
            "its caller is known")
        assert owner["pid"] == client.process.pid, owner
        assert exchange["tags"] == {"job": "check"}


def test_server_speaks_first(redirecting, far):
    """What is not HTTP passes, whoever begins, and half-closes too."""
    with connected(far.greeter.port) as end:
        before = time.monotonic()
        assert end.recv(100) == GREETING
        # A silent CONNECT is waited for longer.
        assert time.monotonic() - before < 1
        end.sendall(b"EHLO service\r\n")
        assert end.recv(100) == b"EHLO service\r\n"
        end.shutdown(socket.SHUT_WR)
        assert end.recv(100) == b""
    connection = connection_of(redirecting, f"{FAR}:{far.greeter.port}")
    assert connection["transport"] == "tunnel"


OPENINGS = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET http://a.test/ HTTP/1.1\r\n\r\n",
    b"CONNECT a.test:443 HTTP/1.1\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x16 is no handshake\r\n", b"\0\0\0\x08\x04\xd2\x16\x2f")


def hear(end, length):
    heard = b""
    while len(heard) < length:
        data = end.recv(4096)
        assert data, f"it ended after {heard}"
        heard += data
    return heard


def test_other_protocols_pass_untouched(redirecting, far):
    """HTTP/2 without TLS, what is meant for another proxy, SSH, and a first
    byte that TLS has too."""
    for opening in OPENINGS:
        with connected(far.greeter.port) as end:
            end.sendall(opening)
            assert hear(end, len(GREETING + opening)) == GREETING + opening
    assert {each["transport"] for each in redirecting.connections()} == {
        "tunnel"}


class Session:
    """TLS whose bytes the test moves."""

    def __init__(self, authority=None, alpn=("http/1.1",)):
        context = ssl.create_default_context(cadata=authority)
        context.set_alpn_protocols(alpn)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._in, self._out,
                                         server_hostname=HOST)
        with pytest.raises(ssl.SSLWantReadError):
            self._session.do_handshake()
        self.hello = self._out.read()

    def go_on(self, end, step):
        """Once more than the hello has been sent."""
        while True:
            try:
                result = step(self._session)
            except ssl.SSLWantReadError:
                end.sendall(self._out.read())
                data = end.recv(65536)
                assert data, "it ended"
                self._in.write(data)
            else:
                end.sendall(self._out.read())
                return result


def send_in_pieces(proxy, end, data):
    sent = 0
    for piece in (data[:3], data[3:60], data[60:]):
        end.sendall(piece)
        sent += len(piece)
        # It must see them one by one.
        wait_until(lambda: proxy.connections()[0]["received_bytes"] >= sent,
                   "the piece is read")


def test_a_hello_in_pieces_is_intercepted(redirecting, far):
    session = Session(redirecting.get("/ca.pem"))
    with connected(far.origin.tls_port) as end:
        send_in_pieces(redirecting, end, session.hello)
        session.go_on(end, lambda tls: tls.do_handshake())
        request = f"GET /pieces/204/none/0 HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
        session.go_on(end, lambda tls: tls.write(request.encode()))
        assert b" 204 " in session.go_on(end, lambda tls: tls.read(4096))
    assert redirecting.exchange("/pieces/204/none/0")["origin"] == \
        f"https://{HOST}:{far.origin.tls_port}"


def test_tls_that_is_no_http1_passes(redirecting, far):
    """gRPC and databases say so by ALPN; a ClientHello may come in pieces,
    none of which is lost."""
    opening = Session(alpn=["h2"]).hello
    with connected(far.greeter.port) as end:
        send_in_pieces(redirecting, end, opening)
        assert hear(end, len(GREETING + opening)) == GREETING + opening
    assert connection_of(redirecting, f"{HOST}:{far.greeter.port}")


def test_passthrough_by_sni(start, far, authority, trust):
    """The pattern is a name, and the connection has none but the SNI."""
    proxy = start("--passthrough", HOST)
    ca = trust(authority.ca.read_text())
    target = f"{HOST}:{far.origin.tls_port}"
    assert curl(f"https://{target}/passed{BODY}",
                "--cacert", ca) == pattern(1000)
    connection = connection_of(proxy, target)
    assert connection["transport"] == "tunnel"
    assert not proxy.exchanges()


def test_another_user(start, far):
    """As root it binds, and as somebody else it serves and is spared."""
    proxy = start("--user", "daemon", uid=pwd.getpwnam("daemon").pw_uid)
    assert curl(f"http://{HOST}:{far.origin.port}/daemon{BODY}") == \
        pattern(1000)
    proxy.wait_for(f"/daemon{BODY}", "drained")
    assert connection_of(proxy, f"{FAR}:{far.origin.port}")


def test_one_too_many(start, far):
    """What asks by HTTP is answered; what does not is reset."""
    proxy = start("--max-connections", 1)
    with connected(far.greeter.port) as end:
        assert end.recv(100) == GREETING
        assert curl(f"http://{HOST}:{far.origin.port}/", "-o", "/dev/null",
                    "-w", "%{http_code}") == b"503"
        with connected(far.greeter.port) as other, \
                pytest.raises(ConnectionResetError):
            other.sendall(b"\0")
            other.recv(1)
        with connected(far.greeter.port) as silent, \
                pytest.raises(ConnectionResetError):
            silent.recv(1)
        assert sorted(each["close_reason"] or "" for each
                      in proxy.connections()) == ["", "limit", "limit",
                                                  "limit"]


def test_an_origin_that_refuses(redirecting, far):
    """The service sees a connection that fails, and not one that ends."""
    with netns.visited(netns.FAR), socket.create_server((FAR, 0)) as listener:
        port = listener.getsockname()[1]
    with connected(port) as end, pytest.raises(ConnectionResetError):
        end.sendall(b"\0")
        end.recv(1)


def test_a_loop_is_refused(start, far):
    """Rules that do not spare the proxy's user send its own connections back
    to it: the first to come back is refused, and the log says what to do."""
    proxy = start(uid=SERVICE_UID + 1)
    assert curl(f"http://{HOST}:{far.origin.port}/loop{BODY}", "-f") is None
    assert "a loop: it is our own, and the rules redirected it" in proxy.log
    [loop] = [each for each in proxy.connections()
              if each["close_reason"] == "loop"]
    assert loop["target"] == f"{FAR}:{far.origin.port}"
    assert not far.origin.requests_for(f"/loop{BODY}")


def test_rules_that_lead_to_ourselves(redirecting):
    """What other rules send to us may have been meant for our admin port:
    nobody gets there by us."""
    port = proxies.split_authority(redirecting.ready["redirect"][0])[1]
    nft("table ip other {\n chain output {\n"
        "  type nat hook output priority -101;\n"
        f"  meta skuid {SERVICE_UID} tcp dport {redirecting.admin[1]}"
        f" redirect to :{port}\n }}\n}}\n")
    try:
        assert curl(f"http://127.0.0.1:{redirecting.admin[1]}/report") is None
    finally:
        nft("delete table ip other\n")
    assert "a loop: leakproxy listens there itself" in redirecting.log


def test_only_what_was_redirected_is_taken(redirecting, far):
    """--redirect is no proxy for whoever connects to it."""
    for address in redirecting.ready["redirect"]:
        assert curl(f"http://{address}/") is None
    wait_until(lambda: redirecting.log.count("no rule redirected it") == 2,
               "both are refused")
    assert {each["close_reason"] for each in redirecting.connections()} == {
        "not-redirected"}


def test_our_own_listeners_and_loopback_are_left_alone(redirecting, far):
    """What stays on this machine does so."""
    before = len(redirecting.connections())
    with socket.create_server((HERE, 0)) as listener:
        with connected(listener.getsockname()[1], HERE) as end:
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getpeername() == end.getsockname()
    assert len(redirecting.connections()) == before


def test_rules_are_put_and_removed(redirecting):
    """Twice is as good as once, for both; and nothing is left behind."""
    options = [word for address in redirecting.ready["redirect"]
               for word in ("--redirect", address)]
    nft(printed_rules("--remove"))
    assert ruleset() == ""
    nft(printed_rules("--remove"))
    assert ruleset() == ""
    nft(printed_rules("--uid", "0", *options))
    once = ruleset()
    nft(printed_rules("--user", "root", *options))
    assert ruleset() == once != ""
