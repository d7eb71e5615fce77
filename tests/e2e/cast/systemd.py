# SPDX-License-Identifier: MIT
"""A systemd of our own: process 1 of its own namespaces, over a control group
of its own, with no unit but those that it is given."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from cast.waiting import wait_until

SYSTEMD = Path("/lib/systemd/systemd")
# What a service waits for, or conflicts with.
TARGETS = ["sysinit", "basic", "shutdown", "network-online", "multi-user"]

# What it would write to is its own, or read-only; its console is a file.
START = r"""
echo $$ >"$GROUP/cgroup.procs"
exec unshare --fork --kill-child --pid --mount --uts --ipc --cgroup sh -ec '
	mount --make-rprivate /
	mount -t proc proc /proc
	mount --bind /proc/sys /proc/sys
	mount -o remount,bind,ro /proc/sys
	umount -R /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t overlay -o "lowerdir=$INSTALLED/bin:/usr/bin" overlay /usr/bin
	mount --bind "$SCRATCH/default" /etc/default
	mount -t tmpfs tmpfs /var/lib
	mount -t tmpfs tmpfs /run
	touch "$SCRATCH/console"
	[ ! -e /dev/console ] || mount --bind "$SCRATCH/console" /dev/console
	exec env -i container=test PATH="$PATH" \
		SYSTEMD_UNIT_PATH="$SCRATCH/units" "$SYSTEMD" --system \
		--unit=basic.target --log-target=console </dev/null
'
"""


class Systemd:
    def __init__(self, process, scratch):
        self.process = process
        self.scratch = scratch
        self.pid = None

    def is_up(self):
        """Its process 1 is the child of unshare, once that is systemd."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}")
        if self.process.poll() is not None:
            raise AssertionError(f"systemd did not start: {self.console}")
        for child in (path / "children").read_text().split():
            name = Path(f"/proc/{child}/comm").read_text().strip()
            if name == "systemd":
                self.pid = child
                return self.run("systemctl", "is-active",
                                "basic.target").returncode == 0
        return False

    @property
    def console(self):
        path = self.scratch / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    def run(self, *command):
        """Runs a command beside it."""
        return subprocess.run(
            ["nsenter", f"--target={self.pid}", "--mount", "--pid", *command],
            capture_output=True, text=True, timeout=60)

    def control(self, *words):
        done = self.run("systemctl", "--no-pager", *words)
        assert done.returncode == 0, done.stderr + self.console
        return done.stdout.strip()

    def property_of(self, unit, name):
        return self.control("show", "--value", f"--property={name}", unit)


def _own_group():
    """Where in the file system our control group is."""
    with open("/proc/self/mountinfo") as mounts:
        found = re.search(r"^(?:\S+ ){4}(\S+) .* - cgroup2 ", mounts.read(),
                          re.M)
    path = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(),
                     re.M)
    if not found or not path:
        pytest.skip("no unified control groups")
    return Path(found[1]) / path[1]


@contextlib.contextmanager
def _group():
    group = _own_group() / f"leakproxy-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    try:
        yield group
    finally:
        wait_until(lambda: "populated 0" in
                   (group / "cgroup.events").read_text(), "all have ended")
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)


@contextlib.contextmanager
def running(installed, scratch):
    """Over what is installed there, below bin and lib/systemd/system.  Unit
    files go to scratch/units, what is in /etc/default to scratch/default."""
    if not SYSTEMD.exists():
        pytest.skip("systemd is needed")
    shutil.copytree(installed / "lib/systemd/system", scratch / "units",
                    dirs_exist_ok=True)
    for name in TARGETS:
        shutil.copy(f"/lib/systemd/system/{name}.target", scratch / "units")
    with _group() as group:
        process = subprocess.Popen(
            ["sh", "-ec", START], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | {"GROUP": str(group), "SCRATCH": str(scratch),
                              "INSTALLED": str(installed),
                              "SYSTEMD": str(SYSTEMD)})
        systemd = Systemd(process, scratch)
        try:
            wait_until(systemd.is_up, "systemd is up")
            yield systemd
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
