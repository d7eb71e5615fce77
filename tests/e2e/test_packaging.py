# SPDX-License-Identifier: MIT
"""What is installed: it is all there, says what the option table says, and
works from where it lies."""

import re
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
