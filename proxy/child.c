/* SPDX-License-Identifier: MIT */

/*
 * The command that `exec` runs behind the proxy.
 *
 * posix_spawn() and not fork(): the proxy has threads and much memory, and
 * the errno of a failed exec comes back as a return value.  The child gets
 * the signal mask and the dispositions that we were started with, none of
 * our descriptors (each is close-on-exec), and our process group: Ctrl-C on a
 * terminal reaches it without us, which is why such signals are not sent on.
 */

#include "proxy/child.h"

#include <assert.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accounting/memory.h"
#include "certs/truststore.h"
#include "proxy/base/log.h"
#include "proxy/descriptors.h"

#define READY_FD "LEAKPROXY_READY_FD="
#define JAVA_TOOL_OPTIONS "JAVA_TOOL_OPTIONS"
#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

enum child_state {
	CHILD_RUNNING,
	CHILD_ENDED, /* or could not be started */
};

struct child {
	enum child_state state;
	pid_t pid;
	int status; /* as a shell would say; once ENDED */

	child_exited_cb on_exited; /* NULL: nobody wants to know any more */
	void *arg;
	struct loop *loop; /* borrowed */
};

/* An environment to be: NULL-terminated, each entry owned. */
struct environment {
	char **entries;
	size_t count;
};

static const char *const proxy_names[] = {"HTTP_PROXY", "HTTPS_PROXY",
    "http_proxy", "https_proxy", "LEAKPROXY_PROXY"};

/* Each of them takes one file that replaces the roots, so it must hold the
 * system's too; Node's alone adds to its own. */
static const char *const bundle_names[] = {"SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE"};

/* What was there, a space; proxy host and port, twice; the trust store. */
static const char java_format[] =
    "%s%s"
    "-Dhttp.proxyHost=%.*s -Dhttp.proxyPort=%s "
    "-Dhttps.proxyHost=%.*s -Dhttps.proxyPort=%s %s";

static const char *const bypass_names[] = {"NO_PROXY", "no_proxy"};

/* Takes `entry`, and puts it in the place of one with the same name. */
static void
put_entry(struct environment *environment, char *entry)
{
	size_t name_length = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < environment->count; i++) {
		char **slot = &environment->entries[i];

		if (strncmp(*slot, entry, name_length) == 0) {
			free(*slot);
			*slot = entry;
			return;
		}
	}
	environment->entries = xreallocarray(environment->entries,
	    environment->count + 2, sizeof(*environment->entries));
	environment->entries[environment->count++] = entry;
	environment->entries[environment->count] = NULL;
}

static void
set(struct environment *environment, const char *name, const char *value)
{
	put_entry(environment, xasprintf("%s=%s", name, value));
}

static void
set_all(struct environment *environment, const char *const *names, size_t count,
    const char *value)
{
	for (size_t i = 0; i < count; i++)
		set(environment, names[i], value);
}

/*
 * The JVM reads no proxy and no trust from the usual variables.  What it
 * prints for this one ("Picked up JAVA_TOOL_OPTIONS: …") is the price.
 */
static void
set_java(struct environment *environment, const struct child_settings *settings)
{
	const char *before = getenv(JAVA_TOOL_OPTIONS);
	const char *scheme_end = strstr(settings->proxy_url, "://");
	const char *host;
	const char *port;
	char *trust;
	char *options;
	int host_length;

	host = scheme_end == NULL ? settings->proxy_url : scheme_end + 3;
	port = strrchr(host, ':');
	assert(port != NULL);
	host_length = (int)(port - host);
	if (*host == '[') { /* an IPv6 address goes without */
		host++;
		host_length -= 2;
	}
	trust = truststore_java_options(settings->java_truststore);
	options = xasprintf(java_format, before == NULL ? "" : before,
	    before == NULL ? "" : " ", host_length, host, port + 1, host_length,
	    host, port + 1, trust);
	set(environment, JAVA_TOOL_OPTIONS, options);
	free(options);
	free(trust);
}

static void
environment_init(
    struct environment *environment, const struct child_settings *settings)
{
	*environment = (struct environment){0};
	for (char **entry = environ; *entry != NULL; entry++) {
		/* It names a descriptor that the child does not have. */
		if (strncmp(*entry, READY_FD, strlen(READY_FD)) != 0)
			put_entry(environment, xstrdup(*entry));
	}
	set_all(environment, proxy_names, COUNT_OF(proxy_names),
	    settings->proxy_url);
	set_all(environment, bundle_names, COUNT_OF(bundle_names),
	    settings->bundle_path);
	set(environment, "NODE_EXTRA_CA_CERTS", settings->ca_path);
	if (settings->admin_url != NULL)
		set(environment, "LEAKPROXY_ADMIN", settings->admin_url);
	if (settings->admin_token_path != NULL)
		set(environment, "LEAKPROXY_ADMIN_TOKEN_FILE",
		    settings->admin_token_path);
	if (settings->java_truststore != NULL)
		set_java(environment, settings);
}

