# SPDX-License-Identifier: MIT
"""The board, as somebody sees it who sits before it."""

import contextlib
import json
import os
import re
import subprocess
import time

import pytest

from cast.browser import PHONE, Browser
from cast.caller import Caller
from cast.proxy import ROOT, Proxy, plain_environment
from cast.waiting import wait_until

# Of the release, whatever is tested: how long it takes is part of the answer.
CROWD = "build/tests/e2e/crowd/crowd"
LEAKS = 10000
CONNECTIONS = 50000
PAGE_ROWS = 50
HEADING = "#view h2"
TOKEN = "0123456789abcdef-the-board"
LEAK = "/404/length/1000"

SCRIPT = "<script>window.pwned=1</script><img/src=x/onerror=window.pwned=1>"
RIGHT_TO_LEFT = "safe\u202egnp.exe"
LONG = "8kB-" + "x" * 8188


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads):
    with contextlib.closing(Browser(downloads)) as browser:
        yield browser


@pytest.fixture
def board(browser, start_proxy):
    """A proxy's board, opened; afterwards nothing was broken or outside."""
    proxy = start_proxy("--tag-header", "X-Job")
    address = f"http://{proxy.ready['admin']}/"
    browser.open(address)
    yield browser, proxy
    assert browser.console() == []
    assert [url for url in browser.requests()
            if not url.startswith((address, "data:", f"blob:{address}",
                                   "about:"))] == []
    assert browser.run("return window.pwned") is None


@contextlib.contextmanager
def holding(proxy, path=LEAK, *fields, **more):
    """A caller that never takes its response."""
    with Caller(proxy, **more) as caller:
        caller.get(path, *fields)
        yield caller


def rows(browser):
    return browser.texts("#view section > table tbody tr, "
                         "#view > table tbody tr")


# ---- the story ----


def test_a_leak_appears_while_it_happens(board, downloads):
    """Somebody watches, a job starts and leaks: the board says so without
    being asked, and leads from the picture to the evidence."""
    browser, proxy = board
    browser.wait_for("No leak so far", HEADING)
    assert "Nothing leaks" in browser.text("#view")
    browser.wait_for("live · 0 leaks", "#link")

    proxy.mark("imagecheck", "start")
    with holding(proxy, LEAK, ("Leakproxy-Tag", "job=imagecheck")), \
            holding(proxy, LEAK, ("Leakproxy-Tag", "job=imagecheck")):
        browser.wait_for("2 responses held, by 1 leak", HEADING)
        browser.wait_for("live · 1 leak, 2 held", "#link")
        assert "1 new leak" in browser.run(
            "return document.getElementById('spoken').textContent")
        assert browser.driver.title == "(2 held) Leaks · leakproxy"
        [row] = rows(browser)
        assert "404" in row and "job=imagecheck" in row
        assert browser.count("svg.stairs .bands path") == 1
        assert "imagecheck" in browser.texts("svg.stairs .lane text")[0]
        assert browser.count("svg.stairs .lane .start") == 1
        check_the_story_in_words(browser)

        browser.click("section > table .leak a")
        browser.wait_for("GET /{}/length/{} 404", HEADING)
        check_the_evidence(browser, proxy, downloads)
    browser.click("header nav a")
    browser.wait_for("0 responses held, by 1 leak", HEADING)


def check_the_story_in_words(browser):
    """Who does not see the picture has it as text and as a table."""
    label = browser.run("return document.querySelector('svg.stairs')"
                        ".getAttribute('aria-label')")
    assert label.endswith(
        "now 2. GET /{}/length/{} 404 job=imagecheck: 2"), label
    browser.click(".as-table summary")
    cells = browser.texts(".as-table tbody tr:first-child td")
    assert cells == ["2"]
    # It stays open when the view is drawn anew.
    before = browser.text(".as-table tbody th")
    wait_until(lambda: browser.text(".as-table tbody th") != before,
               "the table goes on")


