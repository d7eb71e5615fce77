# SPDX-License-Identifier: MIT
"""Many proxies, one PostgreSQL: what each has found is there, once, whatever
happens to the proxies, the server and the wire between them."""

import contextlib
import json
import os
import signal
import sqlite3
import time

import pytest

from cast import readme
from cast.caller import Caller
from cast.origin import HOST, send_later, send_length
from cast.postgres import PASSWORD, Postgres, Wire
from cast.proxy import Proxy, resolving, run, trusting
from cast.waiting import wait_until
from conftest import SHORT

MANIFEST = "/v2/alpine/manifests/latest"
DATABASE = "leakproxy.db"

# Every table that is sent, by what is the same in both databases: runs by uuid, kinds by
# leak_id.  `seen` and `ended` of a run, and all rows with their revision.
OF_RUN = "SELECT r.uuid, t.rev, {columns} FROM {s}{table} t " \
    "JOIN {s}run r ON r.run = t.run"
KIND = "(SELECT leak_id FROM {s}kind k WHERE k.kind = t.kind)"
TABLES = {
    "count": "what, value",
    "leak": KIND + ", undrained, suspected, held_to_exit, released,"
            " t.first_seen, t.last_seen",
    "evidence": KIND + ", word, value",
    "exposure": KIND + ", settled, t.first_seen, t.last_seen",
    "exchange": "conn, ordinal, " + KIND + ", verdict, evidence, held, url,"
                " user_agent, t.pid, body_bytes, unread_bytes, began_at",
    "mark": "at, t.name, phase",
}


@pytest.fixture(scope="module")
def server():
    with contextlib.closing(Postgres()) as server:
        yield server


@pytest.fixture
def database(server, monkeypatch):
    """An empty one; whose password is in the environment, as libpq has it."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    server.new_database()
    return server


def send_missing(exchange):
    send = send_length if "?drained" in exchange.request.target else send_later
    send(exchange, 404, 157)


@pytest.fixture
def sidecar(origin, authority, tmp_path, request):
    """Starts a proxy with a state directory of its own, or that of another."""
    origin.script[MANIFEST] = send_missing
    proxies = []

    def start(name, url, *options):
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        proxy = Proxy(directory, *resolving(origin), *trusting(authority),
                      *SHORT, "--store", url, *options)
        proxies.append(proxy)
        return proxy

    yield start
    try:
        for proxy in proxies:
            proxy.stop()
            assert PASSWORD not in proxy.log
    finally:
        for proxy in proxies:
            proxy.kill()


def leak(stack, proxy, count, name, *tags):
    """A caller that forgets bodies, until they are proven held."""
    targets = [f"{MANIFEST}?{name}{at}" for at in range(count)]
    for target in targets:
        stack.enter_context(Caller(proxy)).get(
            target, ("Leakproxy-Tag", ", ".join(("job=imagecheck", *tags))))
    for target in targets:
        proxy.wait_for(target, "undrained")


def drain(proxy, count, name, *tags):
    with Caller(proxy) as caller:
        for at in range(count):
            caller.fetch(f"{MANIFEST}?drained{name}{at}", (
                "Leakproxy-Tag", ", ".join(("job=imagecheck", *tags))))


def stored_here(directory):
    """All that one proxy's own database holds, as text."""
    rows = []
    with contextlib.closing(
            sqlite3.connect(directory / "state" / DATABASE)) as database:
        for query in queries(""):
            rows += [tuple(None if field is None else str(field)
                           for field in row)
                     for row in database.execute(query)]
    return sorted(map(repr, rows))


def queries(schema):
    """The first field says which table."""
    yield f"SELECT 'run', uuid, rev, started, seen, ended, name, host, " \
        f"service, version FROM {schema}run"
    for table, columns in TABLES.items():
        yield OF_RUN.format(
            s=schema, table=table,
            columns=f"'{table}', " + columns.format(s=schema))


