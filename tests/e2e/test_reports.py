# SPDX-License-Identifier: MIT
"""What is told of what was found: text, JSON and metrics, each true."""

import json
import re
import subprocess
import time

import pytest

from cast.caller import Caller
from cast.origin import send_later
from cast.proxy import run
from cast.waiting import wait_until

LATER = "/200/later/1000"
MANIFESTS = ("/v2/alpine/manifests/latest", "/v2/team/app/manifests/v1.2")


def send_missing(exchange):
    send_later(exchange, 404, 157)


@pytest.fixture
def leak(proxy, origin, call):
    """One job holds the 404 of two images; another response is drained."""
    call().fetch("/200/length/1000?drained")
    for path in MANIFESTS:
        origin.script[path] = send_missing
        call().get(path, ("Leakproxy-Tag", "job=imagecheck"))
    for path in MANIFESTS:
        proxy.wait_for(path, "undrained", held=True)
    proxy.wait_for("?drained", "suspected")
    return proxy


def test_leaks_are_grouped_by_route(leak, transport):
    """Two URLs, one template: one leak, with an example to reproduce it."""
    [found] = [found for found in leak.leaks()["leaks"] if found["undrained"]]
    assert found["undrained"] == found["held_now"] == 2
    assert found["method"] == "GET" and found["status"] == 404
    assert found["tags"] == {"job": "imagecheck"}
    assert found["route"] == "/v2/{}/manifests/{}"
    assert found["origin"] == {
        "plain": "http://origin.test:80",
        "intercepted": "https://origin.test:443"}[transport]
    assert sum(found["evidence"].values()) == 2
    assert found["held_bytes"] >= 2 * 157
    example = found["example"]
    assert example["body_bytes"] == example["delivered_bytes"] == 157
    assert leak.exchange(example["url"])["id"] == example["exchange"]


@pytest.mark.parametrize("columns", [80, 160])
def test_the_report_fits(leak, columns):
    """It says what, who, how many and on what evidence, and no line is wider
    than the terminal."""
    report = leak.report(columns)
    assert max(map(len, report.splitlines())) <= columns
    words = " ".join(report.split())
    for word in ("2 responses undrained", "job=imagecheck", "/v2/{}/manifests",
                 "GET", "status 404", "caller"):
        assert word in words, report


def test_the_report_command_says_the_same(leak):
    """leakproxy report asks the proxy that runs."""
    admin = leak.ready["admin"]
    text = run("report", "--admin", admin, "--columns", "80")
    assert text.returncode == 0
    assert "2 responses undrained" in " ".join(text.stdout.split())
    data = run("report", "--admin", admin, "--json")
    assert json.loads(data.stdout)["totals"]["held_now"] == 2


def test_exchanges_are_filtered(leak):
    """By verdict, tag and origin; one by one with what its verdict rests
    on."""
    held = leak.exchanges(verdict="undrained")
    tagged = leak.exchanges(tag="job=imagecheck")
    assert len(held) == 2
    assert [each["id"] for each in held] == [each["id"] for each in tagged]
    assert leak.exchanges(origin="http://nobody.test:80") == []
    one = json.loads(leak.get(f"/api/exchanges/{held[0]['id']}"))
    assert one["url"] == held[0]["url"]
    assert "held" in one["meaning"]


def test_connections_are_listed(leak, transport):
    """With what carries them, and in which state."""
    watched = leak.connections(state="watched")
    assert len(watched) == 3
    assert {each["transport"] for each in watched} == {transport}
    assert all(each["local"] for each in watched)


def test_metrics_are_prometheus(leak):
    """Every sample has its family's HELP and TYPE; the numbers are those of
    the JSON."""
    text = leak.get("/metrics")
    families = set(re.findall(r"^# TYPE (\w+) (?:counter|gauge)$", text, re.M))
    for line in text.splitlines():
        if not line.startswith("#"):
            assert re.fullmatch(r'\w+(\{.*\})? [-+0-9.e]+', line), line
            assert re.match(r"\w+", line)[0] in families, line
    totals = leak.totals()
    assert leak.metric("leakproxy_connections_total") == totals["connections"]
    assert leak.metric('leakproxy_exchanges_total{verdict="undrained"}') == 2
    held = [line for line in text.splitlines()
            if line.startswith("leakproxy_responses_held{")]
    assert [line for line in held if 'job="imagecheck"' in line
            and line.endswith(" 2")], held


