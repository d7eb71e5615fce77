# SPDX-License-Identifier: MIT
"""Each kind of evidence, and each verdict, by a caller that does exactly one
thing with its response."""

import collections
import contextlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cast.caller import Caller
from cast.origin import pattern
from cast.proxy import established, patience, split_authority
from cast.waiting import wait_until

SMALL = "/200/length/1000"
LARGE = "/200/length/2000000"
LATER = "/200/later/1000"

TLS_RECORD_BYTES = 22  # around each piece of a body, in TLS 1.3


# ---- drained ----


def test_reuse_proves_drained(proxy, call):
    """The next request on a connection: the response before was read."""
    caller = call()
    assert caller.fetch(f"{SMALL}?first") == pattern(1000)
    caller.fetch(f"{SMALL}?second")

    proxy.wait_for("?first", "drained", evidence="reuse", body_bytes=1000,
                   delivered_bytes=1000, held=False)


def test_a_clean_close_proves_drained(proxy, call):
    """The caller takes the whole body, and closes."""
    caller = call()
    caller.fetch(SMALL)
    caller.close()

    proxy.wait_for(SMALL, "drained", evidence="closed", delivered_bytes=1000)


def test_an_answered_probe_proves_drained(proxy, call):
    """The connection rests in the caller's pool, which sees our FIN."""
    caller = call()
    caller.fetch(SMALL)
    caller.answer_probe()

    proxy.wait_for(SMALL, "drained", evidence="probe")


def test_an_idle_connection_is_told_how_long(start_proxy, transport):
    """Whoever minds Keep-Alive never sends a request across our FIN."""
    proxy = start_proxy(patience=patience("30s", "20s", "5s"))
    with Caller(proxy, transport) as caller:
        says = caller.get(SMALL).value("Keep-Alive")
    assert 1 <= int(says.removeprefix("timeout=")) <= 20


# ---- abandoned, none, unproven ----


def test_a_reset_abandons(proxy, call):
    """Closed with the body unread: the kernel sends RST."""
    caller = call()
    caller.get(LARGE)
    caller.reset()

    exchange = proxy.wait_for(LARGE, "abandoned", evidence="reset", held=False)
    assert exchange["delivered_bytes"] < 2000000


def test_an_early_close_abandons(proxy, origin, call):
    """The caller has read all that came, and leaves before the rest does."""
    is_gone = threading.Event()

    def send_half(exchange):
        exchange.head(200, "Content-Length: 2000")
        exchange.body(pattern(1000))
        is_gone.wait(10)

    origin.script["/half"] = send_half
    caller = call()
    caller.get("/half")
    caller.read(1000)
    caller.close()

    proxy.wait_for("/half", "abandoned", evidence="early-close", held=False)
    is_gone.set()


@pytest.mark.parametrize("method, path", [
    ("HEAD", SMALL), ("GET", "/204/none/0"), ("GET", "/304/none/0"),
    ("GET", "/200/length/0")])
def test_no_body_no_verdict(proxy, call, method, path):
    """Nothing to drain: nothing to judge, however long the caller sits."""
    call().get(path, method=method)

    proxy.wait_for(path, "none", evidence=None, held=False)


def test_a_truncated_response_is_unproven(proxy, origin, call):
    """The origin broke off: that is not the caller's doing."""
    def break_off(exchange):
        exchange.head(200, "Content-Length: 2000")
        exchange.body(pattern(1000))
        exchange.must_close = True

    origin.script["/broken"] = break_off
    caller = call()
    caller.get("/broken")
    with pytest.raises((EOFError, OSError)):
        caller.read(2000)
    caller.close()

    proxy.wait_for("/broken", "unproven", held=False)


# ---- undrained ----


def test_a_body_in_the_callers_socket_is_unread(proxy, call, transport):
    """The caller never reads.  Its kernel is ours too, and says how much lies
    there, and whose it is."""
    caller = call()
    caller.get(LATER)

    exchange = proxy.wait_for(LATER, "undrained", held=True,
                              delivered_bytes=1000)
    overhead = TLS_RECORD_BYTES if transport == "intercepted" else 0
    assert exchange["evidence"] == "unread" or exchange["witness"] == "unread"
    assert exchange["unread_bytes"] == 1000 + overhead
    assert exchange["pid"] == os.getpid()
    assert exchange["fd"] == caller.socket.fileno()
    assert exchange["command"]


def test_unread_is_seen_over_ipv6(start_proxy, transport):
    """The same for a caller that comes over IPv6."""
    proxy = start_proxy("--listen", "[::1]:0")
    address = split_authority(proxy.ready["listen"][1])
    with Caller(proxy, transport, address=address) as caller:
        caller.get(LATER)

        exchange = proxy.wait_for(LATER, "undrained", held=True)
        assert exchange["unread_bytes"] >= 1000
        assert exchange["client_address"].startswith("[::1]:")
        assert exchange["fd"] == caller.socket.fileno()


