# SPDX-License-Identifier: MIT
"""A body travels in a segment of its own, so that it can be seen unread; but
not where all the last ones of its kind were drained, for that is a write more.
What that costs in evidence is told by a probe."""

import socket
import struct
import threading

import pytest

from cast.origin import pattern

SEGMENT_PATH = "/kind"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
BODY = pattern(1000)
TRUSTED = 40  # of which none was held
DATA_SEGS_IN_AT = 152  # in struct tcp_info


def segments(caller):
    """How many segments with data have come."""
    info = caller.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("I", info, DATA_SEGS_IN_AT)[0]


def segments_of_one(caller):
    before = segments(caller)
    assert caller.fetch(SEGMENT_PATH) == BODY
    return segments(caller) - before


@pytest.fixture
def kind(origin):
    """Answers by one write."""
    origin.script[SEGMENT_PATH] = lambda exchange: exchange.send(HEAD + BODY)


@pytest.fixture
def trusted(kind, call):
    """A caller of which nothing is suspected."""
    caller = call()
    for _ in range(TRUSTED):
        caller.fetch(SEGMENT_PATH)
    return caller


def test_two_segments_until_it_is_trusted(kind, call):
    caller = call()
    caller.fetch(SEGMENT_PATH)  # and what TLS has to say at first
    assert [segments_of_one(caller) for _ in range(4)] == [2] * 4
    for _ in range(TRUSTED):
        caller.fetch(SEGMENT_PATH)
    assert [segments_of_one(caller) for _ in range(4)] == [1] * 4
    # Another kind has to earn it.
    caller.fetch("/404/length/1000")
    before = segments(caller)
    caller.fetch("/404/length/1000")
    assert segments(caller) - before == 2


def test_a_head_does_not_wait_for_a_late_body(trusted, origin):
    """Server-sent events: the head comes at once, the first of the body when
    something happens."""
    is_read = threading.Event()

    def stream(exchange):
        exchange.send(HEAD)
        assert is_read.wait(10)
        exchange.send(BODY)

    origin.script[SEGMENT_PATH] = stream
    assert trusted.get(SEGMENT_PATH).length == 1000
    is_read.set()
    assert trusted.read(1000) == BODY


def test_one_that_is_held_ends_the_trust(proxy, trusted, call, transport):
    """The caller's buffer has taken head and body in one read: nothing lies
    unread, but it does not answer our FIN.  That is a suspicion, with which the
    next ones are looked at closely again, and told to close."""
    target = f"{SEGMENT_PATH}?held"
    trusted.get(target)
    trusted.read(1000)
    proxy.wait_for(target, "suspected", evidence="probe")

    held = call()
    target = f"{SEGMENT_PATH}?next"
    assert held.get(target).value("Connection") == "close"
    assert held.read(1000) == BODY
    if transport == "plain":
        assert segments(held) == 2
    proxy.wait_for(target, "undrained", evidence="close", held=True)


def test_what_lies_unread_is_seen_all_the_same(proxy, trusted):
    """A caller that reads nothing at all leaves the whole response unread."""
    trusted.request(f"{SEGMENT_PATH}?unread")
    exchange = proxy.wait_for("?unread", "undrained", held=True)
    assert exchange["evidence"] == "unread" or exchange["witness"] == "unread"
