# SPDX-License-Identifier: MIT
"""A network namespace of our own: its ports are all free, and what passes
there is ours."""

import contextlib
import ctypes
import os
import subprocess

import pytest

NAME = f"leakproxy-{os.getpid()}"
CLONE_NEWNET = 0x40000000


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True,
                   text=True)


def enter(namespace):
    """Moves this thread, and whatever it starts, into a network namespace,
    an open file."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def entered():
    """Made, entered, left and removed; skips where none can be made."""
    try:
        ip("netns", "add", NAME)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespace can be made: {error}")
    with open("/proc/thread-self/ns/net", "rb") as home:
        try:
            with open(f"/run/netns/{NAME}", "rb") as inside:
                enter(inside)
            ip("link", "set", "lo", "up")
            yield
        finally:
            enter(home)
            ip("netns", "del", NAME)
