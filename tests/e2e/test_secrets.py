# SPDX-License-Identifier: MIT
"""No secret that passes through is ever shown.

What callers and origins say to each other in confidence goes through in both
directions, on exchanges of every outcome; then everything that leakproxy tells
anybody is searched for it."""

import base64
import contextlib
import json
import os
import socket
import subprocess
from urllib.parse import quote

import pytest

from cast.caller import Caller
from cast.origin import HOST
from cast.proxy import (LEAKPROXY, plain_environment, resolving, run, trusting,
                        unused_port)
from cast.waiting import wait_until

BODY = "/200/length/1000"
ADMIN_TOKEN = "hush-admin-token-0123456789"


def secret(name):
    return f"hush-{name}-0123456789abcdef"


def basic(user, password):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def request_fields():
    """Fields that are nobody's business."""
    return [
        ("Authorization", f"Bearer {secret('bearer')}"),
        ("Cookie", f"session={secret('cookie')}; other={secret('cookie')}"),
        ("Proxy-Authorization", f"Basic {basic('jobuser', secret('proxy'))}"),
        ("X-Api-Key", secret("api-key")),
        ("X-Amz-Security-Token", secret("amz-header")),
        ("Referer", f"http://{HOST}/?token={secret('referer')}"),
    ]


# A name that is written otherwise is the same name to whoever reads it.
QUERY = "&".join([
    "page=7",
    "X-Amz-Signature=" + secret("amz-signature"),
    "X-Amz-Credential=" + secret("amz-credential"),
    "X-Amz-Security-Token=" + secret("amz-token"),
    "sig=" + secret("sig"),
    "access_token=" + secret("access-token"),
    "%74oken=" + secret("encoded-name"),
    "s%69%67=" + secret("encoded-sig"),
    "a=1;token=" + secret("semicolon"),
    "next=" + quote(f"http://u:{secret('nested-user')}@h/", safe=""),
    "next=" + quote(f"http://h/?token={secret('nested-query')}", safe=""),
    "filter[password]=" + secret("brackets"),
    "PASSWORD=" + secret("password"),
])

RESPONSE_FIELDS = [
    f"Set-Cookie: session={secret('set-cookie')}; HttpOnly",
    f"WWW-Authenticate: Digest nonce={secret('nonce')}",
    f"Location: http://{HOST}/?X-Amz-Signature={secret('location')}",
    f"Authentication-Info: {secret('authentication-info')}",
]


def confide(exchange):
    """Answers with a response that has secrets too."""
    exchange.answer(200, secret("body").encode() * 10, *RESPONSE_FIELDS)


def confuse(exchange):
    """Answers with secrets where no response can have them."""
    exchange.send(b"HTTP/1.1 200 OK\r\nSet-Cookie : "
                  + secret("bad-field").encode() + b"\r\n\r\n")
    exchange.must_close = True


def truncate(exchange):
    """Promises more than it sends, and ends."""
    exchange.head(200, "Content-Length: 100000", *RESPONSE_FIELDS)
    exchange.body(secret("truncated").encode())
    exchange.must_close = True


def babble(exchange):
    """No HTTP at all."""
    exchange.send(f"ERROR {secret('babble')}\r\n\r\n".encode())
    exchange.must_close = True


@pytest.fixture
def told(start_proxy, origin, tmp_path):
    """A proxy that asks for a token, and everything that it tells."""
    token_file = tmp_path / "token"
    token_file.write_text(ADMIN_TOKEN)
    token_file.chmod(0o600)
    origin.script.update({"/confide": confide, "/confuse": confuse,
                          "/truncate": truncate, "/babble": babble})
    proxy = start_proxy(
        "--admin-token-file", token_file, "--tag-header", "X-Job",
        "--resolve", f"stranger.test:443:127.0.0.1:{origin.tls_port}",
        "--resolve", f"closed.test:*:127.0.0.1:{unused_port()}")
    proxy.admin_fields["Authorization"] = f"Bearer {ADMIN_TOKEN}"
    proxy.token_file = token_file
    yield proxy
    check(everything(proxy))


