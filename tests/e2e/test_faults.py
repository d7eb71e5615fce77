# SPDX-License-Identifier: MIT
"""Either side breaks at every stage of an exchange, over every transport.

The table below is the whole of it.  Each row is played over its transports,
many at a time against the same proxies.  What the other side sees, the
verdict with its evidence, and the reason of the connection's end must be
exactly those of the row; then a stranger is served as ever, and in the end
no sanitizer has complained."""

import contextlib
import json
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from cast import scene as stages
from cast.caller import Caller
from cast.origin import Origin, pattern
from cast.proxy import Proxy, patience, resolving, trusting
from cast.scene import TUNNEL_HOST, Message, Scene, half_close, reset
from cast.waiting import wait_until

AT_ONCE = 16
CONNECT_TIMEOUT = "700ms"
# Longer than the quick proxy's patience in all.
STALLED_S = 1.0
ANOTHER_LOOK_S = 0.1

# How soon a proxy looks: the calm one never does, the probing one sends its
# FIN soon and then waits, the quick one judges soon, and the strict one's
# timeouts are short.
PATIENCE = {
    "strict": (*patience("30s", "30s", "30s"), "--header-timeout", "400ms",
               "--idle-timeout", "500ms"),
    "calm": patience("30s", "30s", "30s"),
    "probing": patience("30s", "300ms", "30s"),
    "quick": patience("400ms", "300ms", "300ms"),
}

PLAIN, CLEAR, SECURE, TUNNEL = "plain", "clear", "intercepted", "tunnel"
HTTP = (PLAIN, CLEAR, SECURE)


@dataclass(frozen=True)
class Case:
    side: str       # who breaks
    stage: str      # of cast/scene.py
    # fin and rst; half of a close, after which it reads on, or leaves as soon
    # as it has all; stall; garbage.  To a probe: answer, or request.
    fault: str
    transport: str
    seen: str       # and by whom
    judged: str     # verdict and evidence; "-" where there is no exchange
    reason: str     # of the connection's end; "-" while it is open
    patience: str = "calm"

    @property
    def name(self):
        words = self.side, self.stage, self.fault, self.transport
        under = () if self.patience == "calm" else (self.patience,)
        return "-".join((*words, *under)).replace("_", "-")


def rows(side, names, faults, transports, *more, **named):
    return [Case(side, stage, fault, transport, *more, **named)
            for stage in names.split() for fault in faults.split()
            for transport in transports]


# Stages of a response whose head the caller has.
BEGUN = ("between_head_and_body between_head_and_chunks mid_body "
         "mid_body_chunked mid_chunk mid_chunk_size mid_trailer")
FRAMED = BEGUN
REQUEST_BODY = "mid_request_body mid_request_chunk_size mid_request_trailer"