def stored_there(server):
    rows = []
    for query in queries("leakproxy."):
        rows += [tuple(row) for row in server.sql(query)]
    return sorted(map(repr, rows))


def kill_9(proxy):
    proxy.kill()
    proxy.process.returncode = 0  # no crash: it was us


def is_up(proxy):
    return proxy.metric("leakproxy_shared_store_up") == 1


def answer(*arguments, url):
    done = run(*arguments, "--store", url, "--json")
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


# ---- nothing lost, nothing twice ----


@pytest.mark.threads
def test_everything_is_there_exactly_once(database, sidecar, tmp_path):
    """Three services' sidecars leak and drain.  The server crashes under
    them; they go on, and leak more.  One is killed; one more starts in its
    place.  When the server is back, all that each has found is there, and
    the fleet is asked as one."""
    url = database.url()
    with contextlib.ExitStack() as stack:
        first = sidecar("a", url, "--service", "checkout@1.4")
        second = sidecar("b", url, "--service", "checkout@1.4")
        third = sidecar("c", url, "--service", "checkout@1.5")
        leak(stack, first, 3, "early")
        leak(stack, second, 2, "early")
        drain(third, 10, "early")
        third.mark("imagecheck", "start")
        wait_until(lambda: database.tables("exchange") and database.number(
            "SELECT count(*) FROM leakproxy.exchange WHERE"
            " verdict = 'undrained'") == 5, "5 leaks are there")

        database.stop(signal.SIGQUIT)
        leak(stack, second, 4, "late")
        began = time.monotonic()
        drain(first, 20, "late")
        assert time.monotonic() - began < 2  # nobody waits for the server
        leak(stack, first, 1, "late")
        wait_until(lambda: not is_up(first) and not is_up(second),
                   "they have noticed")
        second.leaks()  # what that says is in its database
        kill_9(second)
        again = sidecar("b", url, "--service", "checkout@1.4")
        leak(stack, again, 1, "again")
        assert first.metric("leakproxy_shared_store_waiting_rows") > 0
        health = json.loads(first.get("/api/health"))["shared_store"]
        assert not health["up"] and "check that" in health["error"]

        database.start()
        proxies = first, again, third
        wait_until(lambda: all(map(is_up, proxies)), "they are back",
                   patience_s=15)
        for proxy in proxies:
            # The third had nothing to send.
            assert (proxy.log.count("meanwhile evidence stays in") == 1 or
                    proxy is third)
            assert proxy.metric("leakproxy_shared_store_lost_rows_total") == 0
            proxy.stop()
    here = sorted(row for name in "abc"
                  for row in stored_here(tmp_path / name))
    assert stored_there(database) == here
    assert len(here) == len(set(here))
    check_the_fleet(url)


def check_the_fleet(url):
    """3 + 1, 2 + 4 and 1 leaks of 1.4 in three runs, none of 1.5."""
    runs = answer("runs", url=url)["runs"]
    assert sorted((each["service"], each["versions"], each["undrained"])
                  for each in runs) == [
        ("checkout", "1.4", 1), ("checkout", "1.4", 4),
        ("checkout", "1.4", 6), ("checkout", "1.5", 0)]
    assert sum(each["ended"] is None for each in runs) == 1

    whole = answer("report", "--run", "service=checkout", url=url)
    [found] = whole["leaks"]
    assert found["undrained"] == 11
    assert found["tags"] == {"job": "imagecheck"}
    assert sum(found["evidence"].values()) == 11
    assert whole["totals"]["exchanges"] == 11 + 10 + 20
    for reference, leaks in ("all@1.4", 1), ("service=checkout@1.5", 0):
        told = answer("report", "--run", reference, url=url)
        assert len(told["leaks"]) == leaks, reference

    assert 'no run of version "9"' in one_line("report", "--run", "all@9",
                                               url=url)
    done = run("compare", "--store", url, "service=checkout@1.4",
               "service=checkout@1.5")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "GONE" in said and "11 of 31 leaked" in said, done.stdout
    assert "3 runs of service checkout, version 1.4" in said
    text = run("report", "--run", "all", "--store", url).stdout
    assert "on 1 host; 1 not ended (running, or killed)" in " ".join(text.split()), text


