# SPDX-License-Identifier: MIT
"""The labelled client matrix: the truth of the verdicts, on real clients.

Every case of tests/clients/cases.py runs over every transport, many at a
time, against one proxy.  All that the proxy ever says of each response is
recorded, and held against what the client really did.
"""

import collections
import contextlib
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from cases import CASES, SHOWN, TRANSPORTS, VERDICTS, Case, Truth
from cast import program
from cast.confusion import STASH_KEY
from cast.origin import HOST, Origin
from cast.proxy import Proxy, patience, resolving, trusting

# Real programs start, and answer, in their own time, on a busy machine.
PATIENCE = patience("1s", "700ms", "500ms")
SETTLE_S = 6
REST_S = 0.4  # well within --stall-after
POLL_S = 0.1

AT_ONCE = 16
STARTING_AT_ONCE = 3

RUNS = [(case, transport) for case in CASES for transport in TRANSPORTS]


def tag_of(case, transport):
    return f"{case.name}.{transport}"


class Watch(threading.Thread):
    """Asks the proxy for its exchanges again and again; remembers each
    verdict that each of them ever had."""

    def __init__(self, proxy):
        super().__init__(daemon=True)
        self.proxy = proxy
        self.history = collections.defaultdict(list)
        self.exchanges = {}
        self.looks = 0
        self.error = None
        self._changed = threading.Condition()
        self._is_over = threading.Event()

    def run(self):
        try:
            while not self._is_over.wait(POLL_S):
                self._look()
        except Exception as error:  # noqa: BLE001: whoever waits tells it
            self.error = error

    def _look(self):
        exchanges = self.proxy.exchanges()
        with self._changed:
            for exchange in exchanges:
                self.exchanges[exchange["id"]] = exchange
                said = self.history[exchange["id"]]
                if not said or said[-1] != exchange["verdict"]:
                    said.append(exchange["verdict"])
            self.looks += 1
            self._changed.notify_all()

    def of(self, tag):
        """Oldest first."""
        return sorted((exchange for exchange in self.exchanges.values()
                       if exchange["tags"].get("case") == tag),
                      key=lambda exchange: exchange["began_at"])

    def wait(self, tag, is_so, patience_s=SETTLE_S):
        """Returns the exchanges as they are once `is_so` of each, or after
        the time; by a look that began after this call."""
        with self._changed:
            fresh = self.looks + 2

            def is_over():
                exchanges = self.of(tag)
                return self.error or (self.looks >= fresh and exchanges
                                      and all(map(is_so, exchanges)))

            self._changed.wait_for(is_over, patience_s)
            if self.error:
                raise self.error
            return self.of(tag)

    def stop(self):
        self._is_over.set()
        self.join()


@dataclass
class Run:
    """One case over one transport, and what the proxy said of it."""
    case: Case
    transport: str
    watch: Watch
    client: program.Program = None
    judged: list = field(default_factory=list)  # at the last "settle"
    ended: list = field(default_factory=list)   # after the program's end
    error: Exception = None

    @property
    def tag(self):
        return tag_of(self.case, self.transport)

    def wait(self, is_so):
        return self.watch.wait(self.tag, is_so)

    def is_settled(self, exchange):
        case = self.case
        if exchange["verdict"] == "suspected":
            return case.dozes or "nothing" in case.shows
        return exchange["verdict"] != "open"

    # ---- the moves of a plan ----

    def step(self):
        self.client.tell("step")

    def settle(self):
        self.judged = self.wait(self.is_settled)

    def escalate(self):
        last = self.judged[-1]
        if self.case.truth is Truth.HELD and last["verdict"] == "suspected":
            self.step()
            self.settle()

    def released(self):
        assert not any(each["held"] for each in self.wait(
            lambda exchange: not exchange["held"]))

    def recovered(self):
        assert all(each["verdict"] == "drained" for each in self.wait(
            lambda exchange: exchange["verdict"] == "drained"))

    def start(self):
        self.client.tell("start")

    def flowing(self):
        [exchange] = self.wait(lambda exchange: exchange["delivered_bytes"])
        assert exchange["verdict"] == "open", exchange

    def pause(self):
        self.client.tell("pause")

    def rest(self):
        time.sleep(REST_S)

    def resume(self):
        self.client.tell("resume")

    def finish(self):
        self.client.tell("finish")

    def follow_plan(self):
        for move in self.case.plan:
            getattr(self, move)()


class Matrix:
    def __init__(self, directory, authority):
        program.build()
        self.directory = directory
        self.origin = Origin(authority)
        self.proxy = Proxy(directory, *resolving(self.origin),
                           *trusting(authority), *PATIENCE)
        self.environment = program.environment_behind(self.proxy)
        self.watch = Watch(self.proxy)
        self.runs = {}
        self._starting = threading.Semaphore(STARTING_AT_ONCE)

    def run_all(self):
        self.watch.start()
        # Slow starters first.
        order = sorted(RUNS, key=lambda run: run[0].program != "java")
        with ThreadPoolExecutor(AT_ONCE) as executor:
            for run in executor.map(self._run, order):
                self.runs[run.case.name, run.transport] = run
        self.leaks = self.proxy.leaks()["leaks"]
        self.totals = self.proxy.check_totals()
        self.watch.stop()

    def _run(self, case_and_transport):
        run = Run(*case_and_transport, self.watch)
        try:
            self._start(run)
            try:
                run.follow_plan()
            finally:
                run.client.end()
            run.ended = run.wait(lambda exchange: not exchange["held"] and
                                 exchange["verdict"] != "open")
        except Exception as error:  # noqa: BLE001: its test tells it
            run.error = error
        return run

    def _start(self, run):
        scheme = "http" if run.transport == "plain" else "https"
        with self._starting:
            run.client = program.Program(
                run.case, f"{scheme}://{HOST}/{run.tag}{run.case.path}",
                f"case={run.tag}", self.environment,
                self.directory / f"{run.tag}.log")

    def requests_of(self, run):
        """What the origin saw of it."""
        return [request for request in self.origin.requests
                if request.path.startswith(f"/{run.tag}/")]

    def log_of(self, case, transport):
        """What the proxy logged of the run's connections."""
        prefixes = {f" {exchange['connection']}:" for exchange in
                    self.watch.of(tag_of(case, transport))}
        return "\n".join(line for line in self.proxy.log.splitlines()
                         if any(prefix in line for prefix in prefixes))

    def close(self):
        try:
            self.proxy.stop()
        finally:
            self.proxy.kill()
            self.origin.close()


