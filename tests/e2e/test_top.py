# SPDX-License-Identifier: MIT
"""leakproxy top: a running proxy, watched in a terminal or through a pipe."""

import contextlib
import os
import signal
import socket
import subprocess
import threading

import pytest

from cast.caller import Caller
from cast.proxy import LEAKPROXY, plain_environment, run, unused_port
from cast.terminal import Terminal
from cast.waiting import wait_until

LATER = "/200/later/1000"
TURNED = ("X-Job", "\u202ebojé")


@pytest.fixture
def terminal():
    with contextlib.closing(Terminal(rows=24, columns=100)) as terminal:
        yield terminal


@contextlib.contextmanager
def watching(terminal, admin, *options, **environment):
    """Runs top on the terminal, which is its controlling one."""
    def adopt():
        os.setsid()
        os.close(os.open(os.ttyname(0), os.O_RDWR))

    environment = {"TERM": "xterm", "LC_ALL": "C.UTF-8"} | environment
    process = subprocess.Popen(
        [LEAKPROXY, "top", "--admin", admin, "--interval", "200ms", *options],
        stdin=terminal.theirs, stdout=terminal.theirs, preexec_fn=adopt,
        stderr=subprocess.PIPE, text=True,
        env=plain_environment(**environment))
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert "Sanitizer" not in process.stderr.read()
        process.stderr.close()


def shows(terminal, *words):
    return lambda: all(word in "\n".join(terminal.picture) for word in words)


def hold(stack, proxy, *fields):
    stack.enter_context(Caller(proxy)).get(LATER, *fields)


def test_a_leak_appears_while_it_happens(proxy, terminal):
    """Drawn in place, as wide and high as the terminal is at the moment; the
    terminal is given back as it was."""
    before = terminal.modes
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(watching(terminal, proxy.ready["admin"]))
        wait_until(shows(terminal, "No leaks.", "q quits"), "it looks")
        assert terminal.modes != before
        for job in "job=imagecheck", "job=gc":
            hold(stack, proxy, ("Leakproxy-Tag", job))
        wait_until(shows(terminal, "2 LEAKS: 2 held now", "job=imagecheck",
                         "evidence  1 unread", f"(pid {os.getpid()})", "█"),
                   "both are there")

        terminal.press("j")
        wait_until(lambda: not shows(terminal, "LEAK 1 ")(), "it scrolls")
        terminal.press("k")
        terminal.resize(rows=12, columns=60)
        wait_until(shows(terminal, "LEAK 1 ", "more lines"),
                   "it follows the size")
        assert len(terminal.picture) <= 12
        assert max(map(len, terminal.picture)) <= 60

        terminal.press("q")
        assert top.wait(10) == 0
    assert terminal.modes == before
    assert terminal.text.endswith("\x1b[?7h\x1b[?25h\x1b[?1049l")


@pytest.mark.parametrize("end", [signal.SIGTERM, "\x03", "\x1c"])
def test_however_it_ends(proxy, terminal, end):
    """A signal, or Ctrl-C and Ctrl-\\ on the keyboard."""
    before = terminal.modes
    with watching(terminal, proxy.ready["admin"]) as top:
        wait_until(shows(terminal, "No leaks."), "it draws")
        if isinstance(end, str):
            terminal.press(end)
        else:
            top.send_signal(end)
        assert top.wait(10) == 0
    assert terminal.modes == before
    wait_until(lambda: terminal.text.endswith("\x1b[?1049l"), "all is back")


def test_ctrl_z(proxy, terminal):
    """The shell has its terminal back until we go on."""
    before = terminal.modes
    with watching(terminal, proxy.ready["admin"]) as top:
        wait_until(shows(terminal, "No leaks."), "it draws")
        terminal.press("\x1a")
        _, status = os.waitpid(top.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert terminal.modes == before
        wait_until(lambda: terminal.text.endswith("\x1b[?1049l"), "as it was")
        top.send_signal(signal.SIGCONT)
        wait_until(lambda: terminal.text.endswith("\x1b[J"), "it goes on")
        assert terminal.modes != before


def test_the_proxy_goes_and_comes(start_proxy, terminal):
    """It says so, keeps what it had, and asks again; a caller's marks that
    turn the text around reach no terminal, nor does what its locale lacks."""
    port = unused_port()
    admin = f"127.0.0.1:{port}"
    with contextlib.ExitStack() as stack:
        stack.enter_context(watching(terminal, admin, LC_ALL="C"))
        wait_until(shows(terminal, f"nothing answers at {admin}",
                         "Asking again."), "nobody is there")
        proxy = start_proxy("--tag-header", "X-Job", admin=admin)
        hold(stack, proxy, TURNED)
        wait_until(shows(terminal, "1 LEAK", "x-job=\\u202eboj~"),
                   "it is there")
        assert terminal.text.isascii()
        proxy.stop()
        wait_until(shows(terminal, "nothing answers", "This was at",
                         "LEAK 1 "), "it is gone")


def test_an_answer_without_end():
    """What answers is no leakproxy, and never stops: there is a bound."""
    def pour():
        end, _ = listener.accept()
        with end, contextlib.suppress(OSError):
            end.recv(4096)
            end.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                end.sendall(bytes(1 << 20))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=pour, daemon=True)
        server.start()
        done = run("top", "-n", "1", "--admin",
                   f"127.0.0.1:{listener.getsockname()[1]}")
        server.join(10)
    assert done.returncode == 2
    assert "or without end" in done.stdout, done


def test_in_a_pipe(proxy):
    """One block each time, for grep and awk, without an escape; ended by
    --count, or by who reads no more."""
    admin = proxy.ready["admin"]
    with Caller(proxy) as caller:
        caller.get(LATER)
        proxy.wait_for(LATER, "undrained")
        done = run("top", "--admin", admin, "-n", "2", "--interval", "50ms")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("leakproxy top") == 2
    assert done.stdout.count("LEAK 1   1 held now, 1 undrained") == 2
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80

    headed = subprocess.run(
        f"'{LEAKPROXY}' top --admin {admin} --interval 50ms | head -n 1",
        shell=True, capture_output=True, text=True, timeout=20,
        env=plain_environment())
    assert headed.stdout.startswith("leakproxy top") and headed.stderr == ""

    gone = run("top", "--admin", f"127.0.0.1:{unused_port()}", "-n", "1")
    assert gone.returncode == 2
    assert "nothing answers" in gone.stdout


def test_a_dumb_terminal(proxy, terminal):
    """Lines and nothing else, where escapes would be shown as they are."""
    with watching(terminal, proxy.ready["admin"], "-n", "2",
                  TERM="dumb") as top:
        assert top.wait(10) == 0
    assert terminal.text.count("No leaks.") == 2
    assert "\x1b" not in terminal.text