def test_a_commit_whose_answer_is_lost(database, sidecar, tmp_path):
    """The server has committed, and the wire breaks before it can say so:
    what is sent again is not there twice.  Marks have no key that would keep
    two apart."""
    with contextlib.closing(Wire(database.port)) as wire, \
            contextlib.ExitStack() as stack:
        proxy = sidecar("a", database.url(wire.port))
        wait_until(lambda: is_up(proxy), "it is up")
        wire.commits_to_lose = 2
        for at in range(20):
            proxy.mark(f"job{at}", "start")
        leak(stack, proxy, 2, "lost")
        wait_until(lambda: wire.lost == 2, "two answers are lost")
        proxy.stop()
    here = stored_here(tmp_path / "a")
    assert stored_there(database) == here
    assert sum("'mark'" in row for row in here) == 20


def test_verdicts_are_revised_there_too(database, sidecar, tmp_path):
    """Found undrained, sent, and read after all: one exchange, drained.  Two
    proxies of one state directory send it, each all that lies there."""
    proxy = sidecar("a", database.url())
    other = sidecar("a", database.url())
    for at in range(10):
        proxy.mark(f"job{at}", "start")
        other.mark(f"job{at}", "stop")
    verdict = "SELECT verdict FROM leakproxy.exchange WHERE url LIKE '%slow0'"
    with Caller(proxy, window=16384) as caller:
        caller.get("/200/length/2000000?slow0")
        proxy.wait_for("?slow0", "undrained")
        wait_until(lambda: database.sql(verdict) == [["undrained"]], "sent")
        caller.read(2000000)
        caller.fetch("/200/length/10")
        proxy.wait_for("?slow0", "drained")
        wait_until(lambda: database.sql(verdict) == [["drained"]], "revised")
    proxy.stop()
    other.stop()
    assert stored_there(database) == stored_here(tmp_path / "a")


def test_bytes_that_are_no_text(database, sidecar, tmp_path):
    """PostgreSQL takes UTF-8 alone; what strangers send must not stop the
    rest."""
    proxy = sidecar("a", database.url())
    with Caller(proxy) as caller:
        caller.send(f"GET http://{HOST}{MANIFEST}?odd HTTP/1.1\r\nHost: {HOST}"
                    "\r\nUser-Agent: \xff\xfe!\r\n\r\n".encode("latin-1"))
        caller.read_head()
        proxy.wait_for("?odd", "undrained")
        agent = "SELECT user_agent FROM leakproxy.exchange"
        wait_until(lambda: database.sql(agent) == [["\ufffd\ufffd!"]], "there")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another")
def test_as_another_user(database, sidecar):
    """The spool is root's, and was opened before that was given up."""
    proxy = sidecar("a", database.url(), "--user", "nobody")
    wait_until(lambda: is_up(proxy), "it is up")


def test_exec_sends_before_it_ends(database, tmp_path):
    """A run in CI is in the fleet's store when its command is over; elsewhere
    than the others, which the list shows then."""
    url = database.url()
    done = run("exec", "--store", url, "--run", "ci", "--service", "checkout",
               "--state-dir", tmp_path / "state", "--", "true")
    assert done.returncode == 0, done.stderr
    [stored] = answer("runs", url=url)["runs"]
    assert stored["ended"] is not None and stored["name"] == "ci"
    database.sql("INSERT INTO leakproxy.run(uuid, started, seen, name, host,"
                 " program, pid) VALUES ('x', 1, 1, '', 'pod-2', '', 1)")
    listed = run("runs", "--store", url).stdout.splitlines()
    assert [line.split("  on ")[1] for line in listed if "  on " in line] == [
        stored["host"], "pod-2"]
    assert "  of checkout  on " in listed[1]