def confusion(matrix):
    """Counts (honest, given): as they were when the case was settled."""
    counts = collections.Counter()
    for run in matrix.runs.values():
        for exchange in run.judged:
            truth = run.case.truth_of(exchange["status"])
            counts[truth, exchange["verdict"]] += 1
    return counts


@pytest.fixture(scope="module")
def matrix(tmp_path_factory, authority, request):
    directory = tmp_path_factory.mktemp("matrix")
    with contextlib.closing(Matrix(directory, authority)) as matrix:
        matrix.run_all()
        request.config.stash[STASH_KEY] = confusion(matrix)
        yield matrix


# ---- the judgement on the judge ----

TOLD = ("id", "url", "verdict", "evidence", "witness", "held", "escalated",
        "body_bytes", "delivered_bytes", "unread_bytes")


def tell(exchange, said=()):
    return f"{ {name: exchange[name] for name in TOLD} }, once {said}"


def is_found(case, exchange):
    """A held response is found when it is called undrained; suspected is
    enough where nothing shows it, see SHOWN."""
    if exchange["evidence"] == "stalled":
        shown = "stalled"
    else:
        shown = "unread" if exchange["unread_bytes"] else "nothing"
    if shown not in case.shows:
        return False
    if exchange["verdict"] == "undrained":
        return exchange["held"] and exchange["evidence"] in SHOWN[shown]
    return (exchange["verdict"] == "suspected" and shown == "nothing"
            and not exchange["escalated"])


def check_held(case, exchanges):
    for exchange in exchanges:
        assert is_found(case, exchange), tell(exchange)
    # By then the group was under suspicion, if the ones before were.
    assert exchanges[-1]["verdict"] == "undrained", tell(exchanges[-1])


def check_other(case, exchange, said):
    assert "undrained" not in said, tell(exchange, said)
    true = dict(VERDICTS[case.truth_of(exchange["status"])])
    if case.dozes:
        true["suspected"] = {"probe"}
    assert exchange["verdict"] in true, tell(exchange, said)
    assert exchange["evidence"] in true[exchange["verdict"]], \
        tell(exchange, said)


@pytest.mark.parametrize(
    "case, transport", RUNS, ids=[tag_of(*run) for run in RUNS])
def test_verdict(matrix, case, transport):
    """No drained response is ever called undrained; every held one is found
    while its program lives, and stays found; the rest is told apart."""
    run = matrix.runs[case.name, transport]
    if run.error:
        raise run.error
    assert len(run.ended) == len(matrix.requests_of(run)) > 0

    held = [exchange for exchange in run.judged
            if case.truth_of(exchange["status"]) is Truth.HELD]
    if held:
        check_held(case, held)
    for exchange in run.ended:
        said = matrix.watch.history[exchange["id"]]
        if case.truth_of(exchange["status"]) is not Truth.HELD:
            check_other(case, exchange, said)
        elif "recovered" not in case.plan and "undrained" in said:
            assert exchange["verdict"] == "undrained", tell(exchange, said)


def test_bytes_are_the_origins(matrix):
    """A drained response is as long as what the origin sent, was delivered
    whole, and nothing of it lies unread."""
    sent = collections.defaultdict(set)
    for request in matrix.origin.requests:
        if request.is_answered:
            sent[request.target].add(request.body_bytes)
    for exchange in matrix.watch.exchanges.values():
        if exchange["verdict"] == "drained":
            target = re.sub("^https?://[^/]*", "", exchange["url"])
            assert exchange["body_bytes"] in sent[target], tell(exchange)
            assert exchange["delivered_bytes"] == exchange["body_bytes"], \
                tell(exchange)
            assert not exchange["unread_bytes"], tell(exchange)


def test_only_leaks_are_listed(matrix):
    """/api/leaks has each leaking case under its own tags, and no other."""
    leaking = {tag_of(case, transport) for case, transport in RUNS
               if case.truth is Truth.HELD and "recovered" not in case.plan}
    listed = {leak["tags"]["case"] for leak in matrix.leaks
              if leak["undrained"]}
    assert listed == leaking


def test_a_client_timeout_shows(matrix):
    """http.Client.Timeout ends each leak at 4 s: the leak says so, because
    whoever looks at goroutines would not see it."""
    for transport in TRANSPORTS:
        [leak] = [leak for leak in matrix.leaks if
                  leak["tags"]["case"].startswith("go-time_out") and
                  leak["tags"]["case"].endswith(transport)]
        assert leak["release"]["kind"] == "deadline"
        assert leak["release"]["age_s"] == pytest.approx(4, abs=0.4)


def test_a_recovered_reader_is_counted(matrix):
    """The curl that was stopped for too long read on: one recovery for each
    transport, at least."""
    assert matrix.totals["recovered"] >= len(TRANSPORTS)
