# SPDX-License-Identifier: MIT
"""Mistakes: one line that names what is wrong and what to do."""

import os
import socket
import ssl
import subprocess

import pytest

from cast.caller import Caller
from cast.origin import HOST
from cast.proxy import LEAKPROXY, plain_environment, run, unused_port
from cast.waiting import wait_until

SMALL = "/200/length/1000"


# ---- the command line ----


@pytest.mark.parametrize("arguments, names", [
    (["serve", "--frobnicate"], "--frobnicate"),
    (["serve", "--stal-after", "1s"], "--stall-after"),
    (["serve", "--stall-after", "soon"], "--stall-after"),
    (["serve", "--stall-after", "5"], "--stall-after"),
    (["serve", "--probe-grace", "0s"], "--probe-grace"),
    (["serve", "--stall-after"], "--stall-after"),
    (["serve", "--workers", "0"], "--workers"),
    (["serve", "--listen", "nowhere"], "--listen"),
    (["serve", "--admin", "127.0.0.1:http"], "--admin"),
    (["serve", "--resolve", "origin.test"], "--resolve"),
    (["serve", "--allow", "10.0.0.0/99"], "--allow"),
    (["serve", "--max-header-bytes", "1"], "--max-header-bytes"),
    (["serve", "--upstream-ca", "/no/such/file"], "--upstream-ca"),
    (["serve", "--ready-fd", "99"], "--ready-fd"),
    (["serve", "--leak-exit-code", "3"], "--leak-exit-code"),
    (["serve", "stray"], "stray"),
    (["exec"], "exec"),
    (["report", "--admin", "127.0.0.1:1"], "127.0.0.1:1"),
    (["sevre"], "serve"),
    ([], "--help"),
])
def test_a_mistake_is_one_line(arguments, names, tmp_path):
    """Status 2, and one line that names the option and the remedy."""
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert names in done.stderr
    assert done.stderr.startswith("leakproxy: ")
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_mistake_in_the_environment_is_one_line():
    """LEAKPROXY_* is as good as an option, and its mistakes as clear."""
    environment = plain_environment(LEAKPROXY_STALL_AFTER="soon")
    done = subprocess.run([LEAKPROXY, "serve"], env=environment, text=True,
                          capture_output=True, timeout=10)
    assert done.returncode == 2
    assert "LEAKPROXY_STALL_AFTER" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("option", ["--listen", "--admin"])
def test_a_port_in_use_is_one_line(option, tmp_path):
    """Whoever starts it twice learns which address, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        other = "--admin" if option == "--listen" else "--listen"
        done = run("serve", option, address, other, "127.0.0.1:0",
                   "--state-dir", str(tmp_path))
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if address in line]
    assert len(lines) == 1 and option in lines[0], done.stderr


@pytest.mark.parametrize("file, content", [
    ("ca-key.pem", "no key"), ("ca.pem", "no certificate")])
def test_a_broken_authority_is_one_line(tmp_path, file, content):
    """A damaged CA file is never overwritten; the line says which it is."""
    assert run("ca", "--state-dir", str(tmp_path)).returncode == 0
    (tmp_path / file).write_text(content)
    done = run("serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
               "--state-dir", str(tmp_path))
    assert done.returncode == 2
    assert str(tmp_path / file) in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert (tmp_path / file).read_text() == content


@pytest.mark.parametrize("arguments", [
    ["--help"], ["--version"], ["serve", "--help"], ["exec", "--help"],
    ["report", "--help"], ["ca", "--help"]])
def test_help_is_everywhere(arguments):
    """Asked for, on stdout, status 0."""
    done = run(*arguments)
    assert done.returncode == 0
    assert done.stdout and done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 80


# ---- what the proxy refuses ----


def check_refusal(caller, response, status, token):
    """Proxy-Status for programs, one line of text for people."""
    assert response.status == status
    assert f"error={token}" in response.value("Proxy-Status")
    assert response.value("Content-Type").startswith("text/plain")
    text = caller.read(response.length)
    assert text.startswith(b"leakproxy: ") and text.count(b"\n") == 1


@pytest.mark.parametrize("request_line, fields", [
    ("GET / HTTP/1.1", ["Host: origin.test"]),
    ("GET http://origin.test/ HTTP/1.1", []),
    ("GET http://origin.test/ HTTP/1.1", ["Host: other.test"]),
    ("GET http://origin.test/ HTTP/1.1", ["Host: origin.test"] * 2),
    ("GET http://origin.test/ HTTP/1.1", ["Host : origin.test"]),
    ("GET http://origin.test/ HTTP/1.1",
     ["Host: origin.test", "X: a", " folded"]),
    ("GET http://origin.test/ HTTP/1.1", ["Host: origin.test", "X: a\rb"]),
    ("GET http://origin.test/ HTTP/1.1", ["Host: origin.test", "X: a\0b"]),
    ("GET ftp://origin.test/ HTTP/1.1", ["Host: origin.test"]),
    ("POST http://origin.test/ HTTP/1.1",
     ["Host: origin.test", "Content-Length: 1",
      "Transfer-Encoding: chunked"]),
    ("POST http://origin.test/ HTTP/1.1",
     ["Host: origin.test", "Content-Length: 1", "Content-Length: 2"]),
    ("CONNECT origin.test HTTP/1.1", ["Host: origin.test"]),
    ("nonsense", []),
])
def test_bad_requests(proxy, origin, request_line, fields):
    """400, and nothing of it reaches an origin."""
    with Caller(proxy) as caller:
        caller.send("\r\n".join([request_line, *fields, "", ""]).encode())
        check_refusal(caller, caller.read_head(), 400, "http_request_error")
    assert origin.requests == []


def test_a_header_that_is_too_long(start_proxy):
    """431, with the limit's name."""
    proxy = start_proxy("--max-header-bytes", "2KiB")
    with Caller(proxy) as caller:
        response = caller.get(SMALL, ("X-Long", "x" * 3000))
        assert response.status == 431
        assert b"--max-header-bytes" in caller.read(response.length)


