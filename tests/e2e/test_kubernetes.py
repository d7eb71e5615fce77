# SPDX-License-Identifier: MIT
"""The pods in proxy/dist/kubernetes: the API's schema takes them, they ask for
no privilege that they do not need, and what they say works when it is done
here: their steps, in their order, as their users and with their capabilities,
in a network namespace of their own."""

import contextlib
import copy
import http.client
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

from cast import kubernetes, netns
from cast.origin import HOST, Origin
from cast.proxy import LEAKPROXY, ROOT, plain_environment, run
from cast.readme import section
from cast.waiting import wait_until

FOLDER = ROOT / "proxy/dist/kubernetes"
NAMES = ["sidecar", "redirect"]
SMALL = "/200/length/1000"
TOKEN = "0123456789abcdef0123456789abcdef"
DEFAULT_DRAIN_S = 10
# What kubelet leaves a service to end, unless it is told otherwise.
USUAL_GRACE_S = 30


def pod_of(name):
    return kubernetes.read(FOLDER / f"{name}.yaml")["Pod"]


def containers_of(pod):
    """In the order of their start, each with what the pod says for all."""
    spec = copy.deepcopy(pod["spec"])
    for each in spec["initContainers"] + spec["containers"]:
        each["securityContext"] = (spec.get("securityContext", {})
                                   | each["securityContext"])
        yield each["name"], each


def environment_of(container):
    return {each["name"]: each["value"] for each in container["env"]}


def variables():
    """That the program knows."""
    options = re.findall(r'^OPTION\("([a-z-]+)"',
                         (ROOT / "proxy/options.def").read_text(), re.M)
    return {"LEAKPROXY_" + option.upper().replace("-", "_")
            for option in options}


# ---- on paper ----


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_takes_it(name):
    for manifest in kubernetes.read(FOLDER / f"{name}.yaml").values():
        assert kubernetes.problems(manifest) == []


@pytest.mark.parametrize(("right", "wrong", "said"), [
    ("emptyDir:", "emptydir:", "has no emptydir"),
    ("runAsNonRoot: true", "runAsNonRoot: yes please", "is no bool"),
    ("runAsUser: 65532", 'runAsUser: "65532"', "is no int"),
    ("value: 128MiB", "value: 128", "is no str"),
    ("failureThreshold:", "failuresThreshold:", "has no failuresThreshold"),
    ("- name: service\n      image", "- image", "`name`, must not be `None`"),
    ("drop: [ALL]", "drop: ALL", "is no list"),
    ("command: [/usr/bin", "comand: [/usr/bin", "has no comand"),
])
def test_the_schema_refuses_a_mistake(right, wrong, said):
    text = (FOLDER / "sidecar.yaml").read_text()
    assert right in text
    found = kubernetes.problems(yaml.safe_load(text.replace(right, wrong)))
    assert found and all(said in each for each in found), found


@pytest.mark.parametrize("name", NAMES)
def test_it_needs_no_privilege(name):
    """As Pod Security's "restricted" wants it, but for the step that sets the
    rules, which gets one capability.  State is the one thing written to."""
    for step, container in containers_of(pod_of(name)):
        context = container["securityContext"]
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert context["allowPrivilegeEscalation"] is False
        added = context["capabilities"].get("add", [])
        assert context["capabilities"]["drop"] == ["ALL"]
        assert added == (["NET_ADMIN"] if step == "rules" else [])
        if step != "rules":
            assert context["runAsNonRoot"] and context["runAsUser"] > 0
        if step != "service":
            assert context["readOnlyRootFilesystem"]
            assert container["resources"]["limits"]["memory"]
        for mount in container["volumeMounts"]:
            assert mount.get("readOnly", False) == (step != "leakproxy")
            assert mount["name"] in [each["name"] for each in
                                     pod_of(name)["spec"]["volumes"]]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_of_this_version_and_has_time_to_drain(name):
    pod = pod_of(name)
    proxy = dict(containers_of(pod))["leakproxy"]
    version = re.search(r"^VERSION := (\S+)",
                        (ROOT / "Makefile").read_text(), re.M)[1]
    assert proxy["image"] == f"leakproxy:{version}"
    assert "LEAKPROXY_DRAIN_TIMEOUT" not in environment_of(proxy)
    usage = run("serve", "--help").stdout
    assert f"{DEFAULT_DRAIN_S}s" in re.search(
        r"--drain-timeout.*(?:\n +[^-\s].*)*", usage)[0]
    assert pod["spec"]["terminationGracePeriodSeconds"] > \
        USUAL_GRACE_S + DEFAULT_DRAIN_S
    assert environment_of(proxy).keys() <= variables()


