# SPDX-License-Identifier: MIT
"""What `leakproxy ca install-hints` prints makes real clients trust the
proxy: each first refuses it, with words that README's table knows; then the
very commands are run that are printed, in a home, and where they are for root
in an /etc, of the test's own; then it is content.

The state directory has a blank and quotes in its name, so that the paths in
the commands must be quoted."""

import contextlib
import re
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from cast import kubernetes, program, readme, registry
from cast.origin import HOST, Origin
from cast.proxy import (LEAKPROXY, Proxy, plain_environment, resolving, run,
                        trusting)
from cast.tls import TlsOrigin

PLACEHOLDER = "registry.example.com:5000"
SMALL = f"https://{HOST}/200/length/1000"
CURL = ["curl", "-sSf", "-o", "/dev/null"]

# What the commands for root change is replaced, for them alone; where that
# did not work, nothing is run.
IN_A_SCRATCH = """\
mount --bind "$SCRATCH/etc" /etc
mount --bind "$SCRATCH/share" /usr/local/share
test -e /etc/is-a-scratch
"""
OF_THE_MACHINE = [Path("/etc/ssl/certs/ca-certificates.crt"),
                  Path("/etc/ssl/certs/java/cacerts")]


def undo_of(hints):
    """The commands behind "To undo:"."""
    return "".join(line.removeprefix("#   ") + "\n" for line in
                   hints.partition("# To undo:\n")[2].splitlines())


@dataclass
class Stage:
    proxy: Proxy
    origin: Origin
    authority: object
    registry: str  # its host and port
    directory: Path

    @property
    def image(self):
        return f"docker://{self.registry}/tools/agent:1"

    @property
    def push(self):
        return ["skopeo", "--insecure-policy", "copy",
                f"dir:{self.directory}/image", self.image]

    @property
    def home(self):
        return self.directory / "home"

    def hints(self, what):
        done = run("ca", "install-hints", what, *trusting(self.authority),
                   "--state-dir", self.proxy.state_dir)
        assert done.returncode == 0, done.stderr
        return done.stdout.replace(PLACEHOLDER, self.registry)

    def shell(self, script, *command, input="step\n", prefix=()):
        """Runs the command behind the script, in one shell."""
        return subprocess.run(
            [*prefix, "sh", "-ec", script + '\n"$@"', "sh",
             *map(str, command)],
            input=input, capture_output=True, text=True, timeout=60,
            cwd=self.home, env=plain_environment(
                HTTP_PROXY=self.proxy.url, HTTPS_PROXY=self.proxy.url,
                http_proxy=self.proxy.url, https_proxy=self.proxy.url,
                HOME=str(self.home), SCRATCH=str(self.directory),
                NODE_PATH=program.NODE_PATH,
                PATH=f"{self.home}/bin:{plain_environment()['PATH']}"))

    def root_shell(self, script, *command):
        return self.shell(IN_A_SCRATCH + script, *command,
                          prefix=["unshare", "--mount"])

    def client(self, name):
        host, port = self.proxy.address
        if name == "curl":
            return [*CURL, SMALL]
        if name == "git":
            return ["git", "ls-remote", f"https://{HOST}/repo"]
        manner = {"go": "drain", "python": "requests_drain",
                  "node": "fetch_drain", "java": "http_client_drain"}[name]
        words = [*program.COMMANDS[name], manner, SMALL, "job=test"]
        if name == "java":
            words[1:1] = [f"-Dhttps.proxyHost={host}",
                          f"-Dhttps.proxyPort={port}"]
        return words

    def asked(self, shell, script, *command):
        """Runs it, and returns what it said and whether the origin heard of
        it."""
        before = len(self.origin.requests)
        done = shell(script, *command)
        return done.stdout + done.stderr, len(self.origin.requests) > before


