# SPDX-License-Identifier: MIT
"""What the benchmarks share: the release build with one worker, callers by
the thousand out of the tests' cast, and what /proc says of both."""

import contextlib
import os
import pathlib
import resource
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("LEAKPROXY", str(ROOT / "build/leakproxy"))
sys.path.insert(0, str(ROOT / "tests/e2e"))

from cast.caller import Caller  # noqa: E402
from cast.origin import Authority, Origin  # noqa: E402
from cast.proxy import Proxy, resolving, trusting  # noqa: E402

# As many as half of this machine's descriptors allow, up to what the issue
# asks about.
WANTED = 9800
MANY = min(WANTED, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2 - 200)
SMALL_BODY = "/200/length/157"


def allow_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def house(*options):
    """A proxy with an origin behind it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        directory = pathlib.Path(directory)
        authority = Authority(directory)
        with contextlib.closing(Origin(authority)) as origin:
            proxy = Proxy(directory, "--workers", 1, *resolving(origin),
                          *trusting(authority), *options, log_level="error")
            try:
                yield proxy
            finally:
                proxy.kill()


def open_callers(proxy, count, transport="plain"):
    """Each has had one answer, and rests."""
    callers = []
    for _ in range(count):
        callers.append(Caller(proxy, transport))
        callers[-1].fetch(SMALL_BODY)
    return callers


def close_all(callers):
    for caller in callers:
        caller.close()


def resident_bytes(proxy):
    with open(f"/proc/{proxy.pid}/smaps_rollup") as rollup:
        line = next(line for line in rollup if line.startswith("Rss:"))
    return int(line.split()[1]) << 10


def cpu_s(proxy):
    """Of all its threads, by the kernel's own clock for the process."""
    return time.clock_gettime(~proxy.pid << 3 | 2)


def cpu_share(proxy, seconds):
    """Of one core, while nothing is asked of it."""
    before = cpu_s(proxy)
    time.sleep(seconds)
    return (cpu_s(proxy) - before) / seconds


def request_us(proxy, callers, batches=20, rounds=20):
    """CPU time of the proxy for one request, where all of these ask at once:
    the least of some batches, for the machine is not ours alone."""
    least = float("inf")
    for _ in range(batches):
        before = cpu_s(proxy)
        for _ in range(rounds):
            for caller in callers:
                caller.request(SMALL_BODY)
            for caller in callers:
                caller.read(caller.read_head().length)
        least = min(least, cpu_s(proxy) - before)
    return least / rounds / len(callers) * 1e6


def heading(text):
    print(f"\n{text}\n" + "-" * len(text), flush=True)