def test_promtool_has_no_complaints(leak):
    """Prometheus's own linter reads /metrics."""
    linted = subprocess.run(["promtool", "check", "metrics"],
                            input=leak.get("/metrics"), text=True,
                            capture_output=True, timeout=20)
    assert (linted.returncode, linted.stderr) == (0, "")


def test_routes_can_be_named(start_proxy):
    """--route: a service's own URLs, before the built-in templates."""
    proxy = start_proxy("--route", "/shop/*/200/later/*")
    with Caller(proxy) as one, Caller(proxy) as two:
        for caller, name in (one, "red-shoes"), (two, "blue-hat"):
            caller.get(f"/shop/{name}{LATER}")
        for name in "red-shoes", "blue-hat":
            proxy.wait_for(f"{name}{LATER}", "undrained")
    [leak] = proxy.leaks()["leaks"]
    assert leak["undrained"] == 2
    assert "red-shoes" not in leak["route"]


def test_secrets_are_not_shown(proxy, call):
    """A signed URL's signature and a token are nobody's to read later."""
    call().get(f"{LATER}?X-Amz-Signature=s3cr3t&key=shown",
               ("Authorization", "Bearer s3cr3t"), ("Cookie", "id=s3cr3t"))
    proxy.wait_for("", "undrained")
    for path in "/api/exchanges", "/api/leaks", "/api/connections", "/report":
        assert "s3cr3t" not in proxy.get(path)
    assert "s3cr3t" not in proxy.log


def test_what_came_back(proxy, call, origin):
    """The example's response head, without its secrets: enough to see which
    path in the caller's code it took."""
    def refuse(exchange):
        exchange.head(401, "Content-Length: 20",
                      'WWW-Authenticate: Bearer realm="https://auth.test"',
                      "Set-Cookie: id=confidential")
        time.sleep(0.15)
        exchange.body(b"x" * 20)

    origin.script["/v2/"] = refuse
    call().get("/v2/")
    proxy.wait_for("/v2/", "undrained")
    report = " ".join(proxy.report().split())
    assert "answer HTTP/1.1 401 Unauthorized Content-Length: 20" in report
    assert 'Bearer realm="https://auth.test"' in report
    assert "confidential" not in report


MANY = 300


def test_many_leaks(start_proxy):
    """More leaks than one step of a sweep or of a copy takes: each is found,
    pages are of all of them and the same every time, and the report is of a
    bounded length."""
    proxy = start_proxy()
    callers = [Caller(proxy) for _ in range(MANY)]
    for number, caller in enumerate(callers):
        caller.get("/200/length/157", ("Leakproxy-Tag", f"job=j{number}"))

    def all_held():
        return proxy.totals()["held_now"] == MANY

    wait_until(all_held, f"{MANY} are held")
    found = proxy.leaks()
    assert found["total"] == len(found["leaks"]) == MANY
    assert {leak["tags"]["job"] for leak in found["leaks"]} == {
        f"j{number}" for number in range(MANY)}
    for leak in found["leaks"]:
        assert leak["undrained"] == leak["held_now"] == 1
        assert leak["held_bytes"] == 157
        assert len(leak["callers"]) == 1
        assert leak["example"]["unread_bytes"] == 157
    pages = [json.loads(proxy.get("/api/leaks", limit=70, offset=offset))
             for offset in range(0, MANY, 70)]
    assert [leak["id"] for page in pages for leak in page["leaks"]] == [
        leak["id"] for leak in found["leaks"]]
    report = proxy.report()
    assert "LEAK 100 " in report and "LEAK 101" not in report
    assert "200 more leaks" in report
    for caller in callers:
        caller.close()
    wait_until(lambda: proxy.totals()["held_now"] == 0, "all are released")