CALLER_BREAKS = [
    # Nothing was asked.
    *rows("caller", "before_any_byte mid_request_head", "fin half", HTTP,
          "origin none", "-", "client-fin"),
    *rows("caller", "before_any_byte mid_request_head", "rst", HTTP,
          "origin none", "-", "client-rst"),
    *rows("caller", "before_any_byte", "stall", (PLAIN, SECURE),
          "caller fin", "-", "idle", patience="quick"),

    # Half a request is no request, whichever way it ends.
    *rows("caller", REQUEST_BODY, "fin half", HTTP,
          "origin fin", "abandoned early-close", "client-fin"),
    *rows("caller", REQUEST_BODY, "rst", HTTP,
          "origin fin", "abandoned reset", "client-rst"),

    # Asked, and gone before it has everything.
    *rows("caller", f"before_response_head mid_response_head {BEGUN}",
          "fin", HTTP, "origin fin", "abandoned early-close", "client-fin"),
    *rows("caller", f"before_response_head mid_response_head {BEGUN}",
          "rst", HTTP, "origin fin", "abandoned reset", "client-rst"),
    # A half-close is legal: it is served to the end.
    *rows("caller", f"before_response_head mid_response_head {BEGUN}",
          "half", HTTP, "caller 200", "drained closed", "client-fin"),
    # The same, and it is gone before our FIN comes.
    *rows("caller", f"before_response_head mid_response_head {BEGUN}",
          "leave", (PLAIN, CLEAR), "caller 200", "drained closed",
          "client-fin"),
    *rows("caller", f"before_response_head mid_response_head {BEGUN}",
          "stall", HTTP, "held", "undrained unread|probe", "-",
          patience="quick"),

    # It reads a little of much.
    *rows("caller", "flooded", "fin rst", HTTP,
          "origin gone", "abandoned reset", "client-rst"),
    *rows("caller", "flooded", "stall half", HTTP,
          "held", "undrained stalled", "-", patience="quick"),

    # The response is there before its request has ended.  Whoever has read
    # it owes nothing but the request.
    *rows("caller", "early_answer", "stall", HTTP,
          "still", "open -", "-", patience="quick"),
    *rows("caller", "early_answer", "fin", (PLAIN, CLEAR),
          "origin kept", "drained closed", "client-fin"),
    *rows("caller", "early_unread", "stall", HTTP,
          "held", "undrained unread|close", "-", patience="quick"),

    # It never goes on: that has an end, and an answer where there can be one.
    *rows("caller", "mid_request_head", "stall", HTTP,
          "caller 408 http_request_error", "-", "timeout",
          patience="strict"),
    *rows("caller", REQUEST_BODY, "stall", HTTP,
          "caller 408 http_request_error", "drained closed", "client-fin",
          patience="strict"),
    *rows("caller", "before_any_byte", "stall", (CLEAR,),
          "caller fin", "-", "timeout", patience="strict"),
    *rows("caller", "caller_handshake mid_client_hello", "stall", (SECURE,),
          "caller fin", "-", "timeout", patience="strict"),
    # What was cut short is not to look whole.
    *rows("caller", "tunnel", "stall", (TUNNEL,),
          "caller rst", "-", "timeout", patience="strict"),
    *rows("caller", "upgraded", "stall", HTTP,
          "caller rst", "none -", "timeout", patience="strict"),

    # It has everything, and the connection rests.
    *rows("caller", "idle", "fin half", HTTP,
          "origin kept", "drained closed", "client-fin"),
    # A reset never proves that it was read (DESIGN §2).
    *rows("caller", "idle", "rst", HTTP,
          "origin kept", "abandoned reset", "client-rst"),
    *rows("caller", "idle_unread", "fin rst leave", HTTP,
          "origin kept", "abandoned reset", "client-rst"),
    *rows("caller", "idle_unread", "stall half", HTTP,
          "held", "undrained unread|probe", "-", patience="quick"),
    *rows("caller", "idle_half_read", "fin rst", (PLAIN, CLEAR),
          "origin kept", "abandoned reset", "client-rst"),
    *rows("caller", "idle_half_read", "stall half", (PLAIN, CLEAR),
          "held", "undrained unread|probe", "-", patience="quick"),

    # Our FIN is out.
    *rows("caller", "idle", "answer half", HTTP,
          "origin kept", "drained probe", "probe-answered",
          patience="probing"),
    *rows("caller", "idle", "fin", (PLAIN, CLEAR),
          "origin kept", "drained probe", "probe-answered",
          patience="probing"),
    *rows("caller", "idle", "rst", (PLAIN, CLEAR),
          "origin kept", "abandoned reset", "client-rst",
          patience="probing"),
    # What it leaves unread is our close_notify, and no body.
    *rows("caller", "idle", "fin rst", (SECURE,),
          "origin kept", "drained probe", "client-rst", patience="probing"),
    *rows("caller", "idle", "request", HTTP,
          "origin kept", "drained reuse", "request-crossed",
          patience="probing"),
    *rows("caller", "idle", "stall", HTTP,
          "caller fin", "suspected probe", "-", patience="quick"),
    *rows("caller", "idle_unread", "fin rst", HTTP,
          "origin kept", "abandoned reset", "client-rst",
          patience="probing"),
    *rows("caller", "idle_half_read", "fin rst", (PLAIN, CLEAR),
          "origin kept", "abandoned reset", "client-rst",
          patience="probing"),

    # No HTTP yet, or not any more.
    *rows("caller", "caller_handshake mid_client_hello", "half",
          (SECURE,), "origin none", "-", "client-fin"),
    *rows("caller", "mid_client_hello", "fin",
          (SECURE,), "origin none", "-", "client-fin"),
    *rows("caller", "caller_handshake mid_client_hello", "rst",
          (SECURE,), "origin none", "-", "client-rst"),
    *rows("caller", "caller_handshake", "garbage",
          (SECURE,), "origin none", "-", "tls-failed"),
    *rows("caller", "origin_handshake mid_server_hello", "fin",
          (SECURE,), "origin fin", "abandoned early-close", "client-fin"),
    *rows("caller", "origin_handshake mid_server_hello", "rst",
          (SECURE,), "origin fin", "abandoned reset", "client-rst"),
    *rows("caller", "connect", "fin", (TUNNEL,),
          "origin none", "-", "client-fin"),
    *rows("caller", "connect", "rst", (TUNNEL,),
          "origin none", "-", "client-rst"),
    *rows("caller", "tunnel", "fin", (TUNNEL,),
          "origin fin", "-", "tunnel-ended"),
    *rows("caller", "tunnel", "rst", (TUNNEL,),
          "origin rst", "-", "client-rst"),
    *rows("caller", "tunnel", "half", (TUNNEL,),
          "relayed to caller", "-", "tunnel-ended"),
    *rows("caller", "upgraded", "fin", HTTP,
          "origin fin", "none -", "tunnel-ended"),
    *rows("caller", "upgraded", "rst", HTTP,
          "origin rst", "none -", "client-rst"),
    *rows("caller", "upgraded", "half", HTTP,
          "relayed to caller", "none -", "tunnel-ended"),
]

