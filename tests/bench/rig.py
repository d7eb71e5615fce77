# SPDX-License-Identifier: MIT
"""What the benchmarks share: the release build, callers by the thousand out of
the tests' cast, plain ones that cost little, and what /proc says of the proxy.

Only ratios of one run count, and CPU time before wall time: the machine is not
ours alone."""

import contextlib
import os
import pathlib
import resource
import selectors
import signal
import socket
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("LEAKPROXY", str(ROOT / "build/leakproxy"))
sys.path.insert(0, str(ROOT / "tests/e2e"))

from cast.caller import Caller  # noqa: E402
from cast.origin import HOST, Authority, Origin  # noqa: E402
from cast.proxy import Proxy, resolving, trusting  # noqa: E402

# As many as half of this machine's descriptors allow, up to what the issue
# asks about.
WANTED = 9800
MANY = min(WANTED, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2 - 200)
SMALL_BODY = "/200/length/157"


def allow_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# ---- houses ----

@contextlib.contextmanager
def house(*options):
    """A proxy with the tests' origin behind it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        authority = Authority(pathlib.Path(directory))
        with contextlib.closing(Origin(authority)) as origin, \
                running(directory, *resolving(origin), *trusting(authority),
                        *options) as proxy:
            yield proxy


@contextlib.contextmanager
def plain_house(*options, workers=1):
    """A proxy with an origin behind it that answers plain requests, and costs
    little."""
    allow_descriptors()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, \
            contextlib.closing(PlainOrigin()) as origin, \
            running(directory, "--resolve",
                    f"{HOST}:*:127.0.0.1:{origin.port}", *options,
                    workers=workers) as proxy:
        yield proxy


@contextlib.contextmanager
def running(directory, *options, workers=1):
    proxy = Proxy(directory, "--workers", workers, *options,
                  log_level="error")
    try:
        yield proxy
    finally:
        proxy.kill()


class PlainOrigin:
    """A process of its own, which has one answer."""

    ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
              b"Content-Length: 157\r\n\r\n" + b"." * 157)

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.pid = os.fork()
        if self.pid == 0:
            self._serve()

    def _serve(self):
        ready = selectors.EpollSelector()
        ready.register(self.listener, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is self.listener:
                    ready.register(self.listener.accept()[0],
                                   selectors.EVENT_READ)
                elif data := key.fileobj.recv(65536):
                    key.fileobj.sendall(self.ANSWER *
                                        data.count(b"\r\n\r\n"))
                else:
                    ready.unregister(key.fileobj)
                    key.fileobj.close()

    def close(self):
        self.listener.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


# ---- callers ----

class PlainCaller:
    """One that costs little: it knows how long its answers are, once it has
    had one.  Through a tunnel the proxy passes them on without a look."""

    def __init__(self, proxy, is_tunnel=False, tags=None):
        self.socket = socket.create_connection(proxy.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target = SMALL_BODY if is_tunnel else f"http://{HOST}{SMALL_BODY}"
        tagged = f"Leakproxy-Tag: {tags}\r\n" if tags else ""
        self.request = (f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{tagged}"
                        "User-Agent: bench\r\n\r\n").encode()
        if is_tunnel:
            self.socket.sendall(f"CONNECT {HOST}:80 HTTP/1.1\r\n"
                                f"Host: {HOST}:80\r\n\r\n".encode())
            self._read_head()
        self.answer_bytes = None

    def _read_head(self):
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.socket.recv(65536)
        return data

    def ask(self):
        self.socket.sendall(self.request)

    def read(self):
        if self.answer_bytes is None:
            data = self._read_head()
            self.answer_bytes = data.index(b"\r\n\r\n") + 4 + 157
            size = len(data)
        else:
            size = len(self.socket.recv(65536))
        while size < self.answer_bytes:
            size += len(self.socket.recv(65536))

    def close(self):
        self.socket.close()


def open_plain(proxy, count, **kind):
    """Each has had one answer."""
    callers = [PlainCaller(proxy, **kind) for _ in range(count)]
    ask_all(callers)
    return callers


def ask_all(callers, at_once=64):
    """Every one of them in its turn, so many at a time."""
    for first in range(0, len(callers), at_once):
        turn = callers[first:first + at_once]
        for caller in turn:
            caller.ask()
        for caller in turn:
            caller.read()


def plain_us(proxy, callers, requests=2000, at_once=64):
    """CPU time of the proxy for one request, over so many at least."""
    rounds = max(requests // len(callers), 1)
    before = cpu_s(proxy)
    for _ in range(rounds):
        ask_all(callers, at_once)
    return (cpu_s(proxy) - before) / rounds / len(callers) * 1e6


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


# ---- what it costs ----

def resident_bytes(proxy):
    with open(f"/proc/{proxy.pid}/smaps_rollup") as rollup:
        line = next(line for line in rollup if line.startswith("Rss:"))
    return int(line.split()[1]) << 10


def cpu_s(proxy):
    """Of all its threads, by the kernel's own clock for the process."""
    return time.clock_gettime(~proxy.pid << 3 | 2)


def thread_cpu_s(proxy, name):
    """Of the thread of that name."""
    for task in pathlib.Path(f"/proc/{proxy.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int((task / "schedstat").read_text().split()[0]) / 1e9
    raise LookupError(name)


def cpu_share(proxy, seconds):
    """Of one core, while nothing is asked of it."""
    before = cpu_s(proxy)
    time.sleep(seconds)
    return (cpu_s(proxy) - before) / seconds


def request_us(proxy, callers, batches=20, rounds=20):
    """CPU time of the proxy for one request, where all of these ask at once:
    the least of some batches."""
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


def interleaved(rounds, **measures):
    """Calls each of them in turn, so many rounds.  Returns of each the median,
    and the median of its ratios to the first in the same round."""
    seen = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            seen[name].append(measure())
    first = next(iter(seen.values()))
    return {name: (statistics.median(values),
                   statistics.median(value / base for value, base
                                     in zip(values, first, strict=True)))
            for name, values in seen.items()}


# ---- tables ----

def heading(text):
    print(f"\n{text}\n" + "-" * len(text), flush=True)
