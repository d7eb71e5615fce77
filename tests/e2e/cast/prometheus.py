# SPDX-License-Identifier: MIT
"""A Prometheus of Debian's with two targets, both relays to one proxy: one is
asked as Prometheus likes it, the other never for OpenMetrics.

It takes 5 s until Prometheus believes in its targets, whatever is configured:
hence relays, that are there before the proxy is."""

import http.server
import json
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from cast.proxy import ROOT, plain_environment, unused_port
from cast.waiting import wait_until

RULES = ROOT / "admin" / "prometheus" / "leakproxy.rules.yml"

CONFIG = """\
global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}
rule_files: ["{rules}"]
scrape_configs:
  - {{job_name: openmetrics, static_configs: [targets: ["{relays[0]}"]]}}
  - {{job_name: text, static_configs: [targets: ["{relays[1]}"]]}}
"""


class Relay:
    """Passes GETs on to `target`, with these of their fields."""

    def __init__(self, *passed):
        relay = self
        self.target = None

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if relay.target is None:
                    self.send_error(503)
                    return
                request = urllib.request.Request(
                    f"http://{relay.target}{self.path}",
                    headers={name: self.headers[name] for name in passed})
                with urllib.request.urlopen(request, timeout=10) as answer:
                    body = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Type",
                                 answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self._server.server_port
        threading.Thread(target=self._server.serve_forever,
                         kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Prometheus:
    def __init__(self, directory):
        directory = Path(directory)
        self.relays = [Relay("Accept"), Relay()]
        self.address = f"127.0.0.1:{unused_port()}"
        self.log_path = directory / "prometheus.log"
        config = directory / "prometheus.yml"
        config.write_text(CONFIG.format(rules=RULES, relays=[
            relay.address for relay in self.relays]))
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={config}",
                 f"--storage.tsdb.path={directory / 'tsdb'}",
                 f"--web.listen-address={self.address}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=plain_environment())

    def watch(self, proxy):
        for relay in self.relays:
            relay.target = proxy.ready["admin"]

    def ask(self, path, **parameters):
        """The "data" of an answer; None while there is no answer."""
        assert self.process.poll() is None, self.log_path.read_text()
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(
                    f"http://{self.address}/api/v1/{path}?{query}",
                    timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it is still starting
                return None
            raise AssertionError(
                f"{parameters}: {error.read().decode()}") from None
        except OSError:
            return None

    def query(self, expression):
        """[(labels, value)]"""
        data = self.ask("query", query=expression)
        return [(each["metric"], float(each["value"][1]))
                for each in data["result"]] if data else []

    def wait_for(self, expression, count):
        """Waits until the query returns so many series."""
        def look():
            found = self.query(expression)
            return found if len(found) == count else None

        return wait_until(look, f"{count} of {expression}")

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        for relay in self.relays:
            relay.close()