ORIGIN_BREAKS = [
    # Nothing of a response: an answer of our own, which the caller drains.
    *rows("origin", "before_response_head", "fin rst half", HTTP,
          "caller 502 connection_terminated", "drained closed", "client-fin"),
    *rows("origin", f"mid_response_head {REQUEST_BODY}", "garbage", HTTP,
          "caller 502 http_protocol_error", "drained closed", "client-fin"),
    *rows("origin", f"{REQUEST_BODY} flooding", "fin rst", HTTP,
          "caller 502 connection_terminated", "drained closed", "client-fin"),
    *rows("origin", REQUEST_BODY, "half", HTTP,
          "caller 502 connection_terminated", "drained closed", "client-fin"),
    *rows("origin", "mid_response_head", "fin rst half", HTTP,
          "caller 502 http_response_incomplete", "drained closed",
          "client-fin"),

    # A part of one: the caller must not take it for whole.
    *rows("origin", FRAMED + " mid_body_to_end", "rst", HTTP,
          "caller 200 cut by fin", "unproven -", "upstream-failed"),
    *rows("origin", FRAMED, "fin half", HTTP,
          "caller 200 cut by fin", "unproven -", "upstream-failed"),
    *rows("origin", "mid_chunk_size mid_trailer", "garbage", HTTP,
          "caller 200 cut by fin", "unproven -", "upstream-failed"),
    *rows("origin", "flooded", "fin rst", HTTP,
          "caller 200 cut by fin", "unproven -", "upstream-failed"),
    # Without framing its end is the message's; over TLS only a close_notify
    # is an end (RFC 9112 §9.8), which this origin does not send.
    *rows("origin", "mid_body_to_end", "fin half", (PLAIN, CLEAR),
          "caller 200", "drained closed", "client-fin"),
    *rows("origin", "mid_body_to_end", "fin half", (SECURE,),
          "caller 200 cut by fin", "unproven -", "upstream-failed"),

    # The origin is slow, or dead: that is not the caller's doing, however
    # long it lasts, and the caller gives up in the end.
    *rows("origin", f"before_response_head mid_response_head {BEGUN}",
          "stall", (PLAIN, SECURE), "origin fin", "abandoned early-close",
          "client-fin", patience="quick"),

    # Unless --idle-timeout is shorter than the caller's patience.
    *rows("origin", "before_response_head mid_response_head", "stall", HTTP,
          "caller 504 connection_read_timeout", "drained closed",
          "client-fin", patience="strict"),
    *rows("origin", BEGUN, "stall", HTTP,
          "caller 200 cut by fin", "unproven -", "upstream-failed",
          patience="strict"),

    # It drops a kept connection: the caller is served by another.
    *rows("origin", "idle", "fin rst half", HTTP,
          "caller 200 again", "drained reuse", "client-fin"),

    *rows("origin", "origin_handshake mid_server_hello", "fin rst half",
          (SECURE,), "caller 502 tls_protocol_error", "drained closed",
          "client-fin"),
    *rows("origin", "origin_handshake", "garbage",
          (SECURE,), "caller 502 tls_protocol_error", "drained closed",
          "client-fin"),
    *rows("origin", "origin_handshake mid_server_hello", "stall",
          (SECURE,), "caller 504 connection_timeout", "drained closed",
          "client-fin"),
    *rows("origin", "connect", "stall", (TUNNEL,),
          "caller 504 connection_timeout", "-", "upstream-failed"),
    *rows("origin", "tunnel", "fin", (TUNNEL,),
          "caller fin", "-", "tunnel-ended"),
    *rows("origin", "tunnel", "rst", (TUNNEL,),
          "caller rst", "-", "upstream-failed"),
    *rows("origin", "tunnel", "half", (TUNNEL,),
          "relayed to origin", "-", "tunnel-ended"),
    *rows("origin", "upgraded", "fin", HTTP,
          "caller fin", "none -", "tunnel-ended"),
    *rows("origin", "upgraded", "rst", HTTP,
          "caller rst", "none -", "upstream-failed"),
    *rows("origin", "upgraded", "half", HTTP,
          "relayed to origin", "none -", "tunnel-ended"),
]

