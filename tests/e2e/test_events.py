# SPDX-License-Identifier: MIT
"""--events: what matters, a line of JSON each, for a log pipeline."""

import contextlib
import json
import os
import ssl

import pytest

from cast.caller import Caller
from cast.proxy import resolving, run
from cast.waiting import wait_until

LATER = "/200/later/1000"

# Leaves with the body unread, when that is no haste any more; and has a line of
# its own to say.
CHILD = f"""
import json, os, socket, time, urllib.parse, urllib.request
proxy = urllib.parse.urlsplit(os.environ["http_proxy"])
caller = socket.create_connection((proxy.hostname, proxy.port))
caller.sendall(b"GET http://origin.test{LATER} HTTP/1.1\\r\\n"
               b"Host: origin.test\\r\\n\\r\\n")
head = b""
while not head.endswith(b"\\r\\n\\r\\n"):
    head += caller.recv(1)
direct = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
url = os.environ["LEAKPROXY_ADMIN"] + "/api/exchanges"
is_left = False
while not is_left:
    time.sleep(0.05)
    [one] = json.load(direct.open(url))["exchanges"]
    is_left = one["pid"] and one["unread_bytes"] and one["age_s"] > 1
print("the child's own line", flush=True)
os._exit(0)  # closes nothing by itself
"""


def events(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def hold(stack, proxy, name):
    """A response that nobody reads; once that is proven."""
    caller = stack.enter_context(Caller(proxy))
    caller.get(f"{LATER}?{name}")
    proxy.wait_for(name, "undrained")
    return caller


def wait_for_event(path, word, **fields):
    def look():
        found = [event for event in events(path) if event["event"] == word]
        return found[-1] if found else None

    event = wait_until(look, word)
    for key, value in fields.items():
        assert event[key] == value, event
    return event


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events"


def test_a_leak_from_first_to_last(start_proxy, path, authority):
    """First seen, growing, recovered, and what came in the last second; with
    the API's names, and across the rotation of the file."""
    proxy = start_proxy("--events", path)
    with contextlib.ExitStack() as stack:
        first = hold(stack, proxy, "one")
        event = wait_for_event(path, "leak_first_seen", undrained=1,
                               held_now=1, status=200)
        [leak] = proxy.leaks()["leaks"]
        assert set(event) == {"time", "event"} | set(leak)
        assert event["callers"][0]["pid"] == os.getpid()
        assert path.stat().st_mode & 0o777 == 0o600

        path.rename(path.with_suffix(".1"))
        hold(stack, proxy, "two")
        with pytest.raises(ssl.SSLError):
            Caller(proxy, "intercepted", ca=authority.ca)
        wait_for_event(path, "leak_growing", undrained=2, grew_by=1)
        event = wait_for_event(path, "ca_refused", refused=1,
                               target="origin.test:443",
                               trust_refused="unknown_ca")
        [conn] = [conn for conn in proxy.connections()
                  if conn["trust_refused"]]
        assert set(event) == {"time", "event", "refused"} | set(conn)

        first.read(1000)
        wait_for_event(path, "leak_recovered", undrained=1, recovered=1)
        hold(stack, proxy, "three")
        wait_until(lambda: events(path)[-1]["undrained"] == 2, "it is told")
        # This is neither twice as many, nor a minute later.
        hold(stack, proxy, "four")
        proxy.stop()
    assert events(path)[-1]["event"] == "leak_growing"
    assert events(path)[-1]["undrained"] == 3


def test_exec_shares_stdout(origin, tmp_path):
    """The child's lines stay whole, and the verdict of its exit is told."""
    done = run("exec", *resolving(origin), "--state-dir", tmp_path,
               "--events", "-", "--", "/usr/bin/python3", "-c", CHILD)
    own, line = done.stdout.splitlines()
    assert own == "the child's own line"
    event = json.loads(line)
    assert event["event"] == "leak_first_seen"
    assert event["evidence"] == {"exit": 1}
    assert event["held_to_exit"] == 1


def test_a_reader_that_goes(start_proxy, path):
    """One warning; the proxy goes on, and so do the events when somebody
    reads again."""
    os.mkfifo(path)
    proxy = start_proxy("--events", path)
    with contextlib.ExitStack() as stack:
        hold(stack, proxy, "one")
        wait_until(lambda: "cannot write to" in proxy.log, "it says so")
        with Caller(proxy) as caller:
            assert len(caller.fetch("/200/length/1000")) == 1000
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        stack.callback(os.close, reader)

        def read():
            with contextlib.suppress(BlockingIOError):
                return os.read(reader, 65536)

        line = wait_until(read, "the event comes after all")
        assert json.loads(line)["event"] == "leak_first_seen"
    assert proxy.log.count("--events: cannot write to") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can")
def test_in_a_folder_of_roots(start_proxy, path):
    """Opened by root, written by nobody, who may not look there again: no
    reason to warn."""
    assert path.parent.stat().st_mode & 0o077 == 0
    proxy = start_proxy("--events", path, "--user", "nobody")
    with contextlib.ExitStack() as stack:
        hold(stack, proxy, "one")
        wait_for_event(path, "leak_first_seen")
        proxy.stop()
    assert "--events: cannot" not in proxy.log


def test_where_there_is_no_place(tmp_path):
    done = run("serve", "--state-dir", tmp_path, "--listen", "127.0.0.1:0",
               "--admin", "off", "--events", tmp_path / "no" / "where")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "--events" in line and "name a file" in line
