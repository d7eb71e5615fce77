# SPDX-License-Identifier: MIT
"""What is kept of a leak is enough to see it again.

An engineer who is told "this 404 is never closed" wants it on the desk: the
response in a unit test, without the registry, without anybody's password.
"""

import base64
import contextlib
import json
import subprocess
from dataclasses import dataclass

import pytest

from cast import har, program
from cast.caller import Caller
from cast.origin import HOST, noise, pattern
from cast.proxy import plain_environment, run
from cast.replay import Replay
from cast.waiting import wait_until

SMALL = "/200/length/1000"
LEAK = "/v2/tools/agent/manifests/3.2/404/chunked/93"

KEEP_BODIES = ("--capture-bytes", "64KiB")


@pytest.fixture
def replay(tmp_path):
    """Starts an origin from a capture."""
    with contextlib.ExitStack() as stack:
        def start(text, *options, **more):
            replay = Replay(tmp_path, text, *options, **more)
            stack.callback(replay.stop)
            return replay
        yield start


def entries(proxy, **filters):
    return har.read(proxy.get("/api/har", **filters))


def entry_of(proxy, target):
    [found] = [entry for entry in entries(proxy)
               if entry["request"]["url"].endswith(target)]
    return found


def curl_of(proxy, target):
    """The command for the one exchange with this target."""
    exchange = proxy.exchange(target)
    return proxy.get(f"/api/exchanges/{exchange['id']}/curl")


# ---- the leak, once more ----


@dataclass
class GoCase:
    """As program.Program wants it."""
    manner: str
    program: str = "go"


@contextlib.contextmanager
def go_client(proxy, manner, url, tmp_path):
    """A Go program that asks twice, while it lives."""
    program.build()
    client = program.Program(
        GoCase(manner), url, "job=imagecheck",
        program.environment_behind(proxy), tmp_path / "client.log")
    try:
        for _ in range(2):
            client.tell("step")
        yield client
    finally:
        client.end()


def wait_for_leak(proxy):
    def look():
        leaks = proxy.leaks()["leaks"]
        return leaks and leaks[0]["undrained"] == 2 and leaks[0]
    return wait_until(look, "two responses are undrained")


@pytest.mark.parametrize("kept", [KEEP_BODIES, ()], ids=["bodies", "heads"])
def test_a_leak_is_reproduced_from_its_capture(start_proxy, origin, replay,
                                               transport, tmp_path, kept):
    """A Go service leaks a registry's 404.  What was captured is served
    again, and the same program leaks again: same route, same status, same
    size; and a program that closes does not."""
    scheme = "http" if transport == "plain" else "https"
    first = start_proxy("--strict", *kept)
    with go_client(first, "leave", f"{scheme}://{HOST}{LEAK}", tmp_path):
        seen = wait_for_leak(first)
        text = first.get("/api/har", verdict="undrained")
    first.stop()
    origin.close()
    assert len(har.read(text)) == 2

    replayed = replay(text)
    resolve = ("--resolve", f"replayed.test:80:127.0.0.1:{replayed.port}")
    url = f"http://replayed.test{LEAK}"
    second = start_proxy("--strict", *resolve)
    with go_client(second, "leave", url, tmp_path):
        again = wait_for_leak(second)
    for name in "method", "route", "status", "tags", "undrained":
        assert again[name] == seen[name], name
    assert again["example"]["body_bytes"] == 93

    third = start_proxy("--strict", *resolve)
    with go_client(third, "drain", url, tmp_path):
        wait_until(lambda: third.totals()["drained"] == 2, "both drained")
    assert third.leaks()["leaks"] == []


# ---- bodies ----


def ask_replay(replayed, path, method="GET"):
    """Returns the response's head and body, by its framing."""
    caller = Caller(replayed)
    with caller:
        response = caller.get(path, method=method)
        if method == "HEAD" or response.status in (204, 304):
            return response, b""
        if response.value("Transfer-Encoding"):
            return response, caller.read_chunked()[0]
        if response.value("Content-Length"):
            return response, caller.read(response.length)
        return response, caller.read_to_end()


FRAMINGS = {
    "/200/length/1000": pattern(1000),
    "/404/length/157": pattern(157),
    "/200/chunked/50000": pattern(50000),
    "/200/eof/3000": pattern(3000),
    "/204/none/0": b"",
}