# ---- what the manual says ----


def test_the_manual_s_sql(database, sidecar, tmp_path):
    """The partitions are made under a proxy that runs, which does not notice;
    and what is old is deleted, and stays so."""
    partition, = [block for block in readme.blocks("Fleet")
                  if "PARTITION" in block]
    cron, = [block for block in readme.blocks("Fleet") if "RETURNING" in block]
    url = database.url()
    with contextlib.ExitStack() as stack:
        proxy = sidecar("a", url, "--service", "checkout@1.4")
        leak(stack, proxy, 2, "before")
        wait_until(lambda: database.tables("exchange") and database.number(
            "SELECT count(*) FROM leakproxy.exchange") == 2, "2 are there")
        database.sql("SET ROLE fleet; " + partition)
        leak(stack, proxy, 3, "behind")
        wait_until(lambda: database.number(
            "SELECT count(*) FROM leakproxy.exchange") == 5, "5 are there")
        proxy.stop()
    assert stored_there(database) == stored_here(tmp_path / "a")
    [found] = answer("report", "--run", "all", url=url)["leaks"]
    assert found["undrained"] == 5
    database.sql("UPDATE leakproxy.run SET seen = 0; SET ROLE fleet; " + cron)
    assert all(database.number(f"SELECT count(*) FROM leakproxy.{table}") == 0
               for table in ("run", *TABLES))
    again = sidecar("a", url)
    wait_until(lambda: is_up(again), "it is up")
    assert database.number("SELECT count(*) FROM leakproxy.run") == 1


# ---- what can be wrong ----


def one_line(*arguments, url, **more):
    done = run(*arguments, "--store", url, **more)
    assert done.returncode == 2, done.stdout + done.stderr
    [line] = done.stderr.splitlines()
    assert PASSWORD not in line and "hidden" not in line
    return line


