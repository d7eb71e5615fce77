# SPDX-License-Identifier: MIT
"""`leakproxy replay`: an origin made of a capture."""

import json
import os
import select
import signal
import subprocess

from cast.proxy import LEAKPROXY, plain_environment, split_authority


class Replay:
    """Once it is ready.  `port` is all that resolving() asks of an origin."""

    def __init__(self, directory, har, *options, name="replayed.har"):
        self.path = directory / name
        self.path.write_text(har)
        self.log_path = directory / "replay.log"
        readable, writable = os.pipe()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [LEAKPROXY, "replay", self.path, "--ready-fd", str(writable),
                 *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[writable], env=plain_environment())
        os.close(writable)
        with open(readable, "rb") as ready:
            line = b""
            if select.select([ready], [], [], 10)[0]:
                line = ready.readline()
        if not line:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"replay did not get ready:\n{self.log}")
        self.address = split_authority(json.loads(line)["listen"][0])
        self.port = self.tls_port = self.address[1]

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("replay did not end") from None
        assert status == 0, f"replay ended with {status}:\n{self.log}"
        assert "Sanitizer" not in self.log, self.log
