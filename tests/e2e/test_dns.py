# SPDX-License-Identifier: MIT
"""Names, as a real resolver has them: dnsmasq in a network namespace of our
own, where port 53 and /etc/resolv.conf are ours.

The whole module runs inside it: the callers, the origins, the proxy."""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from cast import netns
from cast.caller import Caller
from cast.origin import pattern
from cast.waiting import wait_until
from test_errors import check_refusal

SETTINGS = Path("/etc/netns") / netns.NAME
METADATA = "169.254.169.254"
CHAIN = 24

# Its end is the connection's, so that the next request dials anew.
ONCE = "/200/eof/1000"

HOSTS = {
    "good.test": ["127.0.0.1"],
    "short.corp.test": ["127.0.0.1"],
    "meta.test": [METADATA],
    "mapped.test": [f"::ffff:{METADATA}"],
    "linklocal.test": ["fe80::1"],
    "meta6.test": ["fe80::1", METADATA],
    # Only one of them listens; dnsmasq rotates them.
    "several.test": ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"],
    "mixed.test": [METADATA, "127.0.0.1"],
    f"chain{CHAIN}.test": ["127.0.0.1"],
}


@pytest.fixture(scope="module", autouse=True)
def namespace():
    if not shutil.which("dnsmasq"):
        pytest.skip("dnsmasq (dnsmasq-base) is needed")
    try:
        SETTINGS.mkdir(parents=True)
        (SETTINGS / "resolv.conf").write_text(
            "nameserver 127.0.0.1\nsearch corp.test\n"
            "options timeout:1 attempts:1\n")
        with netns.entered():
            # It exists here, so that whoever is let through would be seen.
            netns.ip("addr", "add", f"{METADATA}/32", "dev", "lo")
            yield
    finally:
        shutil.rmtree(SETTINGS, ignore_errors=True)


class Resolver:
    """dnsmasq; what it says can be changed."""

    def __init__(self, directory):
        self.hosts = directory / "hosts"
        self.write(HOSTS)
        chain = [f"--cname=chain{at}.test,chain{at + 1}.test"
                 for at in range(CHAIN)]
        self.process = subprocess.Popen(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
             "--user=root", "--no-resolv", "--no-hosts", "--local=/test/",
             "--listen-address=127.0.0.1", "--bind-interfaces",
             "--pid-file=", f"--addn-hosts={self.hosts}", *chain],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_until(self.answers, "dnsmasq answers")

    @staticmethod
    def answers():
        """Whether it has an address for good.test."""
        question = (b"\0\1\1\0\0\1\0\0\0\0\0\0"
                    b"\4good\4test\0\0\1\0\1")
        with socket.socket(type=socket.SOCK_DGRAM) as asks:
            asks.settimeout(0.2)
            asks.connect(("127.0.0.1", 53))
            with contextlib.suppress(OSError):
                asks.send(question)
                return asks.recv(512).endswith(b"\x7f\0\0\1")

    def write(self, hosts):
        self.hosts.write_text("".join(
            f"{address} {name}\n" for name, addresses in hosts.items()
            for address in addresses))

    def change(self, **hosts):
        """dnsmasq reads its hosts again, whose TTL is 0."""
        self.write(HOSTS | {f"{name}.test": addresses
                            for name, addresses in hosts.items()})
        self.process.send_signal(signal.SIGHUP)

    @contextlib.contextmanager
    def silent(self):
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def resolver(namespace, tmp_path_factory):
    directory = tmp_path_factory.mktemp("dns")
    with contextlib.closing(Resolver(directory)) as resolver:
        yield resolver


@pytest.fixture
def proxy(start_proxy, resolver):
    return start_proxy("--connect-timeout", "1s",
                       prefix=("ip", "netns", "exec", netns.NAME))


@pytest.fixture
def metadata(origin):
    """Listens where nobody may be led to, on the origin's port."""
    with socket.create_server((METADATA, origin.port)) as listener:
        listener.setblocking(False)
        yield listener
        with pytest.raises(BlockingIOError):
            listener.accept()


def ask(proxy, origin, host, path=ONCE):
    """Returns the status."""
    with Caller(proxy, host=host, port=origin.port) as caller:
        response = caller.get(path)
        if response.status == 200:
            assert caller.read_chunked()[0] == pattern(1000)
        return response.status


def test_a_name_is_resolved(proxy, origin):
    """The usual case, and the rest of this file rests on it."""
    assert ask(proxy, origin, "good.test") == 200


def test_a_name_that_does_not_exist(proxy, origin):
    """502, and it is the name."""
    with Caller(proxy, host="nobody.test", port=origin.port) as caller:
        check_refusal(caller, caller.get("/"), 502, "dns_error")


def test_a_resolver_that_does_not_answer(proxy, origin, resolver):
    """504 within --connect-timeout, and as soon as it answers again, all is
    well."""
    assert ask(proxy, origin, "good.test") == 200
    with resolver.silent():
        began = time.monotonic()
        with Caller(proxy, host="good.test", port=origin.port) as caller:
            check_refusal(caller, caller.get("/"), 504, "dns_timeout")
        assert time.monotonic() - began < 3
    wait_until(lambda: ask(proxy, origin, "good.test") == 200, "it is well")


@pytest.mark.parametrize("name", [
    "meta.test", "mapped.test", "linklocal.test", "meta6.test"])
def test_a_name_that_leads_astray(proxy, origin, metadata, name):
    """403: link-local, in each spelling that DNS has for it."""
    with Caller(proxy, host=name, port=origin.port) as caller:
        check_refusal(caller, caller.get("/"), 403,
                      "destination_ip_prohibited")


def test_rebinding(proxy, origin, resolver, metadata):
    """A name that was good is led astray between two requests: served first,
    refused then, and never connected to."""
    resolver.change(rebound=["127.0.0.1"])
    wait_until(lambda: ask(proxy, origin, "rebound.test") == 200, "served")
    resolver.change(rebound=[METADATA])
    statuses = []

    def is_refused():
        statuses.append(ask(proxy, origin, "rebound.test"))
        return statuses[-1] == 403

    wait_until(is_refused, "refused")
    assert set(statuses) <= {200, 403}, statuses


def test_of_several_addresses_one_serves(proxy, origin):
    """Whichever comes first, the one that listens is found."""
    for _ in range(8):
        assert ask(proxy, origin, "several.test") == 200


def test_a_prohibited_address_among_good_ones(proxy, origin, metadata):
    """Is passed over."""
    for _ in range(4):
        assert ask(proxy, origin, "mixed.test") == 200


@pytest.mark.parametrize("name", ["short", "short.corp.test", "good.test."])
def test_spellings_of_a_name(proxy, origin, name):
    """A search domain completes it, a dot ends it."""
    assert ask(proxy, origin, name) == 200


def test_a_chain_of_names_is_bounded(proxy, origin):
    """A long chain of CNAMEs leads somewhere or nowhere, but soon."""
    began = time.monotonic()
    assert ask(proxy, origin, "chain0.test") in (200, 502, 504)
    assert time.monotonic() - began < 3
    assert ask(proxy, origin, f"chain{CHAIN - 4}.test") == 200
