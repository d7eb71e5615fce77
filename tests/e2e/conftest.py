# SPDX-License-Identifier: MIT
"""Fixtures over the cast, and what is printed at the end.

Each test has a proxy and an origin of its own, so that its numbers are exact;
they end with it, and the proxy must end well."""

import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "clients")]

from cast import confusion  # noqa: E402
from cast.caller import Caller  # noqa: E402
from cast.origin import Authority, Origin  # noqa: E402
from cast.proxy import Proxy, patience, resolving, trusting  # noqa: E402
from cast.wire import Wire  # noqa: E402

LOG_LINES_SHOWN = 60

# In a test's stash: the proxies that it started.
PROXIES = pytest.StashKey()

# Our callers answer at once or never.
SHORT = patience("400ms", "300ms", "300ms")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "threads: load for ThreadSanitizer (make tsan)")
    # A shell's "&" has it ignored, and programs that heed that keep it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def origin(authority):
    with contextlib.closing(Origin(authority)) as origin:
        yield origin


@pytest.fixture
def start_proxy(origin, authority, tmp_path, request):
    """Starts a proxy that knows the origin as origin.test."""
    proxies = request.node.stash[PROXIES] = []

    def start(*options, patience=SHORT, **more):
        proxy = Proxy(tmp_path, *resolving(origin), *trusting(authority),
                      *patience, *options, **more)
        proxies.append(proxy)
        return proxy

    yield start
    try:
        for proxy in proxies:
            proxy.stop()
    finally:
        for proxy in proxies:
            proxy.kill()


@pytest.fixture
def proxy(start_proxy):
    """Its books must balance in the end."""
    proxy = start_proxy()
    yield proxy
    proxy.check_totals()


@pytest.fixture(scope="module")
def shared(authority, tmp_path_factory):
    """One proxy and one scripted origin for all tests of a file, for those
    that look at messages and not at numbers.  Nobody there holds a response:
    the books must say so in the end."""
    with contextlib.closing(Wire(authority)) as wire:
        proxy = Proxy(tmp_path_factory.mktemp("shared"), *resolving(wire),
                      *trusting(authority), "--workers", 1)
        try:
            yield proxy, wire
            totals = proxy.check_totals()
            assert totals["undrained"] == totals["suspected"] == 0, totals
            proxy.stop()
        finally:
            proxy.kill()


@pytest.fixture
def wire(shared, request):
    """The shared proxy's origin; its log is shown when the test fails."""
    proxy, wire = shared
    request.node.stash[PROXIES] = [proxy]
    wire.forget()
    return wire


@pytest.fixture
def connect(shared, wire, transport):
    """Opens callers through the shared proxy; they are closed at the end."""
    with contextlib.ExitStack() as stack:
        def connect(**more):
            return stack.enter_context(Caller(shared[0], transport, **more))
        yield connect


@pytest.fixture(params=["plain", "intercepted"])
def transport(request):
    return request.param


@pytest.fixture
def call(proxy, transport):
    """Opens callers over the transport; they are closed at the end."""
    with contextlib.ExitStack() as stack:
        def call(**more):
            return stack.enter_context(Caller(proxy, transport, **more))
        yield call


# ---- what is printed ----


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failing test shows its proxy's log; of the matrix's, its own part."""
    report = (yield).get_result()
    if not report.failed:
        return
    for proxy in item.stash.get(PROXIES, []):
        lines = proxy.log.splitlines()
        report.sections.append((
            f"leakproxy's log, the last of {len(lines)} lines",
            "\n".join(lines[-LOG_LINES_SHOWN:])))
    cast = getattr(item, "funcargs", {})
    if "matrix" in cast and "case" in cast:
        report.sections.append((
            "leakproxy's log of these connections",
            cast["matrix"].log_of(cast["case"], cast["transport"])))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """A worker is done: what it counted is ours."""
    counts = confusion.unpacked(node.workeroutput.get("confusion", ()))
    if counts:
        node.config.stash[confusion.STASH_KEY] = counts


# A verdict that depends on what runs beside it is a wrong one: no second try.
OF_VERDICTS = {"test_faults.py", "test_matrix.py", "test_reuse.py",
               "test_segments.py", "test_verdicts.py"}


def pytest_runtest_setup(item):
    if "E2E_AGAIN" in os.environ and item.path.name in OF_VERDICTS:
        pytest.fail("it failed beside other tests, as no verdict may",
                    pytrace=False)


def pytest_terminal_summary(terminalreporter, config):
    counts = config.stash.get(confusion.STASH_KEY, None)
    if counts:
        terminalreporter.section("verdicts on the labelled clients")
        for line in confusion.table(counts):
            terminalreporter.write_line(line)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    """One plain line after everything else; a worker prints none, but says
    what it counted."""
    is_worker = hasattr(session.config, "workeroutput")
    if is_worker:
        session.config.workeroutput["confusion"] = confusion.packed(
            session.config.stash.get(confusion.STASH_KEY, {}))
    yield
    if is_worker:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    count = {outcome: len(reporter.stats.get(outcome, []))
             for outcome in ("passed", "failed", "error", "skipped")}
    failed = count["failed"] + count["error"]
    line = f"{count['passed']} passed, {failed} failed"
    if count["skipped"]:
        line += f", {count['skipped']} skipped"
    reporter.write_line(line)