def everything(proxy):
    """What is told, by where it is."""
    paths = ["/", "/report", "/report?columns=240", "/api/leaks",
             "/api/connections", "/api/exchanges", "/metrics", "/no/such",
             "/api/exchanges?verdict=nothing", "/healthz", "/readyz"]
    for listed in json.loads(proxy.ask("/api/exchanges?limit=10000")[2])[
            "exchanges"]:
        paths.append(f"/api/exchanges/{listed['id']}")
    texts = {path: "\n".join(map(str, proxy.ask(path)[1:]))
             for path in paths}
    address = f"{proxy.admin[0]}:{proxy.admin[1]}"
    for more in ((), ("--json",), ("--columns", "240")):
        done = run("report", "--admin", address, "--admin-token-file",
                   str(proxy.token_file), *more)
        assert done.returncode == 0
        texts["report " + " ".join(more)] = done.stdout + done.stderr
    proxy.admin_fields["Authorization"] = "Bearer " + secret("wrong-token")
    texts["a wrong token"] = "".join(map(str, proxy.ask("/report")[1:]))
    proxy.stop()
    texts["the log"] = proxy.log
    return texts


def check(texts):
    hushed = ["hush-", base64.b64encode(b"hush-").decode()[:6],
              basic("jobuser", "hush-")[:-4]]
    for where, text in texts.items():
        for word in hushed:
            at = text.find(word)
            assert at < 0, f"{where}: {text[max(0, at - 200):at + 100]}"


def ask_all_ways(proxy, transport, path, count=1, **more):
    """Asks with every secret there is; returns the open caller."""
    caller = Caller(proxy, transport, connect_fields=request_fields()
                    if transport != "plain" else (), **more)
    for _ in range(count):
        response = caller.get(f"{path}?{QUERY}", *request_fields(),
                              ("X-Job", "the-job"),
                              ("Leakproxy-Tag", "job=other"))
    return caller, response


def expect_listed(proxy, path, verdicts):
    """That the test looks where the exchanges are."""
    wait_until(
        lambda: [each for each in proxy.exchanges()
                 if f"{path}?page=7&" in each["url"]
                 and each["verdict"] in verdicts],
        f"{path} is listed as {verdicts}")


# ---- what goes well ----


def test_drained(told, transport, origin):
    """They reach the origin and the caller as they are, and nobody else."""
    caller, response = ask_all_ways(told, transport, "/confide")
    with caller:
        body = caller.read(response.length)
    assert secret("body").encode() in body
    assert secret("set-cookie") in response.value("Set-Cookie")
    [request] = origin.requests
    assert request.target.endswith(QUERY)
    for name, value in request_fields():
        if name != "Proxy-Authorization":
            assert request.value(name) == value
    expect_listed(told, "/confide", ("drained",))
    assert "the-job" in told.get("/api/exchanges")
    assert "jobuser" in told.get("/api/exchanges")


def test_undrained(told, transport):
    """A leak is shown with an example, and with its callers."""
    caller, _ = ask_all_ways(told, transport, "/confide")
    with caller:
        expect_listed(told, "/confide", ("undrained",))
        assert "LEAK" in told.report()
        check({"a leak": told.get("/api/leaks")})


def test_abandoned(told, transport):
    """A caller that resets in the middle."""
    caller, _ = ask_all_ways(told, transport, BODY)
    caller.reset()
    expect_listed(told, BODY, ("abandoned", "drained"))


# ---- what fails ----


@pytest.mark.parametrize("path", ["/confuse", "/truncate", "/babble"])
def test_an_origin_that_fails(told, transport, path):
    """What cannot be passed on is not quoted either."""
    caller, response = ask_all_ways(told, transport, path)
    with caller:
        rest = caller.read(response.length) if response.status == 502 else b""
    check({"the refusal": str(response.fields) + rest.decode()
           if response.status == 502 else ""})
    expect_listed(told, path, ("drained", "abandoned", "unproven", "open"))


@pytest.mark.parametrize("host", ["closed.test", "no-such-name.invalid"])
def test_an_origin_that_is_not_there(told, transport, host):
    """502, and the URL is in the list all the same."""
    caller, response = ask_all_ways(told, transport, BODY, host=host)
    with caller:
        check({"the refusal": str(response.fields)
               + caller.read(response.length).decode()})
    assert response.status in (502, 504)
    expect_listed(told, BODY, ("drained", "abandoned", "unproven", "open"))


def test_an_origin_that_is_not_trusted(told):
    """The certificate's reason, and nothing of the request."""
    caller, response = ask_all_ways(told, "intercepted", BODY,
                                    host="stranger.test")
    with caller:
        check({"the refusal": str(response.fields)
               + caller.read(response.length).decode()})
    assert response.status == 502


def test_a_caller_that_does_not_trust_us(told, authority):
    """Its CONNECT had secrets; the handshake fails."""
    with contextlib.suppress(OSError):
        Caller(told, "intercepted", ca=authority.ca,
               connect_fields=request_fields()).close()
    wait_until(lambda: "does not trust" in told.log, "it is seen")


