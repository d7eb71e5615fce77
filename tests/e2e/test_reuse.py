# SPDX-License-Identifier: MIT
"""The neighbours of a leak: connections that are not used again."""

import json

import pytest

from cast.caller import Caller
from cast.origin import HOST
from cast.waiting import wait_until

SMALL = "/200/length/1000"
MANY = 6


def reuse(proxy):
    return json.loads(proxy.get("/api/reuse"))["reuse"]


def wait_for(proxy, **counts):
    def look():
        [one] = reuse(proxy)
        return all(one[key] == count for key, count in counts.items()) and one

    return wait_until(look, f"{counts}")


def test_one_connection_for_many(start_proxy, transport):
    """As it should be: nothing to say."""
    proxy = start_proxy()
    with Caller(proxy, transport) as caller:
        for _ in range(MANY):
            caller.fetch(SMALL)
        [one] = reuse(proxy)
    scheme, port = ("http", 80) if transport == "plain" else ("https", 443)
    assert one["origin"] == f"{scheme}://{HOST}:{port}"
    assert (one["connections"], one["exchanges"]) == (1, MANY)
    assert one["exchanges_per_connection"] == MANY
    assert "REUSE" not in proxy.report()


def test_one_shot_connections(start_proxy, transport):
    """A new http.Transport for each request: each connection serves one
    exchange, drained, and rests until our probe."""
    proxy = start_proxy()
    tag = ("Leakproxy-Tag", "job=greedy")
    callers = [Caller(proxy, transport) for _ in range(MANY)]
    for caller in callers:
        caller.fetch(SMALL, tag)
    for caller in callers:
        caller.answer_probe()
    one = wait_for(proxy, one_shot=MANY)
    assert one["tags"] == {"job": "greedy"}
    assert "new http.Transport" in one["says"]
    report = " ".join(proxy.report().split())
    assert "REUSE" in report and "job=greedy" in report
    assert proxy.totals()["undrained"] == 0


def test_early_closes(start_proxy, transport):
    """Closed before the end: no leak, and nothing to use again."""
    proxy = start_proxy()
    for _ in range(MANY):
        with Caller(proxy, transport) as caller:
            caller.get("/200/length/3000000")
    one = wait_for(proxy, early_closes=MANY)
    assert "closed before their end" in one["says"]


def test_closed_by_the_caller(start_proxy, transport):
    """Keep-alive is switched off there: their choice, and told as one."""
    proxy = start_proxy()
    for _ in range(MANY):
        with Caller(proxy, transport) as caller:
            caller.fetch(SMALL)
    one = wait_for(proxy, closed_after_one=MANY)
    assert "keep-alive is switched off" in one["says"]


@pytest.mark.parametrize("rest, half_sent", [(b"", MANY), (b"x" * 90, 0)])
def test_half_sent_requests(start_proxy, origin, transport, rest, half_sent):
    """The response is complete and read, the request is not, and sits; not to
    be taken for a caller that is a little late with it."""
    def serve(connection, number):
        reader = connection.makefile("rb")
        while reader.readline() not in (b"\r\n", b""):
            pass
        connection.sendall(b"HTTP/1.1 413 Too Large\r\n"
                           b"Content-Length: 4\r\n\r\nbig\n")
        reader.read()

    origin.serve_instead(serve)
    proxy = start_proxy()
    callers = [Caller(proxy, transport) for _ in range(MANY)]
    for caller in callers:
        caller.request("/refused", ("Content-Length", 100), method="PUT")
        caller.send(b"0123456789")
        assert caller.read(caller.read_head().length) == b"big\n"
    for caller in callers:
        caller.send(rest)
        if rest:
            assert caller.read_to_end() == b""
        caller.close()
    wait_until(lambda: len(proxy.connections(state="closed")) == MANY,
               "all are closed")
    wait_for(proxy, half_sent=half_sent)