CASES = CALLER_BREAKS + ORIGIN_BREAKS


# ---- playing ----


class Books:
    """What a proxy's admin says, asked once for all who wait."""

    AGE_S = 0.05

    def __init__(self, proxy):
        self.proxy = proxy
        self._lock = threading.Lock()
        self._asked_at = 0
        self._connections = {}
        self._exchanges = {}

    def look(self, scene):
        """The scene's connection, and its exchanges.  The kernel may have
        given its port to another one seconds before."""
        with self._lock:
            if time.monotonic() - self._asked_at > self.AGE_S:
                self._ask()
            connection = self._connections.get(scene.address)
            if connection is None or connection["opened_at"] < scene.began_at:
                return None, []
            return connection, [
                each for each in self._exchanges.values()
                if each["connection"] == connection["id"]]

    def _ask(self):
        for each in sorted(self.proxy.connections(),
                           key=lambda each: each["opened_at"]):
            self._connections[each["client_address"]] = each
        answer = json.loads(self.proxy.get("/api/exchanges", limit=10000))
        for each in answer["exchanges"]:
            self._exchanges[each["id"]] = each
        self._asked_at = time.monotonic()


class Theatre:
    """The proxies, and the origin that strangers are served from."""

    def __init__(self, directory, authority):
        self.authority = authority
        self.secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.secure.load_cert_chain(authority.leaf, authority.leaf_key)
        # Unread, they would make of the proxy's close a reset.
        self.secure.num_tickets = 0
        self.steady = Origin(authority)
        self.books = {}
        for name, options in PATIENCE.items():
            (directory / name).mkdir()
            self.books[name] = Books(Proxy(
                directory / name, *resolving(self.steady),
                "--resolve", "*:*:127.0.0.1", *trusting(authority), *options,
                "--passthrough", TUNNEL_HOST, "--workers", 1,
                "--connect-timeout", CONNECT_TIMEOUT))

    def close(self):
        proxies = [books.proxy for books in self.books.values()]
        self.steady.close()
        try:
            for proxy in proxies:
                proxy.check_totals()
                proxy.stop()
        finally:
            for proxy in proxies:
                proxy.kill()


def commit(books, scene, case):
    """The fault itself."""
    def taken():
        return books.look(scene)[0]["received_bytes"]

    before = taken() if case.fault == "request" else 0
    end = scene.origin if case.side == "origin" else scene.caller.socket
    if case.fault == "answer":
        scene.caller.answer_probe()
    elif case.fault == "fin":
        if case.side == "caller":
            scene.caller.close()
        else:
            end.close()
    elif case.fault == "rst":
        reset(end)
    elif case.fault in ("half", "leave"):
        half_close(end)
        if "unread" in case.stage and case.fault == "leave":
            scene.caller.close()
    elif case.fault == "garbage":
        socket.socket.sendall(end, b"\0garbage\r\n\r\n") \
            if "hello" in case.stage or "handshake" in case.stage \
            else end.sendall(b"\0garbage\r\n\r\n")
    elif case.fault == "request":
        scene.ask()
        # Closed before it is read, it might be dropped with the rest.
        wait_until(lambda: taken() > before, "the request has come")
        scene.caller.close()


def relayed(scene, to_caller):
    """One way is closed, the other still carries."""
    near, far = scene.caller.socket, scene.origin
    if not to_caller:
        near, far = far, near
    assert stages.receive(far) == "fin"
    far.sendall(b"later")
    assert near.recv(16) == b"later"
    far.close()
    assert stages.receive(near) == "fin"
    near.close()