def test_responses_are_replayed_as_they_were(start_proxy, replay):
    """Status, fields, body and framing."""
    proxy = start_proxy(*KEEP_BODIES)
    with contextlib.ExitStack() as stack:
        for path in FRAMINGS:
            stack.enter_context(Caller(proxy)).get(path)
        wait_until(lambda: all(each["duration_s"] is not None
                               for each in proxy.exchanges()),
                   "they are complete")
        text = proxy.get("/api/har")
    replayed = replay(text)
    for entry, (path, expected) in zip(har.read(text), FRAMINGS.items(),
                                       strict=True):
        response, body = ask_replay(replayed, path)
        assert body == expected
        assert response.status == entry["response"]["status"]
        assert entry["response"]["content"]["size"] == len(body)
        recorded = {(field["name"], field["value"])
                    for field in entry["response"]["headers"]}
        assert set(response.fields) - {("Connection", "close")} <= recorded
        assert recorded <= set(response.fields)


def test_bodies_that_are_no_text(start_proxy, replay):
    """Compressed: base64 in the archive, the same bytes from the replay."""
    path = "/200/gzip/2000"
    proxy = start_proxy(*KEEP_BODIES)
    with Caller(proxy) as caller:
        body = caller.fetch(path)
        text = proxy.get("/api/har")
    [entry] = har.read(text)
    content = entry["response"]["content"]
    assert content["encoding"] == "base64"
    assert base64.b64decode(content["text"]) == body
    response, again = ask_replay(replay(text), path)
    assert response.value("Content-Encoding") == "gzip"
    assert again == body


def test_no_body_is_kept_unasked(start_proxy, replay):
    """Other people's data is theirs; its size is enough for a leak."""
    proxy = start_proxy()
    with Caller(proxy) as caller:
        caller.fetch(SMALL)
        caller.request("/200/length/10", ("Content-Length", "9"),
                       method="POST")
        caller.send(b"my-secret")
        caller.read(caller.read_head().length)
        text = proxy.get("/api/har")
    assert pattern(16).decode().splitlines()[0] not in text
    assert "my-secret" not in text
    get, post = har.read(text)
    assert "text" not in get["response"]["content"]
    assert get["response"]["content"]["size"] == 1000
    assert post["request"]["bodySize"] == 9
    response, body = ask_replay(replay(text), SMALL)
    assert response.length == 1000
    assert body == b"." * 1000


def test_what_is_kept_of_a_long_body(start_proxy, replay):
    """Its start; the replay makes up the rest."""
    path = "/200/chunked/300000"
    proxy = start_proxy("--capture-bytes", "10000")
    with Caller(proxy) as caller:
        caller.get(path)
        caller.read_chunked()
        text = proxy.get("/api/har")
    [entry] = har.read(text)
    content = entry["response"]["content"]
    assert "text" not in content
    assert content["size"] == 300000
    assert content["_start"].encode() == pattern(10000)
    _, body = ask_replay(replay(text), path)
    assert body == pattern(10000) + b"." * 290000


def test_a_response_that_was_held_up(start_proxy, replay):
    """The caller took none of 5 MB, so neither did we; the replay has what
    the origin announced."""
    path = "/200/length/5000000"
    proxy = start_proxy(*KEEP_BODIES)
    with Caller(proxy, window=4096) as caller:
        caller.get(path)
        proxy.wait_for(path, "undrained")
        text = proxy.get("/api/har", verdict="undrained")
    [entry] = har.read(text)
    assert entry["_evidence"] == "stalled" and not entry["_complete"]
    assert entry["response"]["content"]["size"] < 5000000
    response, body = ask_replay(replay(text), path)
    assert response.length == len(body) == 5000000
    assert body.startswith(pattern(60000))


def test_a_response_that_broke_off(start_proxy, origin, replay):
    """It breaks off again, at the same byte."""
    def truncate(exchange):
        exchange.head(200, "Content-Length: 5000")
        exchange.body(pattern(1000))
        exchange.must_close = True

    origin.script["/broken"] = truncate
    proxy = start_proxy(*KEEP_BODIES)
    with Caller(proxy) as caller:
        caller.get("/broken")
        assert caller.read_to_end() == pattern(1000)
        text = proxy.get("/api/har")
    with Caller(replay(text)) as caller:
        assert caller.get("/broken").length == 5000
        assert caller.read_to_end() == pattern(1000)