def check_the_evidence(browser, proxy, downloads):
    shown = browser.text("#view")
    for part in ("held now\n2", f"pid {os.getpid()}", "127.0.0.1", "caller",
                 "GET http://origin.test", "HTTP/1.1 404", "job=imagecheck"):
        assert part in shown, shown
    [leak] = proxy.leaks()["leaks"]
    fds = leak["callers"][0]["fds"]
    assert len(fds) == 2
    assert ", ".join(map(str, fds)) in shown
    [curl] = [text for text in browser.texts("pre") if "curl -i" in text]
    assert curl.strip() == proxy.get(
        f"/api/exchanges/{leak['example']['exchange']}/curl").strip()
    browser.click("button[data-do=har]")
    [name] = wait_until(lambda: [one.name for one in downloads.iterdir()
                                 if one.suffix == ".har"], "the HAR")
    har = json.loads((downloads / name).read_text())
    assert har["log"]["entries"][0]["response"]["status"] == 404
    browser.command("Browser.grantPermissions", permissions=[
        "clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.click("button[data-do=copy]")
    wait_until(lambda: "clipboard" in browser.run(
        "return document.getElementById('spoken').textContent"), "a copy")


def test_every_view_shows_what_there_is(board):
    """Each place of the board has its heading and its data, also on a phone,
    where nothing is wider than the screen."""
    browser, proxy = board
    with holding(proxy, LEAK, ("Leakproxy-Tag", "job=imagecheck")):
        with Caller(proxy) as caller:
            caller.fetch("/200/length/1000")
            caller.fetch("/200/length/1000")
        proxy.wait_for(LEAK, "undrained")
        with Caller(proxy, host="nowhere.test") as caller:
            assert caller.get("/").status >= 500
        browser.resize(*PHONE)
        try:
            check_views(browser)
        finally:
            browser.resize(1200, 900)


def check_views(browser):
    for view, heading, part in (
            ("leaks", "1 response held", "job=imagecheck"),
            ("connections", "Connections", "client-fin"),
            ("exchanges", "Exchanges", "undrained"),
            ("reuse", "reused", "http://origin.test:80"),
            ("health", "Health", "http://nowhere.test:80"),
            ("report", "Report", "1 LEAK")):
        browser.run("location.hash = arguments[0]", f"#/{view}")
        browser.wait_for(heading, HEADING)
        browser.wait_for(part, "#view")
        assert browser.run("return document.documentElement.scrollWidth "
                           "<= innerWidth"), view
        current = browser.texts("nav [aria-current=page]")
        assert [one.lower() for one in current] == [view]


# ---- filters ----


def test_filters_are_part_of_the_address(board):
    """Somebody narrows the list down, and sends the address to somebody."""
    browser, proxy = board
    with contextlib.ExitStack() as stack:
        for job, path in (("gc", "/200/length/20000000"), ("sync", LEAK)):
            caller = stack.enter_context(Caller(
                proxy, "clear",
                connect_fields=[("Leakproxy-Tag", f"job={job}")]))
            caller.request(path)
        proxy.wait_for(LEAK, "undrained")
        browser.run("location.hash = '#/connections'")
        wait_until(lambda: len(rows(browser)) == 2, "both connections")

        browser.type("#filter-tag", "job=gc")
        wait_until(lambda: len(rows(browser)) == 1, "one of them")
        assert "job=gc" in rows(browser)[0]
        browser.choose("#filter-state", "closed")
        browser.wait_for("None.", ".pager")
        browser.run("location.hash = '#/connections?state=watched'")
        wait_until(lambda: len(rows(browser)) == 1, "that which is watched")
        assert "job=sync" in rows(browser)[0]
        browser.run("location.hash = "
                    "'#/connections?origin=http%3A%2F%2Forigin.test%3A80'")
        wait_until(lambda: len(rows(browser)) == 2, "those of the origin")
        assert browser.run("return document.querySelector('#filter-origin')"
                           ".value") == "http://origin.test:80"
        # What the server refuses is said.
        browser.run("location.hash = '#/connections?state=dead'")
        browser.wait_for("active, idle, watched or closed", "#view")
        browser.forget()  # the browser logs each 400


# ---- strangers ----


def test_what_strangers_write_is_text(board):
    """A URL, a tag and header fields that would like to be more than text, or
    other text than they are."""
    browser, proxy = board
    path = f"/404/length/1000?q={SCRIPT}&{LONG}"
    fields = [("X-Job", SCRIPT), ("X-Script", SCRIPT),
              ("X-Direction", RIGHT_TO_LEFT), ("X-Long", LONG)]
    with holding(proxy, path, *fields):
        browser.wait_for("1 response held", HEADING)
        assert any(SCRIPT[:20] in row for row in rows(browser))
        browser.click("section > table .leak a")
        browser.wait_for("X-Script", "#view")
        [head] = [text for text in browser.texts("pre")
                  if "X-Script:" in text and "curl" not in text]
        assert f"X-Script: {SCRIPT}" in head
        assert LONG in head
        # By its number, and not as it would turn what follows.
        assert "\u202e" not in browser.text()
        assert "\\u202e" in head
        browser.run("location.hash = '#/exchanges'")
        browser.wait_for(SCRIPT[:20], "#view")
        assert browser.count("#view script, #view img") == 0
        assert len(browser.text("#view")) < 4000  # the long is shortened


def test_the_policy_lets_nothing_else_in(proxy):
    """The page may run its own script, wear its own style, and ask its own
    server: no word in it lets anything else in."""
    status, fields, page = proxy.ask("/")
    policy = dict(part.strip().partition(" ")[::2] for part in
                  fields["Content-Security-Policy"].split(";"))
    assert status == 200
    assert policy.pop("script-src").startswith("'sha256-")
    assert policy.pop("style-src").startswith("'sha256-")
    assert policy == {
        "default-src": "'none'", "connect-src": "'self'", "img-src": "data:",
        "base-uri": "'none'", "form-action": "'none'",
        "frame-ancestors": "'none'", "require-trusted-types-for": "'script'",
        "trusted-types": "'none'"}
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert "innerHTML" not in page


# ---- honesty ----


def test_a_lost_connection_is_shown_and_recovers(board):
    """The proxy is restarted: the board says since when it knows nothing, and
    goes on by itself."""
    browser, proxy = board
    browser.wait_for("live", "#link")
    proxy.stop()
    browser.wait_for("Connection lost since", "#lost")
    assert browser.text("#link") == "not connected"
    assert browser.run("return document.body.classList.contains('is-lost')")
    assert "No leak so far" in browser.text(HEADING)

    again = Proxy(proxy.directory, "--store", "off",
                  admin=proxy.ready["admin"])
    try:
        browser.click("#retry")
        browser.wait_for("live", "#link")
        assert browser.text("#lost") == ""
        assert not browser.run(
            "return document.body.classList.contains('is-lost')")
        again.stop()
    finally:
        again.kill()
    browser.wait_for("Connection lost since", "#lost")
    browser.forget()  # the browser logs each refusal


def test_the_token_is_asked_for(browser, start_proxy, tmp_path):
    """The page itself tells nothing; it asks for the token, and says when it
    is the wrong one."""
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    token_file.chmod(0o600)
    proxy = start_proxy("--admin-token-file", token_file)
    browser.open(f"http://{proxy.ready['admin']}/")
    browser.wait_for("The token, please", "#token")
    assert browser.text("#view") == ""

    browser.type("#token-value", "guessed")
    browser.wait_for("not the token", "#token-wrong")
    browser.type("#token-value", TOKEN)
    browser.wait_for("No leak so far", HEADING)
    browser.wait_for("live", "#link")
    assert browser.text("#token") == ""
    assert TOKEN not in browser.driver.current_url
    assert browser.run("return Object.keys(localStorage).length") == 0
    assert not [url for url in browser.requests() if TOKEN in url]
    browser.driver.refresh()
    browser.wait_for("live", "#link")
    browser.run("sessionStorage.clear()")
    browser.forget()


# ---- everybody ----


def test_the_keyboard_reaches_everything(board):
    """From the top to a leak's page and its buttons, without a mouse."""
    browser, proxy = board
    with holding(proxy):
        browser.wait_for("1 response held", HEADING)
        seen = []
        for _ in range(40):
            browser.press("\ue004")  # Tab
            seen.append(browser.run(
                "const one = document.activeElement;"
                "return one.id || one.innerText || one.tagName"))
            outline = browser.run("return getComputedStyle("
                                  "document.activeElement).outlineStyle")
            assert outline != "none", seen
            if seen[-1].startswith("GET ") and "Show" in seen:
                break
        assert seen[0] == "Skip to the content"
        for name in ("Connections", "Health", "The chart as a table",
                     "filter-origin", "filter-tag", "filter-sort"):
            assert name in seen, seen
        browser.press("\ue007")  # Enter
        browser.wait_for("Callers", "#view")
        assert browser.run("return document.activeElement.tagName") == "H2"
        assert browser.run(
            "return Array.from(document.querySelectorAll("
            "'input, select')).every((one) => one.labels.length === 1)")
        assert browser.run(
            "return Array.from(document.querySelectorAll('svg[role=img]'))"
            ".every((one) => one.getAttribute('aria-label'))")


def luminance(color):
    parts = [int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045
              else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colors_have_contrast():
    """WCAG 2.1 §1.4.3 for text, §1.4.11 for what charts are made of; in light
    and in dark."""
    style = (ROOT / "admin/board/board.css").read_text()
    themes = re.findall(r":root \{(.*?)\}", style, re.S)
    assert len(themes) == 2
    for theme in themes:
        color = dict(re.findall(r"--(\w+): (#\w{6})", theme))
        for paper in (color["paper"], color["panel"]):
            for text in ("ink", "soft", "link", "alarm"):
                assert contrast(color[text], paper) >= 4.5, (text, paper)
        for number in range(8):
            assert contrast(color[f"c{number}"], color["paper"]) >= 3


# ---- many ----


@pytest.fixture
def crowd(browser):
    """The board over more than a page could hold."""
    subprocess.run(["make", "-s", "-j2", "SAN=", CROWD], cwd=ROOT, check=True,
                   capture_output=True, env=plain_environment(MAKEFLAGS=""))
    program = subprocess.Popen([ROOT / CROWD, str(LEAKS), str(CONNECTIONS)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
    try:
        browser.open(f"http://{program.stdout.readline().strip()}/")
        yield browser
        program.stdin.close()
        assert program.wait(20) == 0
    finally:
        program.kill()
        program.wait()


def timed(what, act):
    began = time.monotonic()
    act()
    print(f"{what}: {time.monotonic() - began:.2f} s")


def test_many_are_shown_in_pages(crowd):
    """Ten thousand leaks and fifty thousand connections: the server sorts,
    filters and pages, and the document holds a page.  Says how long it took,
    to be read with -s."""
    browser = crowd

    def go(address, part, selector="#view"):
        def act():
            browser.run("location.hash = arguments[0]", address)
            browser.wait_for(part, selector)
        timed(address, act)
        assert 0 < len(rows(browser)) <= PAGE_ROWS
        assert browser.count("*") < 3000

    go("#/leaks", "1–50 of 10,000", ".pager")
    assert browser.count(".legend li") == 8
    assert "9,993 other leaks" in browser.text(".legend")
    first = rows(browser)[0]
    timed("next page", lambda: (
        browser.click(".pager [rel=next]"),
        browser.wait_for("51–100 of 10,000", ".pager")))
    assert rows(browser)[0] != first
    go("#/leaks?offset=9950", "9,951–10,000 of 10,000", ".pager")
    go("#/leaks?sort=held", "1–50 of 10,000", ".pager")
    held = [int(row.split("\t")[1]) for row in rows(browser)]
    assert held == sorted(held, reverse=True) and held[0] == 89
    go("#/leaks?tag=job%3Djob7&origin=https%3A%2F%2Fregistry7",
       "1–50 of 100", ".pager")
    go("#/connections", "1–50 of 50,000", ".pager")
    go("#/connections?state=idle&tag=job%3Djob5", "1–50 of 500", ".pager")
    go("#/connections?sort=exchanges", "1,008", "tbody tr")
