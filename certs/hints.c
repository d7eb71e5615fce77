/* SPDX-License-Identifier: MIT */

/*
 * The hints are one table of text; {ca}, {bundle}, {truststore} and
 * {java_options} in its commands become words of the shell.  Where a command
 * changes the machine, it takes the certificate alone and not the bundle, and
 * the row says how to undo that.  What other users' programs are to read is
 * copied: only its owner may enter the state directory.
 */

#include "certs/hints.h"

#include <stdlib.h>
#include <string.h>

#include "certs/quote.h"
#include "certs/truststore.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

struct hint {
	const char *name;
	const char *when;     /* lines */
	const char *commands; /* lines */
	const char *undo;     /* lines, without a path of ours; NULL: nothing
	                         outlives the shell */
};

#define A_REGISTRY \
	"REGISTRY=registry.example.com:5000   # as in the image's name\n"

static const struct hint hints[] = {
    {"debian",
	"Debian, Ubuntu: whatever uses the system's roots (apt, curl, git,\n"
	"Go, Python but for requests, Docker, containerd, podman).  As root.",
	"install -m 644 {ca} /usr/local/share/ca-certificates/leakproxy.crt\n"
	"update-ca-certificates\n",
	"rm /usr/local/share/ca-certificates/leakproxy.crt\n"
	"update-ca-certificates --fresh\n"},
    {"alpine", "Alpine, also in an image: the same.  As root.",
	"apk add ca-certificates\n"
	"install -m 644 {ca} /usr/local/share/ca-certificates/leakproxy.crt\n"
	"update-ca-certificates\n",
	"rm /usr/local/share/ca-certificates/leakproxy.crt\n"
	"update-ca-certificates --fresh\n"},
    {"rhel", "RHEL, Fedora, Amazon Linux: the same.  As root.",
	"install -m 644 {ca} /etc/pki/ca-trust/source/anchors/leakproxy.pem\n"
	"update-ca-trust extract\n",
	"rm /etc/pki/ca-trust/source/anchors/leakproxy.pem\n"
	"update-ca-trust extract\n"},
    {"java",
	"A JVM started from this shell.  It heeds no HTTPS_PROXY either: add\n"
	"-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=8080 (and http.).",
	"export JAVA_TOOL_OPTIONS={java_options}\n", NULL},
    {"keytool", "Every program of this JDK, in its key store.  As root.",
	"keytool -importcert -noprompt -cacerts -storepass changeit \\\n"
	"    -alias leakproxy -file {ca}\n",
	"keytool -delete -cacerts -storepass changeit -alias leakproxy\n"},
    {"node",
	"Node, which has roots of its own.  It heeds HTTPS_PROXY from version\n"
	"24 on with NODE_USE_ENV_PROXY=1, before that with an agent (undici's\n"
	"EnvHttpProxyAgent or ProxyAgent).",
	"export NODE_EXTRA_CA_CERTS={ca}\n", NULL},
    {"python",
	"Python: ssl, urllib, httpx, aiohttp by the first, requests and pip "
	"by\n"
	"the second, boto3 by the third.",
	"export SSL_CERT_FILE={bundle}\n"
	"export REQUESTS_CA_BUNDLE={bundle}\n"
	"export AWS_CA_BUNDLE={bundle}\n",
	NULL},
    {"go", "Go programs, and others whose roots OpenSSL finds (Ruby, PHP).",
	"export SSL_CERT_FILE={bundle}\n", NULL},
    {"git",
	"git of this user; GIT_SSL_CAINFO does the same for one shell, and "
	"wins.",
	"git config --global http.sslCAInfo {bundle}\n",
	"git config --global --unset http.sslCAInfo\n"},
    {"curl", "curl, and programs that use its library as it does.",
	"export CURL_CA_BUNDLE={bundle}\n", NULL},
    {"apt", "apt alone, whose downloads run as a user of their own.  As root.",
	"install -m 644 {bundle} /etc/apt/leakproxy.pem\n"
	"echo 'Acquire::https::CAInfo \"/etc/apt/leakproxy.pem\";' \\\n"
	"    >/etc/apt/apt.conf.d/99leakproxy\n",
	"rm /etc/apt/apt.conf.d/99leakproxy /etc/apt/leakproxy.pem\n"},
    {"docker",
	"The Docker daemon, for one registry; no restart.  Its proxy is\n"
	"HTTPS_PROXY in the environment of dockerd.  As root.",
	A_REGISTRY
	"mkdir -p \"/etc/docker/certs.d/$REGISTRY\"\n"
	"install -m 644 {ca} \"/etc/docker/certs.d/$REGISTRY/leakproxy.crt\"\n",
	A_REGISTRY "rm \"/etc/docker/certs.d/$REGISTRY/leakproxy.crt\"\n"},
    {"containerd",
	"containerd, for one registry; no restart, where its configuration\n"
	"says config_path = \"/etc/containerd/certs.d\" for the registry of\n"
	"the CRI plugin.  Its proxy is HTTPS_PROXY in its environment.  As "
	"root.",
	A_REGISTRY
	"mkdir -p \"/etc/containerd/certs.d/$REGISTRY\"\n"
	"cd \"/etc/containerd/certs.d/$REGISTRY\"\n"
	"install -m 644 {ca} leakproxy.crt\n"
	"cat >hosts.toml <<EOF\n"
	"server = \"https://$REGISTRY\"\n"
	"\n"
	"[host.\"https://$REGISTRY\"]\n"
	"  ca = \"/etc/containerd/certs.d/$REGISTRY/leakproxy.crt\"\n"
	"EOF\n",
	A_REGISTRY "cd \"/etc/containerd/certs.d/$REGISTRY\"\n"
		   "rm leakproxy.crt hosts.toml\n"},
    {"podman", "podman, skopeo and buildah of this user, for one registry.",
	A_REGISTRY
	"mkdir -p \"$HOME/.config/containers/certs.d/$REGISTRY\"\n"
	"install -m 644 {ca} \\\n"
	"    \"$HOME/.config/containers/certs.d/$REGISTRY/leakproxy.crt\"\n",
	A_REGISTRY "cd \"$HOME/.config/containers/certs.d\"\n"
		   "rm \"$REGISTRY/leakproxy.crt\"\n"
		   "rmdir --ignore-fail-on-non-empty \"$REGISTRY\"\n"},
    {"kubernetes",
	"A deployment's container: the files as a ConfigMap, a volume, and\n"
	"what each language looks for.  Plain apply would find the bundle\n"
	"too long.",
	"DEPLOYMENT=your-service\n"
	"CONTAINER=your-service\n"
	"kubectl create configmap leakproxy-ca --from-file=ca.pem={ca} \\\n"
	"    --from-file=bundle.pem={bundle} \\\n"
	"    --from-file=truststore.p12={truststore} \\\n"
	"    --dry-run=client -o yaml | kubectl apply --server-side -f -\n"
	"kubectl patch deployment \"$DEPLOYMENT\" --patch-file /dev/stdin "
	"<<EOF\n"
	"spec:\n"
	"  template:\n"
	"    spec:\n"
	"      volumes:\n"
	"      - name: leakproxy-ca\n"
	"        configMap: {name: leakproxy-ca}\n"
	"      containers:\n"
	"      - name: $CONTAINER\n"
	"        volumeMounts:\n"
	"        - {name: leakproxy-ca, mountPath: /leakproxy, readOnly: "
	"true}\n"
	"        env:\n"
	"        - {name: SSL_CERT_FILE, value: /leakproxy/bundle.pem}\n"
	"        - {name: REQUESTS_CA_BUNDLE, value: /leakproxy/bundle.pem}\n"
	"        - {name: CURL_CA_BUNDLE, value: /leakproxy/bundle.pem}\n"
	"        - {name: GIT_SSL_CAINFO, value: /leakproxy/bundle.pem}\n"
	"        - {name: AWS_CA_BUNDLE, value: /leakproxy/bundle.pem}\n"
	"        - {name: NODE_EXTRA_CA_CERTS, value: /leakproxy/ca.pem}\n"
	"        - name: JAVA_TOOL_OPTIONS\n"
	"          value: "
	"-Djavax.net.ssl.trustStore=/leakproxy/truststore.p12\n"
	"            -Djavax.net.ssl.trustStoreType=PKCS12\n"
	"            -Djavax.net.ssl.trustStorePassword=" TRUSTSTORE_PASSWORD
	"\n"
	"EOF\n",
	"DEPLOYMENT=your-service\n"
	"kubectl rollout undo deployment \"$DEPLOYMENT\"\n"
	"kubectl delete configmap leakproxy-ca\n"},
};

