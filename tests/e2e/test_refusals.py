# SPDX-License-Identifier: MIT
"""What must be refused is, and nothing of it reaches an origin.

A message that two parsers read differently is how one caller's bytes get into
another's response.  Each row is a message as raw bytes; on the other side is
an origin that keeps every byte.  A refused request gets one answer, and what
follows it on the connection is never read; a refused response is 502, and the
connection on which it came is never used again."""

import contextlib
import itertools
import socket
import ssl

import pytest

from cast.caller import Caller
from cast.proxy import Proxy, patience, trusting
from cast.recorder import LATER_S, Recorder, read_request
from cast.waiting import wait_until

HEAD_LIMIT = 8192

# In a row <url> is what stands before the path, http://origin.test where the
# transport is plain and nothing inside CONNECT; <abs> has the scheme always.
HOST = b"Host: origin.test"
SMUGGLED = b"GET <url>/smuggled HTTP/1.1\r\nHost: origin.test\r\n\r\n"


def lines(*parts, body=b""):
    return b"\r\n".join([*parts, b"", body])


def get(*fields, target=b"<url>/", version=b"HTTP/1.1"):
    return lines(b"GET %s %s" % (target, version), HOST, *fields)


def post(*fields, body=b"", version=b"HTTP/1.1"):
    return lines(b"POST <url>/ " + version, HOST, *fields, body=body)


def chunked(body):
    return post(b"Transfer-Encoding: chunked", body=body)


def line(text):
    return lines(text, HOST)


def hosts(target, *values):
    """An absolute target and these Hosts."""
    return lines(b"GET %s HTTP/1.1" % target,
                 *(b"Host:" + value for value in values))


def refused(status, **rows):
    return [(name, raw, status) for name, raw in rows.items()]


LENGTH_5 = b"Content-Length: 5"
CHUNKED = b"Transfer-Encoding: chunked"
BODY = b"0\r\n\r\n"


def lengths(*values):
    return {f"length {value!r}": post(b"Content-Length:" + value,
                                      body=b"hello")
            for value in values}


def codings(*values):
    return {f"coding {value!r}": post(b"Transfer-Encoding:" + value, body=BODY)
            for value in values}


FRAMING = [
    *refused(400, **{
        "length, coding": post(LENGTH_5, CHUNKED, body=BODY),
        "coding, length": post(CHUNKED, LENGTH_5, body=BODY),
        "length 0, coding": post(b"Content-Length: 0", CHUNKED, body=BODY),
        "coding, length, in case": post(
            b"tRANSFER-eNCODING: chunked", b"cONTENT-lENGTH: 5", body=BODY),
        "lengths that differ": post(LENGTH_5, b"Content-Length: 6"),
        "lengths that agree": post(LENGTH_5, LENGTH_5, body=b"hello"),
        "coding in HTTP/1.0": post(CHUNKED, body=BODY, version=b"HTTP/1.0"),
        "coding behind a blank": post(b" " + CHUNKED, body=BODY),
        "coding before a blank": post(
            b"Transfer-Encoding : chunked", body=BODY),
        "coding before a tab": post(
            b"Transfer-Encoding\t: chunked", body=BODY),
        "length before a blank": post(b"Content-Length : 5", body=b"hello"),
        "coding folded": post(
            b"Transfer-Encoding:\r\n chunked", body=BODY),
        "coding behind VT": post(
            b"Transfer-Encoding: \x0bchunked", body=BODY),
        "coding before DEL": post(
            b"Transfer-Encoding: chunked\x7f", body=BODY),
        "coding in a value by CR": post(
            b"X: y\rTransfer-Encoding: chunked", body=BODY),
        "coding in a value by LF": post(
            b"X: y\nTransfer-Encoding: chunked", body=BODY),
        **lengths(b" 5, 5", b" 5,5", b" 5, 6", b" +5", b" -1", b" 0x5",
                  b" 5 5", b" 1e1", b" 5.0", b"", b" ", b" ,5", b" 5,",
                  b" 5;", b' "5"', b" five", b" 5\x0b", b" \x0c5",
                  b" \xa05", b" \xd9\xa5", b" 99999999999999999999",
                  b" 00000000000000000005", b" 9223372036854775808",
                  b" 18446744073709551621", b" 4294967301 0"),
    }),
    ("coding twice", post(CHUNKED, CHUNKED, body=BODY), 501),
    *refused(501, **codings(
        b" chunked, chunked", b" identity", b" gzip", b" gzip, chunked",
        b" chunked, gzip", b" xchunked", b" chunkedx", b' "chunked"',
        b" 'chunked'", b" chunked;x", b" chunked;q=0.5", b" , chunked",
        b" chunked,", b" chunked chunked", b"", b" chun ked",
        b" chunked, identity", b" \xa0chunked", b" c\xc4\xb1hunked")),
]