def test_a_stalled_reader_recovers(proxy, call):
    """The caller stops in the middle of a large body, and is held; it reads
    on, and is not."""
    caller = call(window=65536)
    caller.get(f"{LARGE}?stalled")
    caller.read(10)
    stalled = proxy.wait_for("?stalled", "undrained", evidence="stalled",
                             held=True)
    assert stalled["delivered_bytes"] < 2000000

    caller.read(2000000 - 10)
    caller.fetch(SMALL)

    proxy.wait_for("?stalled", "drained", evidence="reuse", held=False,
                   delivered_bytes=2000000)
    assert proxy.totals()["recovered"] == 1
    assert proxy.metric("leakproxy_recovered_total") == 1


def test_a_slow_reader_is_no_leak(proxy, call):
    """It takes a little at a time, for longer than any patience."""
    caller = call(window=16384)
    seen = set()
    caller.get(LARGE)
    for _ in range(40):
        caller.read(2000000 // 40)
        seen.add(proxy.exchange(LARGE)["verdict"])
        threading.Event().wait(0.03)
    caller.close()

    proxy.wait_for(LARGE, "drained", evidence="closed")
    assert seen == {"open"}


def test_a_held_response_that_ends_stays_undrained(proxy, call):
    """A client timeout closes what was leaked: it was leaked all the same."""
    caller = call()
    caller.get(LATER)
    proxy.wait_for(LATER, "undrained", held=True)
    assert proxy.totals()["held_now"] == 1

    caller.close()

    wait_until(lambda: not proxy.exchange(LATER)["held"], "not held any more")
    assert proxy.exchange(LATER)["verdict"] == "undrained"
    assert proxy.totals()["held_now"] == 0


def test_strict_judges_at_once(start_proxy, transport):
    """--strict: each response says close.  Who drained it closes; who did
    not, does not."""
    proxy = start_proxy("--strict")
    with Caller(proxy, transport) as drains, Caller(proxy, transport) as keeps:
        drains.fetch(f"{SMALL}?drained")
        drains.close()
        assert hold(keeps, f"{SMALL}?kept").value("Connection") == "close"

        proxy.wait_for("?drained", "drained")
        proxy.wait_for("?kept", "undrained", evidence="close", held=True)


def test_told_to_close_and_drained_is_never_abandoned(start_proxy, transport):
    """Our end of the connection and the caller's cross on the wire in every
    order.  Whoever has read it all is drained, in each of them."""
    proxy = start_proxy("--strict")

    def fetch_many(name):
        for number in range(100):
            with Caller(proxy, transport) as caller:
                caller.fetch(f"{SMALL}?{name}-{number}")

    with ThreadPoolExecutor() as executor:
        list(executor.map(fetch_many, range(4)))

    wait_until(lambda: proxy.totals()["open"] == 0, "all are judged")
    given = collections.Counter((each["verdict"], each["evidence"])
                                for each in proxy.exchanges())
    assert {verdict for verdict, _ in given} == {"drained"}, given


# ---- suspected, and the second witness ----


def test_the_pipelined_one_before_it_is_not_accused(proxy, call):
    """Two requests in one segment; the first response is read, the second
    held.  What lies unread is the second's."""
    caller = call()
    caller.send("".join(
        f"GET {caller.target(path)} HTTP/1.1\r\nHost: {caller.authority}\r\n\r\n"
        for path in (f"{SMALL}?one", f"{SMALL}?two")).encode())
    caller.read(caller.read_head().length)
    caller.read_head()
    proxy.wait_for("?two", "undrained", held=True)
    assert proxy.exchange("?one")["verdict"] == "open"


def test_an_ignored_probe_alone_is_a_suspicion(proxy, call):
    """A pool that does not watch its idle connections ignores our FIN, and
    closes when it next looks: it had drained all the time."""
    caller = call()
    caller.fetch(SMALL)
    proxy.wait_for(SMALL, "suspected", evidence="probe", witness=None,
                   held=False)
    leaks = proxy.leaks()["leaks"]
    assert [(leak["undrained"], leak["suspected"]) for leak in leaks] == \
        [(0, 1)]

    caller.close()

    proxy.wait_for(SMALL, "drained", evidence="probe")
    assert proxy.totals()["recovered"] == 0


def hold(caller, target):
    """Takes a body into a buffer of its own, and reads it no further: what
    Go's bufio does for a program that reads 999 of 1000."""
    response = caller.get(target)
    caller.read(1000)
    return response


def become_a_watcher(proxy, call):
    for target in f"{SMALL}?watch=1", f"{SMALL}?watch=2":
        caller = call()
        caller.fetch(target)
        caller.answer_probe()
        proxy.wait_for(target, "drained", evidence="probe")


def test_a_watchers_silence_is_proof(proxy, call):
    """A caller that answered two probes at once does not answer the third: it
    still owes a read."""
    become_a_watcher(proxy, call)
    hold(call(), f"{SMALL}?held")

    proxy.wait_for("?held", "undrained", evidence="probe", witness="watcher",
                   held=True, unread_bytes=0)


def test_one_late_answer_takes_the_proof_back(proxy, call):
    """The watcher closes an idle connection late, by a timer of its own: its
    silence elsewhere proved nothing."""
    become_a_watcher(proxy, call)
    late = call()
    hold(call(), f"{SMALL}?held")
    late.fetch(f"{SMALL}?late")
    proxy.wait_for("?held", "undrained", witness="watcher")
    proxy.wait_for("?late", "undrained", witness="watcher")

    late.close()

    proxy.wait_for("?late", "drained", evidence="probe")
    proxy.wait_for("?held", "suspected", held=False)


def test_escalation_turns_suspicion_into_proof(proxy, call):
    """Once a group is suspected, its next responses say close, and are judged
    by that; other routes are left alone."""
    hold(call(), f"{SMALL}?first")
    proxy.wait_for("?first", "suspected")

    drains, keeps, other = call(), call(), call()
    assert hold(keeps, f"{SMALL}?kept").value("Connection") == "close"
    assert hold(drains, f"{SMALL}?drained").value("Connection") == "close"
    drains.close()
    assert other.get("/404/length/157").value("Connection") != "close"

    proxy.wait_for("?drained", "drained", escalated=True)
    proxy.wait_for("?kept", "undrained", evidence="close", escalated=True,
                   held=True)


@pytest.mark.parametrize("transport", ["intercepted"])
def test_a_resumed_session_is_the_same_caller(proxy, call):
    """A ClientHello that takes up a session looks different from the first;
    its caller is the same, and its manners are known."""
    first = call()
    hold(first, f"{SMALL}?first")
    proxy.wait_for("?first", "suspected")

    second = call(resume=first)
    assert second.socket.session_reused
    assert second.get(f"{SMALL}?second").value("Connection") == "close"
    assert len({connection["tls_fingerprint"]
                for connection in proxy.connections()}) == 1


def test_pipelining_proves_nothing(proxy, call):
    """A request that came before the response before it was handed over does
    not show that it was read."""
    caller = call(window=16384)
    caller.request(f"{LARGE}?first")
    caller.request(f"{SMALL}?second")

    proxy.wait_for("?first", "undrained", evidence="stalled", held=True)


# ---- the books ----


def test_held_now_is_what_ss_shows(proxy, call):
    """Three callers hold, one rests, one has gone: the proxy says three, and
    names the sockets that ss shows."""
    holders = [call() for _ in range(3)]
    for number, holder in enumerate(holders):
        holder.get(f"{LATER}?held={number}")
    rests, goes = call(), call()
    rests.fetch(f"{SMALL}?rests")
    goes.fetch(f"{SMALL}?goes")
    goes.close()
    for number in range(3):
        proxy.wait_for(f"?held={number}", "undrained", held=True)

    held = [exchange for exchange in proxy.exchanges() if exchange["held"]]
    sockets = "\n".join(established(proxy.pid))
    assert len(held) == proxy.totals()["held_now"] == 3
    for exchange in held:
        assert exchange["client_address"] in sockets
    [leak] = [leak for leak in proxy.leaks()["leaks"] if leak["held_now"]]
    assert leak["undrained"] == leak["held_now"] == 3
    [caller] = leak["callers"]
    assert sorted(caller["fds"]) == sorted(
        holder.socket.fileno() for holder in holders)

    for holder in holders:
        holder.close()
    wait_until(lambda: proxy.totals()["held_now"] == 0, "nothing held")


def test_every_response_is_in_one_column(proxy, call):
    """exchanges = none + open + drained + undrained + suspected + abandoned +
    unproven, at any time."""
    with contextlib.ExitStack() as stack:
        for path in SMALL, LATER, LARGE, "/204/none/0", "/404/length/157":
            caller = stack.enter_context(call())
            caller.get(path)
            proxy.check_totals()
        call().fetch(SMALL + "?drained")
        proxy.wait_for(LATER, "undrained")
    wait_until(lambda: proxy.totals()["open"] == 0, "nothing open")
    totals = proxy.check_totals()
    assert totals["exchanges"] == 6
    assert totals["none"] == 1


def test_our_own_fin_is_no_progress(start_proxy, transport):
    """What lies unread was proven held; then our probe's FIN, and TLS's
    close_notify, arrive behind it and are acknowledged.  The caller has taken
    nothing, and nothing was recovered."""
    proxy = start_proxy(patience=patience("200ms", "500ms", "400ms"))
    with Caller(proxy, transport) as caller:
        caller.get("/200/later/1000")
        proxy.wait_for("/later/1000", "undrained", evidence="unread")
        wait_until(lambda: proxy.connections(state="watched"), "the probe")
        said = set()

        def is_over():
            [connection] = proxy.connections()
            said.add(proxy.exchange("/later/1000")["verdict"])
            return len(said) > 1 or time.monotonic() > probed + 1

        probed = time.monotonic()
        wait_until(is_over, "the grace")
        assert said == {"undrained"}
        assert proxy.totals()["recovered"] == 0
