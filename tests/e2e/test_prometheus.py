# SPDX-License-Identifier: MIT
"""What is shipped for Prometheus and Grafana: a real Prometheus scrapes both
formats, rules fire on what they are for and on nothing else, and dashboard and
rules name no metric that does not exist."""

import contextlib
import json
import re
import shutil
import subprocess

import pytest

from cast import promql
from cast.caller import Caller
from cast.prometheus import RULES, Prometheus
from cast.proxy import ROOT

DASHBOARD = ROOT / "admin" / "grafana" / "leakproxy.json"
RULE_TESTS = ROOT / "tests" / "prometheus" / "leakproxy.rules.test.yml"

# By whoever scrapes.
TARGET_LABELS = {"job", "instance"}
OF_ALERTS = {"severity"}

# DESIGN's contract.
PROMISED = {
    "leakproxy_connections": {"side", "state"},
    "leakproxy_connections_total": set(),
    "leakproxy_exchanges_total": {"verdict"},
    "leakproxy_responses_held": {"origin", "route", "status", "method"},
    "leakproxy_bytes_total": {"side", "direction"},
    "leakproxy_tls_handshakes_total": {"side", "result"},
    "leakproxy_connections_limit": set(),
    "process_open_fds": set(),
    "process_max_fds": set(),
}


@pytest.fixture
def leaking(start_proxy):
    """A proxy that holds one response; nobody takes its evidence."""
    proxy = start_proxy("--store", "postgresql://127.0.0.1:1/fleet")
    with Caller(proxy) as caller:
        caller.get("/200/later/1000", ("Leakproxy-Tag", "job=imagecheck"))
        proxy.wait_for("/later/1000", "undrained", held=True)
        yield proxy


@pytest.fixture(scope="module", autouse=True)
def prometheus(tmp_path_factory):
    """Gets ready while the other tests run."""
    with contextlib.closing(Prometheus(
            tmp_path_factory.mktemp("prometheus"))) as prometheus:
        yield prometheus


def exposed(text):
    """{metric: labels} of what /metrics shows."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()
            found.setdefault(name, set()).update(
                re.findall(r'(\w+)="', labels or ""))
    return found


def panels():
    """Each expression of the dashboard, as Grafana would send it."""
    board = json.loads(DASHBOARD.read_text())
    queries = [(panel["title"], target["expr"], target["legendFormat"])
               for panel in board["panels"] for target in panel["targets"]]
    queries += [(each["name"], each["expr"], each["titleFormat"])
                for each in board["annotations"]["list"]]
    for title, expression, legend in queries:
        expression = expression.replace("$__rate_interval", "1m")
        yield title, re.sub(r"\$\w+", ".*", expression), legend


def check_named(where, expression, known):
    """The metrics are there, and have the labels."""
    metrics, grouping = promql.read(expression)
    assert metrics, f"{where}: no metric in {expression}"
    for metric, labels in metrics.items():
        assert metric in known, f"{where}: there is no {metric}"
        strange = labels - known[metric] - TARGET_LABELS
        assert not strange, f"{where}: {metric} has no {strange}"
    check_labels(where, grouping, known)


def check_labels(where, labels, known):
    strange = set(labels) - set().union(*known.values()) - TARGET_LABELS
    assert not strange, f"{where}: nothing has {strange}"


def test_dashboard_and_rules_name_what_exists(leaking):
    """A panel without data looks like a proxy without leaks."""
    known = exposed(leaking.get("/metrics"))
    for metric, labels in PROMISED.items():
        assert labels <= known[metric], metric
    for title, expression, legend in panels():
        check_named(title, expression, known)
        check_labels(title, re.findall(r"{{(\w+)}}", legend), known)
    rules = RULES.read_text()
    parts = re.split(r"\n +- (record|alert): (\S+)\n", rules)[1:]
    assert len(parts) > 9
    for kind, name, body in zip(parts[::3], parts[1::3], parts[2::3]):
        # To the next key of the rule.
        expression = re.search(r"expr: (?:\|\n)?(.*?)(?=\n {8}\w|\n\n|\Z)",
                               body, re.S)[1]
        check_named(name, re.sub(r"#.*", "", expression), known)
        if kind == "record":
            known[name] = set().union(*known.values())
        else:
            assert "summary:" in body and "description:" in body, name
            check_labels(name, re.findall(r"\$labels\.(\w+)", body), known)


def test_rules_fire_on_what_they_are_for(tmp_path):
    """And not on a level that stays, on load, or after a restart."""
    for path in RULES, RULE_TESTS:
        shutil.copy(path, tmp_path)
    for command in ("check", RULES.name), ("test", RULE_TESTS.name):
        done = subprocess.run(
            ["promtool", command[0], "rules", command[1]], cwd=tmp_path,
            capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_both_formats(leaking, prometheus):
    """Who operates leakproxy sees the leak where all else is seen."""
    prometheus.watch(leaking)
    held = prometheus.wait_for("leakproxy_responses_held == 1", 2)
    assert {labels["job"] for labels, _ in held} == {"openmetrics", "text"}
    for labels, _ in held:
        assert labels["route"] == "/{}/later/{}"
        assert labels["exported_job"] == "imagecheck"
    assert len(prometheus.query("up == 1")) == 2

    # Which of the two it was: they name a counter's family differently.
    for job, family in (("openmetrics", "leakproxy_bytes"),
                        ("text", "leakproxy_bytes_total")):
        found = prometheus.ask("targets/metadata", metric=family)
        assert [(each["target"]["job"], each["type"]) for each in found] == [
            (job, "counter")]

    # Its own parser takes all that is shipped.
    prometheus.wait_for("instance:leakproxy_responses_held:sum == 1", 2)
    for _, expression, _ in panels():
        prometheus.query(expression)
    [group] = prometheus.ask("rules")["groups"]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}
