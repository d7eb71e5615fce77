# SPDX-License-Identifier: MIT
"""Staging is captured while it runs: each exchange in a line of a file,
within a bound, without anybody's password, and there after a kill -9.  What is
meant by "each" is said in a filter, which reports and the API take too."""

import contextlib
import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from cast import har, netns
from cast.caller import Caller
from cast.origin import Origin, send_later
from cast.proxy import Proxy, patience, plain_environment, run
from cast.waiting import wait_until
from test_capture import replay  # noqa: F401
from test_store import small_disk

SMALL = "/200/length/1000"
MANIFEST = "/v2/alpine/manifests/latest"
NAME = re.compile(r"leakproxy-\d{8}T\d{6}Z-\d{6}\.ndjson")
SECRET = "opensesame"

# The caller waits for lines, and its connection must wait for it.
UNPROBED = patience("400ms", "1m", "300ms")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "captures"


@pytest.fixture
def capturing(start_proxy, folder):
    def start(*options, **more):
        return start_proxy("--capture-dir", folder, *options, **more)
    return start


def files(folder):
    return sorted(folder.glob("*.ndjson"))


def lines(folder):
    """The entries, each as the last line about it says."""
    entries = {}
    for path in files(folder):
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                entry = json.loads(line)
                entries[entry["_id"]] = entry
    return list(entries.values())


def urls(folder):
    return [entry["request"]["url"] for entry in lines(folder)]


def check_archive(entries):
    """They are what HAR 1.2 calls entries."""
    return har.read(json.dumps({"log": {
        "version": "1.2", "creator": {"name": "leakproxy", "version": "0"},
        "entries": entries}}))


def hold(stack, proxy, target, tag="job=imagecheck"):
    """A caller that forgets the body, until that is proven."""
    caller = stack.enter_context(Caller(proxy))
    caller.get(target, ("Leakproxy-Tag", tag))
    proxy.wait_for(target, "undrained")
    return caller


# ---- what is written ----


def test_each_exchange_has_a_line(capturing, origin, folder):
    """Plain and intercepted, with and without a body, drained or not: all are
    there, as HAR has them, private, and without their secrets."""
    origin.script[MANIFEST] = lambda exchange: send_later(exchange, 404, 157)
    proxy = capturing("--capture-bytes", "1KiB")
    for transport in ("plain", "intercepted"):
        with Caller(proxy, transport) as caller:
            caller.fetch(SMALL + "?token=" + SECRET,
                         ("Authorization", "Bearer " + SECRET),
                         ("Cookie", "id=" + SECRET),
                         ("Leakproxy-Tag", "job=gc"))
            caller.get("/204/none/0")
    with contextlib.ExitStack() as stack:
        hold(stack, proxy, MANIFEST)
        # Long before it ends, which it may never do.
        wait_until(lambda: len(lines(folder)) == 5, "all have settled")
        entries = check_archive(lines(folder))
        by_verdict = {entry["_verdict"]: entry for entry in entries}
        assert set(by_verdict) == {"drained", "none", "undrained"}
        assert by_verdict["undrained"]["_held"]
        assert by_verdict["undrained"]["_tags"] == {"job": "imagecheck"}
        assert by_verdict["undrained"]["_route"] == "/v2/{}/manifests/{}"
        drained = by_verdict["drained"]
        assert har.values(drained["request"], "Authorization") \
            == ["Bearer REDACTED"]
        assert drained["request"]["url"].endswith("?token=REDACTED")
        assert len(drained["response"]["content"]["text"]) == 1000
        [path] = files(folder)
        assert NAME.fullmatch(path.name)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    proxy.stop()
    assert SECRET not in path.read_text()
    # The leak has a second line, which says how it ended.
    assert len(path.read_text().splitlines()) == 6
    [leak] = [each for each in lines(folder) if each["_verdict"] == "undrained"]
    assert not leak["_held"]


