# SPDX-License-Identifier: MIT
"""TLS on both legs: versions, names, certificates, resumption, ends."""

import contextlib
import os
import socket
import ssl
import stat
import subprocess
from types import SimpleNamespace

import pytest

from cast.caller import Caller
from cast.minting import mint
from cast.proxy import Proxy, plain_environment, run
from cast.tls import (ANSWER, SAME, TlsCaller, TlsOrigin, answer_and_close,
                      client_context, say_goodbye, server_context)
from cast.waiting import wait_until

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
                  "--resolve", "*:*:127.0.0.1", "--workers", "1")
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


@pytest.mark.parametrize("callers", VERSIONS)
@pytest.mark.parametrize("origins", VERSIONS)
def test_versions_and_resumption(house, pki, callers, origins):
    """Each leg has a version of its own, and takes up its last session: the
    second handshake is a short one, on both."""
    context = pki.context(pki.leaf, version=VERSIONS[origins])
    trust = client_context(house, VERSIONS[callers])
    session = None
    with TlsOrigin(context, answer_and_close) as origin:
        for number in range(3):
            with TlsCaller(house, "origin.test", origin.port, context=trust,
                           session=session) as caller:
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
