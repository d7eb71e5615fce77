# SPDX-License-Identifier: MIT
"""A network namespace of our own: its ports are all free, and what passes
there is ours."""

import contextlib
import ctypes
import os
import subprocess

import pytest

NAME = f"leakproxy-{os.getpid()}"

# Another one, a link away: where origins are that are not on this machine.
FAR = f"{NAME}-far"
NEAR_ADDRESSES = ("10.9.0.1", "fd09::1")
FAR_ADDRESSES = ("10.9.0.2", "fd09::2")

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


def set_up_link(device, addresses, *inside):
    for address in addresses:
        more = ("nodad",) if ":" in address else ()
        size = 64 if ":" in address else 24
        ip(*inside, "addr", "add", f"{address}/{size}", "dev", device, *more)
    ip(*inside, "link", "set", device, "up")


@contextlib.contextmanager
def neighbour():
    """Makes FAR, and the link to it from the namespace that was entered."""
    ip("netns", "add", FAR)
    try:
        ip("link", "add", "near", "type", "veth",
           "peer", "name", "far", "netns", FAR)
        set_up_link("near", NEAR_ADDRESSES)
        set_up_link("far", FAR_ADDRESSES, "-n", FAR)
        yield
    finally:
        ip("netns", "del", FAR)


@contextlib.contextmanager
def visited(name):
    """This thread, and what it opens, is in another namespace meanwhile."""
    with (open("/proc/thread-self/ns/net", "rb") as here,
          open(f"/run/netns/{name}", "rb") as there):
        enter(there)
        try:
            yield
        finally:
            enter(here)


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