def test_only_what_passes(capturing, origin, folder):
    origin.script[MANIFEST] = lambda exchange: send_later(exchange, 404, 157)
    proxy = capturing("--capture",
                      "status>=400 origin=*.test tag.job=imagecheck,gc")
    with Caller(proxy) as caller:
        caller.fetch(SMALL, ("Leakproxy-Tag", "job=gc"))
        caller.fetch(MANIFEST + "?none")
        caller.fetch(MANIFEST + "?sync", ("Leakproxy-Tag", "job=sync"))
        caller.fetch(MANIFEST + "?gc", ("Leakproxy-Tag", "job=gc"))
    proxy.wait_for("?gc", "drained")
    proxy.stop()
    assert urls(folder) == [f"http://origin.test:80{MANIFEST}?gc"]


def test_what_is_still_open(capturing, folder):
    """The end of the proxy settles what is still open, and that is written."""
    proxy = capturing()
    with Caller(proxy) as caller:
        caller.get(SMALL)
        proxy.stop()
    [entry] = lines(folder)
    assert entry["_verdict"] in ("unproven", "undrained")
    assert entry["response"]["status"] == 200


# ---- bounds ----


def test_files_roll(capturing, folder):
    """3 MB go in, 1 MiB stays, the newest; and nothing else is touched."""
    folder.mkdir()
    other = folder / "notes.ndjson"
    other.write_text("mine")
    proxy = capturing("--capture-dir-bytes", "1MiB", patience=UNPROBED)
    long = ("X-Long", "x" * 9000)
    with Caller(proxy) as caller:
        for at in range(300):
            caller.fetch(f"{SMALL}?{at}", long)
            if at % 50 == 0:
                wait_until(lambda: proxy.metric(
                    'leakproxy_capture_entries_total{result="written"}')
                    >= at - 1, "it is written")
    proxy.stop()
    ours = [path for path in files(folder) if path != other]
    size = sum(path.stat().st_size for path in ours)
    assert 800_000 < size <= 1 << 20
    assert 10 < len(ours) <= 17
    assert other.read_text() == "mine"
    other.unlink()
    kept = [int(url.rpartition("?")[2]) for url in urls(folder)]
    assert kept == list(range(kept[0], 300)) and len(kept) > 80


def test_a_full_disk(capturing, folder):
    """One warning, a counter, and the proxy goes on; when there is room again
    lines are whole, as all before are."""
    def troubles():
        return [line for line in proxy.log.splitlines()
                if "--capture-dir" in line]

    def failed():
        return proxy.metric('leakproxy_capture_entries_total{result="failed"}')

    with small_disk(folder):
        proxy = capturing(patience=UNPROBED)
        filler = folder / "filler"
        with Caller(proxy) as caller:
            caller.get("/204/none/0")
            wait_until(lambda: lines(folder), "the first")
            with open(filler, "wb", buffering=0) as full, \
                    contextlib.suppress(OSError):
                while full.write(b"\0" * 4096):
                    pass
            for at in range(10):
                caller.fetch(f"{SMALL}?lost{at}", ("X-Long", "x" * 3000))
            wait_until(lambda: failed() >= 3, "it is counted")
            [warning] = troubles()
            assert "No space left on device" in warning and "goes on" in warning
            filler.unlink()
            caller.fetch(SMALL + "?kept")
            caller.get("/204/none/0")
            wait_until(lambda: urls(folder)[-1].endswith("/204/none/0") and
                       len(troubles()) == 2, "it recovers")
        assert "written again" in troubles()[1]
        assert f"{int(failed())} entries were lost" in troubles()[1]
        text = "".join(path.read_text() for path in files(folder))
        assert all(json.loads(line) for line in text.splitlines())
        proxy.stop()