def test_the_rules_are_those_that_are_printed():
    """For the user that the sidecar runs as, and the port that it listens on;
    the service is somebody else."""
    steps = dict(containers_of(pod_of("redirect")))
    uid = steps["leakproxy"]["securityContext"]["runAsUser"]
    port = environment_of(steps["leakproxy"])["LEAKPROXY_REDIRECT"]
    rules = kubernetes.read(FOLDER / "redirect.yaml")["ConfigMap"]["data"]
    done = run("redirect-rules", "--uid", str(uid), "--redirect", port)
    assert rules["rules.nft"].split() == done.stdout.split()
    assert steps["service"]["securityContext"]["runAsUser"] != uid
    # Rules first: nothing of the service gets out beside the proxy.
    assert list(steps) == ["rules", "leakproxy", "service"]


def part_in_the_manual():
    """Of a container whose admin can be reached."""
    [part] = re.findall(r"```yaml\n(.*?)```", section("In Kubernetes"), re.S)
    return yaml.safe_load(part)


def test_the_part_in_the_manual_is_well_formed():
    part = part_in_the_manual()
    assert kubernetes.container_problems(part) == []
    assert environment_of(part).keys() <= variables()


# ---- played ----


class Played:
    """A pod whose containers are processes.  Of the image there are the
    program and the variables that it sets; a volume is a directory."""

    def __init__(self, name, directory, authority, **environment):
        self.directory = Path(directory)
        self.directory.chmod(0o755)
        self.program = self.directory / "program"
        shutil.copy(LEAKPROXY, self.program)
        shutil.copyfile(authority.ca, self.directory / "origins.pem")
        pod = pod_of(name)
        for volume in pod["spec"]["volumes"]:
            path = self.directory / volume["name"]
            path.mkdir()
            if "emptyDir" in volume:  # which is root's, and for everybody
                path.chmod(0o777)
            else:
                data = kubernetes.read(FOLDER / f"{name}.yaml")["ConfigMap"]
                for file, text in data["data"].items():
                    (path / file).write_text(text)
        self.steps = dict(containers_of(pod))
        self.environment = environment
        self.proxy = None

    def add(self, part):
        """Puts a part of a container into the proxy's, and the secret that it
        wants where it looks for it."""
        for name in "env", "volumeMounts":
            self.steps["leakproxy"][name] += part[name]
        [mount] = part["volumeMounts"]
        (self.directory / mount["name"]).mkdir()
        (self.directory / mount["name"] / "token").write_text(TOKEN)

    def _command(self, container, command):
        context = container["securityContext"]
        kept = "".join(f",+{name.lower()}" for name in
                       context["capabilities"].get("add", []))
        uid = context["runAsUser"]
        return ["setpriv", f"--reuid={uid}", f"--regid={uid}",
                "--clear-groups", "--no-new-privs",
                f"--bounding-set=-all{kept}", f"--inh-caps=-all{kept}",
                *(self._here(container, word) for word in command)]

    def _here(self, container, word):
        """A word of the manifest, with the path that it has here."""
        if word == "/usr/bin/leakproxy":
            return str(self.program)
        for mount in container["volumeMounts"]:
            word = re.sub(rf"^{mount['mountPath']}\b",
                          str(self.directory / mount["name"]), word)
        return word

    def _environment(self, container):
        image = dict(re.findall(r"^ENV (\w+)=(\S+)",
                                (ROOT / "Containerfile").read_text(), re.M))
        named = environment_of(container) if "env" in container else {}
        return plain_environment(**{
            name: self._here(container, value)
            for name, value in (image | named).items()}, **self.environment)

    def run(self, step, command):
        container = self.steps[step]
        return subprocess.run(
            self._command(container, command), capture_output=True, text=True,
            timeout=60, env=self._environment(container))

    def start(self):
        """Until the service may start."""
        for step, container in self.steps.items():
            if step == "rules":
                done = self.run(step, container["command"])
                assert done.returncode == 0, done.stderr
        container = self.steps["leakproxy"]
        self.proxy = subprocess.Popen(
            self._command(container, ["/usr/bin/leakproxy", "serve"]),
            env=self._environment(container), text=True,
            stderr=subprocess.PIPE)
        wait_until(lambda: self.is_healthy("startupProbe"), "it has started")

    def is_healthy(self, probe):
        command = self.steps["leakproxy"][probe]["exec"]["command"]
        return self.run("leakproxy", command).returncode == 0

    def end(self):
        """As kubelet ends it.  Returns its status and its log."""
        if self.proxy.poll() is None:
            self.proxy.send_signal(signal.SIGTERM)
        try:
            log = self.proxy.communicate(timeout=20)[1]
        finally:
            self.proxy.kill()
        return self.proxy.returncode, log


