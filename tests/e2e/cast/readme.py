# SPDX-License-Identifier: MIT
"""What README.md and the manual tell their readers to type, and to look
for."""

import re

from cast.proxy import ROOT

TEXT = "\n".join((ROOT / name).read_text()
                 for name in ("README.md", "proxy/dist/manual.md"))


def section(title):
    """The text under a heading that begins so, down to the next one of its
    own rank."""
    found = re.search(rf"^(#+) {re.escape(title)}.*\n", TEXT, re.M)
    assert found, f"no section {title!r} in README.md or the manual"
    rest = TEXT[found.end():]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.M)
    return rest[:end.start()] if end else rest


def blocks(title):
    """The indented blocks of a section: what is to be typed."""
    found = re.findall(r"(?:^    .*\n)+", section(title), re.M)
    return [re.sub(r"^    ", "", block, flags=re.M) for block in found]


def messages():
    """The troubleshooting table: who says each message, and the remedy."""
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$",
                      section("When it does not work"), re.M)
    return {message: (who, remedy) for message, who, remedy in rows}
