# SPDX-License-Identifier: MIT
"""Who may ask the admin, what strangers can do to it, and what the process
has given up."""

import contextlib
import os
import pwd
import socket
import subprocess

import pytest

from cast.caller import Caller
from cast.origin import HOST as ORIGIN
from cast.proxy import LEAKPROXY, Proxy, plain_environment, run
from cast.waiting import wait_until

TOKEN = "0123456789abcdef.-_~+/=="
PUBLIC = ("/", "/api", "/healthz", "/readyz", "/ca.pem")
BYTE_WAYS = [(side, direction) for side in ("client", "upstream")
             for direction in ("received", "sent")]
SECRET = ("/report", "/api/leaks", "/api/connections", "/api/exchanges",
          "/api/exchanges/c1x1", "/metrics", "/no/such/path")
SMALL = "/200/length/1000"
LATER = "/200/later/1000"
PATIENCE_S = 10


@pytest.fixture(scope="module")
def token_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(f"{TOKEN}\nthe second line is no part of it\n")
    path.chmod(0o600)
    return path


@contextlib.contextmanager
def running(directory, *options):
    """A proxy for the whole file: what is asked here leaves no trace."""
    proxy = Proxy(directory, *options)
    try:
        yield proxy
        proxy.stop()
    finally:
        proxy.kill()


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    with running(tmp_path_factory.mktemp("standing")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def standing_guarded(tmp_path_factory, token_file):
    with running(tmp_path_factory.mktemp("guarded"),
                 "--admin-token-file", token_file) as proxy:
        yield proxy


@pytest.fixture
def guarded(standing_guarded):
    """Asked with the token, unless a test changes that."""
    standing_guarded.admin_fields["Authorization"] = f"Bearer {TOKEN}"
    return standing_guarded


def outside_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with contextlib.suppress(OSError):
            probe.connect(("192.0.2.1", 9))  # sends nothing
            return probe.getsockname()[0]
    return None


# ---- the token ----


@pytest.mark.parametrize("path", SECRET)
def test_without_the_token_nothing_is_told(guarded, path):
    """Not even whether a path exists (RFC 6750)."""
    guarded.admin_fields.clear()
    for method in ("GET", "HEAD", "POST"):
        status, fields, text = guarded.ask(path, method=method)
        assert status == 401
        assert fields["WWW-Authenticate"] == 'Bearer realm="leakproxy"'
        assert "--admin-token-file" in text or method == "HEAD"


@pytest.mark.parametrize("value", [
    TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}",
    f"Bearer {TOKEN}=", f"Bearer X{TOKEN[1:]}", f"Bearer {TOKEN} x",
    f"Bearer{TOKEN}", f"Bearer {'x' * 5000}"])
def test_wrong_tokens(guarded, value):
    """Nearly right is wrong."""
    guarded.admin_fields["Authorization"] = value
    assert guarded.ask("/report")[0] == 401


def test_the_token_opens_everything(guarded):
    """With it, all is as without one being asked for."""
    for path in SECRET[:4] + ("/metrics",):
        assert guarded.ask(path)[0] == 200
    assert guarded.ask("/no/such/path")[0] == 404


@pytest.mark.parametrize("path", PUBLIC)
def test_probes_and_the_certificate_need_no_token(guarded, path):
    """An orchestrator has none, and the certificate is public."""
    guarded.admin_fields.clear()
    assert guarded.ask(path)[0] == 200


def ask_raw(proxy, *lines):
    """One request as it stands; returns the whole answer."""
    with socket.create_connection(proxy.admin, PATIENCE_S) as connection:
        connection.sendall("\r\n".join(
            [*lines, "Connection: close", "", ""]).encode("latin-1"))
        return read_all(connection)


def read_all(connection):
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def status_of(answer):
    return int(answer.split()[1])


@pytest.mark.parametrize("path", [
    "/%68ealthz", "/healthz/../report", "/healthz/", "//healthz",
    "/healthz%00", "/healthz;/report", "/ca.pem/../api/leaks",
    "/./healthz", "/HEALTHZ"])