@pytest.mark.parametrize("target", ["169.254.169.254:80", "admin"])
def test_what_is_not_proxied_to(proxy, target):
    """403: cloud metadata, and our own admin port."""
    host, port = proxy.admin if target == "admin" else target.split(":")
    with Caller(proxy, host=host, port=int(port)) as caller:
        check_refusal(caller, caller.get("/"), 403,
                      "destination_ip_prohibited")


def test_who_may_not_use_it(start_proxy):
    """403 for callers outside --allow."""
    proxy = start_proxy("--allow", "10.0.0.0/8")
    with Caller(proxy) as caller:
        assert caller.get(SMALL).status == 403


def test_an_origin_that_refuses(proxy, transport):
    """502: nobody listens there."""
    port = unused_port()
    with Caller(proxy, transport, host="127.0.0.1", port=port) as caller:
        check_refusal(caller, caller.get(SMALL), 502, "connection_refused")
    exchange = proxy.wait_for(SMALL, "drained", "abandoned", "open")
    assert exchange["error"] == "connection_refused"


def test_an_origin_that_is_not_trusted(start_proxy, origin):
    """502: its certificate is for another name.  The text names the option
    that mends it."""
    proxy = start_proxy("--resolve",
                        f"stranger.test:443:127.0.0.1:{origin.tls_port}")
    with Caller(proxy, "intercepted", host="stranger.test") as caller:
        response = caller.get(SMALL)
        assert response.status == 502
        assert "error=tls_certificate_error" in response.value("Proxy-Status")
        assert b"--upstream-ca" in caller.read(response.length)
    assert origin.requests == []


def test_an_origin_that_does_not_answer(start_proxy):
    """504: its queue is full, so that no connection comes about."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        proxy = start_proxy("--connect-timeout", "300ms")
        with Caller(proxy, host="127.0.0.1", port=port) as caller:
            check_refusal(caller, caller.get("/"), 504, "connection_timeout")
        for each in waiting:
            each.close()


@pytest.mark.parametrize("answer", [
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"
    b"\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
    b"",
])
def test_an_origin_that_speaks_otherwise(call, origin, answer):
    """502: what it said is no response that can be passed on."""
    def speak(exchange):
        exchange.send(answer)
        exchange.must_close = True

    origin.script["/odd"] = speak
    response = call().get("/odd")
    assert response.status == 502
    assert "leakproxy" in response.value("Proxy-Status")


# ---- who does not trust us ----


def test_distrust_is_told(proxy):
    """A caller without our CA ends the handshake: it is shown as what it is,
    and the report says what to set."""
    with Caller(proxy, "clear", port=443) as caller:
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(
                caller.socket, server_hostname=HOST)

    def refused():
        return [connection for connection in proxy.connections()
                if connection["trust_refused"]]

    [connection] = wait_until(refused, "the refusal is seen")
    assert connection["trust_refused"] == "unknown_ca"
    assert connection["target"] == f"{HOST}:443"
    assert connection["transport"] == "intercepted"
    report = proxy.report()
    assert "does not trust the CA" in " ".join(report.split())
    assert "SSL_CERT_FILE" in report
    assert proxy.metric('leakproxy_tls_handshakes_total{side="client",'
                        'result="refused"}') == 1


# ---- what the admin refuses ----


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/nowhere", 404),
    ("POST", "/api/leaks", 405),
    ("DELETE", "/metrics", 405),
    ("GET", "/api/exchanges?verdict=guilty", 400),
    ("GET", "/api/exchanges?verdcit=open", 400),
    ("GET", "/api/exchanges?limit=none", 400),
    ("GET", "/api/connections?state=asleep", 400),
    ("GET", "/report?columns=7", 400),
    ("GET", "/api/exchanges/c9x9", 404),
])
def test_the_admin_says_why_not(proxy, method, path, status):
    """404, 405, 400 with a reason; never an empty answer."""
    got, _, text = proxy.ask(path, method)
    assert got == status
    assert len(text) > 10


def test_rebinding_is_refused(proxy):
    """A page of a stranger's name that resolves to us may not read."""
    with socket.create_connection(proxy.admin) as connection:
        connection.sendall(b"GET /api/leaks HTTP/1.1\r\n"
                           b"Host: evil.test\r\n\r\n")
        assert connection.recv(100).split()[1] in (b"400", b"403", b"421")


def test_health(proxy):
    """For whoever supervises it."""
    assert proxy.get("/healthz")
    assert proxy.get("/readyz")
    assert proxy.get("/ca.pem") == proxy.ca.read_text()
    assert os.stat(proxy.state_dir / "ca-key.pem").st_mode & 0o777 == 0o600
