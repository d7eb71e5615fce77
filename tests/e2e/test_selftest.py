# SPDX-License-Identifier: MIT
"""The test with known answers, and that it can fail."""

import subprocess

from cast.proxy import LEAKPROXY, plain_environment, run, unused_port


def selftest(proxy, *options):
    return run("selftest", "--proxy", proxy.ready["listen"][0],
               "--admin", proxy.ready["admin"], *options)


def test_all_is_right_here(start_proxy):
    """Every kind of response gets the verdict that is true of it, and every
    kind of evidence is to be had: the caller is local."""
    done = selftest(start_proxy())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 of 9 right." in done.stdout
    assert done.stdout.count(" available") == 4, done.stdout


def test_behind_exec():
    """No address has to be named: exec tells its child."""
    done = subprocess.run(
        [LEAKPROXY, "exec", "--stall-after", "400ms", "--probe-after",
         "300ms", "--probe-grace", "300ms", "--", LEAKPROXY, "selftest"],
        capture_output=True, text=True, timeout=60, env=plain_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 of 9 right." in done.stdout


def test_it_can_fail(start_proxy):
    """A proxy that never looks proves nothing in the time: each open verdict
    is told as wrong, and the status says so."""
    proxy = start_proxy("--probe-after", "off", "--stall-after", "1h",
                        patience=())
    done = selftest(proxy, "--timeout", "1s")
    assert done.returncode == 1
    assert "WRONG" in done.stdout
    assert "NOT SEEN" in done.stdout


def test_nobody_is_there():
    """One line that says what to start."""
    port = unused_port()
    done = run("selftest", "--proxy", f"127.0.0.1:{port}")
    assert done.returncode == 2
    assert done.stderr.startswith("leakproxy: --proxy: cannot connect")
    assert done.stderr.count("\n") == 1


def test_what_is_there_is_no_proxy(start_proxy):
    """The admin's address is not the proxy's."""
    proxy = start_proxy()
    done = run("selftest", "--proxy", proxy.ready["admin"],
               "--admin", proxy.ready["admin"])
    assert done.returncode == 2
    assert "--listen address" in done.stderr
