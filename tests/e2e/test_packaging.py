# SPDX-License-Identifier: MIT
"""What is installed: it is all there, says what the option table says, and
works from where it lies."""

import os
import re
import shutil
import subprocess

import pytest

from cast.proxy import ROOT

OPTIONS = re.findall(r'^OPTION\("([a-z-]+)"',
                     (ROOT / "proxy/options.def").read_text(), re.M)

# What systemd's own score calls well protected ("OK") begins below 5.
EXPOSURE_MAX = 1.5


def output_of(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60,
                          **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """`make install` into a folder, as packagers call it."""
    root = tmp_path_factory.mktemp("installed")
    output_of("make", "-s", "-C", ROOT, "install", "SAN=", f"DESTDIR={root}",
              "PREFIX=/usr")
    return root / "usr"


def test_the_program_runs_from_there(installed):
    assert output_of(installed / "bin/leakproxy",
                     "--version").startswith("leakproxy ")


def test_the_manual_page_has_every_option(installed):
    """It is good roff, too."""
    page = installed / "share/man/man1/leakproxy.1"
    output_of("mandoc", "-T", "lint", "-W", "warning", page)
    text = output_of("mandoc", "-T", "utf8", "-O", "width=200", page)
    text = re.sub(r".\x08", "", text)
    assert not re.search(r"@[A-Z]+@", text)
    for option in OPTIONS:
        assert re.search(rf"^ +--{option}\b", text, re.M), option
    for command in "serve", "exec", "compare", "replay":
        assert re.search(rf"^ +{command}$", text, re.M), command


def test_readme_and_manual_lead_to_each_other(installed):
    """And to what lies beside them; the picture alone is not there."""
    folder = installed / "share/doc/leakproxy"
    for page in "README.md", "manual.md":
        names = set(re.findall(r"\]\(([^)#]+)", (folder / page).read_text()))
        assert "README.md" in names or "manual.md" in names
        assert {name for name in names if not (folder / name).is_file()} <= {
            "tests/demo/board.png"}


def complete(installed, *words):
    """What bash offers for the last word."""
    script = """
        . "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _leakproxy
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    completion = installed / "share/bash-completion/completions/leakproxy"
    return output_of("bash", "-c", script, "bash", completion, "leakproxy",
                     *words, cwd=installed).split()


@pytest.mark.parametrize(("words", "offered"), [
    (["se"], ["serve", "selftest"]),
    (["compare", "--f"], ["--fail-on"]),
    (["serve", "--sta"], ["--state-dir", "--stall-after"]),
    (["report", "--stall"], []),
    (["serve", "--store", "o"], ["on", "off"]),
    (["serve", "--state-dir", "sh"], ["share"]),
    (["serve", "--stall-after", ""], []),
    (["replay", "b"], ["bin"]),
])
def test_the_shell_completes(installed, words, offered):
    assert complete(installed, *words) == offered


def test_the_unit_is_good_and_hardened(installed):
    unit = installed / "lib/systemd/system/leakproxy.service"
    program = re.search(r"^ExecStart=(\S+)", unit.read_text(), re.M)[1]
    assert program == "/usr/bin/leakproxy"
    here = unit.with_name("leakproxy-here.service")
    here.write_text(unit.read_text().replace(
        program, str(installed / "bin/leakproxy")).replace(
        "Documentation=man:leakproxy(1)\n", ""))
    assert output_of("systemd-analyze", "verify", "--man=no", here) == ""
    score = output_of("systemd-analyze", "security", "--offline=true",
                      "--no-pager", here)
    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", score)[1]
    assert float(exposure) <= EXPOSURE_MAX, score


# ---- the Debian package ----


@pytest.fixture(scope="module")
def package():
    """`make deb`; the path is its last line, unless make has more to say of
    where it is."""
    return output_of("make", "-s", "--no-print-directory", "-C", ROOT, "deb",
                     "SAN=", env=without_make()).splitlines()[-1]


def without_make():
    """As from a shell, also where the suite itself was run by make."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("MAKE", "MFLAGS"))}


def test_lintian_finds_no_error(package):
    output_of("lintian", "--allow-root", "--fail-on", "error,warning", package)
    depends = output_of("dpkg-deb", "--field", package, "Depends")
    assert "libssl" in depends and "libevent" in depends


def files_of(root):
    return {str(path.relative_to(root)) for path in root.rglob("*")
            if not path.is_dir()
            and not path.is_relative_to(root / "var/lib/dpkg")
            and not path.is_relative_to(root / "var/log")}


@pytest.fixture
def debian(tmp_path):
    """A Debian of dpkg's books and of what its scripts need: sh and rm."""
    root = tmp_path / "debian"
    for folder in "info", "updates":
        (root / "var/lib/dpkg" / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    (root / "var/log").mkdir()
    for program in "/bin/sh", "/bin/rm":
        libraries = re.findall(r"/\S+", output_of("ldd", program))
        for path in (program, *libraries):
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path[1:])
    return root


def test_it_is_installed_removed_and_purged(package, debian):
    """On a system of its own.  Removed, the service's state stays; purged,
    nothing is left, and the CA's key least of all."""
    dpkg = ["dpkg", f"--root={debian}", "--force-depends"]
    before = files_of(debian)
    output_of(*dpkg, "--install", package)
    assert files_of(debian) - before == {
        "lib/systemd/system/leakproxy.service",
        "usr/bin/leakproxy",
        "usr/share/bash-completion/completions/leakproxy",
        "usr/share/doc/leakproxy/changelog.gz",
        "usr/share/doc/leakproxy/README.md",
        "usr/share/doc/leakproxy/copyright",
        "usr/share/doc/leakproxy/kubernetes/redirect.yaml",
        "usr/share/doc/leakproxy/kubernetes/sidecar.yaml",
        "usr/share/doc/leakproxy/manual.md",
        "usr/share/leakproxy/leakproxy.json",
        "usr/share/leakproxy/leakproxy.rules.yml",
        "usr/share/man/man1/leakproxy.1.gz"}
    assert output_of(debian / "usr/bin/leakproxy",
                     "--version").startswith("leakproxy ")
    key = debian / "var/lib/private/leakproxy/ca-key.pem"
    key.parent.mkdir(parents=True)
    key.touch()
    output_of(*dpkg, "--remove", "leakproxy")
    assert files_of(debian) - before == {str(key.relative_to(debian))}
    output_of(*dpkg, "--purge", "leakproxy")
    assert files_of(debian) == before
