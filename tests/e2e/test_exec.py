# SPDX-License-Identifier: MIT
"""leakproxy exec: a command runs behind the proxy, unchanged, and is told
what it leaked."""

import shlex
import signal
import subprocess

import pytest

from cast import program
from cast.origin import HOST
from cast.proxy import LEAKPROXY, plain_environment, resolving, trusting
from cast.waiting import wait_until

SMALL = f"https://{HOST}/200/length/1000"
LATER = f"https://{HOST}/200/later/1000"


@pytest.fixture(scope="module", autouse=True)
def clients():
    program.build()


@pytest.fixture
def execute(origin, authority, tmp_path):
    """Runs a command to its end."""
    def execute(*command, options=(), input=""):
        return subprocess.run(
            [LEAKPROXY, "exec", *resolving(origin), *trusting(authority),
             "--state-dir", tmp_path, *options, "--", *command],
            input=input, capture_output=True, text=True, timeout=30,
            env=plain_environment(NODE_PATH=program.NODE_PATH))
    return execute


def client(name, manner, url):
    return [*program.COMMANDS[name], manner, url, "job=test"]


# ---- the child ----


def test_environment(execute):
    """Proxy and trust, in every spelling that programs look for."""
    done = execute("env")
    environment = dict(line.split("=", 1) for line in done.stdout.splitlines())
    proxies = {environment[name] for name in (
        "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
    assert len(proxies) == 1 and proxies.pop().startswith("http://127.0.0.1:")
    bundles = {environment[name] for name in (
        "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO", "AWS_CA_BUNDLE")}
    [bundle] = bundles
    with open(bundle) as bundle, \
            open(environment["NODE_EXTRA_CA_CERTS"]) as ca:
        assert ca.read() in bundle.read()
    assert "-Djavax.net.ssl.trustStore=" in environment["JAVA_TOOL_OPTIONS"]


@pytest.mark.parametrize("command, status", [
    ("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 128 + signal.SIGTERM)])
def test_status_passes_through(execute, command, status):
    """What the child ends with is what exec ends with, as a shell says it."""
    assert execute("sh", "-c", command).returncode == status


@pytest.mark.parametrize("command, status", [
    ("/no/such/command", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_run(execute, command, status):
    """As a shell says it, and by name."""
    done = execute(command)
    assert done.returncode == status
    assert command in done.stderr


def test_streams_pass_through(execute):
    """The child's standard streams are its own."""
    done = execute("sh", "-c", "cat; echo wrong >&2", input="hello")
    assert done.stdout == "hello"
    assert "wrong\n" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP,
                                    signal.SIGUSR1])
def test_signals_are_sent_on(start_proxy, tmp_path, number):
    """A supervisor's signal is the child's, and its answer is exec's."""
    script = (f"trap 'exit 9' {number.value}; : > {tmp_path}/ready; "
              "while :; do sleep 0.05; done")
    proxy = start_proxy(command=("exec",), child=("--", "sh", "-c", script))
    wait_until((tmp_path / "ready").exists, "the child runs")
    proxy.process.send_signal(number)
    assert proxy.process.wait(10) == 9


# ---- real programs, unchanged ----


@pytest.mark.parametrize("name, manner", [
    ("go", "drain"), ("python", "requests_drain"), ("python", "urllib3_drain"),
    ("node", "http_drain"), ("node", "fetch_drain"),
    ("java", "http_client_drain"), ("java", "url_connection_drain"),
    ("curl", "drain")])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_programs_work_unchanged(execute, origin, name, manner, scheme):
    """The environment alone leads them through the proxy, and they trust it.
    None of them is accused."""
    done = execute(*client(name, manner, f"{scheme}://{HOST}/200/length/1000"),
                   input="step\nstep\n", options=("--leak-exit-code", "99"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"read":1000') + \
        done.stdout.count('"read": 1000') == 2, done
    assert len(origin.requests) == 2
    assert all(request.value("Via") for request in origin.requests)


def test_git_works_unchanged(execute, origin):
    """git, by its own GIT_SSL_CAINFO."""
    def refs(exchange):
        exchange.answer(200, b"0123456789" * 4 + b"\trefs/heads/main\n",
                        "Content-Type: text/plain")

    origin.script["/repo/info/refs"] = refs
    done = execute("git", "ls-remote", f"https://{HOST}/repo")
    assert done.returncode == 0, done.stderr
    assert "refs/heads/main" in done.stdout
    assert origin.requests[0].value("Via")


# ---- what it says in the end ----


# Python closes what it holds while it ends, as a program that closes would.
@pytest.mark.parametrize("name, manner", [
    ("go", "leave"), ("java", "url_connection_leave")])
@pytest.mark.parametrize("url", [LATER, LATER.replace("https", "http")],
                         ids=["intercepted", "plain"])
def test_what_is_unread_at_the_end_is_a_leak(start_proxy, name, manner, url):
    """The child ends before any patience is over: what lay unread then was
    never read."""
    proxy = start_proxy(
        "--leak-exit-code", "99", patience=(), command=("exec",),
        child=("--", *client(name, manner, url)), stdin=subprocess.PIPE)

    def are_left():
        """A body that came just now may yet be read."""
        return [each["pid"] and each["unread_bytes"] and each["age_s"] > 1
                for each in proxy.exchanges()] == [True, True]

    with proxy.process.stdin as stdin:
        stdin.write(b"step\nstep\n")
        stdin.flush()
        wait_until(are_left, "both lie unread")
    assert proxy.process.wait(10) == 99, proxy.log
    assert "/{}/later/{}" in proxy.log
    assert "job=test" in proxy.log
    words = proxy.log.split()
    evidence = words[words.index("evidence") + 1:]
    assert evidence[:2] == ["2", "exit"], proxy.log


def held_for(seconds, *command):
    """A shell command: the client makes two requests, and ends after the
    time with what it holds."""
    return ("sh", "-c", f"(echo step; echo step; sleep {seconds}) | "
            + shlex.join(map(str, command)))


def test_a_leak_that_is_held_is_found_while_it_runs(execute, tmp_path):
    """The child holds two responses for a while, and ends by itself."""
    done = execute(*held_for(2, *client("go", "leave", LATER)),
                   options=("--stall-after", "500ms", "--leak-exit-code", "99",
                            "--report-file", str(tmp_path / "report")))
    report = (tmp_path / "report").read_text()
    assert done.returncode == 99, report
    assert "unread" in report


def test_a_failing_child_keeps_its_status(execute):
    """--leak-exit-code is for commands that succeeded."""
    shell, option, script = held_for(1, *client("go", "leave", LATER))
    done = execute(shell, option, f"{script}; exit 7",
                   options=("--stall-after", "300ms", "--leak-exit-code",
                            "99"))
    assert done.returncode == 7, done.stderr


def test_leaks_do_not_change_the_status_by_default(execute):
    """The report tells; the build does not fail."""
    done = execute(*held_for(1, *client("go", "leave", LATER)),
                   options=("--stall-after", "300ms"))
    assert done.returncode == 0
    assert "/{}/later/{}" in done.stderr


def test_the_report_file(execute, tmp_path):
    """--report-file: stderr is the child's alone."""
    done = execute("sh", "-c", "echo mine >&2",
                   options=("--report-file", str(tmp_path / "report")))
    assert done.stderr == "mine\n"
    assert "leak" in (tmp_path / "report").read_text()