static void
environment_fini(struct environment *environment)
{
	for (size_t i = 0; i < environment->count; i++)
		free(environment->entries[i]);
	free(environment->entries);
}

/* It is the user's setting and may be needed; but a host in it is not seen. */
static void
warn_of_bypass(void)
{
	for (size_t i = 0; i < COUNT_OF(bypass_names); i++) {
		const char *hosts = getenv(bypass_names[i]);

		if (hosts == NULL || *hosts == '\0')
			continue;
		log_warnx("%s=%s is set: requests to these hosts go past the "
			  "proxy and are not seen",
		    bypass_names[i], hosts);
	}
}

static void
report_exit(void *arg)
{
	struct child *child = arg;
	child_exited_cb on_exited = child->on_exited;

	child->on_exited = NULL;
	if (on_exited != NULL)
		on_exited(child->status, child->arg);
}

static void
end(struct child *child, int status)
{
	child->state = CHILD_ENDED;
	child->status = status;
	loop_later(child->loop, report_exit, child);
}

static void
explain(const char *command, int error)
{
	const char *remedy = "";

	if (error == ENOENT && strchr(command, '/') == NULL)
		remedy = " in PATH";
	else if (error == ENOEXEC)
		remedy = ": is it a script without a #! line?";
	fprintf(stderr, "leakproxy: exec: cannot run \"%s\": %s%s\n", command,
	    strerror(error), remedy);
}

static int
spawn(
    pid_t *pid, char **argv, char **envp, const struct child_settings *settings)
{
	posix_spawnattr_t attributes;
	sigset_t mask;
	sigset_t to_default;
	int error;

	signals_before(settings->signals, &mask, &to_default);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(
	    &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &mask);
	posix_spawnattr_setsigdefault(&attributes, &to_default);
	if (settings->file_limit > 0)
		descriptors_limit(settings->file_limit);
	error = posix_spawnp(pid, argv[0], NULL, &attributes, argv, envp);
	if (settings->file_limit > 0)
		descriptors_limit(RLIM_INFINITY);
	posix_spawnattr_destroy(&attributes);
	return error;
}

struct child *
child_start(struct loop *loop, char **argv,
    const struct child_settings *settings, child_exited_cb on_exited, void *arg)
{
	struct child *child = xcalloc(1, sizeof(*child));
	struct environment environment;
	int error;

	assert(argv[0] != NULL && on_exited != NULL);
	child->loop = loop;
	child->on_exited = on_exited;
	child->arg = arg;
	warn_of_bypass();
	environment_init(&environment, settings);
	error = spawn(&child->pid, argv, environment.entries, settings);
	environment_fini(&environment);
	if (error == 0) {
		child->state = CHILD_RUNNING;
		return child;
	}
	explain(argv[0], error);
	end(child,
	    error == ENOENT ? CHILD_STATUS_NOT_FOUND : CHILD_STATUS_CANNOT_RUN);
	return child;
}

static void
reap(struct child *child)
{
	int status;

	/* SIGCHLD may be of a stopped child, or of one that is not ours. */
	if (waitpid(child->pid, &status, WNOHANG) != child->pid)
		return;
	if (WIFSIGNALED(status))
		end(child, CHILD_STATUS_SIGNAL_BASE + WTERMSIG(status));
	else
		end(child, WEXITSTATUS(status));
}

/*
 * The terminal signals its foreground process group, so a child in ours has
 * the signal already; one that made a group of its own (an interactive shell)
 * has not.  A hang-up goes to the session's leader alone, if that is us.
 */
static bool
has_it_already(const struct child *child, const struct signal_notice *notice)
{
	if (!notice->is_from_kernel || getpgid(child->pid) != getpgrp())
		return false;
	return notice->number != SIGHUP || getsid(0) != getpid();
}

void
child_signalled(struct child *child, const struct signal_notice *notice)
{
	if (child->state != CHILD_RUNNING)
		return;
	if (notice->number == SIGCHLD) {
		reap(child);
		return;
	}
	if (has_it_already(child, notice))
		return;
	log_debug("exec: signal %d goes on to the child", notice->number);
	if (kill(child->pid, notice->number) < 0)
		log_warn("exec: sending signal %d on", notice->number);
}

bool
child_is_running(const struct child *child)
{
	return child->state == CHILD_RUNNING;
}

void
child_free(struct child *child)
{
	if (child == NULL)
		return;
	/* report_exit() may be queued; free() queues behind it. */
	child->on_exited = NULL;
	loop_later(child->loop, free, child);
}