@pytest.fixture(scope="module")
def stage(authority, tmp_path_factory):
    program.build()
    directory = tmp_path_factory.mktemp("trust")
    for name in "it's a \"state\"", "home", "home/bin":
        (directory / name).mkdir()
    subprocess.run(["cp", "-a", "/etc", directory / "etc"], check=True)
    subprocess.run(["cp", "-a", "/usr/local/share", directory / "share"],
                   check=True)
    (directory / "etc/is-a-scratch").touch()
    # Java's copy of the machine's roots takes long, and has a test.
    shutil.rmtree(directory / "etc/ca-certificates/update.d")
    registry.write_image(directory / "image")
    unchanged = [path.stat().st_mtime_ns for path in OF_THE_MACHINE]
    with contextlib.closing(Origin(authority)) as origin, \
            registry.running(authority, directory) as port:
        origin.script["/repo/info/refs"] = lambda exchange: exchange.answer(
            200, b"0123456789" * 4 + b"\trefs/heads/main\n")
        origin.script["/debian/./Packages"] = lambda exchange: \
            exchange.answer(200, b"")
        proxy = Proxy(directory / "it's a \"state\"", *resolving(origin),
                      *trusting(authority), "--resolve",
                      f"{HOST}:{port}:127.0.0.1:{port}")
        try:
            yield Stage(proxy, origin, authority, f"{HOST}:{port}", directory)
            proxy.stop()
        finally:
            proxy.kill()
    assert unchanged == [path.stat().st_mtime_ns for path in OF_THE_MACHINE]


@pytest.fixture
def needs_root(stage):
    if subprocess.run(["unshare", "--mount", "true"]).returncode != 0:
        pytest.skip("no mount namespace can be made")


def remedy_of(said):
    """What README says to the message that is in there."""
    found = [remedy for message, (_, remedy) in readme.messages().items()
             if message in said]
    assert len(found) == 1, f"{found} for: {said}"
    return found[0]


# ---- programs of one user ----


@pytest.mark.parametrize("name", ["curl", "git", "go", "python", "node",
                                  "java"])
def test_a_client(stage, name):
    """It refuses, in words that README explains by these hints; with them it
    is content.  They leave nothing behind that is not undone."""
    client = stage.client(name)
    said, is_heard = stage.asked(stage.shell, "", *client)
    assert not is_heard
    assert re.search(rf"`(install-hints )?{name}`", remedy_of(said)), said

    hints = stage.hints(name)
    said, is_heard = stage.asked(stage.shell, hints, *client)
    assert is_heard, said
    if name == "java":
        assert remedy_of(said).startswith("nothing")
    if undo := undo_of(hints):
        said, is_heard = stage.asked(stage.shell, undo, *client)
        assert not is_heard


# ---- the machine ----


def test_debian(stage, needs_root):
    """The machine's roots: all clients that use them are content, with
    nothing in their environment; and after undoing none is."""
    hints = stage.hints("debian")
    script = hints
    for name in "curl", "git", "go":
        script += " ".join(map(str, stage.client(name))) + "\n"
    python = ("import urllib.request as request; "
              f"request.urlopen('{SMALL}').read()")
    script += f'/usr/bin/python3 -c "{python}"\n'
    before = len(stage.origin.requests)
    done = stage.root_shell(
        f"{script}{undo_of(hints)}! {' '.join(stage.client('curl'))}", "true")
    assert done.returncode == 0, done.stderr
    agents = {request.value("User-Agent").partition("/")[0]
              for request in stage.origin.requests[before:]}
    assert agents == {"curl", "git", "Go-http-client", "Python-urllib"}
    assert "`install-hints curl`" in remedy_of(done.stderr)


# p11-kit as RHEL has it, and what its update-ca-trust comes down to.
RHEL_MODULE = """\
module: p11-kit-trust.so
trust-policy: yes
x-init-reserved: paths='/etc/pki/ca-trust/source'
"""
RHEL_UPDATE = """\
#!/bin/sh
test "$1" = extract || exit 2
exec trust extract --format=pem-bundle --filter=ca-anchors --overwrite \\
    --purpose server-auth /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
"""


def test_rhel(stage, needs_root):
    """p11-kit takes what is put among its anchors for an authority of servers,
    and gives it up again."""
    if not shutil.which("trust"):
        pytest.skip("trust (p11-kit) is needed")
    update = stage.home / "bin/update-ca-trust"
    update.write_text(RHEL_UPDATE)
    update.chmod(0o755)
    for folder in "source/anchors", "extracted/pem":
        (stage.directory / "etc/pki/ca-trust" / folder).mkdir(parents=True)
    modules = stage.directory / "etc/pkcs11/modules"
    modules.mkdir(parents=True, exist_ok=True)
    (modules / "p11-kit-trust.module").write_text(RHEL_MODULE)
    ask = [*CURL, "--cacert",
           "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", SMALL]
    hints = stage.hints("rhel")
    said, is_heard = stage.asked(stage.root_shell, hints, *ask)
    assert is_heard, said
    _, is_heard = stage.asked(stage.root_shell, hints + undo_of(hints), *ask)
    assert not is_heard