def test_mistakes_are_told_in_one_line(database, monkeypatch, tmp_path):
    """Each says what to do, and none has the password in it."""
    def ask(url):
        return one_line("runs", url=url)

    assert "libpq5" not in ask(database.url())
    assert "start a leakproxy" in ask(database.url())  # nobody has, yet
    assert "createdb" in ask(database.url(database="nowhere"))
    assert "check that the server runs" in ask(database.url(port=1))
    assert "PostgreSQL can be shared" in ask("mysql://fleet@db/fleet")
    bad = ask(f"postgresql://fleet:{PASSWORD}%zz@db/fleet")
    assert "it is no URL" in bad
    assert "check that the server runs" in ask(
        "postgresql://fleet:hidden@127.0.0.1:1/fleet?password=hidden")
    # What is not escaped in a password is read as what is no secret.
    for password in "hid/hidden", "hid@hidden", "12/hidden":
        assert "it is no URL" in ask(f"postgresql://fleet:{password}@db/fleet")
    assert "it is no URL" in ask("postgresql://fleet%0aX@db/fleet")
    far = ask(f"postgresql://fleet@127.0.0.1:1/{'d' * 3000}")
    assert "Connection refused" in far and len(far) < 400
    monkeypatch.setenv("PGPASSWORD", "wrong")
    assert "PGPASSFILE" in ask(database.url())
    monkeypatch.delenv("PGPASSWORD")
    (tmp_path / "pass").write_text(
        "*:*:*:*:" + PASSWORD.replace(":", r"\:") + "\n")
    os.chmod(tmp_path / "pass", 0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pass"))
    assert "start a leakproxy" in ask(database.url())


def test_a_newer_schema_is_left_alone(database, sidecar):
    """By whom a newer leakproxy has been there: it says so, and the spool
    keeps it all."""
    database.sql("CREATE SCHEMA leakproxy AUTHORIZATION fleet; CREATE TABLE"
                 " leakproxy.store(schema bigint, identity text); INSERT INTO"
                 " leakproxy.store VALUES (99, 'x'); GRANT SELECT ON"
                 " leakproxy.store TO fleet")
    assert "newer leakproxy" in one_line("runs", url=database.url())
    proxy = sidecar("a", database.url())
    wait_until(lambda: "newer leakproxy" in proxy.log, "it is told")
    assert database.tables("%") == 1


def test_a_database_that_is_another_s(database, sidecar):
    """A user without the right to make the schema, or to look into it, is
    told what it needs; with those that the manual names, all goes well."""
    database.sql("CREATE ROLE guest LOGIN PASSWORD 'x'; REVOKE CREATE ON"
                 " DATABASE fleet FROM PUBLIC")
    url = database.url(user="guest").replace("guest@", "guest:x@")
    try:
        proxy = sidecar("a", url)
        wait_until(lambda: "grant this user" in proxy.log, "it is told")
        owner = sidecar("b", database.url())
        wait_until(lambda: is_up(owner), "the schema is made")
        assert "grant this user" in one_line("runs", url=url)
        database.sql("GRANT USAGE ON SCHEMA leakproxy TO guest; GRANT SELECT,"
                     " INSERT, UPDATE ON ALL TABLES IN SCHEMA leakproxy TO"
                     " guest")
        wait_until(lambda: is_up(proxy), "it is let in")
    finally:
        database.sql("DROP OWNED BY guest; DROP ROLE guest")


def test_a_database_that_will_not_do(database):
    """A standby, and one that has not all letters: a single URL that it
    cannot keep would stop all behind it."""
    database.sql("ALTER ROLE fleet SET default_transaction_read_only = on")
    try:
        done = run("exec", "--store", database.url(), "--", "true")
        assert "name the primary" in done.stderr
    finally:
        database.sql("ALTER ROLE fleet RESET default_transaction_read_only")
    database.sql("DROP DATABASE IF EXISTS narrow", "postgres")
    database.sql("CREATE DATABASE narrow OWNER fleet ENCODING 'LATIN1'"
                 " TEMPLATE template0", "postgres")
    line = one_line("runs", url=database.url(database="narrow"))
    assert "keeps text as LATIN1" in line and "UTF8" in line


def test_one_that_is_cut_off_within_its_transaction(
        database, sidecar, tmp_path):
    """It holds the name of a leak that another has found too, and does not
    know that nobody hears it.  It ends within seconds all the same; and the
    server lets the other through, whose hearing nobody has cut off."""
    with contextlib.closing(Wire(database.port)) as wire, \
            contextlib.ExitStack() as stack:
        cut_off = sidecar("a", database.url(wire.port))
        wait_until(lambda: is_up(cut_off), "it is up")
        wire.falls_silent = True
        leak(stack, cut_off, 1, "same")
        wait_until(lambda: wire.is_silent, "the wire is silent")
        other = sidecar("b", database.url())
        leak(stack, other, 1, "same")
        began = time.monotonic()
        cut_off.stop()
        assert time.monotonic() - began < 7
        assert "were not sent: 1;" in cut_off.log
        wait_until(lambda: database.number(
            "SELECT count(*) FROM leakproxy.exchange") == 1, "it is there",
            patience_s=20)
        other.stop()
        again = sidecar("a", database.url())
        wait_until(lambda: is_up(again), "what was kept is sent")
        again.stop()
    assert stored_there(database) == sorted(
        stored_here(tmp_path / "a") + stored_here(tmp_path / "b"))


def test_the_service_is_a_label(database, sidecar):
    """Prometheus joins it by instance and job."""
    proxy = sidecar("a", database.url(), "--service", 'che"ck@1.4')
    assert proxy.get("/metrics").count(
        ',service="che\\"ck",service_version="1.4"} 1') == 1
