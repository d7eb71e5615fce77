# SPDX-License-Identifier: MIT
"""The labelled client matrix: what real clients do with a body, and what
honestly is to be said of it.

A client is a program, client.{go,py,js,sh} or Client.java, started as

    PROGRAM MANNER TARGET TAGS

with proxy and trust in its environment, as anybody would set them.  It prints
{"ready": true}; then it fetches TARGET?step=N once for each line "step" on
its standard input, does with the body what its manner says, and prints one
line: {"step": N, "status": 200, "read": 1000}, or {"step": N, "error": "..."}.
It keeps what it holds until its standard input ends.

A target's path ends in what the origin answers, /STATUS/FRAMING/SIZE; see
tests/e2e/cast/origin.py.
"""

import enum
from dataclasses import dataclass

TRANSPORTS = ("plain", "intercepted")

SMALL = "/200/length/1000"
# More than Go's buffers take, a TLS record and 4 KiB; less than a socket's.
MEDIUM = "/200/length/40000"
LARGE = "/200/length/2000000"
# The body leaves well after the head, so that no buffered reader can take
# both in one read.
LATER = "/200/later/1000"


class Truth(enum.Enum):
    """What a program did with a response, whoever can see it."""
    DRAINED = "read to the end, or taken whole by the library"
    HELD = "never read to the end, never closed"
    DROPPED = "closed unread"
    NONE = "no body"


# What may truly be said in the end of a response that is not held, and on
# what evidence.
VERDICTS = {
    Truth.DRAINED: {"drained": {"reuse", "probe", "closed"}},
    # The library may have taken a small body whole from the kernel when the
    # program drops it: then the close is clean.
    Truth.DROPPED: {"abandoned": {"reset", "early-close"},
                    "drained": {"closed"}},
    Truth.NONE: {"none": {None}},
}

# What the kernels can show of a held response, and which evidence proves it
# then.  Where they show nothing, because all lies in the program's own
# buffers, an ignored probe is proof for a known watcher alone; the first
# response of a group may stay suspected, and escalation proves the next
# (DESIGN §2).
SHOWN = {
    "stalled": {"stalled"},
    "unread": {"unread", "probe", "close"},
    "nothing": {"probe", "close"},
}

# Moves of the harness: "step" makes a request; "settle" waits until each
# response so far has an answer, or until a false one would have come;
# "escalate" is another step for a held one that is merely suspected.
USUAL = ("step", "step", "settle", "step", "settle", "escalate")
ONCE = ("step", "settle")


@dataclass(frozen=True)
class Case:
    program: str
    manner: str
    path: str
    truth: Truth
    story: str
    shows: frozenset = frozenset()  # of SHOWN, for a held one
    # Truth of responses with another status than the path's.
    others: tuple = ()
    # Does not look at its idle connections, so that an answered probe is not
    # to be expected, and a suspicion may remain.
    dozes: bool = False
    plan: tuple = USUAL

    @property
    def name(self):
        words = self.path.replace("/", "-")
        return f"{self.program}-{self.manner}{words}"

    def truth_of(self, status):
        return dict(self.others).get(status, self.truth)


def drained(program, manner, path, story, **more):
    return Case(program, manner, path, Truth.DRAINED, story, **more)


def dropped(program, manner, path, story, **more):
    return Case(program, manner, path, Truth.DROPPED, story, **more)


def none(program, manner, path, story, **more):
    return Case(program, manner, path, Truth.NONE, story, **more)


def held(program, manner, path, shows, story, **more):
    return Case(program, manner, path, Truth.HELD, story,
                shows=frozenset(shows.split()), **more)