def test_keytool(stage, needs_root):
    """The JDK's key store."""
    hints = stage.hints("keytool")
    words = " ".join(map(str, stage.client("java")))
    said, is_heard = stage.asked(
        stage.root_shell, f"{hints}\n{words}\n{undo_of(hints)}", "true")
    assert is_heard, said


def test_apt(stage, needs_root):
    """apt, whose downloads run as another user."""
    for folder in "lists/lists/partial", "cache/archives/partial":
        (stage.directory / "etc" / folder).mkdir(parents=True)
    (stage.directory / "etc/sources").write_text(
        f"deb [trusted=yes] https://{HOST}/debian ./\n")
    update = ["apt-get", "update", "-o", "Dir::Etc::sourcelist=/etc/sources",
              "-o", "Dir::Etc::sourceparts=-", "-o", "Dir::State=/etc/lists",
              "-o", "Dir::Cache=/etc/cache", "-o", "Acquire::Retries=0"]
    said, is_heard = stage.asked(stage.root_shell, "", *update)
    assert not is_heard
    assert "`install-hints apt`" in remedy_of(said)
    said, is_heard = stage.asked(stage.root_shell, stage.hints("apt"), *update)
    assert is_heard and "unsandboxed" not in said, said


# ---- registries ----


def test_podman(stage):
    """skopeo's and podman's certs.d: an image is pushed and inspected through
    the proxy, once it is trusted for that registry."""
    refused = stage.shell("", *stage.push)
    assert refused.returncode != 0
    assert "`podman`" in remedy_of(refused.stderr)

    hints = stage.hints("podman")
    done = stage.shell(hints, *stage.push)
    assert done.returncode == 0, done.stderr
    done = stage.shell("", "skopeo", "inspect", stage.image)
    assert '"RepoTags"' in done.stdout, done.stderr
    done = stage.shell(undo_of(hints), "skopeo", "inspect", stage.image)
    assert done.returncode != 0


def test_docker(stage, needs_root):
    """Docker's certs.d, which skopeo reads as well."""
    hints = stage.hints("docker")
    refused = stage.root_shell(hints + undo_of(hints), *stage.push)
    assert "`docker`" in remedy_of(refused.stderr)
    done = stage.root_shell(hints, *stage.push)
    assert done.returncode == 0, done.stderr


CONTAINERD = """
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{directory}/socket"
"""

# Starts containerd, and asks it for an image's content.
FETCH = """
containerd --config config.toml --log-level error &
trap 'kill $!; wait' EXIT
until ctr --address socket version >/dev/null 2>&1; do
	kill -0 $!
	sleep 0.05
done
"$@"
"""


def test_containerd(stage, needs_root):
    """containerd's certs.d: what was pushed is fetched through the proxy, once
    it is trusted for that registry."""
    if not shutil.which("containerd"):
        pytest.skip("containerd is needed")
    directory = stage.directory / "containerd"
    directory.mkdir()
    (directory / "config.toml").write_text(
        CONTAINERD.format(directory=directory))
    pushed = stage.shell("", *stage.push, "--dest-tls-verify=false")
    assert pushed.returncode == 0, pushed.stderr
    fetch = ["sh", "-ec", f"cd {directory}\n{FETCH}", "sh", "ctr",
             "--address", "socket", "content", "fetch", "--hosts-dir",
             "/etc/containerd/certs.d", stage.image.removeprefix("docker://")]
    hints = stage.hints("containerd")
    refused = stage.root_shell(hints + undo_of(hints), *fetch)
    assert "`containerd`" in remedy_of(refused.stderr)
    done = stage.root_shell(hints, *fetch)
    assert done.returncode == 0, done.stderr


def test_kubernetes(stage):
    """A stand-in for kubectl notes what it is told: each file in the map is
    one of ours, and the patch, which the API's schema takes, mounts them where
    the variables point."""
    kubectl = stage.home / "bin/kubectl"
    kubectl.write_text("""#!/bin/sh
printf '%s\\n' "$@" >"$HOME/$1.words"
case $1 in apply | patch) cat >"$HOME/$1.yaml" ;; esac
""")
    kubectl.chmod(0o755)
    done = stage.shell(stage.hints("kubernetes"), "true")
    assert done.returncode == 0, done.stderr
    words = (stage.home / "create.words").read_text().splitlines()
    files = dict(word.split("=", 1)[1].split("=", 1) for word in words
                 if word.startswith("--from-file="))
    assert all(Path(path).is_file() for path in files.values())

    patch = yaml.safe_load((stage.home / "patch.yaml").read_text())
    assert kubernetes.problems({"kind": "Deployment"} | patch,
                               is_patch=True) == []
    pod = patch["spec"]["template"]["spec"]
    [container] = pod["containers"]
    [mount] = container["volumeMounts"]
    assert [mount["name"]] == [each["name"] for each in pod["volumes"]]
    named = set()
    for each in container["env"]:
        named.update(re.findall(mount["mountPath"] + r"/(\S+)", each["value"]))
    assert named == set(files)

    # What exec sets for trust is what a pod gets.
    said = execute(stage, "env", options=["--report-file", "/dev/null"])
    assert {each["name"] for each in container["env"]} == set(
        re.findall(rf"^(\w+)=.*{stage.home}/exec/", said, re.M))


