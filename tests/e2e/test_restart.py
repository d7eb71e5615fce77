# SPDX-License-Identifier: MIT
"""kill -9, at any moment: the next start finds everything it needs, and
nothing that stops it."""

import contextlib
import random
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cast.caller import Caller
from cast.origin import pattern
from cast.proxy import LEAKPROXY, plain_environment, run
from cast.waiting import wait_until

SMALL = "/200/length/1000"
KILLS = 3
FIRST_STARTS = 20
FILES = "ca.pem", "ca-key.pem", "bundle.pem", "truststore.p12"
PASSWORD = "changeit"  # Java's own, of every truststore


# ---- under load ----


def in_every_state(proxy, stack):
    """Callers, each at another stage."""
    def call(transport, **more):
        return stack.enter_context(Caller(proxy, transport, **more))

    for transport in "plain", "intercepted":
        call(transport).fetch(SMALL)
        call(transport).get("/200/later/1000")
        call(transport, window=16384).get("/200/length/2000000")
        call(transport).send(b"GET /half HTTP/1.1\r\nHos")
        half = call(transport)
        half.request("/200/length/1", ("Content-Length", "10"), method="POST")
        half.send(b"hello")
    call("clear").send(b"\x16\x03\x01\x02\x00\x01\x00")
    call("clear").fetch(SMALL)


def work(address_of, must_stop):
    """Fetches and handshakes without a break; the proxy may go at any
    time."""
    while not must_stop.is_set():
        with contextlib.suppress(OSError, EOFError, ValueError):
            with Caller(address_of[0], "intercepted") as caller:
                caller.fetch(SMALL)


def restart(start_proxy, proxy):
    return start_proxy(listen=proxy.ready["listen"][0],
                       admin=proxy.ready["admin"])


def test_killed_under_load(start_proxy):
    """It starts at once on the same ports, with the same CA; who trusted it
    still does, and an old TLS session does no harm."""
    proxy = start_proxy()
    ca = proxy.ca.read_bytes()
    key = (proxy.state_dir / "ca-key.pem").read_bytes()
    address_of, must_stop = [proxy], threading.Event()
    with contextlib.ExitStack() as stack:
        workers = [threading.Thread(target=work, args=(address_of, must_stop))
                   for _ in range(4)]
        for worker in workers:
            worker.start()
        stack.callback(lambda: [worker.join() for worker in workers])
        stack.callback(must_stop.set)
        for _ in range(KILLS):
            in_every_state(proxy, stack)
            before = stack.enter_context(Caller(proxy, "intercepted"))
            before.fetch(SMALL)

            proxy.kill()
            assert "Sanitizer" not in proxy.log
            began = time.monotonic()
            proxy = restart(start_proxy, proxy)
            assert time.monotonic() - began < 5
            address_of[0] = proxy

            assert proxy.ca.read_bytes() == ca
            assert (proxy.state_dir / "ca-key.pem").read_bytes() == key
            with Caller(proxy, "intercepted", resume=before) as caller:
                assert caller.fetch(SMALL) == pattern(1000)
    wait_until(lambda: proxy.get("/readyz"), "ready")


# ---- in the first start ----


def check_whole(directory):
    """Whatever is there under its name is there whole."""
    paths = {name: directory / name for name in FILES}
    there = {name for name, path in paths.items() if path.exists()}
    if {"ca.pem", "ca-key.pem"} <= there:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            paths["ca.pem"], paths["ca-key.pem"])  # and they match
    if "ca-key.pem" in there:
        assert paths["ca-key.pem"].stat().st_mode & 0o777 == 0o600
        assert paths["ca-key.pem"].read_text().endswith(
            "-----END PRIVATE KEY-----\n")
    if "bundle.pem" in there:
        text = paths["bundle.pem"].read_text()
        assert text.count("-----BEGIN") == text.count("-----END")
        assert paths["ca.pem"].read_text().strip() in text
        ssl.create_default_context(cafile=paths["bundle.pem"])
    if "truststore.p12" in there:
        subprocess.run(
            ["openssl", "pkcs12", "-in", paths["truststore.p12"], "-nokeys",
             "-passin", f"pass:{PASSWORD}"], check=True, capture_output=True)
    return there


def start(directory):
    return subprocess.Popen(
        [LEAKPROXY, "serve", "--listen", "127.0.0.1:0", "--admin",
         "127.0.0.1:0", "--workers", "1", "--state-dir", directory],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=plain_environment())


def kill_after(directory, delay_s):
    """Returns what was there already."""
    process = start(directory)
    time.sleep(delay_s)  # the moment is what is tried
    process.kill()
    process.wait()
    there = check_whole(directory)
    done = run("ca", "--state-dir", str(directory))
    assert done.returncode == 0, done.stderr
    # The next start has all of it.
    process = start(directory)
    try:
        wait_until((directory / "truststore.p12").exists, "all is there")
    finally:
        process.kill()
        process.wait()
    assert len(check_whole(directory)) == len(FILES)
    return there


@pytest.fixture
def start_s(tmp_path):
    """How long a first start takes here, until its last file is there."""
    began = time.monotonic()
    process = start(tmp_path / "measured")
    try:
        wait_until((tmp_path / "measured" / "truststore.p12").exists,
                   "a first start", every_s=0.002)
    finally:
        process.kill()
        process.wait()
    return time.monotonic() - began


def test_killed_in_the_first_start(tmp_path, start_s):
    """Wherever it is cut, no half-written file is left under its name, and
    the next start completes it."""
    delays = [start_s * (at + random.random()) / FIRST_STARTS
              for at in range(FIRST_STARTS)]
    with ThreadPoolExecutor(2) as executor:
        played = [executor.submit(kill_after, tmp_path / f"{at}", delay_s)
                  for at, delay_s in enumerate(delays)]
    there = [len(each.result()) for each in played]
    # The cuts were early and late, or this test has tried nothing.
    assert min(there) == 0 and max(there) > 1, there
