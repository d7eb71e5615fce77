# SPDX-License-Identifier: MIT
"""What outlives the process: evidence, runs, and whether a fix worked."""

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess

import pytest

from cast.caller import Caller
from cast.origin import send_later
from cast.proxy import resolving, run, trusting
from cast.waiting import wait_until

MANIFEST = "/v2/alpine/manifests/latest"
DROPPED = "leakproxy_store_dropped_records_total"
MARKS_THAT_WAIT = 1024  # BATCH_MAX_MARKS

DATABASE = "leakproxy.db"


def send_missing(exchange):
    send_later(exchange, 404, 157)


@pytest.fixture
def state(start_proxy, origin, tmp_path):
    """The state directory that all proxies of a test share."""
    origin.script[MANIFEST] = send_missing
    return tmp_path / "state"


def kill_9(proxy):
    proxy.kill()
    proxy.process.returncode = 0  # no crash: it was us


def hold(stack, proxy, count, path=MANIFEST, tag="job=imagecheck"):
    """A caller that forgets the bodies, until they are proven held."""
    for at in range(count):
        caller = stack.enter_context(Caller(proxy))
        caller.get(f"{path}?held{at}{tag}", ("Leakproxy-Tag", tag))
    for at in range(count):
        proxy.wait_for(f"?held{at}{tag}", "undrained")


def drain(proxy, count, path=MANIFEST, tag="job=imagecheck"):
    """The same caller after the fix."""
    name = tag.replace(", ", ";")
    targets = [f"{path}?drained{at}{name}" for at in range(count)]
    for target in targets:
        with Caller(proxy) as caller:
            caller.fetch(target, ("Leakproxy-Tag", tag))
    for target in targets:
        proxy.wait_for(target, "drained")