# ---- the other messages that README explains ----


def test_a_pinned_host(stage, start_proxy, origin, authority):
    """A pinned host is refused for ever, until it is passed through."""
    key = subprocess.run(
        f"openssl x509 -in {authority.leaf} -pubkey -noout"
        " | openssl pkey -pubin -outform der"
        " | openssl dgst -sha256 -binary | base64", shell=True, check=True,
        capture_output=True, text=True).stdout.strip()
    command = [*CURL, "--cacert", stage.proxy.bundle,
               "--pinnedpubkey", f"sha256//{key}", SMALL]
    refused = stage.shell("", *command)
    assert "`--passthrough HOST`" in remedy_of(refused.stderr)
    proxy = start_proxy("--passthrough", HOST)
    done = stage.shell(f"export https_proxy={proxy.url}", *command)
    assert done.returncode == 0, done.stderr


GRPC_HOST = "six.test"  # which the origins' certificate names as well
GRPC = f"""
import grpc, sys
roots = open(sys.argv[1], "rb").read()
with grpc.secure_channel("{GRPC_HOST}:443",
                         grpc.ssl_channel_credentials(roots)) as channel:
    try:
        channel.unary_unary("/test.Test/Get")(b"", timeout=5)
    except grpc.RpcError as error:
        print(error.details())
"""


class GrpcOrigin(TlsOrigin):
    """Goes once it has shaken hands."""
    def _talk(self, *_):
        pass


def test_grpc(stage, start_proxy, authority):
    """gRPC speaks HTTP/2 alone and says so in TLS; passed through, it reaches
    its origin."""
    def call(roots, proxy):
        return stage.shell(f"export https_proxy={proxy.url}",
                           "/usr/bin/python3", "-c", GRPC, roots)

    refused = call(stage.proxy.bundle, stage.proxy)
    assert "`--passthrough HOST`" in remedy_of(refused.stdout)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.leaf, authority.leaf_key)
    context.set_alpn_protocols(["h2"])
    with GrpcOrigin(context) as grpc_origin:
        proxy = start_proxy(
            "--passthrough", GRPC_HOST, "--resolve",
            f"{GRPC_HOST}:443:127.0.0.1:{grpc_origin.port}")
        call(authority.ca, proxy)
        assert grpc_origin.handshakes[0].protocol == "h2"


def execute(stage, *command, options=(), **environment):
    """Returns all that is said."""
    done = subprocess.run(
        [LEAKPROXY, "exec", "--state-dir", stage.home / "exec", *options,
         "--", *command], input="step\n", capture_output=True, text=True,
        timeout=30, env=plain_environment(**environment))
    return done.stdout + done.stderr


def test_go_asks_localhost_past_the_proxy(stage):
    """Go is answered, and the proxy has nothing to say."""
    said = execute(stage, program.BUILD / "client-go", "drain",
                   f"http://localhost:{stage.origin.port}/200/length/1000",
                   "job=test")
    assert '"read":1000' in said
    assert "or is Go and asks `localhost`" in remedy_of(said)


def test_no_proxy(stage):
    """curl is answered, and exec has warned."""
    heard = len(stage.origin.requests)
    url = f"http://127.0.0.1:{stage.origin.port}/200/length/1000"
    said = execute(stage, *CURL, url,
                   options=["--report-file", "/dev/null"],
                   NO_PROXY="127.0.0.1")
    assert len(stage.origin.requests) == heard + 1
    assert "unset it" in remedy_of(said)


def test_an_origin_with_a_ca_of_its_own(stage):
    """The proxy's own 502 says so."""
    said = execute(
        stage, "curl", "-s", SMALL, options=[
            "--resolve", f"{HOST}:443:127.0.0.1:{stage.origin.tls_port}"])
    assert "`--upstream-ca FILE`" in remedy_of(said)
