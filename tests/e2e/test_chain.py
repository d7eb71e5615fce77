# SPDX-License-Identifier: MIT
"""Another proxy behind us: the only way out of many networks."""

import contextlib
import os
import socket

import pytest

from cast.caller import Caller
from cast.origin import HOST, pattern
from cast.proxy import Proxy, trusting, unused_port
from cast.tinyproxy import Tinyproxy

SMALL = "/200/length/1000"

# tinyproxy looks names up itself; the origin's certificate has the address.
LOCAL = "127.0.0.1"


@pytest.fixture
def start_tinyproxy(tmp_path, origin):
    with contextlib.ExitStack() as stack:
        def start(**more):
            return stack.enter_context(contextlib.closing(
                Tinyproxy(tmp_path, [origin.port, origin.tls_port], **more)))
        yield start


def port_of(origin, transport):
    return origin.port if transport == "plain" else origin.tls_port


def caller_of(proxy, origin, transport, **more):
    return Caller(proxy, transport, host=LOCAL,
                  port=port_of(origin, transport), **more)


def test_all_goes_through_it(start_proxy, start_tinyproxy, origin, transport):
    """Plain requests are sent to it whole, TLS goes through its CONNECT; the
    origin sees both proxies."""
    tinyproxy = start_tinyproxy()
    proxy = start_proxy("--upstream-proxy", tinyproxy.url)
    with caller_of(proxy, origin, transport) as caller:
        assert caller.fetch(SMALL + "?a=%20b") == pattern(1000)
    [line] = tinyproxy.requests()
    [request] = origin.requests
    assert request.target == SMALL + "?a=%20b"
    if transport == "plain":
        assert line == (f"GET http://{LOCAL}:{origin.port}{SMALL}?a=%20b "
                        "HTTP/1.1")
        assert "tinyproxy" in ", ".join(request.values("Via"))
    else:
        assert line == f"CONNECT {LOCAL}:{origin.tls_port} HTTP/1.1"
    exchange = proxy.exchange(SMALL + "?a=%20b")
    assert exchange["url"].startswith(
        f"http{'s' * (transport != 'plain')}://{LOCAL}:")


def test_a_tunnel_goes_through_it(start_proxy, start_tinyproxy, origin,
                                  authority):
    """What is passed through opaquely asks it for a CONNECT too."""
    tinyproxy = start_tinyproxy()
    proxy = start_proxy("--upstream-proxy", tinyproxy.url,
                        "--passthrough", "*")
    with caller_of(proxy, origin, "tunnel", ca=authority.ca) as caller:
        assert caller.fetch(SMALL) == pattern(1000)
    assert tinyproxy.requests() == [
        f"CONNECT {LOCAL}:{origin.tls_port} HTTP/1.1"]


def test_credentials(start_proxy, start_tinyproxy, origin, transport):
    """It wants a password: ours are sent to it, and not to the origin."""
    tinyproxy = start_tinyproxy(wants_credentials=True)
    proxy = start_proxy("--upstream-proxy", tinyproxy.url_with_credentials)
    with caller_of(proxy, origin, transport) as caller:
        assert caller.fetch(SMALL) == pattern(1000)
    assert origin.requests[0].values("Proxy-Authorization") == []
    assert "secret" not in proxy.log


def test_without_credentials(start_proxy, start_tinyproxy, origin, transport):
    """Its 407 is our business: the caller gets 502, and is told what to set;
    it is never asked for a password that it does not have."""
    tinyproxy = start_tinyproxy(wants_credentials=True)
    proxy = start_proxy("--upstream-proxy", tinyproxy.url)
    with caller_of(proxy, origin, transport) as caller:
        response = caller.get(SMALL)
        assert response.status == 502
        assert "destination_unavailable" in response.value("Proxy-Status")
        assert b"--upstream-proxy http://user" in caller.read(response.length)
        assert response.values("Proxy-Authenticate") == []
    assert origin.requests == []


def test_it_refuses_the_tunnel(start_proxy, start_tinyproxy, transport):
    """Its own rules: the caller learns who refused, and how."""
    tinyproxy = start_tinyproxy()
    proxy = start_proxy("--upstream-proxy", tinyproxy.url)
    with Caller(proxy, "intercepted", host=LOCAL,
                port=unused_port()) as caller:
        response = caller.get(SMALL)
        assert response.status == 502
        text = caller.read(response.length).decode()
        assert f":{tinyproxy.port} answered 403" in text


@pytest.mark.parametrize("answer", [
    b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
    b"HTTP/1.1 " + b"2" * 20000])
def test_it_speaks_otherwise(start_proxy, answer):
    """What is no proxy is told apart from the origin."""
    with socket.create_server((LOCAL, 0)) as server:
        port = server.getsockname()[1]
        proxy = start_proxy("--upstream-proxy", f"http://{LOCAL}:{port}")
        with Caller(proxy, "intercepted") as caller:
            caller.request(SMALL)
            peer, _ = server.accept()
            with peer:
                assert peer.recv(10000).startswith(b"CONNECT origin.test:443 ")
                peer.sendall(answer)
                peer.shutdown(socket.SHUT_WR)
                response = caller.read_head()
                assert response.status == 502
                assert b"upstream proxy" in caller.read(response.length)