def report(state, reference):
    done = run("report", "--run", reference, "--state-dir", state, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def runs(state):
    done = run("runs", "--state-dir", state, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["runs"]


def compare(state, *arguments):
    """Returns status and what it says."""
    done = run("compare", "--state-dir", state, "--json", *arguments)
    return done.returncode, json.loads(done.stdout)


def compare_text(state, *arguments):
    done = run("compare", "--state-dir", state, *arguments)
    assert max(map(len, done.stdout.splitlines())) <= 80
    return done.stdout


def without_what_moves(leak):
    """A leak, less what depends on the moment of asking, the choice of its
    example, and the analysis of its times, which are not stored."""
    for caller in leak["callers"]:
        caller["fds"].sort()
    return {key: value for key, value in leak.items()
            if key not in ("per_hour", "example", "rhythm", "suspect",
                           "suspect_note")}


# ---- evidence lasts ----


@pytest.mark.threads
def test_what_a_report_said_survives_kill_9(start_proxy, state):
    """The report is the acknowledgement: killed the moment it has answered,
    the proxy has lost nothing of what it said."""
    proxy = start_proxy("--run", "killed")
    with contextlib.ExitStack() as stack:
        hold(stack, proxy, 3)
        said = proxy.leaks()
        kill_9(proxy)
    again = start_proxy("--run", "again")
    stored = report(state, "killed")
    assert [without_what_moves(leak) for leak in stored["leaks"]] == \
        [without_what_moves(leak) for leak in said["leaks"]]
    [leak] = stored["leaks"]
    assert MANIFEST in leak["example"]["url"]
    assert leak["example"]["unread_bytes"] == 157
    for word in ("exchanges", "undrained", "held_now", "connections"):
        assert stored["totals"][word] == said["totals"][word]
    text = run("report", "--run", "1", "--state-dir", state, "--columns", "80")
    assert "3 responses undrained" in " ".join(text.stdout.split())
    assert "was killed" in text.stdout
    killed, alive = runs(state)
    assert (killed["name"], killed["leaks"], killed["undrained"]) == \
        ("killed", 1, 3)
    assert killed["ended"] is None
    assert (alive["name"], alive["leaks"]) == ("again", 0)
    again.stop()
    assert runs(state)[1]["ended"] is not None


def test_a_second_is_the_most_that_is_lost(start_proxy, state):
    """Nobody asks for a report: it is written all the same."""
    proxy = start_proxy()
    with contextlib.ExitStack() as stack:
        caller = stack.enter_context(Caller(proxy))
        caller.get(MANIFEST)
        # Only the file is looked at: a question to the proxy would flush it.
        wait_until(lambda: runs(state)[0]["undrained"] == 1,
                   "the leak is stored")
        kill_9(proxy)
    assert report(state, "last")["totals"]["undrained"] == 1


def test_the_end_is_stored(start_proxy, state):
    """An orderly end writes the rest: what was held then was held to the
    end."""
    proxy = start_proxy("--drain-timeout", "100ms")
    with contextlib.ExitStack() as stack:
        hold(stack, proxy, 2)
        proxy.stop()
    [stored] = runs(state)
    assert stored["undrained"] == 2 and stored["ended"] is not None


def test_exec_is_a_run(start_proxy, origin, authority, state, tmp_path):
    """exec stores too, and the version of the service is told apart."""
    done = run("exec", *resolving(origin), *trusting(authority),
               "--state-dir", state, "--run", "ci", "--", "curl", "-s",
               "-H", "Leakproxy-Tag: version=1.4", "-o", "/dev/null",
               f"http://origin.test{MANIFEST}")
    assert done.returncode == 0, done.stderr
    [stored] = runs(state)
    assert (stored["name"], stored["versions"], stored["exchanges"]) == \
        ("ci", "1.4", 1)


def test_a_start_that_fails_is_no_run(start_proxy, state):
    """The address is taken: nothing ran."""
    proxy = start_proxy()
    done = run("serve", "--state-dir", state, "--listen", "127.0.0.1:0",
               "--admin", proxy.ready["admin"])
    assert done.returncode == 2
    assert len(runs(state)) == 1


def test_store_off(start_proxy, state):
    """--store off: no file, and a report all the same."""
    proxy = start_proxy("--store", "off")
    drain(proxy, 1)
    proxy.stop()
    assert not (state / DATABASE).exists()
    done = run("runs", "--state-dir", state)
    assert done.returncode == 2
    assert re.fullmatch(r"leakproxy: \S+leakproxy\.db does not exist: .*\n",
                        done.stderr)


def test_secrets_are_not_stored(start_proxy, state):
    """What is redacted in a report is redacted in the file."""
    proxy = start_proxy()
    with Caller(proxy) as caller:
        caller.get(f"{MANIFEST}?X-Amz-Signature=s3cr3t",
                   ("Authorization", "Bearer s3cr3t"), ("Cookie", "s3cr3t"))
        proxy.wait_for("", "undrained")
        proxy.leaks()
        for path in state.glob(f"{DATABASE}*"):
            assert b"s3cr3t" not in path.read_bytes()
            assert path.stat().st_mode & 0o077 == 0


# ---- did the fix work? ----


def test_compare(start_proxy, state):
    """Before: one job leaks each 404.  After: that job is fixed, another job
    is not exercised any more, and a third, fine before, leaks now."""
    proxy = start_proxy("--run", "before")
    with contextlib.ExitStack() as stack:
        hold(stack, proxy, 6)
        hold(stack, proxy, 6, "/v2/gone/manifests/latest/200/later/100",
             tag="job=prefetch")
        drain(proxy, 10, "/200/later/100", tag="job=cleaner")
        proxy.leaks()
    proxy.stop()

    proxy = start_proxy("--run", "after")
    with contextlib.ExitStack() as stack:
        drain(proxy, 6, tag="job=imagecheck, version=2")
        hold(stack, proxy, 4, "/200/later/100", tag="job=cleaner")
        proxy.leaks()
    proxy.stop()

    status, found = compare(state, "before", "after")
    assert status == 1
    changes = {leak["tags"]["job"]: leak for leak in found["leaks"]}
    assert {job: leak["change"] for job, leak in changes.items()} == {
        "imagecheck": "gone", "prefetch": "not-exercised", "cleaner": "new"}
    fixed = changes["imagecheck"]
    assert fixed["before"]["undrained"] == fixed["before"]["responses"] == 6
    assert fixed["after"]["undrained"] == 0
    assert fixed["after"]["responses"] == 6 >= fixed["responses_needed"]
    assert changes["cleaner"]["before"]["responses"] == 10
    assert changes["prefetch"]["after"]["responses"] == 0
    assert found["changes"]["gone"] == found["changes"]["new"] == 1
    text = compare_text(state, "before", "after")
    assert text.splitlines()[0] == \
        "3 leaks: 1 gone, 1 new, 1 not-exercised"
    assert text.index("NEW") < text.index("NOT EXERCISED") < \
        text.index("GONE")

    # A pipeline chooses what fails it.
    assert compare(state, "--fail-on", "worse", "before", "after")[0] == 0
    assert compare(state, "before", "after", "--fail-on", "left")[0] == 1
    # The other way round, the fixed one is new.
    assert compare(state, "2", "1")[1]["leaks"][0]["change"] == "new"
    # A run is what it is.
    status, found = compare(state, "last", "after")
    assert (status, [leak["change"] for leak in found["leaks"]]) == \
        (0, ["unchanged"])
    assert "times what it was" in " ".join(
        compare_text(state, "last", "after").split())


def test_compare_says_what_is_wrong(start_proxy, state):
    """One line, status 2."""
    start_proxy().stop()
    for arguments in (["compare", "1", "2"], ["report", "--run", "nightly"]):
        done = run(*arguments, "--state-dir", state)
        assert done.returncode == 2 and done.stdout == ""
        assert re.fullmatch(r"leakproxy: .* has no run \"(2|nightly)\": "
                            r"leakproxy runs lists .*\n", done.stderr)


# ---- privileges ----


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another")
def test_a_file_of_roots(start_proxy, state):
    """--user: the state directory is root's, and the store is opened before
    that is given up."""
    proxy = start_proxy("--user", "nobody")
    drain(proxy, 2)
    proxy.leaks()
    proxy.stop()
    assert not troubles(proxy)
    [stored] = runs(state)
    assert stored["exchanges"] == 2 and stored["ended"] is not None


# ---- trouble with the file ----


def troubles(proxy):
    return [line for line in proxy.log.splitlines() if DATABASE in line]


@contextlib.contextmanager
def small_disk(directory):
    """A file system of 1 MiB."""
    directory.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs",
                           directory], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"needs root to mount a small disk: {done.stderr}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


def test_a_full_disk(start_proxy, state):
    """One warning, a counter, and the proxy goes on; once there is room, all
    that was found meanwhile is stored."""
    with small_disk(state):
        proxy = start_proxy()
        filler = state / "filler"
        wait_until((state / DATABASE).exists, "it is there")
        wait_until(lambda: runs(state), "the run has begun")
        with open(filler, "wb", buffering=0) as full, \
                contextlib.suppress(OSError):
            while full.write(b"\0" * 4096):
                pass
        with contextlib.ExitStack() as stack:
            # More than fits in what its files have left.
            hold(stack, proxy, 25, MANIFEST + "?" + "x" * 8000)
            assert proxy.leaks()["totals"]["undrained"] == 25
            wait_until(
                lambda: proxy.metric("leakproxy_store_errors_total") >= 3,
                "it tries again")
            [warning] = troubles(proxy)
            assert "disk is full" in warning and "goes on" in warning
            # What waits is bounded: the newest marks are dropped.
            for _ in range(MARKS_THAT_WAIT + 10):
                proxy.mark("imagecheck", "start")
            wait_until(lambda: proxy.metric(DROPPED) == 10, "it is counted")
            filler.unlink()
            wait_until(lambda: "written again" in proxy.log, "it recovers")
            assert report(state, "last")["totals"]["undrained"] == 25
        assert len(troubles(proxy)) == 2
        proxy.stop()


def test_marks_are_kept(start_proxy, state):
    """What jobs announced, by the API and by a field, is in the file, once
    each, also after a kill -9."""
    def stored():
        with contextlib.closing(sqlite3.connect(state / DATABASE)) as database:
            return database.execute(
                "SELECT name, phase FROM mark ORDER BY at").fetchall()

    proxy = start_proxy()
    proxy.mark("imagecheck", "start")
    drain(proxy, 1)
    with Caller(proxy) as caller:
        caller.get(MANIFEST, ("Leakproxy-Mark", "imagecheck;stop"))
    wanted = [("imagecheck", "start"), ("imagecheck", "stop")]
    wait_until(lambda: stored() == wanted, "both are stored")
    kill_9(proxy)
    proxy = start_proxy()
    proxy.mark("other", "start")
    wait_until(lambda: stored() == [*wanted, ("other", "start")],
               "the next run's too")


def test_a_file_that_is_locked(start_proxy, state):
    """Somebody holds it: the proxy serves, and writes when they let go."""
    start_proxy().stop()
    with contextlib.closing(sqlite3.connect(state / DATABASE)) as other:
        other.execute("BEGIN EXCLUSIVE")
        proxy = start_proxy()
        drain(proxy, 1)
        wait_until(lambda: troubles(proxy), "it says so")
        other.rollback()
        wait_until(lambda: "written again" in proxy.log, "it recovers")
    [warning, relief] = troubles(proxy)
    assert "is locked" in warning
    wait_until(lambda: runs(state)[-1]["exchanges"] == 1, "it is stored")


@pytest.mark.parametrize("damage, word", [
    (b"This was never a database of ours. " * 999, "is damaged"),
    ("PRAGMA user_version=99", "newer leakproxy")])
def test_a_file_that_will_not_do(start_proxy, state, damage, word):
    """It is left as it is, byte for byte; the proxy keeps nothing, says so
    once, and serves."""
    state.mkdir()
    path = state / DATABASE
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    else:
        start_proxy().stop()
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute(damage)
            database.commit()
    before = path.read_bytes()
    shutil.copy(path, state / "copy")
    proxy = start_proxy()
    drain(proxy, 2)
    proxy.leaks()
    [warning] = troubles(proxy)
    assert word in warning and "left as it" in warning
    assert "keeps nothing" in warning
    proxy.stop()
    assert path.read_bytes() == before
    assert run("runs", "--state-dir", state).returncode == 2


def test_two_proxies_share_a_file(start_proxy, state):
    """serve and exec of one user at the same time: two runs."""
    one, two = start_proxy("--run", "one"), start_proxy("--run", "two")
    for proxy in one, two:
        drain(proxy, 3)
        proxy.leaks()
    assert {each["name"]: each["exchanges"] for each in runs(state)} == \
        {"one": 3, "two": 3}
    assert not troubles(one) and not troubles(two)


def test_it_is_bounded(start_proxy, state):
    """--store-max-age: what is older goes; the leak's own count stays with
    its run."""
    proxy = start_proxy("--store-max-age", "1s")
    with contextlib.ExitStack() as stack:
        hold(stack, proxy, 2)
        proxy.leaks()
        kill_9(proxy)
    start_proxy("--store-max-age", "1h").stop()
    assert [each["leaks"] for each in runs(state)] == [1, 0]
    start_proxy("--store-max-age", "1ms").stop()
    assert [each["run"] for each in runs(state)] == [3]