BAD_CHUNKS = [
    b"0x5\r\nhello\r\n" + BODY,
    b"+5\r\nhello\r\n" + BODY,
    b"-5\r\nhello\r\n" + BODY,
    b" 5\r\nhello\r\n" + BODY,
    b"\t5\r\nhello\r\n" + BODY,
    b"5 \r\nhello\r\n" + BODY,
    b"5\t\r\nhello\r\n" + BODY,
    b"5 5\r\nhello\r\n" + BODY,
    b"5,5\r\nhello\r\n" + BODY,
    b"5h\r\nhello\r\n" + BODY,
    b"5\nhello\r\n" + BODY,
    b"5\rhello\r\n" + BODY,
    b"5\r\rhello\r\n" + BODY,
    b"\r\n5\r\nhello\r\n" + BODY,
    b"\r\n" + BODY,
    b";x\r\n" + BODY,
    b"5\r\nhello" + BODY,
    b"5\r\nhello\n" + BODY,
    b"5\r\nhello\r" + BODY,
    b"5\r\nhello!\r\n" + BODY,
    b"5\r\nhell\r\n" + BODY,
    b"8000000000000000\r\nhello\r\n" + BODY,
    b"ffffffffffffffff\r\nhello\r\n" + BODY,
    b"10000000000000005\r\nhello\r\n" + BODY,
    b"00000000000000005\r\nhello\r\n" + BODY,
    b"0" * 4000 + b"5\r\nhello\r\n" + BODY,
    b"5;a\nhello\r\n" + BODY,
    b"5;a\rhello\r\n" + BODY,
    b"5;a\n0\r\n\r\n\r\n" + BODY,
    b'5;a="\r\nhello\r\n' + BODY,
    b'5;a="b\nc"\r\nhello\r\n' + BODY,
    b'5;a="b\\"\r\nhello\r\n' + BODY,
    b"5;a\0b\r\nhello\r\n" + BODY,
    b"5;a\x7f\r\nhello\r\n" + BODY,
    b"0\r\n\n",
    b"0\n\r\n",
    b"0\r\nX: y\n\r\n",
    b"0\r\nX: y\r\n\n",
    b"0\r\nX: y\r\n z\r\n\r\n",
    b"0\r\n X: y\r\n\r\n",
    b"0\r\nX: y\0\r\n\r\n",
    b"0\r\nX: y\x01\r\n\r\n",
    b"0\r\nX: y\rZ: y\r\n\r\n",
    b"0\r\nX : y\r\n\r\n",
    b"0\r\n: y\r\n\r\n",
    b"0\r\nX\r\n\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n",
    b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"0\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"0\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    b"5;" + b"a" * HEAD_LIMIT + b"\r\nhello\r\n" + BODY,
    (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 10 + BODY
]

# The head is good and the origin may have it; its end it never gets.
CHUNKS = refused(400, **{
    f"chunks {body[:40]!r}": chunked(body) for body in BAD_CHUNKS
}) + refused(431, **{
    "trailer too large": chunked(
        b"0\r\nX: " + b"y" * HEAD_LIMIT + b"\r\n\r\n"),
    "trailer of too many fields": chunked(
        b"0\r\n" + b"a:b\r\n" * 1001 + b"\r\n"),
})

HEADS = refused(400, **{
    "CR alone ends a field": get(b"X: a\rY: b"),
    "CR in a value": get(b"X: a\rb"),
    "CR before CR LF": get(b"X: a\r"),
    "CR in a name": get(b"X\r: a"),
    "CR ends the request line": b"GET <url>/ HTTP/1.1\rHost: origin.test"
                                b"\r\n\r\n",
    "CR in the target": line(b"GET <url>/a\rb HTTP/1.1"),
    "LF ends a field": get(b"X: a\nY: b"),
    "LF ends every line": get(b"X: a").replace(b"\r\n", b"\n"),
    "LF ends the request line": b"GET <url>/ HTTP/1.1\nHost: origin.test"
                                b"\r\n\r\n",
    "LF ends the head": b"GET <url>/ HTTP/1.1\r\nHost: origin.test\r\n\n",
    "LF CR": b"GET <url>/ HTTP/1.1\n\rHost: origin.test\n\r\n\r",
    "LF before": b"\n" + get(),
    "CR before": b"\r" + get(),
    "NUL in a value": get(b"X: a\0b"),
    "NUL in a name": get(b"X\0: a"),
    "NUL in the target": line(b"GET <url>/\0 HTTP/1.1"),
    "NUL before": b"\0" + get(),
    "folded by a blank": get(b"X: a", b" b"),
    "folded by a tab": get(b"X: a", b"\tb"),
    "folded Host": lines(b"GET <url>/ HTTP/1.1", b"Host:", b" origin.test"),
    "folded at the first field": lines(b"GET <url>/ HTTP/1.1", b" X: a", HOST),
    "a line of one blank": get(b" "),
    "blank before the colon": get(b"X : a"),
    "tab before the colon": get(b"X\t: a"),
    "Host before a blank": lines(
        b"GET <url>/ HTTP/1.1", b"Host : origin.test"),
    "no name": get(b": a"),
    "no colon": get(b"X"),
    "no colon, and blanks": get(b"GET /smuggled HTTP/1.1"),
    **{f"name with {char!r}": get(b"X%cY: a" % char)
       for char in b'"(),/;<=>?@[\\]{} \x01\x7f\x80\xe9'},
    **{f"value with {char!r}": get(b"X: a%cb" % char)
       for char in (*range(1, 9), 0x0b, 0x0c, *range(0x0e, 0x20), 0x7f)},
}) + refused(431, **{
    "too large": get(b"X: " + b"a" * HEAD_LIMIT),
    "too many fields": get(*[b"a:"] * 1000),
    "too large by many fields": get(*[b"a: b"] * (HEAD_LIMIT // 6)),
    "too many members of Connection": get(
        b"Connection: " + b"a," * 100 + b"a"),
}) + refused(414, **{
    "target too long": get(target=b"<url>/" + b"a" * HEAD_LIMIT),
    "query too long": get(target=b"<url>/?" + b"a" * 2 * HEAD_LIMIT),
})

REQUEST_LINES = refused(400, **{
    "two blanks before the target": line(b"GET  <url>/ HTTP/1.1"),
    "two blanks before the version": line(b"GET <url>/  HTTP/1.1"),
    "tab before the target": line(b"GET\t<url>/ HTTP/1.1"),
    "tab before the version": line(b"GET <url>/\tHTTP/1.1"),
    "blank before": line(b" GET <url>/ HTTP/1.1"),
    "blank in the target": line(b"GET <url>/a b HTTP/1.1"),
    "tab in the target": line(b"GET <url>/a\tb HTTP/1.1"),
    "a control character in the target": line(b"GET <url>/\x01 HTTP/1.1"),
    "DEL in the target": line(b"GET <url>/\x7f HTTP/1.1"),
    "no version": line(b"GET <url>/"),
    "no version, no fields": b"GET <url>/\r\n\r\n",
    "method alone": b"GET\r\n\r\n",
    "http/1.1": line(b"GET <url>/ http/1.1"),
    "HTTPS/1.1": line(b"GET <url>/ HTTPS/1.1"),
    "RTSP/1.0": line(b"GET <url>/ RTSP/1.0"),
    "no target": line(b"GET HTTP/1.1"),
    "fragment": line(b"GET <url>/#a HTTP/1.1"),
    "fragment without a path": line(b"GET <abs>#a HTTP/1.1"),
    "relative": line(b"GET a HTTP/1.1"),
    "authority-form": line(b"GET origin.test:80 HTTP/1.1"),
    "* for GET": line(b"GET * HTTP/1.1"),
    **{f"method {method!r}": line(method + b" <url>/ HTTP/1.1") for method in
       (b"G(T", b"G,T", b"G/T", b"G:T", b"G;T", b"G=T", b"G@T", b"G[T",
        b'"GET"', b"G\x80T", b"G\0T", b"")},
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),
}) + refused(505, **{
    "two requests in a line": line(
        b"GET <url>/ HTTP/1.1 GET /smuggled HTTP/1.1"),
    "HTTP/1.2": line(b"GET <url>/ HTTP/1.2"),
    "HTTP/2.0": line(b"GET <url>/ HTTP/2.0"),
    "HTTP/0.9": line(b"GET <url>/ HTTP/0.9"),
    "HTTP/3.0": line(b"GET <url>/ HTTP/3.0"),
    "HTTP/1.1x": line(b"GET <url>/ HTTP/1.1x"),
    "HTTP/1.10": line(b"GET <url>/ HTTP/1.10"),
    "HTTP/1.1 and a blank": line(b"GET <url>/ HTTP/1.1 "),
    "HTTP/11.1": line(b"GET <url>/ HTTP/11.1"),
    "HTTP/1,1": line(b"GET <url>/ HTTP/1,1"),
    "PRI": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
})

AUTHORITIES = refused(400, **{
    **{f"Host {' and '.join(map(repr, values))}": hosts(b"<url>/", *values)
       for values in [
           (), (b"",), (b" ",), (b" other.test",), (b" origin.test:81",),
           (b" origin.test:",), (b" origin.test:0",),
           (b" origin.test:65536",), (b" origin.test:+80",),
           (b" origin.test:8o",), (b" user@origin.test",),
           (b" origin.test/",), (b" origin.test/path",),
           (b" http://origin.test",), (b" origin.test?a",),
           (b" origin.test#a",), (b" origin.test, other.test",),
           (b" origin.test other.test",), (b" origin%2etest",),
           (b" origin.test\\other.test",), (b" origin.test@other.test",),
           (b" [origin.test]",), (b" [::1",), (b" origin.test.",),
           (b" origin.test", b" origin.test"),
           (b" origin.test", b" other.test"),
           (b" other.test", b" origin.test"), (b" origin.test", b"")]},
    **{f"target {target!r}": lines(b"GET %s HTTP/1.1" % target, HOST)
       for target in [
           b"http://other.test/", b"http://origin.test:81/",
           b"http://user@origin.test/", b"http://user:pass@origin.test/",
           b"http://@origin.test/", b"http://origin.test@other.test/",
           b"http://origin.test\\@other.test/",
           b"http://origin.test\\.other.test/", b"http://origin%2etest/",
           b"http://%6frigin.test/", b"http://origin.test%00/",
           b"http://origin.test%0d%0a/", b"http://origin.test%2f/",
           b"http://origin.test:/", b"http://origin.test:0/",
           b"http://origin.test:65536/", b"http://origin.test:+80/",
           b"http://origin.test:-80/", b"http://origin.test:8o/",
           b"http://origin.test:80:80/", b"http://origin.test:000080/",
           b"http://origin.test:80@other.test/", b"http:///", b"http://",
           b"http://?a", b"http:origin.test/", b"http:/origin.test/",
           b"http:\\\\origin.test/", b"//origin.test", b"ftp://origin.test/",
           b"ws://origin.test/", b"file:///etc/passwd",
           b"http://http://origin.test/", b"http://[::1/", b"http://::1/",
           b"http://[]/", b"http://[::g]/", b"http://[origin.test]/",
           b"http://[::1]80/", b"http://[fe80::1%25lo]/",
           b"http://[fe80::1%lo]/", b"http://[v1.a]/", b"http://origin,test/",
           b"http://\xc3\xb6rigin.test/", b"http://*/",
           b"http://" + b"a" * 254 + b"/"] if target != b"//origin.test"},
})

# Inside CONNECT nothing leads elsewhere; `plain` has none of these.
INSIDE = refused(400, **{
    "the scheme of TLS in clear text, or the reverse": hosts(
        b"<wrong>/", b" origin.test:<port>"),
    "another port of the host": hosts(b"<abs>:8080/", b" origin.test:8080"),
    "another host": hosts(b"http://other.test/", b" other.test"),
    "CONNECT inside CONNECT": lines(
        b"CONNECT origin.test:80 HTTP/1.1", b"Host: origin.test:80"),
    "TLS inside": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),
})

REFUSED = FRAMING + HEADS + REQUEST_LINES + AUTHORITIES


def ids(rows):
    return [row[0] for row in rows]


# ---- what passes ----


def seen(*fields, path=b"/", method=b"GET", host=b"origin.test", body=b""):
    return lines(method + b" " + path + b" HTTP/1.1", b"Host: " + host,
                 *fields, body=body)


def seen_post(*fields, body=b""):
    return seen(*fields, method=b"POST", body=body)


def seen_chunked(body):
    return seen_post(CHUNKED, body=body)


HELLO = b"5\r\nhello\r\n"

PASSES = [
    ("plain", get(), seen()),
    ("length", post(LENGTH_5, body=b"hello"),
     seen_post(LENGTH_5, body=b"hello")),
    ("length with zeros and blanks",
     post(b"Content-Length: \t 005 ", body=b"hello"),
     seen_post(LENGTH_5, body=b"hello")),
    ("length without blank", post(b"content-length:5", body=b"hello"),
     seen_post(LENGTH_5, body=b"hello")),
    ("length 0", post(b"Content-Length: 0"),
     seen_post(b"Content-Length: 0")),
    ("a body that is a request", post(b"Content-Length: 9",
                                      body=b"GET / \r\n\r"),
     seen_post(b"Content-Length: 9", body=b"GET / \r\n\r")),
    ("coding in capitals", post(b"transfer-encoding:CHUNKED",
                                body=HELLO + BODY),
     seen_chunked(HELLO + BODY)),
    ("underscores are letters", get(b"Transfer_Encoding: chunked",
                                    b"Content_Length: 5"),
     seen(b"Transfer_Encoding: chunked", b"Content_Length: 5")),
    ("coding that Connection names",
     post(CHUNKED, b"Connection: Transfer-Encoding", body=HELLO + BODY),
     seen_chunked(HELLO + BODY)),
    ("length that Connection names",
     post(LENGTH_5, b"Connection: Content-Length", body=b"hello"),
     seen_post(LENGTH_5, body=b"hello")),
    ("Host that Connection names", get(b"Connection: Host"), seen()),
    ("extensions", chunked(b'5;a;b=c;d="e;\\"f" ; g\r\nhello\r\n0;h\r\n\r\n'),
     seen_chunked(HELLO + BODY)),
    ("blanks before an extension", chunked(b"5 \t;a\r\nhello\r\n" + BODY),
     seen_chunked(HELLO + BODY)),
    ("sizes with zeros", chunked(b"0005\r\nhello\r\n000\r\n\r\n"),
     seen_chunked(HELLO + BODY)),
    ("sizes in capitals", chunked(b"A\r\n0123456789\r\n" + BODY),
     seen_chunked(b"a\r\n0123456789\r\n" + BODY)),
    ("no chunks", chunked(BODY), seen_chunked(BODY)),
    ("data that is framing", chunked(b"5\r\n0\r\n\r\n\r\n" + BODY),
     seen_chunked(b"5\r\n0\r\n\r\n\r\n" + BODY)),
    ("trailer", chunked(HELLO + b"0\r\nX: y\r\nX: z\r\n\r\n"),
     seen_chunked(HELLO + b"0\r\nX: y\r\nX: z\r\n\r\n")),
    ("trailer that would route or frame", chunked(
        HELLO + b"0\r\nHost: evil\r\nAuthorization: Basic eA==\r\n"
        b"Connection: X-Gone\r\nX: y\r\n\r\n"),
     seen_chunked(HELLO + b"0\r\nX: y\r\n\r\n")),
    ("trailer that would upgrade", chunked(
        b"0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
     seen_chunked(BODY)),
    ("bytes beyond ASCII in a value", get(b"X: \xc3\xa9 \xff\ta"),
     seen(b"X: \xc3\xa9 \xff\ta")),
    ("an empty value", get(b"X:"), seen(b"X: ")),
    ("repeated fields", get(b"X: 1", b"Y: 2", b"x: 3"),
     seen(b"X: 1", b"Y: 2", b"x: 3")),
    ("names of all letters", get(b"!#$%&'*+-.^_`|~09azAZ: x"),
     seen(b"!#$%&'*+-.^_`|~09azAZ: x")),
    ("many fields", get(*[b"a: b"] * 900), seen(*[b"a: b"] * 900)),
    ("empty lines before", b"\r\n\r\n" + get(), seen()),
    *((f"path {path!r}", get(target=b"<url>" + path), seen(path=path))
      for path in [
          b"/%00", b"/%0d%0a", b"/%2f", b"/%zz", b"/%", b"/%2e%2e/", b"/../a",
          b"//a", b"/a\\b", b"/@b", b"/a?b=http://c/@d", b"/?a#b".replace(
              b"#", b"%23"), b'/"<>^`{|}', b"/\xc3\xa9", b"/http://other/",
          b"/a;b=c", b"/?", b"/a:80"]),
    ("no path", get(target=b"<abs>"), seen()),
    ("a query and no path", get(target=b"<abs>?a"), seen(path=b"/?a")),
    ("absolute", get(target=b"<abs>/a"), seen(path=b"/a")),
    ("absolute in capitals", get(target=b"<ABS>/A"), seen(path=b"/A")),
    ("Host with its port", hosts(b"<abs>/", b" origin.test:<port>"),
     seen(host=b"origin.test:<port>")),
    ("Host in capitals", hosts(b"<abs>/", b"ORIGIN.test"),
     seen(host=b"ORIGIN.test")),
    ("no Host in HTTP/1.0", lines(b"GET <abs>/ HTTP/1.0"), seen()),
    *((f"method {method!r}", lines(method + b" <url>/ HTTP/1.1", HOST),
       seen(method=method))
      for method in (b"get", b"BREW", b"M-SEARCH", b"!#$%&'*+-.^_`|~", b"pri",
                     b"Connect", b"head")),
    ("OPTIONS *", lines(b"OPTIONS <abs> HTTP/1.1", HOST),
     seen(path=b"*", method=b"OPTIONS")),
]


# ---- the cast ----


@pytest.fixture(scope="module")
def recorder(authority):
    with contextlib.closing(Recorder(authority)) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def strict(recorder, authority, tmp_path_factory):
    """The proxy that all rows share."""
    proxy = Proxy(
        tmp_path_factory.mktemp("refusals"), *trusting(authority),
        *patience("30s", "off", "30s"), "--max-header-bytes", HEAD_LIMIT,
        "--resolve", f"*:80:127.0.0.1:{recorder.port}",
        "--resolve", f"*:443:127.0.0.1:{recorder.tls_port}")
    try:
        yield proxy
        proxy.check_totals()
        proxy.stop()
    finally:
        proxy.kill()


MODES = ("plain", "split", "clear", "intercepted")
INSIDE_MODES = ("clear", "intercepted")
SPLIT_PIECES = 400


def fill(raw, mode):
    """The row's bytes in the form that the transport wants."""
    scheme = b"https" if mode == "intercepted" else b"http"
    other = b"http" if mode == "intercepted" else b"https"
    port = b"443" if mode == "intercepted" else b"80"
    is_inside = mode in INSIDE_MODES
    for name, text in ((b"<url>", b"" if is_inside else b"<abs>"),
                       (b"<abs>", scheme + b"://origin.test"),
                       (b"<ABS>", scheme.upper() + b"://ORIGIN.TEST"),
                       (b"<wrong>", other + b"://origin.test:" + port),
                       (b"<port>", port)):
        raw = raw.replace(name, text)
    return raw


def send(caller, raw, mode):
    """In split mode byte by byte, as far as that is bearable."""
    step = max(1, len(raw) // SPLIT_PIECES) if mode == "split" else len(raw)
    # A refusal may come, and the connection go, before the last byte.
    with contextlib.suppress(ConnectionError):
        for at in range(0, len(raw), step):
            caller.send(raw[at:at + step])


@contextlib.contextmanager
def calling(proxy, mode):
    transport = "plain" if mode == "split" else mode
    with Caller(proxy, transport) as caller:
        caller.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield caller


def check_refusal(caller, status, token="http_request_error"):
    """One answer, a line for people in it, and then the end."""
    response = caller.read_head()
    assert response.status == status, response.line
    assert f"error={token};" in response.value("Proxy-Status")
    assert response.value("Connection") == "close"
    text = caller.read(response.length)
    assert text.startswith(b"leakproxy: ") and text.count(b"\n") == 1
    assert caller.read_to_end() == b""


def modes_of(rows, modes=MODES):
    """What is HTTP in clear text inside CONNECT is told by its first byte;
    the rest is a tunnel, and none of our business."""
    return pytest.mark.parametrize(
        "raw, wanted, mode",
        [pytest.param(raw, wanted, mode, id=f"{name}-{mode}")
         for (name, raw, wanted), mode in itertools.product(rows, modes)
         if mode != "clear" or raw[:1].isupper()])


# ---- requests ----


@modes_of(REFUSED)
def test_a_request_that_is_refused(strict, recorder, raw, wanted, mode):
    """Nothing of it comes to an origin, nor of what follows it."""
    if mode != "split":
        raw += SMUGGLED
    with calling(strict, mode) as caller:
        send(caller, fill(raw, mode), mode)
        check_refusal(caller, wanted)
    assert recorder.take() == []


@pytest.mark.parametrize("mode", MODES)
def test_a_head_request_that_is_refused(strict, recorder, mode):
    """RFC 9110 §9.3.2: no body, whose length is told all the same."""
    raw = get(b"Host: origin.test").replace(b"GET", b"HEAD", 1)
    with calling(strict, mode) as caller:
        send(caller, fill(raw, mode), mode)
        head = caller.read_head()
        assert head.status == 400 and head.length > 0
        assert caller.read_to_end() == b""
    assert recorder.take() == []


@modes_of(INSIDE, INSIDE_MODES)
def test_a_request_inside_connect_that_is_refused(
        strict, recorder, raw, wanted, mode):
    """A tunnel leads to one origin by one scheme: https:// in clear text
    would be sent in clear text to the port of TLS."""
    with calling(strict, mode) as caller:
        send(caller, fill(raw + SMUGGLED, mode), mode)
        check_refusal(caller, wanted)
    assert recorder.take() == []


@modes_of(CHUNKS)
def test_a_body_that_is_refused(strict, recorder, raw, wanted, mode):
    """Its head may be at the origin by then: the origin sees it cut off."""
    if mode != "split":
        raw += SMUGGLED
    with calling(strict, mode) as caller:
        send(caller, fill(raw, mode), mode)
        check_refusal(caller, wanted)
    for recording in recorder.take():
        wait_until(lambda: recording.has_ended, "the origin's side ends")
        assert recording.requests == []
        assert b"smuggled" not in recording.data


@modes_of(PASSES)
def test_a_request_that_passes(strict, recorder, raw, wanted, mode):
    """The origin gets these bytes, our Via, and nothing else."""
    with calling(strict, mode) as caller:
        send(caller, fill(raw, mode), mode)
        assert caller.read_head().status == 200
        assert caller.read(2) == b"ok"
    [recording] = recorder.take()
    assert recording.requests_without_via == [fill(wanted, mode)]
    assert read_request(recording.data)[1] == b""


@pytest.mark.parametrize("mode", ["plain", "intercepted"])
def test_a_body_that_goes_bad_at_the_origin(strict, recorder, mode):
    """400, although a part of it is there already.  It must not look
    complete: a store would keep half an upload."""
    with calling(strict, mode) as caller:
        send(caller, fill(chunked(HELLO), mode), mode)
        wait_until(lambda: any(HELLO in recording.data
                               for recording in recorder.recordings),
                   "the origin has the first chunk")
        send(caller, b"0x0\r\n\r\n" + fill(SMUGGLED, mode), mode)
        check_refusal(caller, 400)
    [recording] = recorder.take()
    wait_until(lambda: recording.has_ended, "the origin's side ends")
    assert recording.requests == []
    assert recording.data.endswith(HELLO)


@pytest.mark.parametrize("mode", ["plain", "intercepted"])
def test_a_body_that_goes_bad_behind_its_answer(strict, recorder, mode):
    """The origin answers before it has the request, and the answer cannot be
    taken back: it is cut off, and so is the request."""
    recorder.early_answers.append(
        response(b"Content-Length: 10", body=b"some"))
    with calling(strict, mode) as caller:
        send(caller, fill(chunked(HELLO), mode), mode)
        assert caller.read_head().status == 200
        assert caller.read(4) == b"some"
        send(caller, b"0x0\r\n\r\n" + fill(SMUGGLED, mode), mode)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert caller.read_to_end() == b""
    [recording] = recorder.take()
    wait_until(lambda: recording.has_ended, "the origin's side ends")
    assert recording.requests == []


def test_a_refused_request_proves_nothing_smuggled(strict, recorder):
    """The classic: the front reads a length, the back reads chunks.  With
    either reading there is a second request; with neither does it arrive."""
    inner = b"GET <abs>/smuggled HTTP/1.1\r\nHost: origin.test\r\n\r\n"
    for raw in (post(b"Content-Length: %d" % (5 + len(inner)), CHUNKED,
                     body=BODY + inner),
                post(CHUNKED, b"Content-Length: 5", body=BODY + inner),
                post(b"Content-Length: 0", b"Content-Length: 44", body=inner),
                post(b"Transfer-Encoding: xchunked", body=BODY + inner)):
        with calling(strict, "plain") as caller:
            send(caller, fill(raw, "plain"), "plain")
            assert caller.read_head().status in (400, 501)
            assert caller.read_to_end().count(b"HTTP/1.1") == 0
    assert recorder.take() == []


def test_a_loop_is_refused(strict, recorder):
    """Our own name in Via: the request has come back to us."""
    with calling(strict, "plain") as caller:
        send(caller, fill(get(), "plain"), "plain")
        assert caller.read_head().status == 200
    [recording] = recorder.take()
    [via] = [each for each in recording.data.split(b"\r\n")
             if each.startswith(b"Via: ")]
    for mode in MODES:
        with calling(strict, mode) as caller:
            send(caller, fill(get(via), mode), mode)
            check_refusal(caller, 502, "proxy_loop_detected")
    with calling(strict, "plain") as caller:
        send(caller, lines(b"CONNECT origin.test:80 HTTP/1.1", HOST, via),
             "plain")
        check_refusal(caller, 502, "proxy_loop_detected")
    with calling(strict, "plain") as caller:
        send(caller, fill(get(b"Via: 1.1 other, 1.0 squid (leakproxy)"),
                          "plain"), "plain")
        assert caller.read_head().status == 200
    assert len(recorder.take()) == 1


# ---- CONNECT ----


def connect(target, *fields, version=b"HTTP/1.1"):
    return lines(b"CONNECT " + target + b" " + version, *fields)


HOST_80 = b"Host: origin.test:80"

CONNECTS = refused(400, **{
    **{f"target {target!r}": connect(target, HOST_80) for target in [
        b"origin.test", b"origin.test:", b"origin.test:0",
        b"origin.test:65536", b"origin.test:+80", b"origin.test:080x",
        b"http://origin.test:80", b"http://origin.test/", b"/",
        b"origin.test:80/", b"origin.test:80/path", b"origin.test:80?a",
        b"origin.test:80#a", b"user@origin.test:80", b"*", b"[::1", b":80",
        b"origin%2etest:80", b"[fe80::1%25lo]:80", b"origin.test\\:80"]},
    **{f"Host {value!r}": connect(b"origin.test:80", b"Host:" + value)
       for value in [b"", b" origin.test:", b" user@origin.test:80",
                     b" origin.test:80/", b" origin.test:80, other.test"]},
    "no Host": connect(b"origin.test:80"),
    "two Hosts": connect(b"origin.test:80", HOST_80, HOST_80),
    "a length": connect(b"origin.test:80", HOST_80, LENGTH_5) + b"hello",
    "a coding": connect(b"origin.test:80", HOST_80, CHUNKED) + BODY,
})

CONNECTS_THAT_PASS = [
    ("plain", connect(b"origin.test:80", HOST_80)),
    ("Host without port", connect(b"origin.test:80", HOST)),
    ("the proxy's Host, as Node's http.request() sends it",
     connect(b"origin.test:80", b"Host: 127.0.0.1:8080")),
    ("Host in capitals", connect(b"Origin.test:80", b"host: ORIGIN.TEST:80")),
    ("no Host in HTTP/1.0", connect(b"origin.test:80", version=b"HTTP/1.0")),
    ("length 0, as WinHTTP sends it",
     connect(b"origin.test:80", HOST_80, b"Content-Length: 0")),
    ("an IPv6 address", connect(b"[::1]:80", b"Host: [0:0::1]:80")),
]


@modes_of(CONNECTS, ["plain", "split"])
def test_a_connect_that_is_refused(strict, recorder, raw, wanted, mode):
    """RFC 9110 §9.3.6: a host and a port, and no body that one side would
    take for the first bytes of the tunnel."""
    with calling(strict, mode) as caller:
        send(caller, raw + (b"" if mode == "split" else SMUGGLED), mode)
        check_refusal(caller, wanted)
    assert recorder.take() == []


@pytest.mark.parametrize("mode", ["plain", "split"])
@pytest.mark.parametrize("raw", [row[1] for row in CONNECTS_THAT_PASS],
                         ids=ids(CONNECTS_THAT_PASS))
def test_a_connect_that_passes(strict, raw, mode):
    with calling(strict, mode) as caller:
        send(caller, raw, mode)
        assert caller.read_head().status == 200


# ---- responses ----


def response(*fields, line=b"HTTP/1.1 200 OK", body=b""):
    return lines(line, *fields, body=body)


def answers(token, **rows):
    return [(name, raw, token) for name, raw in rows.items()]


OK_2 = b"Content-Length: 2"

RESPONSES = answers("http_protocol_error", **{
    "length, coding": response(OK_2, CHUNKED, body=BODY),
    "coding, length": response(CHUNKED, OK_2, body=BODY),
    "lengths that differ": response(OK_2, b"Content-Length: 3", body=b"ok"),
    "lengths that agree": response(OK_2, OK_2, body=b"ok"),
    **{f"length {value!r}": response(b"Content-Length:" + value, body=b"ok")
       for value in [b"", b" +2", b" -1", b" 0x2", b" 2, 2", b" 2 2", b" x",
                     b" 2\x0b", b" 99999999999999999999"]},
    "coding in HTTP/1.0": response(
        CHUNKED, line=b"HTTP/1.0 200 OK", body=BODY),
    "coding before a blank": response(
        b"Transfer-Encoding : chunked", body=BODY),
    "coding folded": response(b"Transfer-Encoding:\r\n chunked", body=BODY),
    "CR in a value": response(b"X: a\rb", OK_2, body=b"ok"),
    "CR before CR LF": response(b"X: a\r", OK_2, body=b"ok"),
    "LF ends a line": response(b"X: a\nY: b", OK_2, body=b"ok"),
    "LF ends every line": response(OK_2, body=b"ok").replace(b"\r\n", b"\n"),
    "NUL in a value": response(b"X: a\0b", OK_2, body=b"ok"),
    "NUL in the reason": response(
        OK_2, line=b"HTTP/1.1 200 O\0K", body=b"ok"),
    "CR in the reason": response(
        OK_2, line=b"HTTP/1.1 200 O\rK", body=b"ok"),
    "folded": response(b"X: a", b" b", OK_2, body=b"ok"),
    "blank before the colon": response(b"X : a", OK_2, body=b"ok"),
    "no name": response(b": a", OK_2, body=b"ok"),
    "no colon": response(b"X", OK_2, body=b"ok"),
    "name with a blank": response(b"X Y: a", OK_2, body=b"ok"),
    **{f"line {text!r}": response(OK_2, line=text, body=b"ok")
       for text in [b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK",
                    b"HTTP/1.1 099 OK", b"HTTP/1.1 2OO OK", b"HTTP/1.1  200",
                    b"HTTP/1.1 -20 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1",
                    b"HTTP/2.0 200 OK", b"HTTP/1.2 200 OK", b"HTTP/2 200",
                    b"http/1.1 200 OK", b"ICY 200 OK", b"HTTP 200 OK", b"",
                    b"SSH-2.0-x", b"GET / HTTP/1.1", b"220 ready"]},
    "garbage before": b"garbage\r\n" + response(OK_2, body=b"ok"),
    "an empty line before": b"\r\n" + response(OK_2, body=b"ok"),
    "a body before": b"0\r\n\r\n" + response(OK_2, body=b"ok"),
    "1xx with a length": response(b"Content-Length: 5",
                                  line=b"HTTP/1.1 103 Early Hints",
                                  body=b"hello" + response(OK_2)),
    "1xx with a coding": response(CHUNKED, line=b"HTTP/1.1 100 Continue",
                                  body=BODY + response(OK_2)),
    "1xx without end": response(line=b"HTTP/1.1 102 Processing") * 2000,
}) + answers("http_response_transfer_coding", **{
    f"coding {value!r}": response(b"Transfer-Encoding:" + value, body=BODY)
    for value in [b" gzip", b" gzip, chunked", b" chunked, gzip",
                  b" identity", b" chunked, chunked", b" xchunked", b"",
                  b' "chunked"', b" chunked;a", b" \x0bchunked"]
}) + answers("http_response_header_section_size", **{
    "too large": response(b"X: " + b"a" * HEAD_LIMIT, OK_2, body=b"ok"),
    "reason too large": response(
        OK_2, line=b"HTTP/1.1 200 " + b"a" * HEAD_LIMIT, body=b"ok"),
    "too many fields": response(*[b"a:"] * 1001, OK_2, body=b"ok"),
})


def read_final_head(caller):
    while (response := caller.read_head()).status < 200:
        pass
    return response


def check_next(caller, recorder, mode):
    """The next request has an answer of its own, on a fresh connection."""
    caller.send(fill(get(target=b"<url>/next"), mode))
    response = caller.read_head()
    assert response.status == 200
    assert caller.read(response.length) == b"ok"
    first, second = recorder.take()
    assert len(first.requests) == len(second.requests) == 1
    wait_until(lambda: first.has_ended, "the first connection is closed")


@modes_of(RESPONSES, ["plain", "split", "intercepted"])
def test_a_response_that_is_refused(strict, recorder, raw, wanted, mode):
    """502, and its connection is closed; the caller's goes on."""
    step = max(1, len(raw) // SPLIT_PIECES) if mode == "split" else len(raw)
    recorder.answers.append([raw[at:at + step]
                             for at in range(0, len(raw), step)])
    with calling(strict, mode) as caller:
        caller.send(fill(get(), mode))
        response = read_final_head(caller)
        assert response.status == 502, response.line
        assert f"error={wanted};" in response.value("Proxy-Status")
        assert caller.read(response.length).startswith(b"leakproxy: ")
        check_next(caller, recorder, mode)


EVIL = response(b"Content-Length: 4", body=b"evil")

# Control characters in an origin's values pass (see TOLERATED).
BAD_RESPONSE_CHUNKS = [body for body in BAD_CHUNKS if b"\x01" not in body]


@pytest.mark.parametrize("body", BAD_RESPONSE_CHUNKS,
                         ids=lambda body: repr(body[:40]))
def test_a_response_body_that_is_refused(strict, recorder, body):
    """Its head is at the caller by then: the caller sees it cut off, and the
    connection on which it came is closed."""
    recorder.answers.append([response(CHUNKED, body=body + EVIL)])
    with calling(strict, "plain") as caller:
        caller.send(fill(get(), "plain"))
        assert caller.read_head().status == 200
        rest = caller.read_to_end()
        assert not rest.endswith(BODY) and b"evil" not in rest
    [recording] = recorder.take()
    wait_until(lambda: recording.has_ended, "the origin's side ends")


SURPLUS = {
    "behind a length": ("GET", response(OK_2, body=b"ok") + EVIL),
    "behind length 0": ("GET", response(b"Content-Length: 0") + EVIL),
    "behind chunks": ("GET", response(CHUNKED, body=HELLO + BODY) + EVIL),
    "behind 204": ("GET", response(line=b"HTTP/1.1 204 x") + EVIL),
    "behind 304": ("GET", response(OK_2, line=b"HTTP/1.1 304 x") + EVIL),
    "behind the answer to HEAD": ("HEAD", response(OK_2) + EVIL),
    "a body behind 204": ("GET", response(
        b"Content-Length: %d" % len(EVIL), line=b"HTTP/1.1 204 x") + EVIL),
    "chunks behind 204": ("GET", response(
        CHUNKED, line=b"HTTP/1.1 204 x") + EVIL),
}


@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("method, raw", SURPLUS.values(), ids=SURPLUS)
def test_a_surplus_is_nobodys_answer(strict, recorder, method, raw, is_late):
    """Response splitting: what an origin sends behind its answer must not
    become the next caller's."""
    real = raw.removesuffix(EVIL)
    recorder.answers.append([real, LATER_S, EVIL] if is_late else [raw])
    with calling(strict, "plain") as caller:
        request = get().replace(b"GET", method.encode(), 1)
        caller.send(fill(request, "plain"))
        response = caller.read_head()
        if response.value("Transfer-Encoding"):
            assert caller.read_chunked() == (b"hello", [])
        elif method == "GET" and response.status == 200:
            assert b"evil" not in caller.read(response.length)
        if is_late:
            wait_until(lambda: recorder.recordings[0].has_ended,
                       "the proxy drops what speaks without being asked")
        check_next(caller, recorder, "plain")


@pytest.mark.parametrize("fields", [[OK_2], [CHUNKED]])
def test_a_204_that_claims_a_body_is_not_reused(strict, recorder, fields):
    """Its body, if it comes, comes too late to be told from an answer: the
    connection is closed before the next request could meet it."""
    recorder.answers.append([response(*fields, line=b"HTTP/1.1 204 x")])
    with calling(strict, "plain") as caller:
        caller.send(fill(get(), "plain"))
        head = caller.read_head()
        assert head.status == 204
        assert head.value("Content-Length") is None
        assert head.value("Transfer-Encoding") is None
        check_next(caller, recorder, "plain")


OK_CLOSE = (OK_2, b"Connection: close")

TOLERATED = {
    "control characters in a value": (
        response(b"X: \x1b[1m\x7f", *OK_CLOSE, body=b"ok"),
        b"X: \x1b[1m\x7f\r\n"),
    "bytes beyond ASCII": (
        response(b"X: \xe9", *OK_CLOSE, body=b"ok"), b"X: \xe9\r\n"),
    "a status of 999": (
        response(*OK_CLOSE, line=b"HTTP/1.1 999 x", body=b"ok"),
        b"HTTP/1.1 999 x\r\n"),
    "no reason": (
        response(*OK_CLOSE, line=b"HTTP/1.1 200", body=b"ok"),
        b"HTTP/1.1 200 \r\n"),
    "1xx with length 0": (
        response(b"Content-Length: 0", line=b"HTTP/1.1 103 x") +
        response(*OK_CLOSE, body=b"ok"), b"HTTP/1.1 103 x\r\n"),
}


@pytest.mark.parametrize("raw, part", TOLERATED.values(), ids=TOLERATED)
def test_a_response_that_passes(strict, recorder, raw, part):
    """Odd, and of one reading only."""
    recorder.answers.append([raw])
    with calling(strict, "plain") as caller:
        caller.send(fill(get(b"Connection: close"), "plain"))
        answer = caller.read_to_end()
        assert part in answer
        assert answer.endswith(b"\r\n\r\nok")
    assert len(recorder.take()) == 1