def test_what_is_public_is_not_a_way_in(guarded, path):
    """A path is public as it is written, or not at all."""
    answer = ask_raw(guarded, f"GET {path} HTTP/1.1", "Host: 127.0.0.1")
    assert status_of(answer) == 401


def test_names_are_welcome_with_a_token(guarded):
    """A rebinding page has a name, and does not know the token."""
    request = ("GET /api/leaks HTTP/1.1", "Host: leakproxy.test:9901")
    token = f"Authorization: Bearer {TOKEN}"
    assert status_of(ask_raw(guarded, *request, token)) == 200
    assert status_of(ask_raw(guarded, *request)) == 401
    for origin, status in (("http://evil.test", 403),
                           ("http://leakproxy.test:9901", 200)):
        answer = ask_raw(guarded, *request, token, f"Origin: {origin}")
        assert status_of(answer) == status


@pytest.mark.parametrize("field", [
    "Host: 127.0.0.1", "Host: evil.test", "Authorization: Bearer x",
    "Origin: http://evil.test"])
def test_fields_that_decide_are_given_once(guarded, field):
    """Two answers to one question (RFC 9112 section 3.2)."""
    answer = ask_raw(
        guarded, "GET /report HTTP/1.1", "Host: 127.0.0.1",
        f"Authorization: Bearer {TOKEN}", "Origin: http://127.0.0.1", field)
    assert status_of(answer) == 400


def test_off_loopback_a_token_is_needed(tmp_path, token_file):
    """One line that names both options."""
    done = run("serve", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0",
               "--state-dir", str(tmp_path))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "--admin:" in line and "--admin-token-file" in line


def test_off_loopback_with_a_token(start_proxy, token_file):
    """And there it serves, for who knows the token."""
    address = outside_address()
    if address is None:
        pytest.skip("this machine has loopback only")
    proxy = start_proxy("--admin", "0.0.0.0:0", "--admin-token-file",
                        token_file)
    proxy.admin = (address, proxy.admin[1])
    assert proxy.ask("/report")[0] == 401
    assert proxy.ask("/healthz")[0] == 200
    proxy.admin_fields["Authorization"] = f"Bearer {TOKEN}"
    assert proxy.ask("/report")[0] == 200


@pytest.mark.parametrize("content, says", [
    ("hush-hush-hush", "less than 16"), ("", "no token"),
    ("hush hush hush hush hush", "other characters"),
    ("hush-" * 200, "more than 512"), (None, "cannot read")])
