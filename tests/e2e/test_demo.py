# SPDX-License-Identifier: MIT
"""What a stranger sees first: `make demo`."""

import re
import subprocess
from pathlib import Path

RUN = Path(__file__).resolve().parents[1] / "demo" / "run"


def test_demo_names_the_leak_and_nothing_else():
    """A Go service uses a real container registry.  One of its jobs misses
    the Close on the 404 of a removed image; another job gets the same 404 and
    closes it.  The first is named with every response that it holds, the
    second is not accused, nor is anything else.
    """
    done = subprocess.run([RUN, "--check"], capture_output=True, text=True,
                          timeout=120)
    said = done.stdout + done.stderr

    assert done.returncode == 0, said
    found = re.fullmatch(r"ok: (\d+) responses held, (\d+) found, "
                         r"nothing else accused\n", done.stdout)
    assert found, said
    # Eight seconds of work, a run of the job every 0.7 s.
    assert int(found[1]) == int(found[2]) >= 8, said