# ---- the archive ----


def test_an_entry(start_proxy, origin):
    """All that HAR asks for, and what we know beside."""
    origin.script["/v2/"] = lambda exchange: exchange.answer(
        302, b"moved", "Location: /elsewhere?a=b", "Content-Type: text/plain",
        "Set-Cookie: id=7; Path=/; HttpOnly")
    proxy = start_proxy(*KEEP_BODIES)
    with Caller(proxy) as caller:
        caller.get("/v2/?b=2&a=%20x&c", ("Cookie", "k=v; l=w"),
                   ("Leakproxy-Tag", "job=imagecheck"))
        proxy.wait_for("a=%20x&c", "undrained")
        exchange = proxy.exchange("a=%20x&c")
        one = har.read(proxy.get(f"/api/exchanges/{exchange['id']}/har"))
        [entry] = entries(proxy)
    # It grows older, and its probe goes on.
    for each in *one, entry:
        each.pop("_unread_bytes"), each.pop("_evidence")
    assert one == [entry]
    assert entry["_verdict"] == "undrained"
    assert entry["_tags"] == {"job": "imagecheck"}
    assert entry["_exchange"] == exchange["id"]
    assert entry["_connection"] == entry["connection"] \
        == exchange["connection"]
    request, response = entry["request"], entry["response"]
    assert request["url"] == exchange["url"]
    assert request["queryString"] == [
        {"name": "b", "value": "2"}, {"name": "a", "value": "%20x"},
        {"name": "c", "value": ""}]
    assert request["cookies"] == [{"name": "k", "value": "REDACTED"},
                                  {"name": "l", "value": "REDACTED"}]
    assert request["httpVersion"] == "HTTP/1.1"
    assert har.values(request, "User-Agent") == ["caller"]
    assert response["status"] == 302
    assert response["statusText"] == "Found"
    assert response["redirectURL"] == "/elsewhere?a=b"
    assert response["cookies"] == [{"name": "id", "value": "REDACTED"}]
    assert har.values(response, "Set-Cookie") \
        == ["id=REDACTED; Path=/; HttpOnly"]
    assert response["content"] == {"size": 5, "mimeType": "text/plain",
                                   "text": "moved"}
    timings = entry["timings"]
    assert entry["time"] == pytest.approx(
        timings["wait"] + timings["receive"], abs=0.01)


def test_filters(start_proxy):
    """As /api/exchanges has them; oldest first, and a limit is said."""
    proxy = start_proxy()
    with Caller(proxy) as caller, Caller(proxy) as leaker:
        for at in range(3):
            caller.fetch(f"/a/{at}/200/length/5",
                         ("Leakproxy-Tag", f"n={at}"))
        leaker.get("/b/404/length/5")
        proxy.wait_for("/b/404/length/5", "undrained")
        urls = [entry["request"]["url"] for entry in entries(proxy)]
        assert [url.split("/")[-4] for url in urls] == ["0", "1", "2", "b"]
        [leak] = entries(proxy, verdict="undrained")
        assert leak["response"]["status"] == 404
        [tagged] = entries(proxy, tag="n=1")
        assert tagged["_tags"] == {"n": "1"}
        assert len(entries(proxy, origin=f"http://{HOST}:80")) == 4
        assert entries(proxy, origin="http://other.test:80") == []
        text = proxy.get("/api/har", limit=2)
        assert len(har.read(text)) == 2
        assert "limit" in json.loads(text)["log"]["comment"]


def test_refusals(proxy):
    """Misspelt, gone, or nothing at all."""
    for path, status in (
            ("/api/har?verdict=leaky", 400),
            ("/api/exchanges/c999x1/har", 404),
            ("/api/exchanges/c999x1/curl", 404),
            ("/api/exchanges/none/curl", 400),
            ("/api/exchanges/c1x1/other", 404),
            ("/api/exchanges/c1x1/har/", 404), ("/api/exchanges//har", 404),
            ("/api/exchanges/c1x1/har?limit=1", 400)):
        answered, fields, text = proxy.ask(path)
        assert (answered, fields["Content-Type"]) \
            == (status, "application/json"), path
        assert json.loads(text)["error"]


