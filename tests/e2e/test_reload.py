# SPDX-License-Identifier: MIT
"""SIGHUP reads files anew and drops nobody; systemd hears what happens."""

import contextlib
import shutil
import signal
import socket
import ssl
import threading

import pytest

from cast.caller import Caller
from cast.origin import HOST, Authority, Origin, pattern
from cast.proxy import Proxy, patience, resolving
from cast.waiting import wait_until

PATH = "/200/length/1000"

# Who rests is left alone, however slow the machine.
STILL = patience("30s", "off", "5s")


def hang_up(proxy, answer="reloaded"):
    """Sends SIGHUP, and waits until the log says what came of it."""
    before = proxy.log.count(answer)
    proxy.process.send_signal(signal.SIGHUP)
    wait_until(lambda: proxy.log.count(answer) > before, answer)


def status_of(proxy, path=PATH, **more):
    """A new caller's."""
    with Caller(proxy, **more) as caller:
        return caller.get(path).status


def fetches(caller):
    return caller.fetch(PATH) == pattern(1000)


def test_lists_are_read_anew(start_proxy, tmp_path):
    """An operator shuts out everybody, then lets them in again and passes the
    registry through: who was connected goes on as before, who comes next
    meets what is in force then."""
    allow, passthrough, route = (
        tmp_path / name for name in ("allow", "passthrough", "routes"))
    allow.write_text("# us\n\n  127.0.0.0/8  \n")
    passthrough.write_text("other.test\n")
    route.write_text("")
    proxy = start_proxy("--allow", f"@{allow}", "--passthrough",
                        f"@{passthrough}", "--route", f"@{route}",
                        patience=STILL)
    with Caller(proxy) as plain, Caller(proxy, "intercepted") as intercepted:
        assert fetches(plain) and fetches(intercepted)
        allow.write_text("192.0.2.0/24\n")
        route.write_text("/200/*/1000\n")
        hang_up(proxy)
        assert status_of(proxy) == 403
        assert fetches(plain) and fetches(intercepted)
        allow.write_text("127.0.0.1\n::1\n")
        passthrough.write_text(f"*.example\n{HOST}\n")
        hang_up(proxy)
        with Caller(proxy, "tunnel", ca=origin_ca(proxy)) as tunnel:
            assert fetches(tunnel)
        assert fetches(plain) and fetches(intercepted)
    assert proxy.exchanges()[-1]["route"] == "/200/{}/1000"


def origin_ca(proxy):
    """The file of --upstream-ca."""
    arguments = proxy.process.args
    return arguments[arguments.index("--upstream-ca") + 1]


def test_a_mistake_changes_nothing(start_proxy, tmp_path):
    """A file is damaged, or gone: the line says which, all of it stays as it
    was, and the proxy goes on."""
    allow = tmp_path / "allow"
    allow.write_text("127.0.0.1\n")
    passthrough = tmp_path / "passthrough"
    passthrough.write_text("")
    proxy = start_proxy("--allow", f"@{allow}", "--passthrough",
                        f"@{passthrough}")
    allow.write_text("192.0.2.1\n")
    passthrough.write_text("good.test\nhttps://bad.test\n")
    hang_up(proxy, "nothing is reloaded")
    assert f'--passthrough: {passthrough}:2: "https://bad.test"' in proxy.log
    assert status_of(proxy) == 200
    passthrough.unlink()
    hang_up(proxy, "nothing is reloaded")
    assert f'cannot read "{passthrough}"' in proxy.log
    assert status_of(proxy) == 200


def test_upstream_roots_are_read_anew(origin, tmp_path, tmp_path_factory):
    """The registry gets a certificate from another root: it is refused until
    the root is in the file and SIGHUP has come, and the old one, which has
    been taken out, is refused from then on, though its session could have
    been resumed."""
    old = Authority(tmp_path_factory.mktemp("old"))
    new = Authority(tmp_path_factory.mktemp("new"))
    roots = tmp_path / "roots.pem"
    shutil.copy(old.ca, roots)
    with contextlib.closing(Origin(old)) as before, \
            contextlib.closing(Origin(new)) as after:
        proxy = Proxy(
            tmp_path, *resolving(before), *resolving(after, "new.test"),
            "--upstream-ca", roots, "--workers", 1, *STILL)
        try:
            assert status_of(proxy, transport="intercepted") == 200
            assert status_of(proxy, transport="intercepted",
                             host="new.test") == 502
            # A pooled connection is not lost with its caller.
            assert status_of(proxy, transport="intercepted") == 200
            shutil.copy(new.ca, roots)
            hang_up(proxy)
            assert status_of(proxy, transport="intercepted") == 502
            proxy.stop()
        finally:
            proxy.kill()


def issuer_of(proxy, ca):
    """Who signed the leaf that a new caller gets; verified by `ca`."""
    with Caller(proxy, "intercepted", ca=ca) as caller:
        return dict(pair for (pair,) in caller.socket.getpeercert()["issuer"])


