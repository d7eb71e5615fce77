#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A labelled client in Python: requests and urllib3.  cases.py says what each
manner means and how a client is driven."""

import json
import os
import sys

HELD = []


def requests_fetch(is_stream):
    import requests

    session = requests.Session()

    def fetch(url, headers):
        response = session.get(url, headers=headers, stream=is_stream)
        HELD.append(response)
        return response.status_code, 0 if is_stream else len(response.content)
    return fetch


def urllib3_fetch(is_drained):
    import urllib3

    pool = urllib3.ProxyManager(os.environ["HTTP_PROXY"],
                                ca_certs=os.environ["REQUESTS_CA_BUNDLE"])

    def fetch(url, headers):
        response = pool.request("GET", url, headers=headers,
                                preload_content=False)
        HELD.append(response)
        if not is_drained:
            return response.status, 0
        taken = len(response.read())
        response.release_conn()
        return response.status, taken
    return fetch


MANNERS = {
    "requests_drain": (requests_fetch, False),
    "requests_leave": (requests_fetch, True),
    "urllib3_drain": (urllib3_fetch, True),
    "urllib3_leave": (urllib3_fetch, False),
}


def say(**what):
    print(json.dumps(what), flush=True)


def main():
    manner, target, tags = sys.argv[1:]
    make_fetch, argument = MANNERS[manner]
    fetch = make_fetch(argument)
    say(ready=True)
    for step, _ in enumerate(sys.stdin, start=1):
        try:
            status, taken = fetch(f"{target}?step={step}",
                                  {"Leakproxy-Tag": tags})
        except OSError as error:
            say(step=step, error=str(error))
        else:
            say(step=step, status=status, read=taken)


if __name__ == "__main__":
    main()