def test_a_directory_that_will_not_do(tmp_path):
    """Said at the start, in one line, with what to do."""
    file = tmp_path / "file"
    file.write_text("")
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    for options, wanted in (
            (["--capture-dir", tmp_path / "a/b"], "No such file"),
            (["--capture-dir", file], "Not a directory"),
            (["--capture-dir", theirs, "--user", "nobody"],
             "Permission denied"),
            (["--capture-dir", theirs, "--capture-memory", "off"],
             "--capture-memory")):
        if "--user" in options and os.geteuid() != 0:
            continue
        done = run("serve", "--listen", "127.0.0.1:0", "--admin", "off",
                   "--state-dir", tmp_path / "state", *options)
        assert done.returncode == 2, done.stderr
        complaint = done.stderr.splitlines()[-1]
        assert complaint.startswith("leakproxy: --capture-dir: "), done.stderr
        assert wanted in complaint


# ---- kill -9, and replay ----


def test_kill_9_under_load(capturing, origin, folder, replay):  # noqa: F811
    """Every line but the last is whole, the leak is among them, and replay
    serves it: also where the last line is torn."""
    origin.script[MANIFEST] = lambda exchange: send_later(exchange, 404, 157)
    proxy = capturing("--capture-bytes", "1KiB")
    with contextlib.ExitStack() as stack:
        hold(stack, proxy, MANIFEST)
        # Its worker may be another than that of the load.
        wait_until(lambda: lines(folder), "the leak is there")
        with Caller(proxy) as caller:
            for at in range(200):
                caller.fetch(f"{SMALL}?{at}")
                if at == 150:
                    wait_until(lambda: len(lines(folder)) > 20, "some lines")
            proxy.kill()
            proxy.process.returncode = 0  # no crash: it was us
    [path] = files(folder)
    *whole, last = path.read_text().splitlines(keepends=True)
    entries = check_archive([json.loads(line) for line in whole])
    assert len(entries) > 20
    assert any(entry["_verdict"] == "undrained" for entry in entries)
    # As a page that was not copied any more would leave it.
    path.write_text("".join(whole) + last[:len(last) // 2])
    text = path.read_text()
    replayed = replay(text, name="torn.ndjson")
    with contextlib.closing(Caller(replayed, address=replayed.address)) as asks:
        response = asks.get(MANIFEST)
        assert response.status == 404 and len(asks.read(157)) == 157
    # In the middle of a file it is a mistake.
    path.write_text(last[:len(last) // 2] + "\n" + text)
    done = run("replay", str(path))
    assert done.returncode == 2
    assert f"{path}: entry 1: it is no JSON" in done.stderr


def test_a_later_line_supersedes(folder, replay):  # noqa: F811
    """Of two lines with one _id the later counts, also across files."""
    def line(number, status, text):
        return json.dumps({
            "_id": f"1/c{number}x1",
            "request": {"method": "GET", "url": "http://a.test/a"},
            "response": {"status": status, "statusText": "", "headers": [
                {"name": "Content-Length", "value": str(len(text))}],
                "content": {"size": len(text), "text": text}}}) + "\n"

    folder.mkdir()
    second = folder / "2.ndjson"
    second.write_text(line(1, 200, "as it ended"))
    replayed = replay(line(1, 200, "as it began") + line(2, 404, "other"),
                      second, name="1.ndjson")
    answers = set()
    for _ in range(4):
        with Caller(replayed, address=replayed.address) as caller:
            response = caller.get("/a")
            answers.add(caller.read(response.length))
    assert answers == {b"as it ended", b"other"}


# ---- the filter elsewhere ----


def test_filters_of_reports_and_lists(start_proxy, origin, tmp_path):
    """The same words choose exchanges, leaks and connections; what cannot be
    asked of them is refused with what can."""
    for status in (401, 404):
        origin.script[f"/v2/a/manifests/{status}"] = \
            lambda exchange, status=status: send_later(exchange, status, 157)
    proxy = start_proxy()
    with contextlib.ExitStack() as stack:
        for status in (401, 404):
            hold(stack, proxy, f"/v2/a/manifests/{status}", f"job=j{status}")
        with Caller(proxy) as caller:
            caller.fetch(SMALL)
        proxy.wait_for(SMALL, "drained")

        def statuses(text):
            return {each["status"] for each in proxy.exchanges(filter=text)}

        assert statuses("status>=400") == {401, 404}
        assert statuses("verdict=undrained tag.job=j404") == {404}
        assert statuses("route=/v2/*/manifests/* status!=404") == {401}
        assert statuses("tag.job!=*") == {200}
        assert statuses("held body_bytes=157 duration<5s pid!=1") == {401, 404}
        entries = har.read(proxy.get("/api/har", filter="status=401"))
        assert [each["response"]["status"] for each in entries] == [401]
        assert len(proxy.connections(filter="age<1h user_agent=call*")) == 3
        assert not proxy.connections(filter="age>1h")
        leaks = json.loads(proxy.get("/api/leaks", filter="status=404"))
        assert [leak["status"] for leak in leaks["leaks"]] == [404]
        assert leaks["left_out"] == 1
        assert leaks["totals"]["undrained"] == 2
        status, _, text = proxy.ask("/api/leaks", filter="verdict=drained")
        assert status == 400 and "a term begins with method, status" in text

        admin = ["report", "--admin", proxy.ready["admin"]]
        done = run(*admin, "--filter", "tag.job=j401 status=401")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("1 LEAK: 1 response undrained")
        assert "1 other left out" in done.stdout
        assert "/v2/{}/manifests/{}   status 401" in done.stdout
        assert "status 404" not in done.stdout
        done = run(*admin, "--json", "--filter", "origin=nowhere.test")
        assert json.loads(done.stdout)["leaks"] == []
    proxy.stop()
    done = run("report", "--run", "last", "--state-dir",
               str(tmp_path / "state"), "--json", "--filter", "status=404")
    assert [leak["status"]
            for leak in json.loads(done.stdout)["leaks"]] == [404]


# ---- beside a packet capture ----


def tshark(path, secrets, *options):
    """What it shows of the file, which may still be written."""
    done = subprocess.run(
        ["tshark", "-r", path, "-o", f"tls.keylog_file:{secrets}", *options],
        capture_output=True, text=True, timeout=60, env=plain_environment())
    return done.stdout.splitlines()


@pytest.mark.skipif(not shutil.which("dumpcap") or not shutil.which("tshark"),
                    reason="tshark is needed")
def test_packets_can_be_read(authority, tmp_path):
    """With SSLKEYLOGFILE, Wireshark reads both legs of what was intercepted:
    the caller's request and ours, each inside its own TLS."""
    secrets = tmp_path / "secrets"
    packets = tmp_path / "packets.pcapng"
    with netns.entered(), contextlib.closing(Origin(authority)) as origin:
        def is_on_both_legs():
            """Where the request went, of those who could be read."""
            ports = tshark(
                packets, secrets, "-d", f"tcp.port=={origin.tls_port},tls",
                "-Y", f'http.request.uri contains "{SMALL}?hidden"',
                "-T", "fields", "-e", "tcp.dstport")
            return sorted(ports) == sorted(["8080", str(origin.tls_port)])

        dump = subprocess.Popen(["dumpcap", "-q", "-i", "lo", "-w", packets],
                                stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: packets.exists() and packets.stat().st_size,
                       "it has begun")
            proxy = Proxy(
                tmp_path, "--resolve",
                f"origin.test:443:127.0.0.1:{origin.tls_port}",
                "--upstream-ca", authority.ca, listen="127.0.0.1:8080",
                environment={"SSLKEYLOGFILE": str(secrets)})
            with Caller(proxy, "intercepted") as caller:
                caller.fetch(SMALL + "?hidden")
            proxy.stop()
            wait_until(is_on_both_legs, "the request is read on both legs")
        finally:
            dump.terminate()
            dump.communicate(timeout=10)
    text = packets.read_bytes()
    assert b"hidden" not in text
    # Without the secrets, nobody does.
    assert not tshark(packets, tmp_path / "none", "-Y",
                      'http.request.uri contains "hidden"')
