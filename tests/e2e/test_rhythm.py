# SPDX-License-Identifier: MIT
"""Load or a background job, and which job: the founding story, with minutes
as milliseconds."""

import contextlib
import json
import math
import random
import threading
import time

import pytest

from cast.caller import Caller
from cast.proxy import patience
from cast.waiting import wait_until

LEAKED = "/tools/404/later/157"
DRAINED = "/tools/200/length/100"

# The jobs' pooled connections are left in peace.
PATIENT = patience("400ms", "30s", "300ms")

# Milliseconds, without a common factor; and the trap of the story.
PRIMES = {"imagecheck": 467, "gc": 353, "backup": 401, "sync": 599}
ALIKE = dict.fromkeys(PRIMES, 400)


class Town:
    """Jobs and visitors, each a thread, for some seconds."""

    def __init__(self, proxy, seconds):
        self.proxy = proxy
        self.starts_at = time.monotonic() + 0.1
        self.ends_at = self.starts_at + seconds
        self.kept = []
        self.threads = []
        self.failures = []

    def live(self, life, *arguments):
        def run():
            try:
                life(*arguments)
            except Exception as error:  # told by the test's thread
                self.failures.append(error)

        self.threads.append(threading.Thread(target=run))

    def leak(self, *fields):
        """A response that nobody reads, on a connection of its own."""
        caller = Caller(self.proxy)
        self.kept.append(caller)
        caller.get(LEAKED, *fields)

    def sleep_until(self, at):
        time.sleep(max(0, at - time.monotonic()))
        return time.monotonic() < self.ends_at

    def job(self, name, interval_ms, leaks):
        """Runs at its interval: two requests, of which a culprit leaks one or
        two.  The culprit's marks come with its requests, those of the others
        over the admin port."""
        rounds = 0
        with Caller(self.proxy) as pooled:
            while self.sleep_until(
                    self.starts_at + rounds * interval_ms / 1000):
                rounds += 1
                if leaks:
                    pooled.fetch(DRAINED, ("Leakproxy-Mark", f"{name};start"))
                    for _ in range(1 + rounds % 2):
                        self.leak()
                    pooled.fetch(DRAINED, ("Leakproxy-Mark", f"{name};stop"))
                else:
                    self.proxy.mark(name, "start")
                    pooled.fetch(DRAINED)
                    self.proxy.mark(name, "stop")

    def visitors(self):
        """They come at random."""
        with Caller(self.proxy) as pooled:
            chance = random.Random(1)
            at = self.starts_at
            while self.sleep_until(at):
                pooled.fetch(DRAINED)
                at += chance.expovariate(30)

    def __enter__(self):
        return self

    def run(self):
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures

    def __exit__(self, *_):
        for caller in self.kept:
            caller.close()


def run_jobs(proxy, intervals, culprit, seconds):
    """Returns the leak and the report."""
    with Town(proxy, seconds) as town:
        for name, interval_ms in intervals.items():
            town.live(town.job, name, interval_ms, name == culprit)
        town.live(town.visitors)
        town.run()
        count = len(town.kept)
        wait_until(lambda: proxy.totals()["undrained"] == count,
                   f"{count} undrained")
        [leak] = proxy.leaks()["leaks"]
        return leak, " ".join(proxy.report(columns=200).split())


def test_the_job_is_named(start_proxy):
    """Four jobs at prime intervals; one forgets to read a 404.  Its period is
    found and it is named, although the four start at the same moment."""
    leak, report = run_jobs(start_proxy(patience=PATIENT), PRIMES,
                            "imagecheck", 6.5)

    rhythm = leak["rhythm"]
    assert rhythm["period_s"] == pytest.approx(0.467, rel=0.02)
    assert rhythm["jitter_s"] < 0.1
    assert rhythm["bursts"] == 14
    assert rhythm["load_correlation"] is None or \
        abs(rhythm["load_correlation"]) < 0.9
    assert rhythm["slope_low"] < rhythm["slope_per_hour"] < \
        rhythm["slope_high"]
    suspect = leak["suspect"]
    assert (suspect["mark"], suspect["phase"]) == ("imagecheck", "start")
    assert suspect["bursts_explained"] >= 13
    assert suspect["chance"] < 1e-6
    assert leak["suspect_note"] is None
    assert "14 bursts: a background job" in report
    assert "suspect imagecheck: 1" in report


def test_jobs_in_step_cannot_be_told_apart(start_proxy):
    """The trap of the founding story: all jobs have the same interval.  The
    period is found all the same; nobody is accused, and what to do is said."""
    leak, report = run_jobs(start_proxy(patience=PATIENT), ALIKE, "gc", 4.2)

    assert leak["rhythm"]["period_s"] == pytest.approx(0.4, rel=0.02)
    assert leak["suspect"] is None
    assert leak["suspect_note"].startswith("cannot tell")
    for name in ALIKE:
        assert name in leak["suspect_note"]
    assert "intervals without a common factor" in leak["suspect_note"]
    assert leak["suspect_note"] in report