static const struct hint *
find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(hints); i++) {
		if (strcmp(name, hints[i].name) == 0)
			return &hints[i];
	}
	return NULL;
}

bool
hints_know(const char *name)
{
	return find(name) != NULL;
}

void
hints_print_names(FILE *out)
{
	for (size_t i = 0; i < COUNT_OF(hints); i++)
		fprintf(out, "%s%s", i == 0 ? "" : ", ", hints[i].name);
}

/* A shell's word, in which a JVM finds words of its own. */
static void
put_java_options(FILE *out, const char *truststore)
{
	char *options = truststore_java_options(truststore);

	quote_put(out, options);
	free(options);
}

/* Puts what a placeholder at `text` stands for; returns the placeholder's
 * length, 0 where there is none. */
static size_t
put_place(FILE *out, const struct hint_places *places, const char *text)
{
	const struct {
		const char *placeholder;
		const char *path;
	} words[] = {
	    {"{ca}", places->ca},
	    {"{bundle}", places->bundle},
	    {"{truststore}", places->truststore},
	};
	static const char java[] = "{java_options}";

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		size_t length = strlen(words[i].placeholder);

		if (strncmp(text, words[i].placeholder, length) == 0) {
			quote_put(out, words[i].path);
			return length;
		}
	}
	if (strncmp(text, java, strlen(java)) != 0)
		return 0;
	put_java_options(out, places->truststore);
	return strlen(java);
}

static void
put_commands(FILE *out, const struct hint_places *places, const char *text)
{
	while (*text != '\0') {
		size_t length = put_place(out, places, text);

		if (length == 0)
			putc(*text++, out);
		else
			text += length;
	}
}

/* Each line as a comment, with `indent` behind the sign. */
static void
put_comment(FILE *out, const char *indent, const char *lines)
{
	while (*lines != '\0') {
		size_t length = strcspn(lines, "\n");

		fprintf(out, "#%s%.*s\n", indent, (int)length, lines);
		lines += length;
		lines += *lines == '\n';
	}
}

static void
put_hint(FILE *out, const struct hint_places *places, const struct hint *hint)
{
	fprintf(out, "# ---- %s ----\n", hint->name);
	put_comment(out, " ", hint->when);
	put_commands(out, places, hint->commands);
	if (hint->undo != NULL) {
		fputs("# To undo:\n", out);
		put_comment(out, "   ", hint->undo);
	}
}

void
hints_print(FILE *out, const struct hint_places *places, const char *name)
{
	if (name != NULL) {
		put_hint(out, places, find(name));
		return;
	}
	for (size_t i = 0; i < COUNT_OF(hints); i++) {
		if (i > 0)
			putc('\n', out);
		put_hint(out, places, &hints[i]);
	}
}