def test_hostile_bytes(start_proxy, origin):
    """What is no UTF-8, and what a terminal obeys, is JSON all the same; and
    no shell and no terminal sees it raw."""
    origin.script["/odd"] = lambda exchange: (
        exchange.send(b"HTTP/1.1 200 \xff\xfe\r\nX-Bad: a\xc3(\xff\"\\\x1b[31m"
                      b"\r\nX-Bidi: \xe2\x80\xae\r\nContent-Type: \xff/\xff\r\n"
                      b"Set-Cookie: \xff\r\nLocation: \xff\r\n"
                      b"Content-Length: 4\r\n\r\n"),
        exchange.body(b"\xff\x00\x1b\""))
    proxy = start_proxy(*KEEP_BODIES)
    with Caller(proxy) as caller:
        caller.send(b"GET http://origin.test/odd?\"'`$(x) HTTP/1.1\r\n"
                    b"Host: origin.test\r\nX-Odd: \xff\x80 'q' \"\r\n\r\n"
                    .replace(b"\"'`$(x)", b"'`$(x)"))
        response = caller.read_head()
        assert response.status == 200, response.line
        caller.read(4)
        [entry] = entries(proxy)
        curl = curl_of(proxy, "(x)")
    assert har.values(entry["response"], "X-Bad")[0].endswith("\x1b[31m")
    assert base64.b64decode(entry["response"]["content"]["text"]) \
        == b"\xff\x00\x1b\""
    assert curl.isprintable() or set(curl) - {"\n"} == set(
        letter for letter in curl if letter.isprintable())


# ---- curl ----


NASTY = [("X-Quotes", "it's \"$(touch /tmp/never)\" `id` \\ !"),
         ("X-Empty", ""), ("X-High", "\xe9\xff"), ("Accept", "a/b"),
         ("Content-Type", "text/x")]

BODIES = {"none": (b"", "GET"), "text": (b"it's\n@file $HOME\n", "POST"),
          "binary": (bytes(range(256)), "PUT"),
          "large": (noise(50000), "POST")}


def send(caller, path, method, body):
    length = [("Content-Length", str(len(body)))] if body else []
    caller.send(f"{method} {caller.url(path)} HTTP/1.1\r\n".encode()
                + "".join(f"{name}: {value}\r\n" for name, value in [
                    ("Host", caller.authority), *NASTY, *length, ("", "")])
                .removesuffix(": \r\n").encode("latin-1") + b"\r\n" + body)
    caller.read(caller.read_head().length)


def run_curl(command, proxy):
    done = subprocess.run(["bash", "-c", command], capture_output=True,
                          timeout=20, env=plain_environment(
                              http_proxy=proxy.url))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", BODIES)
def test_curl_sends_the_same_request(start_proxy, origin, kind):
    """Pasted into a shell it reaches the origin as the first one did."""
    body, method = BODIES[kind]
    path = "/a/../b'c/{x}[1]/200/length/5?q=$(id)&r=%27"
    proxy = start_proxy(*KEEP_BODIES)
    with Caller(proxy) as caller:
        send(caller, path, method, body)
    run_curl(curl_of(proxy, path), proxy)
    first, again = origin.requests
    assert (again.method, again.target, again.body) \
        == (first.method, first.target, first.body) == (method, path, body)
    drop = {"via", "content-length", "connection"}
    assert [(name, value) for name, value in again.fields
            if name.lower() not in drop] \
        == [(name, value) for name, value in first.fields
            if name.lower() not in drop]


def test_curl_without_the_body(start_proxy, origin):
    """Not kept: as many zeros."""
    proxy = start_proxy()
    with Caller(proxy) as caller:
        send(caller, SMALL, "POST", b"x" * 3000)
    run_curl(curl_of(proxy, SMALL), proxy)
    assert [request.body for request in origin.requests] \
        == [b"x" * 3000, bytes(3000)]