@contextlib.contextmanager
def played(name, authority, part=None, **environment):
    with tempfile.TemporaryDirectory() as directory:
        pod = Played(name, directory, authority,
                     LEAKPROXY_UPSTREAM_CA=f"{directory}/origins.pem",
                     **environment)
        if part:
            pod.add(part)
        try:
            pod.start()
            assert pod.is_healthy("readinessProbe")
            assert pod.is_healthy("livenessProbe")
            yield pod
        finally:
            status, log = pod.end() if pod.proxy else (0, "")
        assert status == 0 and "Sanitizer" not in log, log
        assert not pod.is_healthy("livenessProbe")


def check_the_key_is_its_own(pod):
    volume = pod.directory / "leakproxy"
    assert pod.run("service", ["cat", f"{volume}/bundle.pem"]).returncode == 0
    assert pod.run("service", ["cat", f"{volume}/ca-key.pem"]).returncode != 0


def seen(pod):
    """What the proxy saw of the service, as text."""
    return pod.run("leakproxy", ["curl", "-sf", "--noproxy", "*",
                                 "http://127.0.0.1:9901/api/exchanges"]).stdout


def test_the_sidecar_is_found_by_environment(authority):
    """With the variables that the pod gives it, the service asks by the proxy,
    and trusts it."""
    with netns.entered(), contextlib.closing(Origin(authority)) as origin, \
            played("sidecar", authority, LEAKPROXY_RESOLVE=f"{HOST}:443:"
                   f"127.0.0.1:{origin.tls_port}") as pod:
        done = pod.run("service", ["curl", "-sS", f"https://{HOST}{SMALL}"])
        assert len(done.stdout) == 1000, done.stderr
        assert SMALL in seen(pod) and '"user": "service"' in seen(pod)
        check_the_key_is_its_own(pod)


def test_the_service_is_redirected(authority):
    """With no proxy variable, and rules that its first step sets."""
    if not shutil.which("nft"):
        pytest.skip("nft (nftables) is needed")
    with netns.entered(), netns.neighbour(), contextlib.ExitStack() as stack:
        far = netns.FAR_ADDRESSES[0]
        with netns.visited(netns.FAR):
            origin = stack.enter_context(
                contextlib.closing(Origin(authority, far)))
        pod = stack.enter_context(played("redirect", authority))
        host = f"{HOST}:{origin.tls_port}"
        done = pod.run("service", ["curl", "-sS", "--resolve", f"{host}:{far}",
                                   f"https://{host}{SMALL}"])
        assert len(done.stdout) == 1000, done.stderr
        assert SMALL in seen(pod)
        check_the_key_is_its_own(pod)


def test_prometheus_and_kubelet_reach_it(authority):
    """From beyond the pod's network, with the manual's part: the probes need
    no token, and the numbers do."""
    part = part_in_the_manual()
    with netns.entered(), netns.neighbour(), \
            played("sidecar", authority, part):
        port = part["ports"][0]["containerPort"]

        def status(path, **fields):
            with netns.visited(netns.FAR), contextlib.closing(
                    http.client.HTTPConnection(netns.NEAR_ADDRESSES[0], port,
                                               timeout=10)) as connection:
                connection.request("GET", path, headers=fields)
                return connection.getresponse().status

        for probe in "livenessProbe", "readinessProbe":
            assert status(part[probe]["httpGet"]["path"]) == 200
        assert status("/metrics") == 401
        assert status("/metrics", Authorization=f"Bearer {TOKEN}") == 200