def see(scene, case):
    """What the other side sees of it."""
    who, _, what = case.seen.partition(" ")
    if case.seen == "still":
        time.sleep(STALLED_S)
    elif case.seen == "held":
        scene.say(scene.rest)
    elif who == "relayed":
        relayed(scene, what == "to caller")
    elif case.seen == "origin none":
        scene.listener.setblocking(False)
        if case.stage != "connect":
            with pytest.raises(BlockingIOError):
                scene.listener.accept()
    elif case.seen == "origin kept":
        pass
    elif case.seen == "origin gone":
        # By RST where it was still sending.
        assert scene.origin_end() in ("fin", "rst")
    elif who == "origin":
        assert scene.origin_end() == what
        scene.origin.close()
    else:
        see_as_caller(scene, case, what)


def see_as_caller(scene, case, what):
    if case.side == "caller" and scene.origin and what.startswith("200"):
        scene.say(scene.rest)
    if what == "200 again":
        scene.ask()
        scene.accept_request()
        scene.say(stages.HEAD + stages.LENGTH + stages.BODY)
        scene.received, what = b"", "200"
    elif case.stage in ("idle", "tunnel", "upgraded"):
        scene.received = b""
    assert scene.read_response() == what
    message = Message(scene.received)
    if what == "200":
        whole = stages.BODY
        if (case.side, case.stage) == ("origin", "mid_body_to_end"):
            whole = whole[:stages.HALF]  # its end is the message's
        assert message.payload == whole
    if case.reason not in ("-", "idle"):
        if message.is_whole and (
                (case.side, case.fault) == ("caller", "half") or
                message.fields.get("connection") == "close"):
            assert stages.receive(scene.caller.socket) == "fin"
        scene.caller.close()


def is_judged(case, exchanges):
    """The first exchange counts; a second has the same verdict, or is the
    next."""
    if case.judged == "-":
        return not exchanges
    verdict, evidence = case.judged.split()
    first = min(exchanges, key=lambda each: int(each["id"].split("x")[1]),
                default=None)
    return first and first["verdict"] == verdict and \
        (first["evidence"] or "-") in evidence.split("|")


def check_books(books, scene, case):
    def look():
        connection, exchanges = books.look(scene)
        seen.update(connection=connection, exchanges=exchanges)
        reason = connection and (connection["close_reason"] or "-")
        return reason == case.reason and is_judged(case, exchanges)

    seen = {}
    try:
        wait_until(look, "the books are right", patience_s=6)
    except AssertionError:
        connection = seen["connection"] or {}
        said = [(each["verdict"], each["evidence"], each["status"])
                for each in seen["exchanges"]]
        raise AssertionError(
            f"the books say {said}, {connection.get('state')} "
            f"{connection.get('close_reason')}") from None


def stay_stalled(books, scene):
    """The origin's silence is nobody's leak."""
    began = time.monotonic()
    while time.monotonic() - began < STALLED_S:
        _, exchanges = books.look(scene)
        assert {each["verdict"] for each in exchanges} <= {"open"}, exchanges
        time.sleep(0.1)
    scene.caller.close()


def await_probe(books, scene):
    def is_probed():
        connection, _ = books.look(scene)
        return connection and connection["state"] == "watched"

    wait_until(is_probed, "our FIN is out")
    # It passes either way; a look in between shows whether the FIN itself is
    # taken for something that the caller took.
    time.sleep(ANOTHER_LOOK_S)


def play(theatre, case):
    books = theatre.books[case.patience]
    with Scene(books.proxy, case.transport, case.name,
               theatre.secure) as scene:
        getattr(stages, case.stage)(scene)
        if case.patience == "probing":
            await_probe(books, scene)
        commit(books, scene, case)
        if case.side == "origin" and case.patience == "quick":
            stay_stalled(books, scene)
        see(scene, case)
        check_books(books, scene, case)
    transport = PLAIN if case.transport == TUNNEL else case.transport
    with Caller(books.proxy, transport) as stranger:
        assert stranger.fetch("/200/length/1000") == pattern(1000)


@pytest.fixture(scope="module")
def played(request, tmp_path_factory, authority):
    """Each case's future; all are played at the same time."""
    cases = [item.callspec.params["case"] for item in request.session.items
             if "played" in getattr(item, "fixturenames", ())]
    directory = tmp_path_factory.mktemp("faults")
    with contextlib.closing(Theatre(directory, authority)) as theatre, \
            ThreadPoolExecutor(AT_ONCE) as executor:
        yield {case: executor.submit(play, theatre, case) for case in cases}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault(played, case):
    """The row says what is to be seen."""
    played[case].result()