def test_curl_without_the_head(start_proxy, origin):
    """Nothing was kept: method and URL are in the ledger."""
    proxy = start_proxy("--capture-memory", "off", *KEEP_BODIES)
    with Caller(proxy) as caller:
        caller.get(SMALL, method="HEAD")
        [entry] = entries(proxy)
        assert run_curl(curl_of(proxy, SMALL), proxy) \
            .startswith(b"HTTP/1.1 200")
    assert entry["request"]["headers"] == []
    assert [request.method for request in origin.requests] == ["HEAD", "HEAD"]


# ---- secrets ----


def test_redact(start_proxy, origin):
    """Names of the house's own, beside those that everybody knows."""
    origin.script["/x"] = lambda exchange: exchange.answer(
        200, b"", "X-House-Id: hush", "X-Housing: open",
        "Location: /y?ref=hush&page=2")
    proxy = start_proxy("--redact", "x-house-*", "--redact", "REF")
    with Caller(proxy) as caller:
        caller.get("/x?ref=hush&page=1", ("X-House-Key", "hush"),
                   ("Referer", "http://o.test/?ref=hush"))
        wait_until(proxy.exchanges, "it is listed")
        told = [proxy.get("/api/har"), proxy.get("/api/exchanges"),
                curl_of(proxy, "page=1")]
        [entry] = entries(proxy)
    assert not [text for text in told if "hush" in text]
    assert har.values(entry["response"], "X-Housing") == ["open"]
    assert har.values(entry["response"], "X-House-Id") == ["REDACTED"]
    assert entry["request"]["url"].endswith("/x?ref=REDACTED&page=1")


# ---- bounds ----


def test_evidence_stays_when_memory_is_short(start_proxy):
    """64 KiB for everything, and a thousand requests of 1 KiB: the leak's
    capture is there, the last ones are, and no more than fits."""
    path = "/leak/404/length/100"
    proxy = start_proxy("--workers", "1", "--capture-memory", "64KiB",
                        "--capture-bytes", "4KiB")
    with contextlib.ExitStack() as stack:
        stack.enter_context(Caller(proxy)).get(path)
        proxy.wait_for(path, "undrained")
        caller = stack.enter_context(Caller(proxy))
        for _ in range(1000):
            caller.fetch("/200/length/300", ("X-Padding", "x" * 700))
        kept = [entry for entry in entries(proxy)
                if entry["request"]["headers"]]
        [leak] = entries(proxy, verdict="undrained")
    assert leak["response"]["content"]["text"] == pattern(100).decode()
    assert 20 < len(kept) < 65
    assert kept[-1]["_verdict"] in ("open", "drained")


# ---- replay by itself ----


def archive(*answers, creator="leakproxy"):
    """Each is (method, URL, status, fields, content)."""
    return json.dumps({"log": {
        "version": "1.2", "creator": {"name": creator, "version": "1"},
        "entries": [{
            "request": {"method": method, "url": url},
            "response": {"status": status, "statusText": "Word",
                         "headers": [{"name": name, "value": value}
                                     for name, value in fields],
                         "content": content}}
            for method, url, status, fields, content in answers]}})


def sized(text):
    return [("Content-Length", str(len(text)))], {"size": len(text),
                                                  "text": text}


def test_which_response_answers(replay):
    """Path and query, else the path; the host where several have it; in
    turns, in the order recorded, where there are many."""
    replayed = replay(archive(
        ("GET", "http://a.test/x?n=1", 200, *sized("x1")),
        ("GET", "http://a.test/x?n=2", 200, *sized("x2")),
        ("GET", "http://a.test/y", 401, *sized("challenge")),
        ("GET", "http://a.test/y", 200, *sized("content")),
        ("GET", "http://b.test/z", 200, *sized("of b")),
        ("GET", "http://a.test/z", 200, *sized("of a")),
        ("POST", "http://a.test/z", 201, *sized("made")),
        ("GET", "http://a.test/none", 0, [], {"size": 0})))

    def ask(path, method="GET", host=HOST):
        with Caller(replayed, host=host) as caller:
            response = caller.get(path, method=method)
            body = b"" if method == "HEAD" else caller.read(response.length)
            return response.status, body.decode()

    assert ask("/x?n=2") == (200, "x2")
    assert ask("/x?n=1") == (200, "x1")
    assert {ask("/x?n=3")[1], ask("/x")[1]} == {"x1", "x2"}
    assert [ask("/y")[0] for _ in range(4)] == [401, 200, 401, 200]
    assert ask("/z", host="a.test") == (200, "of a")
    assert ask("/z", host="b.test") == (200, "of b")
    assert ask("/z", "POST") == (201, "made")
    assert ask("/x?n=2", "HEAD") == (200, "")
    status, text = ask("/none")
    assert status == 404
    assert text == ("no response was recorded for GET /none; there are: "
                    "GET /x?n=1, GET /x?n=2, GET /y, GET /z, POST /z\n")