def test_a_bad_token_file_is_one_line(tmp_path, content, says):
    """It says how to make one, and does not quote what is there."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    done = run("serve", "--admin-token-file", str(path))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "--admin-token-file" in line and says in line
    assert "openssl rand -hex 16" in line and "hush" not in line


@pytest.mark.parametrize("mode, warns", [(0o600, False), (0o644, True)])
def test_a_token_file_that_others_may_read(start_proxy, token_file, mode,
                                           warns):
    """A warning, and no refusal: orchestrators mount secrets so."""
    token_file.chmod(mode)
    proxy = start_proxy("--admin-token-file", token_file)
    lines = [line for line in proxy.log.splitlines() if "warning" in line]
    assert ["chmod 600" in line for line in lines] == [True] * warns


def test_report_sends_the_token(guarded, token_file, tmp_path):
    """By option, by variable; without, one line names the option."""
    address = f"{guarded.admin[0]}:{guarded.admin[1]}"
    asked = ("report", "--admin", address)
    done = run(*asked, "--admin-token-file", str(token_file))
    assert done.returncode == 0 and "leakproxy report" in done.stdout
    other = tmp_path / "other"
    other.write_text("another-token-altogether\n")
    for more, says in ((), "asks for a token"), (
            ("--admin-token-file", str(other)), "asks for another token"):
        done = run(*asked, *more)
        assert done.returncode == 2 and done.stdout == ""
        [line] = done.stderr.splitlines()
        assert "--admin-token-file" in line and says in line
    done = subprocess.run(
        [LEAKPROXY, *asked], capture_output=True, text=True, timeout=30,
        env=plain_environment(LEAKPROXY_ADMIN_TOKEN_FILE=str(token_file)))
    assert done.returncode == 0, done.stderr


def test_exec_hands_the_file_on(start_proxy, token_file, tmp_path):
    """Its child can ask for the report, from any directory; the token itself
    is in no environment."""
    script = (f"cd / && {LEAKPROXY} report > {tmp_path}/out; "
              f"env > {tmp_path}/env")
    proxy = start_proxy(
        "--admin-token-file", os.path.relpath(token_file), command=("exec",),
        child=("--", "sh", "-c", script))
    assert proxy.process.wait(10) == 0
    assert "leakproxy report" in (tmp_path / "out").read_text(), proxy.log
    environment = (tmp_path / "env").read_text()
    assert f"LEAKPROXY_ADMIN_TOKEN_FILE={token_file}\n" in environment
    assert TOKEN not in environment


# ---- hostile requests ----


HOST = "Host: 127.0.0.1"


@pytest.mark.parametrize("lines, statuses", [
    (["GET /report HTTP/1.1"], {403}),
    (["GET http://127.0.0.1/report HTTP/1.1", HOST], {400}),
    (["GET http://evil.test/report HTTP/1.1", HOST], {400}),
    (["CONNECT 127.0.0.1:80 HTTP/1.1", HOST], {400}),
    (["GET /../../../etc/passwd HTTP/1.1", HOST], {404}),
    (["GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", HOST], {404}),
    (["GET /report%00.html HTTP/1.1", HOST], {404}),
    (["GET /api/exchanges/%00 HTTP/1.1", HOST], {400, 404}),
    (["GET /api/exchanges/c1x1%00 HTTP/1.1", HOST], {400, 404}),
    (["GET /api/exchanges?tag=%00 HTTP/1.1", HOST], {400}),
    (["GET /api/exchanges?origin=%ff%fe HTTP/1.1", HOST], {200, 400}),
    (["GET /api/exchanges/c99999999999999999999999x1 HTTP/1.1", HOST],
     {400}),
    (["GET /report?columns=99999999999999999999 HTTP/1.1", HOST], {400}),
    ([f"GET /{'x' * 12000} HTTP/1.1", HOST], {404}),
    ([f"GET /{'x' * 40000} HTTP/1.1", HOST], {400, 413, 414, None}),
    (["GET / HTTP/1.1", HOST, f"X: {'x' * 40000}"], {400, 413, 431, None}),
    (["GET / HTTP/1.1", HOST, *["X: y"] * 1000], {200, 400}),
    (["GET / HTTP/1.1", HOST, *["X: y"] * 20000], {400, 413, 431, None}),
    (["GET / HTTP/1.1", HOST, "no colon"], {400, None}),
    (["GET / HTTP/1.1", HOST, ": no name"], {200, 400, None}),
    (["GET / HTTP/1.1", HOST, "X: a", " folded"], {200, 400, None}),
    (["GET / HTTP/1.1", HOST, "X: a\0b"], {200, 400, None}),
    (["GET / HTTP/9.9", HOST], {200, 400, 505, None}),
    (["GET / HTTP/1.0", HOST], {200}),
    (["GET /", HOST], {200, 400, None}),
    (["nonsense"], {400, None}),
    (["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], {400, None}),
    (["GET / HTTP/1.1", HOST, "Content-Length: -1"], {200, 400, None}),
    (["POST / HTTP/1.1", HOST, "Content-Length: 99999999999999999999"],
     {400, 405, 413, None}),
    (["POST / HTTP/1.1", HOST, "Content-Length: 70000"], {413, None}),
    (["POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked", "",
      "ffffffffffffffff"], {400, 405, 413, None}),
    (["POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked", "",
      "-1"], {400, 405, 413, None}),
])
def test_hostile_requests_are_bounded(standing, lines, statuses):
    """Each is answered or cut off, soon, and the next caller is served."""
    with socket.create_connection(standing.admin, PATIENCE_S) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall("\r\n".join(
                [*lines, "Connection: close", "", ""]).encode("latin-1"))
            connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    assert (status_of(answer) if answer else None) in statuses, answer[:200]
    assert len(answer) < 65536
    assert standing.ask("/healthz")[0] == 200


def test_a_chunked_body_on_a_get(standing):
    """It is read, within bounds, and the request behind it is its own."""
    with socket.create_connection(standing.admin, PATIENCE_S) as connection:
        connection.sendall(
            b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n"
            b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Connection: close\r\n\r\n")
        answer = read_all(connection)
    assert answer.count(b"HTTP/1.1 ") <= 2
    assert answer.count(b"HTTP/1.1 200") >= 1
    assert standing.ask("/healthz")[0] == 200


def test_pipelining_is_answered_in_order(standing):
    """A thousand requests in one write, of which the reader takes its time."""
    count = 1000
    one = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    last = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n" \
        b"Connection: close\r\n\r\n"
    with socket.create_connection(standing.admin, PATIENCE_S) as connection:
        connection.sendall(one * count + last)
        answer = read_all(connection)
    assert answer.count(b"\r\n\r\nok\n") == count
    assert answer.endswith(b"\r\n\r\nready\n")


def descriptors(proxy):
    return len(os.listdir(f"/proc/{proxy.pid}/fd"))


def test_silent_strangers_take_no_more_than_their_share(proxy):
    """A thousand connections with half a request each: they neither use up
    the proxy's descriptors nor keep an operator out."""
    before = descriptors(proxy)
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            each = socket.create_connection(proxy.admin, PATIENCE_S)
            stack.enter_context(each).sendall(b"GET /report HTT")
        assert proxy.ask("/healthz")[0] == 200
        wait_until(lambda: descriptors(proxy) < before + 300,
                   "the silent ones are cut off")
        with Caller(proxy) as caller:
            assert len(caller.fetch(SMALL)) == 1000
    wait_until(lambda: descriptors(proxy) < before + 20,
               "their descriptors are closed")


