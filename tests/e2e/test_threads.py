# SPDX-License-Identifier: MIT
"""Workers, admin and shared tables at once.  Says little by itself: it is the
load under which `make tsan` lets ThreadSanitizer look."""

import concurrent.futures
import json
import threading

import pytest

from cast.caller import Caller

CALLERS = 12
ROUNDS = 15
SMALL = "/200/length/1000"

pytestmark = pytest.mark.threads


def drain_many(proxy, transport):
    """One caller that keeps its connection, and one connection a request."""
    with Caller(proxy, transport) as caller:
        for _ in range(ROUNDS):
            caller.fetch(SMALL)
    for _ in range(ROUNDS):
        with Caller(proxy, transport) as caller:
            caller.fetch(SMALL)


def look_until(is_over, proxy):
    while not is_over.is_set():
        for path in "/report", "/metrics", "/api/leaks":
            proxy.get(path)
        proxy.exchanges()
        proxy.connections()


def test_many_callers_and_readers(start_proxy, tmp_path):
    """Four workers drain and hold for many callers while reports are read and
    all of it is captured: every count is right in the end, and the proxy ends
    well."""
    captures = tmp_path / "captures"
    proxy = start_proxy("--workers", 4, "--capture-dir", captures)
    is_over = threading.Event()
    held = [Caller(proxy, transport) for transport in
            ("plain", "intercepted") * 4]
    for caller in held:
        caller.get(SMALL)
    with concurrent.futures.ThreadPoolExecutor(CALLERS + 1) as pool:
        reader = pool.submit(look_until, is_over, proxy)
        callers = [pool.submit(drain_many, proxy, transport) for transport in
                   ("plain", "intercepted") * (CALLERS // 2)]
        try:
            for caller in callers:
                caller.result(timeout=120)
        finally:
            is_over.set()
        reader.result(timeout=60)
    totals = proxy.check_totals()
    assert totals["exchanges"] == CALLERS * 2 * ROUNDS + len(held)
    assert totals["drained"] == CALLERS * 2 * ROUNDS
    for caller in held:
        caller.close()
    proxy.stop()
    ids = {json.loads(line)["_id"] for path in captures.glob("*.ndjson")
           for line in path.read_text().splitlines()}
    assert len(ids) == totals["exchanges"]

