# SPDX-License-Identifier: MIT
"""Long bodies go from socket to socket without being looked at, where nobody
has to.  What is told of them must be as exact as if every byte had been seen,
and what they cost must not grow with those who do not read."""

import os

import pytest

from cast.caller import Caller
from cast.origin import pattern
from cast.proxy import established
from cast.waiting import wait_until

MIB = 1 << 20
PROMISED = 16 * MIB
STALLED_CALLERS = 40
STALLED_BYTES = 2 * MIB

# In our kernel for each of them, both legs: what is on its way to the caller,
# and what has come of the origin meanwhile.
STALLED_SKMEM_BYTES = 160 << 10

# Descriptors: the admin's connections, and an idle upstream.
OTHERS = 8


@pytest.fixture(params=["plain", "intercepted", "clear"])
def transport(request):
    return request.param


def descriptors(proxy):
    return len(os.listdir(f"/proc/{proxy.pid}/fd"))


def recorded(proxy, path):
    exchange = proxy.exchange(path)
    return exchange["body_bytes"], exchange["verdict"]


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("sent", [5 * MIB + 4321, PROMISED - 1])
def test_an_origin_that_breaks_off(connect, shared, wire, transport, sent,
                                   how):
    """16 MiB promised, less sent: the caller gets just that and no clean end,
    and the record says how much it was."""
    body = pattern(sent)

    def serve(line):
        line.read_head()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % PROMISED)
        line.send(body)
        if how == "reset":
            wait_until(lambda: got >= sent, "all of it is read")
            line.reset()

    wire.serve = serve
    path = f"/broken-{transport}-{sent}-{how}"
    caller = connect()
    caller.get(path)
    got = 0
    while got < sent:
        part = caller.read(min(MIB, sent - got))
        assert part == body[got:got + len(part)]
        got += len(part)
    assert caller.read_to_end() == b""
    caller.close()
    wait_until(lambda: recorded(shared[0], path)[0] == sent,
               "the record has it all")


def test_a_surplus_behind_a_long_body(connect, wire, transport):
    """An origin sends more than it promised, and the next caller's answer is
    not that."""
    body = pattern(4 * MIB)

    def serve(line):
        while line.read_head():
            line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
                      % len(body) + body +
                      b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")

    wire.serve = serve
    for _ in range(3):
        caller = connect()
        response = caller.get("/surplus")
        assert caller.read(response.length) == body
        response = caller.get("/next")
        assert response.length == len(body)
        caller.close()


def test_one_connection_after_another_body(connect, wire, transport):
    """Long and short bodies take turns on the same connection."""
    sizes = [2 * MIB, 3, 65536 + 1, MIB, 0, 5 * MIB + 1]

    def serve(line):
        for size in sizes * 2:
            line.read_head()
            line.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            line.send(pattern(size))

    wire.serve = serve
    caller = connect()
    for size in sizes * 2:
        response = caller.get("/turns")
        assert caller.read(response.length) == pattern(size)


def skmem_bytes(connections):
    """What the kernel holds for each, to read and to send."""
    for line in connections:
        fields = dict((item[:1], item[1:]) for item in
                      line.split("skmem:(")[1].split(")")[0].split(",")
                      if item[1:].isdigit())
        yield int(fields["r"]) + int(fields["w"])


@pytest.mark.parametrize("transport", ["plain", "intercepted"])
def test_callers_that_never_read_cost_little(start_proxy, origin, transport):
    """Many callers ask for 2 MiB and never read: each is found, the origins
    keep their bodies, and when the callers go, so does all they had."""
    proxy = start_proxy()
    with Caller(proxy, transport) as caller:
        caller.fetch("/200/length/1000")
    before = descriptors(proxy)
    callers = []
    for number in range(STALLED_CALLERS):
        callers.append(Caller(proxy, transport))
        callers[-1].get(f"/n{number}/200/length/{STALLED_BYTES}")
    wait_until(lambda: proxy.totals()["undrained"] == STALLED_CALLERS,
               "each is found")
    connections = established(proxy.pid, "-m")
    assert len(connections) >= 2 * STALLED_CALLERS
    assert sum(skmem_bytes(connections)) < STALLED_CALLERS * STALLED_SKMEM_BYTES
    assert descriptors(proxy) <= before + 2 * STALLED_CALLERS + OTHERS
    for caller in callers:
        caller.close()
    wait_until(lambda: descriptors(proxy) <= before + OTHERS, "all of it is gone")