def test_the_ca_is_read_anew(start_proxy, tmp_path):
    """The CA's key has been seen by somebody: its files are moved away, and
    SIGHUP makes another.  New callers get leaves of that one alone, /ca.pem
    and the bundle have it, and who was connected goes on."""
    proxy = start_proxy(patience=STILL)
    old = tmp_path / "old.pem"
    shutil.copy(proxy.ca, old)
    with Caller(proxy, "intercepted") as connected:
        assert fetches(connected)
        hang_up(proxy)
        assert issuer_of(proxy, old)  # the same as before
        proxy.ca.unlink()
        (proxy.state_dir / "ca-key.pem").unlink()
        hang_up(proxy)
        assert fetches(connected)
    assert proxy.ca.read_text() != old.read_text()
    assert issuer_of(proxy, proxy.ca)
    with pytest.raises(ssl.SSLCertVerificationError):
        issuer_of(proxy, old)
    assert proxy.get("/ca.pem") == proxy.ca.read_text()
    assert proxy.ca.read_text().strip() in proxy.bundle.read_text()


def test_a_terminal_that_closes_ends_nothing(start_proxy):
    """However often, and while exchanges are under way."""
    proxy = start_proxy(patience=STILL)
    with Caller(proxy) as caller:
        for _ in range(5):
            caller.request(PATH)
            proxy.process.send_signal(signal.SIGHUP)
            assert caller.read_head().status == 200
            caller.read(1000)
    assert proxy.process.poll() is None


# ---- what systemd hears ----


@contextlib.contextmanager
def systemd(directory, is_abstract=False):
    """A socket that hears, and the environment that names it."""
    name = str(directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        hearing.bind("\0" + name if is_abstract else name)
        hearing.settimeout(10)
        yield hearing, {"NOTIFY_SOCKET": ("@" if is_abstract else "") + name}


def hear(hearing):
    return dict(line.split("=", 1)
                for line in hearing.recv(4096).decode().split("\n"))


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_hears_the_service_s_life(start_proxy, tmp_path, is_abstract):
    """Type=notify-reload: ready once it listens, reloading and ready again,
    alive while the workers answer, stopping when it begins to drain."""
    with systemd(tmp_path, is_abstract) as (hearing, environment):
        proxy = start_proxy(
            environment={**environment, "WATCHDOG_USEC": "2000000"})
        status = f"listening on {proxy.ready['listen'][0]}"
        assert hear(hearing) == {"READY": "1", "STATUS": status}
        hang_up(proxy)
        told = hear(hearing)
        assert told["RELOADING"] == "1" and int(told["MONOTONIC_USEC"]) > 0
        assert hear(hearing)["READY"] == "1"
        assert hear(hearing) == {"WATCHDOG": "1"}
        proxy.process.send_signal(signal.SIGTERM)
        while told != {"STOPPING": "1"}:
            told = hear(hearing)


def test_exec_leaves_systemd_to_its_command(start_proxy, tmp_path):
    """The command is the service: it says itself when it is ready, and that
    it is alive."""
    with systemd(tmp_path) as (hearing, environment):
        proxy = start_proxy(
            command=("exec",),
            environment={**environment, "WATCHDOG_USEC": "2000000"},
            # So long that a watchdog would have been told.
            child=("--", "sh", "-c",
                   'echo "$NOTIFY_SOCKET" >"$0"; sleep 1.3',
                   tmp_path / "named"))
        assert proxy.process.wait(10) == 0
        hearing.setblocking(False)
        with pytest.raises(BlockingIOError):
            hearing.recv(4096)
    assert (tmp_path / "named").read_text().strip() == \
        environment["NOTIFY_SOCKET"]


class LateOrigin:
    """A TLS origin that has its session tickets come with its first answer,
    once it may give that."""

    def __init__(self, authority, answer):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(authority.leaf, authority.leaf_key)
        self.answer = answer
        self.has_request = threading.Event()
        self.may_answer = threading.Event()

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.tls_port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.may_answer.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(ssl.SSLError):
                    connection.settimeout(10)
                    self._serve(connection)

    def _serve(self, connection):
        heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(heard, said, server_side=True)

        def until_done(act):
            while True:
                with contextlib.suppress(ssl.SSLWantReadError):
                    return act()
                connection.sendall(said.read())
                if not (data := connection.recv(65536)):
                    heard.write_eof()
                heard.write(data)

        until_done(tls.do_handshake)
        while until_done(lambda: tls.read(65536)):
            self.has_request.set()
            self.may_answer.wait(10)
            tls.write(self.answer)
            connection.sendall(said.read())


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_former_trust_ends_with_its_exchange(connection, tmp_path,
                                             tmp_path_factory):
    """The root is taken out while an exchange with its origin is under way:
    neither the connection is used again, nor the session that its ticket,
    which comes only then, could resume."""
    old = Authority(tmp_path_factory.mktemp("old"))
    new = Authority(tmp_path_factory.mktemp("new"))
    roots = tmp_path / "roots.pem"
    shutil.copy(old.ca, roots)
    answer = ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
              f"Connection: {connection}\r\n\r\nok").encode()
    with LateOrigin(old, answer) as origin:
        proxy = Proxy(tmp_path, *resolving(origin), "--upstream-ca", roots,
                      "--workers", 1, *STILL)
        try:
            with Caller(proxy, "intercepted") as caller:
                caller.request("/")
                assert origin.has_request.wait(10)
                shutil.copy(new.ca, roots)
                hang_up(proxy)
                origin.may_answer.set()
                assert caller.read_head().status == 200
                assert caller.read(2) == b"ok"
                assert caller.get("/").status == 502
            proxy.stop()
        finally:
            proxy.kill()