# ---- what the process has given up ----


def status(proxy):
    """What the kernel says of each thread."""
    for task in os.listdir(f"/proc/{proxy.pid}/task"):
        with open(f"/proc/{proxy.pid}/task/{task}/status") as lines:
            yield dict(line.rstrip("\n").split(":\t", 1) for line in lines
                       if ":\t" in line)


def limits(proxy):
    with open(f"/proc/{proxy.pid}/limits") as lines:
        return {line[:26].strip(): line[26:].split() for line in lines}


def check_works(proxy):
    with Caller(proxy, "intercepted") as caller:
        assert len(caller.fetch(SMALL)) == 1000
    assert "leakproxy report" in proxy.report()
    assert "process_resident_memory_bytes" in proxy.get("/metrics")
    proxy.wait_for(SMALL, "drained")


@pytest.mark.parametrize("options, seccomp", [
    ((), "2"), (("--seccomp", "on"), "2"), (("--seccomp", "off"), "0")])
def test_serve_gives_up_what_it_does_not_need(start_proxy, options, seccomp):
    """On every thread: no new privileges, and the filter; no core files."""
    proxy = start_proxy(*options)
    for thread in status(proxy):
        assert thread["NoNewPrivs"] == "1"
        assert thread["Seccomp"] == seccomp
    assert limits(proxy)["Max core file size"][0] in ("0", "1")
    check_works(proxy)