GO = [
    drained("go", "drain", SMALL, "reads all and closes"),
    drained("go", "drain", LARGE, "reads all and closes"),
    drained("go", "drain", "/200/chunked/1000", "reads all and closes"),
    drained("go", "drain", "/200/gzip/20000",
            "reads all and closes; the transport unpacks"),
    drained("go", "drain", "/200/eof/1000",
            "reads to the origin's close, and closes"),
    drained("go", "drain", "/404/length/157", "drains its errors too"),
    drained("go", "read_no_close", SMALL,
            "EOF gives the connection back, Close or not"),
    drained("go", "read_no_close", "/200/chunked/1000", "the same"),
    drained("go", "limit_1M", SMALL,
            "the limit is beyond the end, so that EOF is met"),
    drained("go", "decode", "/200/json/400",
            "one Read of the decoder takes value, newline and EOF"),
    drained("go", "own_transport", SMALL,
            "an http.Transport for each request: nothing is reused, each "
            "connection rests until it is probed"),

    held("go", "leave", LATER, "unread", "no Read, no Close"),
    held("go", "leave", SMALL, "unread nothing",
         "no Read, no Close; bufio may take the body along with the head"),
    held("go", "leave", MEDIUM, "unread", "no Read, no Close"),
    held("go", "leave", LARGE, "stalled", "no Read, no Close"),
    held("go", "leave", "/404/later/157", "unread", "no Close on an error"),
    held("go", "leave", "/200/chunked/1000", "unread nothing",
         "no Read, no Close"),
    held("go", "leave", "/200/gzip/40000", "unread",
         "no Read, no Close; nothing is unpacked before the first Read"),
    held("go", "read_10", SMALL, "nothing",
         "bufio takes all into the program, which reads 10 bytes of it"),
    held("go", "read_10", MEDIUM, "unread",
         "bufio takes 4 KiB, TLS a record"),
    held("go", "read_10", LARGE, "stalled", "bufio takes 4 KiB"),
    held("go", "read_all_but_1", SMALL, "nothing", "999 of 1000"),
    held("go", "limit_100", SMALL, "nothing",
         "the io.LimitReader ends before the body does"),
    held("go", "decode", "/200/json/1600", "nothing",
         "one value, and then more whitespace than the decoder reads"),
    held("go", "decode", "/200/json_later/400", "unread",
         "one value; the last chunk, which has no data, comes later"),
    held("go", "answer_401", "/401/later/157", "unread",
         "a registry's challenge: the 401 is left, the retry is drained",
         others=((200, Truth.DRAINED),)),
    held("go", "time_out", LATER, "unread",
         "http.Client.Timeout ends each leak at the same age",
         plan=("step", "step", "step", "settle", "released")),

    dropped("go", "close_no_read", SMALL, "Close ends the connection"),
    dropped("go", "close_no_read", LARGE, "Close ends the connection"),

    none("go", "head", "/200/length/1000", "HEAD"),
    none("go", "drain", "/204/none/0", "204"),
    none("go", "drain", "/304/none/0", "304"),
    none("go", "drain", "/200/length/0", "Content-Length: 0"),
]

PYTHON = [
    drained("python", "requests_drain", SMALL, "content was read",
            dozes=True),
    drained("python", "requests_drain", LARGE, "content was read",
            dozes=True),
    drained("python", "urllib3_drain", SMALL, "read() and release_conn()",
            dozes=True),
    held("python", "requests_leave", LATER, "unread", "stream=True, no read"),
    held("python", "requests_leave", LARGE, "stalled",
         "stream=True, no read"),
    held("python", "urllib3_leave", LATER, "unread",
         "preload_content=False, no read"),
    held("python", "urllib3_leave", LARGE, "stalled",
         "preload_content=False, no read"),
]

NODE = [
    drained("node", "http_drain", SMALL, "for await took all"),
    drained("node", "http_drain", LARGE, "for await took all"),
    drained("node", "fetch_drain", SMALL, "arrayBuffer()"),
    drained("node", "fetch_drain", LARGE, "arrayBuffer()"),
    drained("node", "http_leave", SMALL,
            "never read, but the library took it: no connection is held"),
    drained("node", "fetch_leave", SMALL,
            "never read, but the library took it: no connection is held"),
    held("node", "http_leave", LARGE, "stalled", "never read"),
    held("node", "fetch_leave", LARGE, "stalled", "never read"),
]

JAVA = [
    drained("java", "http_client_drain", SMALL, "ofByteArray()"),
    drained("java", "http_client_drain", LARGE, "ofByteArray()"),
    drained("java", "url_connection_drain", SMALL, "readAllBytes()",
            dozes=True),
    drained("java", "url_connection_drain", LARGE, "readAllBytes()",
            dozes=True),
    drained("java", "http_client_leave", SMALL,
            "never read, but the library took it: no connection is held"),
    held("java", "http_client_leave", LARGE, "stalled",
         "ofInputStream(), never read"),
    held("java", "url_connection_leave", LATER, "unread",
         "getResponseCode() alone"),
    held("java", "url_connection_leave", LARGE, "stalled",
         "getResponseCode() alone"),
]

# Long enough for curl's bursts and rests: two seconds and more at its rate.
ENDLESS = "/200/length/40000000"

CURL = [
    drained("curl", "drain", SMALL, "reads, ends"),
    drained("curl", "drain", LARGE, "reads, ends"),
    drained("curl", "drain_twice", SMALL, "two requests on one connection"),
    drained("curl", "drain_slowly", ENDLESS,
            "takes longer than any patience, but takes", plan=ONCE),
    drained("curl", "pause_briefly", ENDLESS,
            "SIGSTOP, shorter than --stall-after",
            plan=("start", "flowing", "pause", "rest", "resume", "finish",
                  "settle")),
    held("curl", "pause_long", ENDLESS, "stalled",
         "SIGSTOP, longer than --stall-after: held while it lasts, then "
         "recovered and drained",
         plan=("start", "flowing", "pause", "settle", "resume", "finish",
               "recovered")),
]

CASES = GO + PYTHON + NODE + JAVA + CURL
