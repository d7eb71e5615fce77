# SPDX-License-Identifier: MIT
"""Debian's docker-registry, with TLS and nothing in it, and an image to put
there."""

import contextlib
import hashlib
import json
import re
import subprocess

from cast.proxy import plain_environment
from cast.waiting import wait_until

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"


@contextlib.contextmanager
def running(authority, directory):
    """Yields the port."""
    log = directory / "registry.log"
    configuration = directory / "registry.yml"
    configuration.write_text(f"""\
version: 0.1
storage: {{filesystem: {{rootdirectory: {directory}/registry}}}}
http:
  addr: 127.0.0.1:0
  secret: test
  tls: {{certificate: {authority.leaf}, key: {authority.leaf_key}}}
""")
    with open(log, "wb") as output:
        registry = subprocess.Popen(
            ["docker-registry", "serve", configuration],
            stdout=output, stderr=output, env=plain_environment())
    try:
        found = wait_until(
            lambda: re.search(r"listening on 127\.0\.0\.1:(\d+)",
                              log.read_text()), "the registry listens")
        yield int(found[1])
    finally:
        registry.terminate()
        registry.wait()


def write_image(directory):
    """An image without layers, as skopeo's dir: transport has it."""
    directory.mkdir()
    config = json.dumps({"architecture": "amd64", "os": "linux",
                         "rootfs": {"type": "layers", "diff_ids": []}})
    digest = hashlib.sha256(config.encode()).hexdigest()
    (directory / digest).write_text(config)
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    (directory / "manifest.json").write_text(json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": {"mediaType": CONFIG, "size": len(config),
                   "digest": f"sha256:{digest}"}}))
