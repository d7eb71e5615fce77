# SPDX-License-Identifier: MIT
"""Waiting is polling with a deadline."""

import time

PATIENCE_S = 10


def wait_until(look, what, patience_s=PATIENCE_S, every_s=0.02):
    """Returns the first true thing that `look` returns."""
    deadline = time.monotonic() + patience_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not within {patience_s} s: {what}; last seen: {found!r}")
        time.sleep(every_s)