def test_load_is_no_job(start_proxy):
    """Every tenth visitor leaks, and they come in waves: that is load."""
    proxy = start_proxy(patience=PATIENT)

    def wave(town):
        chance = random.Random(2)
        at = town.starts_at
        number = 0
        with Caller(proxy) as pooled:
            while town.sleep_until(at):
                number += 1
                pooled.fetch(DRAINED)
                if number % 10 == 0:
                    town.leak()
                phase = (at - town.starts_at) / 5 * 2 * math.pi
                at += chance.expovariate(85 - 80 * math.cos(phase))

    with Town(proxy, 5) as town:
        town.live(wave, town)
        town.run()
        count = len(town.kept)
        wait_until(lambda: proxy.totals()["undrained"] == count,
                   f"{count} undrained")
        [leak] = proxy.leaks()["leaks"]
        assert leak["rhythm"]["period_s"] is None
        assert leak["rhythm"]["jitter_s"] is None
        assert leak["rhythm"]["load_correlation"] > 0.6
        assert "follows the load (r = 0." in proxy.report()

        timeline = json.loads(proxy.get("/api/timeline"))
        totals = proxy.totals()
    bins = timeline["bins"]
    assert timeline["bin_s"] == 0.1
    assert timeline["start"] == timeline["since"]
    assert sum(each["requests"] for each in bins) == totals["exchanges"]
    assert sum(each["undrained"] for each in bins) == count
    assert bins[-1]["held"] == totals["held_now"] == count
    assert bins[0]["held"] == 0


def test_nothing_is_known_of_one_leak(proxy):
    """One response is no rhythm: null, not a guess."""
    with contextlib.closing(Caller(proxy)) as caller:
        caller.get(LEAKED)
        proxy.wait_for(LEAKED, "undrained")
        [leak] = proxy.leaks()["leaks"]
        assert leak["rhythm"] | {"slope_per_hour": 0, "slope_low": 0,
                                 "slope_high": 0} == {
            "period_s": None, "jitter_s": None, "bursts": 1,
            "load_correlation": None, "follows_load": None,
            "slope_per_hour": 0, "slope_low": 0, "slope_high": 0}
        assert leak["suspect"] is None
        assert leak["suspect_note"] is None
        assert "nothing known yet, of 1 burst" in proxy.report()


# ---- marks ----


def marks_of(proxy):
    return [(mark["name"], mark["phase"])
            for mark in json.loads(proxy.get("/api/marks"))["marks"]]


def test_marks_come_on_any_request(proxy, call, transport, origin):
    """A mark is noted and goes no further; on the CONNECT as well."""
    fields = [("Leakproxy-Mark", "nightly;start")]
    caller = call(connect_fields=fields if transport != "plain" else ())
    caller.fetch(DRAINED, ("Leakproxy-Mark", " imagecheck ; stop "))
    proxy.mark("gc", "start")

    assert marks_of(proxy)[-2:] == [("imagecheck", "stop"), ("gc", "start")]
    assert (("nightly", "start") in marks_of(proxy)) == \
        (transport != "plain")
    assert origin.requests[0].values("Leakproxy-Mark") == []


MALFORMED = ("imagecheck", "imagecheck;begin", ";start", "image check;start",
             "x" * 65 + ";start", "x;" + "start" * 100)


def test_malformed_marks_are_counted(proxy, call):
    """The request goes its way, without them."""
    caller = call()
    for value in MALFORMED:
        caller.fetch(DRAINED, ("Leakproxy-Mark", value))
    assert marks_of(proxy) == []
    assert proxy.metric("leakproxy_malformed_marks_total") == len(MALFORMED)


@pytest.mark.parametrize("bodies", [[
    "", "{", "[]", "null", {"name": "imagecheck"}, {"phase": "start"},
    {"name": 1, "phase": "start"}, {"name": "imagecheck", "phase": "begin"},
    {"name": "", "phase": "start"}, {"name": "a b", "phase": "start"},
    {"name": "\u00e9", "phase": "start"}, {"name": "x\0y", "phase": "start"},
    {"name": "x" * 65, "phase": "start"}, b'{"name":"\xff","phase":"stop"}',
    '{"name":"a","name":"b","phase":"start"}', "[" * 5000]])
def test_bad_marks_are_told_what_to_write(proxy, bodies):
    """A mark that is not understood is refused, in one line."""
    for body in bodies:
        status, text = proxy.post("/api/marks", body)
        assert status == 400, body
        assert "imagecheck" in text or "start or stop" in text, body
    assert marks_of(proxy) == []


def test_no_other_site_can_mark(proxy):
    """A page of another site may make a browser post here, but neither as
    JSON nor under our own origin."""
    mark = {"name": "x", "phase": "start"}
    host = proxy.ready["admin"]
    for content_type in ("text/plain", "application/x-www-form-urlencoded",
                         "multipart/form-data", "application/jsonp", ""):
        status, text = proxy.post("/api/marks", mark, content_type)
        assert (status, "application/json" in text) == (415, True)
    for site in ("http://evil.test", "null", "https://127.0.0.1"):
        assert proxy.post("/api/marks", mark, Origin=site)[0] == 403
    assert marks_of(proxy) == []

    status, _ = proxy.post("/api/marks", mark,
                           "application/json; charset=utf-8",
                           Origin=f"http://{host}")
    assert status == 200
    assert marks_of(proxy) == [("x", "start")]
