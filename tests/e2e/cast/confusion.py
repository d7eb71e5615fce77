# SPDX-License-Identifier: MIT
"""The confusion matrix: what clients honestly did, by what was said of it."""

from collections import Counter

import pytest

from cast.proxy import VERDICTS
from cases import Truth

# In a session's stash: a Counter of (Truth, verdict).
STASH_KEY = pytest.StashKey()


def packed(counts):
    """In types that can be sent from a worker."""
    return [(truth.name, word, count)
            for (truth, word), count in counts.items()]


def unpacked(rows):
    return Counter({(Truth[name], word): count for name, word, count in rows})


def table(counts):
    """Lines of text."""
    width = max(len(word) for word in VERDICTS) + 1
    lines = ["honest \\ given".ljust(15) + "".join(
        word.rjust(width) for word in VERDICTS)]
    for truth in Truth:
        lines.append(truth.name.lower().ljust(15) + "".join(
            str(counts[truth, word] or ".").rjust(width)
            for word in VERDICTS))
    return lines