def test_exec_gives_up_nothing(start_proxy, tmp_path):
    """Its child runs as if we were not there."""
    proxy = start_proxy(
        command=("exec",), child=("--", "cp", "/proc/self/status", tmp_path))
    assert proxy.process.wait(10) == 0
    child = (tmp_path / "status").read_text()
    with open("/proc/self/status") as ours:
        assert [line for line in child.splitlines()
                if line.startswith(("NoNewPrivs", "Seccomp:"))] == [
                    line.rstrip() for line in ours
                    if line.startswith(("NoNewPrivs", "Seccomp:"))]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can")
def test_another_user(start_proxy):
    """--user: started as root, it serves as nobody; what it cannot look up
    any more, as whose our socket is, is null and not wrong."""
    nobody = pwd.getpwnam("nobody")
    proxy = start_proxy("--user", "nobody")
    for thread in status(proxy):
        assert thread["Uid"].split() == [str(nobody.pw_uid)] * 4
        assert thread["Gid"].split() == [str(nobody.pw_gid)] * 4
        assert "0" not in thread["Groups"].split()
        assert int(thread["CapEff"], 16) == int(thread["CapPrm"], 16) == 0
    check_works(proxy)
    [exchange] = proxy.exchanges()
    assert exchange["pid"] is None
    check_knows_its_own(proxy)


# Asks, and holds the response until its stdin ends.
HOLD = f"""import socket, sys
proxy = socket.create_connection((sys.argv[1], int(sys.argv[2])))
proxy.sendall(b"GET http://{ORIGIN}/held{LATER} HTTP/1.1\\r\\n"
              b"Host: {ORIGIN}\\r\\n\\r\\n")
sys.stdin.read()"""


def check_knows_its_own(proxy):
    """A process of the same user is told by name."""
    host, port = proxy.address
    with subprocess.Popen(
            ["/usr/bin/python3", "-c", HOLD, host, str(port)], cwd="/",
            stdin=subprocess.PIPE, user="nobody",
            group=pwd.getpwnam("nobody").pw_gid, extra_groups=[]) as holder:
        held = proxy.wait_for(f"/held{LATER}", "undrained")
        holder.stdin.close()
        assert held["pid"] == holder.pid


@pytest.mark.parametrize("user, says", [
    ("no-such-user", "no user"), ("root", "is root"), ("", "is empty")])
def test_users_that_will_not_do(tmp_path, user, says):
    """One line, before anything is opened."""
    done = run("serve", "--user", user, "--state-dir", str(tmp_path / "none"))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "--user" in line and says in line
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="there is another user as root")
def test_only_root_can_become_another(tmp_path):
    """Whoever is not root is told so."""
    done = run("serve", "--user", "daemon", "--state-dir",
               str(tmp_path / "none"), user="nobody")
    assert done.returncode == 2
    assert "start as root" in done.stderr


@pytest.mark.parametrize("transport", ["plain", "intercepted", "tunnel"])
def test_bytes_are_counted_while_they_flow(
        start_proxy, authority, transport):
    """Connections that stay open for days: both sides' bytes are told long
    before they end, and each byte once."""
    options = ("--passthrough", "*") if transport == "tunnel" else ()
    proxy = start_proxy(*options, "--workers", 1)

    def counted(side, direction):
        return proxy.metric(f'leakproxy_bytes_total{{side="{side}",'
                            f'direction="{direction}"}}')

    ca = authority.ca if transport == "tunnel" else None
    with Caller(proxy, transport, ca=ca) as caller:
        caller.fetch("/200/length/100000")
        first = {way: counted(*way) for way in BYTE_WAYS}
        assert 100000 < first["upstream", "received"] < 110000
        assert 0 < first["upstream", "sent"] < 5000
        caller.get("/200/length/2000000")
        caller.read(1000000)
        # The body is under way.
        assert counted("upstream", "received") > 1000000
        caller.read(1000000)
        last = {way: counted(*way) for way in BYTE_WAYS}
        assert 2100000 < last["upstream", "received"] < 2200000
        assert 2100000 < last["client", "sent"] < 2200000
