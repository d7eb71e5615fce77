# SPDX-License-Identifier: MIT
"""How it goes, on a terminal: one line, and none where nobody watches."""

import contextlib
import re
import signal
import subprocess

import pytest

from cast.caller import Caller
from cast.proxy import LEAKPROXY, plain_environment
from cast.terminal import Terminal
from cast.waiting import wait_until


@pytest.fixture
def terminal():
    with contextlib.closing(Terminal()) as terminal:
        yield terminal


def test_serve_keeps_one_line(start_proxy, terminal):
    """Below the log, renewed in place, and gone at the end."""
    proxy = start_proxy(stderr=terminal.theirs)
    wait_until(lambda: "0 held, 0 undrained" in terminal.last_line,
               "the line is there")
    with Caller(proxy) as caller:
        caller.get("/200/later/1000", ("Leakproxy-Tag", "job=imagecheck"))
        wait_until(lambda: "1 held, 1 undrained" in terminal.last_line,
                   "it tells the leak")
        assert "1 leak, worst GET" in terminal.last_line
        proxy.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining" in terminal.text, "the log goes on")
        caller.close()
        assert proxy.process.wait(15) == 0
    wait_until(lambda: terminal.last_line == "", "the line is gone")


def test_nobody_watches(start_proxy):
    """A file has no use for it."""
    proxy = start_proxy()
    with Caller(proxy) as caller:
        caller.get("/200/later/1000")
        proxy.wait_for("/later/1000", "undrained")
    proxy.stop()
    assert " held, " not in proxy.log
    assert "\x1b" not in proxy.log


def test_exec_leaves_the_terminal_to_its_child(terminal):
    """It never moves the cursor: what the child draws stays where it is."""
    done = subprocess.run(
        [LEAKPROXY, "exec", "--", "sh", "-c", "sleep 0.2; echo drawn >&2"],
        stderr=terminal.theirs, stdout=subprocess.DEVNULL, timeout=30,
        env=plain_environment())
    assert done.returncode == 0
    wait_until(lambda: "leakproxy report" in terminal.text, "the report")
    assert "drawn" in terminal.text
    assert not re.search(r"\x1b|\r(?!\n)", terminal.text)
