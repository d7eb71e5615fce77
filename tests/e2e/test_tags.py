# SPDX-License-Identifier: MIT
"""Who asked: tags from CONNECT, from requests, from the proxy's user name."""

import base64

import pytest

from cast.caller import Caller

SMALL = "/200/length/1000"
LATER = "/200/later/1000"


def basic(text):
    return ("Proxy-Authorization",
            "Basic " + base64.b64encode(text.encode()).decode())


def tags_of(proxy, target):
    return proxy.exchange(target)["tags"]


@pytest.mark.parametrize("value, tags", [
    ("job=imagecheck, run=42", {"job": "imagecheck", "run": "42"}),
    ("nightly", {"tag": "nightly"}),
    ('job="two words"', {"job": "two words"}),
    ("a=1, a=2", {"a": "2"}),
    ("job=x;p=1", {"job": "x"}),
])
def test_a_request_is_tagged(proxy, call, origin, value, tags):
    """Leakproxy-Tag is a dictionary of RFC 8941, and ends at the proxy."""
    call().fetch(SMALL, ("Leakproxy-Tag", value))
    assert tags_of(proxy, SMALL) == tags
    assert origin.requests[0].values("Leakproxy-Tag") == []


def test_fields_of_one_name_are_one_list(proxy, call):
    """Two lines are as good as one with a comma."""
    call().fetch(SMALL, ("Leakproxy-Tag", "job=x"), ("Leakproxy-Tag", "run=1"))
    assert tags_of(proxy, SMALL) == {"job": "x", "run": "1"}


@pytest.mark.parametrize("transport", ["intercepted", "clear"])
def test_connect_tags_all_that_follows(proxy, call):
    """A tag on the CONNECT holds for the connection; a request's own goes
    over it, for itself alone."""
    caller = call(connect_fields=[("Leakproxy-Tag", "job=x, run=1")])
    caller.fetch(f"{SMALL}?1", ("Leakproxy-Tag", "run=2"))
    caller.fetch(f"{SMALL}?2")

    assert tags_of(proxy, "?1") == {"job": "x", "run": "2"}
    assert tags_of(proxy, "?2") == {"job": "x", "run": "1"}
    [connection] = proxy.connections()
    assert connection["tags"] == {"job": "x", "run": "1"}


def test_a_tunnel_is_tagged(start_proxy, authority):
    """What is not opened can be told by its CONNECT."""
    proxy = start_proxy("--passthrough", "*")
    with Caller(proxy, "tunnel", ca=authority.ca,
                connect_fields=[("Leakproxy-Tag", "job=x")]) as caller:
        caller.fetch(SMALL)
    assert proxy.connections()[0]["tags"] == {"job": "x"}


def test_the_proxys_user_name_is_a_tag(proxy, call, origin, transport):
    """HTTP_PROXY=http://imagecheck@127.0.0.1:8080 needs no code.  A password
    is nobody's business."""
    fields = [basic("imagecheck:secret")]
    caller = (call(fields=fields) if transport == "plain"
              else call(connect_fields=fields))
    caller.fetch(SMALL)
    assert tags_of(proxy, SMALL) == {"user": "imagecheck"}
    assert origin.requests[0].values("Proxy-Authorization") == []
    assert "secret" not in proxy.get("/api/exchanges") + proxy.log


def test_other_headers_can_be_tags(start_proxy, origin, transport):
    """--tag-header: a header that the service has anyway.  It goes on to the
    origin, which may want it."""
    proxy = start_proxy("--tag-header", "X-Job-Name", "--tag-header", "X-Team")
    with Caller(proxy, transport) as caller:
        caller.fetch(SMALL, ("X-Job-Name", "image check"),
                     ("Leakproxy-Tag", "run=1"))
    assert tags_of(proxy, SMALL) == {"x-job-name": "image check", "run": "1"}
    assert origin.requests[0].value("X-Job-Name") == "image check"


@pytest.mark.parametrize("value", ["job=", "=x", "job=(a b)", 'job="open',
                                   "a=" + "x" * 300, "Job=x"])
def test_a_malformed_tag_is_counted(proxy, call, value):
    """The request goes on without it: a tag must never break a service."""
    assert len(call().fetch(SMALL, ("Leakproxy-Tag", value))) == 1000
    assert tags_of(proxy, SMALL) == {}
    assert proxy.metric("leakproxy_malformed_tags_total") == 1


def test_tags_are_bounded(proxy, call):
    """However many a caller sends, few are kept; the request goes on."""
    value = ", ".join(f"key{number}=1" for number in range(100))
    assert len(call().fetch(SMALL, ("Leakproxy-Tag", value))) == 1000
    assert len(tags_of(proxy, SMALL)) <= 16
    assert proxy.metric("leakproxy_malformed_tags_total") == 1


def test_leaks_are_told_apart_by_tag(proxy, call):
    """Two jobs hold the same response: two leaks.  Filters find each."""
    for job in "one", "two":
        call().get(f"{LATER}?{job}", ("Leakproxy-Tag", f"job={job}"))
    for job in "one", "two":
        proxy.wait_for(f"?{job}", "undrained")
        [exchange] = proxy.exchanges(tag=f"job={job}", verdict="undrained")
        assert exchange["url"].endswith(f"?{job}")
    leaks = proxy.leaks()["leaks"]
    assert sorted(leak["tags"]["job"] for leak in leaks) == ["one", "two"]
    report = proxy.report()
    assert "job=one" in report and "job=two" in report