def test_interim_answers_to_connect(start_proxy, origin):
    """1xx before the 200, and the origin's first bytes right behind it."""
    with socket.create_server((LOCAL, 0)) as server:
        port = server.getsockname()[1]
        proxy = start_proxy("--upstream-proxy", f"http://{LOCAL}:{port}",
                            "--passthrough", "banner.test")
        caller = Caller.__new__(Caller)
        with socket.create_connection(proxy.address) as connection:
            connection.settimeout(10)
            connection.sendall(b"CONNECT banner.test:22 HTTP/1.1\r\n"
                               b"Host: banner.test:22\r\n\r\n")
            peer, _ = server.accept()
            with peer:
                peer.recv(10000)
                peer.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n"
                             b"HTTP/1.1 200 OK\r\n\r\nSSH-2.0-banner\r\n")
                caller.socket = connection
                assert caller.read_head().status == 200
                assert caller.read(16) == b"SSH-2.0-banner\r\n"


def test_it_cannot_be_reached(start_proxy, transport):
    """502, and the text names it: it is not the origin that is down."""
    port = unused_port()
    proxy = start_proxy("--upstream-proxy", f"http://{LOCAL}:{port}")
    with Caller(proxy, transport) as caller:
        response = caller.get(SMALL)
        assert response.status == 502
        assert "error=connection_refused" in response.value("Proxy-Status")
        assert f"upstream proxy http://{LOCAL}:{port}" in \
            caller.read(response.length).decode()


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy(tmp_path, origin, authority, transport, name):
    """What NO_PROXY names is reached straight."""
    with contextlib.closing(Tinyproxy(tmp_path, [])) as tinyproxy:
        environment = {name: "elsewhere.test,.test"}
        proxy = Proxy(tmp_path, "--resolve",
                      f"{HOST}:80:127.0.0.1:{origin.port}", "--resolve",
                      f"{HOST}:443:127.0.0.1:{origin.tls_port}",
                      *trusting(authority), "--upstream-proxy", tinyproxy.url,
                      environment=environment)
        try:
            with Caller(proxy, transport) as caller:
                assert caller.fetch(SMALL) == pattern(1000)
            proxy.stop()
        finally:
            proxy.kill()
        assert tinyproxy.requests() == []


def test_two_leakproxies(tmp_path, start_proxy, origin, transport):
    """A chain of our own kind is no loop; both see the exchange."""
    (tmp_path / "second").mkdir()
    second = start_proxy("--allow-destination", "127.0.0.1")
    port = second.address[1]
    bundle = second.ca  # the second takes the first's TLS apart as well
    first = Proxy(tmp_path / "second", "--upstream-proxy",
                  f"http://{LOCAL}:{port}", "--upstream-ca", bundle)
    try:
        with Caller(first, transport) as caller:
            assert caller.fetch(SMALL) == pattern(1000)
        assert first.exchange(SMALL)["status"] == 200
        assert second.exchange(SMALL)["status"] == 200
        first.stop()
    finally:
        first.kill()
    [request] = origin.requests
    assert ", ".join(request.values("Via")).count("leakproxy-") == 2


@pytest.mark.parametrize("host", ["169.254.169.254", "localhost",
                                  "2852039166", "0xa9fea9fe"])
def test_what_it_may_not_be_asked_for(start_proxy, start_tinyproxy, host):
    """The other proxy may be on this machine: what we would not connect to,
    we do not ask it to either."""
    tinyproxy = start_tinyproxy()
    proxy = start_proxy("--upstream-proxy", tinyproxy.url)
    port = proxy.admin[1] if host == "localhost" else 80
    with Caller(proxy, host=host, port=port) as caller:
        response = caller.get("/")
        assert response.status == 403
        assert "destination_ip_prohibited" in response.value("Proxy-Status")
    assert tinyproxy.requests() == []


def test_a_loop_is_refused(start_proxy):
    """A proxy that is its own upstream would go round for ever."""
    port = unused_port()
    proxy = start_proxy("--listen", f"{LOCAL}:{port}",
                        "--upstream-proxy", f"http://{LOCAL}:{port}")
    with Caller(proxy) as caller:
        assert caller.get(SMALL).status == 403


def test_its_url_is_checked(tmp_path):
    """A mistake is one line, and shows no password."""
    from cast.proxy import run
    done = run("serve", "--upstream-proxy", "https://joe:secret@proxy.test",
               cwd=tmp_path)
    assert done.returncode == 2
    assert "--upstream-proxy" in done.stderr
    assert "secret" not in done.stderr
    assert os.linesep not in done.stderr.strip()