# ---- what is refused ----


USERINFO = f"user:{secret('userinfo')}"


# Each of them a mistake, or a place where nothing may go.
REFUSED = [
    [f"GET http://{USERINFO}@{HOST}{BODY} HTTP/1.1", f"Host: {HOST}"],
    [f"GET http://{HOST}{BODY} HTTP/1.1", f"Host: {USERINFO}@{HOST}"],
    [f"CONNECT {USERINFO}@{HOST}:443 HTTP/1.1", f"Host: {HOST}:443"],
    [f"CONNECT {HOST}:{secret('port')} HTTP/1.1", f"Host: {HOST}:443"],
    [f"GET http://{HOST}{BODY}#{secret('fragment')} HTTP/1.1",
     f"Host: {HOST}"],
    [f"GET http://{HOST}{BODY}?token={secret('mismatch')} HTTP/1.1",
     "Host: other.test"],
    [f"GET /?token={secret('origin-form')} HTTP/1.1", f"Host: {HOST}"],
    [f"GET ftp://{USERINFO}@{HOST}/ HTTP/1.1", f"Host: {HOST}"],
    [f"GET {secret('target')} HTTP/1.1", f"Host: {HOST}"],
    [secret("no-request")],
    [f"{secret('method')}\x01 http://{HOST}/ HTTP/1.1", f"Host: {HOST}"],
    [f"GET http://{HOST}/ HTTP/{secret('version')}", f"Host: {HOST}"],
    [f"GET http://{HOST}/ HTTP/1.1", f"Host: {HOST}",
     f"Authorization : {secret('space')}"],
    [f"GET http://{HOST}/ HTTP/1.1", f"Host: {HOST}", "Cookie: a",
     f" {secret('fold')}"],
    [f"GET http://{HOST}/ HTTP/1.1", f"Host: {HOST}",
     f"Cookie: {secret('nul')}\0"],
    [f"POST http://{HOST}/ HTTP/1.1", f"Host: {HOST}",
     f"Content-Length: {secret('length')}"],
    [f"POST http://{HOST}/ HTTP/1.1", f"Host: {HOST}",
     f"Transfer-Encoding: {secret('coding')}"],
    [f"GET http://{HOST}/ HTTP/1.1", f"Host: {HOST}",
     f"Cookie: {secret('long') * 4000}"],
    [f"GET http://{HOST}/ HTTP/1.1", f"Host: {HOST}",
     f"Via: 1.1 {secret('via')}", f"Leakproxy-Tag: ?{secret('tag')}"],
    ["GET http://169.254.169.254/latest/?token=" + secret("metadata")
     + " HTTP/1.1", "Host: 169.254.169.254"],
]


def answer_of(proxy, lines):
    with Caller(proxy) as caller, contextlib.suppress(ConnectionError):
        caller.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        caller.socket.shutdown(socket.SHUT_WR)
        return caller.read_to_end().decode("latin-1")
    return ""


def test_refused(told):
    """The refusal says what is wrong with it, in our own words."""
    for lines in REFUSED:
        answer = answer_of(told, lines)
        assert answer.startswith("HTTP/1.1 ") or not answer
        check({f"the refusal of {lines}": answer})
    assert told.log.count("refused:") >= len(REFUSED) // 2


# ---- exec ----


def test_exec_reports_no_secret(origin, authority, tmp_path):
    """A command whose arguments, environment and requests have secrets:
    neither the log nor the report has them."""
    token_file = tmp_path / "token"
    token_file.write_text(ADMIN_TOKEN)
    token_file.chmod(0o600)
    origin.script["/confide"] = confide
    url = f"https://{USERINFO}@{HOST}/confide?{QUERY}"
    script = 'curl -sS -g -o /dev/null -H "X-Api-Key: $KEY" "$0" >/dev/null'
    done = subprocess.run(
        [LEAKPROXY, "exec", *resolving(origin), *trusting(authority),
         "--state-dir", tmp_path, "--log-level", "debug",
         "--admin-token-file", token_file, "--strict", "--", "sh", "-c",
         script, url],
        capture_output=True, text=True, timeout=30,
        env=plain_environment(KEY=secret("environment"),
                              PATH=os.environ["PATH"]))
    assert done.returncode == 0, done.stderr
    assert len(origin.requests) == 1
    assert "leakproxy report" in done.stderr
    check({"exec": done.stdout + done.stderr})
