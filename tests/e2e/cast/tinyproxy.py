# SPDX-License-Identifier: MIT
"""Somebody else's proxy, for chains: Debian's tinyproxy."""

import contextlib
import re
import socket
import subprocess

from cast.proxy import unused_port
from cast.waiting import wait_until

CREDENTIALS = ("joe", "secret")


class Tinyproxy:
    """`ports` are what CONNECT may reach."""

    def __init__(self, directory, ports, wants_credentials=False):
        self.port = unused_port()
        self.log_path = directory / "tinyproxy.log"
        settings = [f"Port {self.port}", "Listen 127.0.0.1", "Timeout 20",
                    f'LogFile "{self.log_path}"', "LogLevel Connect",
                    *(f"ConnectPort {port}" for port in ports)]
        if wants_credentials:
            settings.append("BasicAuth {} {}".format(*CREDENTIALS))
        path = directory / "tinyproxy.conf"
        path.write_text("\n".join(settings) + "\n")
        self.process = subprocess.Popen(["tinyproxy", "-d", "-c", path],
                                        stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_until(self._answers, "tinyproxy listens")

    def _answers(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def url_with_credentials(self):
        return "http://{}:{}@127.0.0.1:{}".format(*CREDENTIALS, self.port)

    def requests(self):
        """The request lines that it was sent."""
        return re.findall(r"Request \(file descriptor \d+\): (.*)",
                          self.log_path.read_text(errors="replace"))

    def close(self):
        self.process.terminate()
        self.process.wait(10)