def test_many_requests_on_a_connection(replay):
    """It keeps connections, takes pipelined requests, and request bodies."""
    replayed = replay(archive(
        ("GET", "http://a.test/a", 200, *sized("aaa")),
        ("POST", "http://a.test/b", 200, [("Transfer-Encoding", "chunked")],
         {"size": 100000, "text": ""})))
    with Caller(replayed) as caller:
        for _ in range(3):
            caller.send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
                        b"POST /b HTTP/1.1\r\nHost: x\r\n"
                        b"Content-Length: 5\r\n\r\nhello")
            assert caller.read(caller.read_head().length) == b"aaa"
            caller.read_head()
            assert caller.read_chunked()[0] == b"." * 100000
        caller.send(b"GET /a HTTP/1.0\r\nHost: x\r\n\r\n")
        assert caller.read_head().value("Connection") == "close"
        assert caller.read_to_end() == b"aaa"
    with Caller(replayed) as caller:
        caller.send(b"no request\r\n\r\n")
        assert caller.read_head().status == 400
        assert caller.read_to_end()


def test_a_browsers_archive(replay):
    """Its bodies are decoded, and its fields those of HTTP/2."""
    replayed = replay(archive(
        ("GET", "https://a.test/a", 200,
         [(":status", "200"), ("content-encoding", "br"),
          ("content-length", "7"), ("x-a", "b")],
         {"size": 14, "text": "decoded, as is"}), creator="WebInspector"))
    response, body = ask_replay(replayed, "/a")
    assert body == b"decoded, as is"
    assert response.fields == [("x-a", "b"), ("Content-Length", "14")]


MISTAKES = {
    "not JSON": ("it is no JSON: line 1: ", "hello"),
    "no archive": ("it is no HAR file: it has no log.entries", "{}"),
    "no entries": ("it has no response to serve, in 0 entries",
                   archive()),
    "no response": ("it has no response to serve, in 1 entries",
                    archive(("GET", "http://a/", 0, [], {}))),
    "no request": ("entry 1: its request has no method and url",
                   archive((None, "http://a/", 200, [], {}))),
    "no URL": ("entry 1: \"/a\" is no absolute URL",
               archive(("GET", "/a", 200, [], {}))),
    "a split URL": ("entry 1: its URL has a space or a control character",
                    archive(("GET", "http://a/ b", 200, [], {}))),
    "a split field": ("entry 2: \"X-A\" is no header field of a response",
                      archive(("GET", "http://a/", 200, [], {}),
                              ("GET", "http://a/", 200,
                               [("X-A", "b\r\nX-C: d")], {}))),
    "a field without a name": ("entry 1: \"a b\" is no header field",
                               archive(("GET", "http://a/", 200,
                                        [("a b", "c")], {}))),
    "bad base64": ("entry 1: the text of its content is not in base64",
                   archive(("GET", "http://a/", 200, [],
                            {"text": "a", "encoding": "base64"}))),
}


def test_files_that_cannot_be_replayed(tmp_path):
    """One line, with the file and what is wrong in it."""
    path = tmp_path / "bad.har"
    for expected, text in MISTAKES.values():
        path.write_text(text)
        done = run("replay", str(path))
        assert done.returncode == 2
        assert done.stderr.startswith(
            f"leakproxy: replay: {path}: {expected}"), done.stderr
        assert done.stderr.count("\n") == 1 and done.stdout == ""


def test_no_file(tmp_path):
    done = run("replay", str(tmp_path / "none.har"))
    assert done.returncode == 2
    assert "No such file" in done.stderr
