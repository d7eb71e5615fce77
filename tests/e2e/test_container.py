# SPDX-License-Identifier: MIT
"""The container image: small, without a shell, of a user who is nobody, and a
proxy that works.  buildah's chroot isolation needs no container engine."""

import contextlib
import glob
import json
import os
import re
import signal
import subprocess

import pytest

from cast.caller import Caller
from cast.origin import HOST
from cast.proxy import ROOT, split_authority
from cast.waiting import wait_until

IMAGE_MAX_BYTES = 15_000_000
USER = 65532


@pytest.fixture(scope="module")
def buildah(tmp_path_factory):
    """buildah with a storage of its own, which is empty again in the end."""
    directory = tmp_path_factory.mktemp("buildah")
    command = ["buildah", "--storage-driver", "vfs", "--root",
               str(directory / "root"), "--runroot", str(directory / "run")]
    yield command
    subprocess.run([*command, "rm", "--all"], check=True, capture_output=True)
    subprocess.run([*command, "rmi", "--all", "--force"], check=True,
                   capture_output=True)


def output_of(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def image(buildah):
    """`make image`, as a user calls it."""
    output_of("make", "-s", "-C", ROOT, "image", "SAN=",
              "BUILDAH=" + " ".join(buildah))
    (image,) = json.loads(output_of(*buildah, "images", "--json"))
    return image["id"]


@pytest.fixture
def container(buildah, image):
    return output_of(*buildah, "from", "--pull-never", image).strip()


def test_it_is_small_and_of_nobody(buildah, image, container):
    told = json.loads(output_of(*buildah, "inspect", "--type", "image", image))
    config = told["Docker"]["config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["Volumes"] == {"/state": {}}
    root = output_of(*buildah, "mount", container).strip()
    try:
        files = [os.path.join(folder, name)
                 for folder, _, names in os.walk(root) for name in names]
        size = sum(os.lstat(path).st_size for path in files)
        assert size < IMAGE_MAX_BYTES
        programs = {os.path.basename(path) for path in files
                    if "/bin/" in path}
        assert programs == {"leakproxy"}
        # What is not /state is root's, and written to by nobody.
        for folder, _, names in os.walk(root):
            for path in (folder, *(f"{folder}/{name}" for name in names)):
                found = os.lstat(path)
                if path != f"{root}/state":
                    assert found.st_uid == 0 and not found.st_mode & 0o022, \
                        path
    finally:
        output_of(*buildah, "umount", container)


def descendants(pid):
    """The last is the innermost; any thread may have started one."""
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with contextlib.suppress(OSError), open(path) as children:
            for child in map(int, children.read().split()):
                yield child
                yield from descendants(child)


class Contained:
    """A proxy in a container, which says in its log where it listens."""

    def __init__(self, buildah, container, directory, *options):
        self.log_path = directory / "log"
        state = directory / "state"
        state.mkdir()
        os.chown(state, USER, USER)
        self.ca = state / "ca.pem"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*buildah, "run", "--isolation", "chroot", "--volume",
                 f"{state}:/state", container, "--", "/usr/bin/leakproxy",
                 "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                 *options], stdout=log, stderr=log)
        try:
            wait_until(lambda: "callers must trust" in self.log, "it is ready")
            *_, self.pid = descendants(self.process.pid)
        except Exception:
            self.end()
            raise
        self.address = split_authority(
            re.search(r"listening on (\S+)", self.log)[1])
        self.admin = re.search(r"report at http://([^/]+)", self.log)[1]

    @property
    def log(self):
        return self.log_path.read_text()

    def end(self):
        """Only the innermost: the others report how it ended."""
        for pid in [*descendants(self.process.pid)][-1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()


def test_it_serves_and_is_found_healthy(buildah, container, tmp_path, origin):
    """As uid 65532, with a volume for its state; its health check runs in the
    same container, and SIGTERM ends it with status 0.  It has libpq, which
    finds nobody."""
    proxy = Contained(buildah, container, tmp_path, "--resolve",
                      f"{HOST}:80:127.0.0.1:{origin.port}",
                      "--store", "postgresql://me@127.0.0.1:1/fleet")
    try:
        with open(f"/proc/{proxy.pid}/status") as status:
            assert f"\nUid:\t{USER}\t{USER}\t{USER}\t{USER}\n" in status.read()
        with Caller(proxy) as caller:
            assert len(caller.fetch("/200/length/1000")) == 1000
        health = [*buildah, "run", "--isolation", "chroot", container, "--",
                  "/usr/bin/leakproxy", "report", "--json", "--report-file",
                  "/dev/null", "--admin"]
        output_of(*health, proxy.admin)
        wait_until(lambda: "cannot be reached: Connection refused" in
                   proxy.log, "libpq is loaded")
    finally:
        status = proxy.end()
    assert status == 0, proxy.log
    done = subprocess.run([*health, proxy.admin], capture_output=True)
    assert done.returncode != 0  # nobody is there any more
