/* SPDX-License-Identifier: MIT */

/*
 * A test with known answers.
 *
 * Each plant is one connection through the proxy to an origin of our own, and
 * has a User-Agent of its own, as manners are known by it.  All are planted,
 * then the proxy is asked until it has said something of each, or its patience
 * must have run out.  What kind of evidence a verdict rests on depends on the
 * kernel and on where the proxy is; that is shown, and is no mistake.
 */

#include "proxy/selftest.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "accounting/memory.h"
#include "proxy/ask.h"
#include "proxy/selftest_origin.h"

#define STATUS_WRONG 1
#define STATUS_FAILED 2
#define IO_SECONDS 10
#define ASK_EVERY_MS 500
#define HEAD_BYTES 4096
#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* What a caller does with the response. */
enum manner {
	MANNER_USE_AGAIN,
	MANNER_CLOSE,
	MANNER_ANSWER_FIN, /* as a pool that watches its connections */
	MANNER_READ_NOTHING,
	MANNER_IGNORE_FIN, /* all is read, and the connection kept */
	MANNER_CLOSE_EARLY,
};

struct kind {
	const char *name;
	enum manner manner;
	const char *path;
	bool asks_close;   /* the response must say Connection: close */
	const char *right; /* verdicts, with spaces around each */
	const char *says;
};

static const struct kind kinds[] = {
    {"reuse", MANNER_USE_AGAIN, "/small", false, " drained ",
	"read, and the connection used again"},
    {"closed", MANNER_CLOSE, "/small", false, " drained ",
	"read, and the connection closed"},
    {"probe", MANNER_ANSWER_FIN, "/small", false, " drained ",
	"read, the connection kept in a pool"},
    {"large", MANNER_USE_AGAIN, "/large", false, " drained ",
	"16 MiB, read, and used again"},
    {"dropped", MANNER_CLOSE_EARLY, "/large", false, " abandoned ",
	"closed before its end"},
    {"unread", MANNER_READ_NOTHING, "/small", false, " undrained suspected ",
	"LEAKED: 1 kB, never read"},
    {"stalled", MANNER_READ_NOTHING, "/large", false, " undrained ",
	"LEAKED: 16 MiB, never read"},
    {"told", MANNER_IGNORE_FIN, "/small", true, " undrained ",
	"LEAKED: told to close, and kept"},
    {"buffered", MANNER_IGNORE_FIN, "/small", false, " suspected undrained ",
	"LEAKED: in the caller's own buffer"},
};

#define KIND_COUNT COUNT_OF(kinds)

/* One of them, planted. */
struct plant {
	int fd;         /* owned; -1 closed */
	char *verdict;  /* owned; NULL: not heard of yet */
	char *evidence; /* owned */
	char *witness;  /* owned */
};

struct selftest {
	const struct options *options;  /* borrowed */
	struct selftest_origin *origin; /* owned */
	char run[32];
	struct plant plants[KIND_COUNT];
};

/* ---- planting ---- */

static int
connect_proxy(const struct options *options)
{
	static const struct timeval patience = {.tv_sec = IO_SECONDS};
	const struct address *proxy = &options->proxy;
	int fd =
	    socket(proxy->sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	(void)setsockopt(
	    fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(
	    fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&proxy->sockaddr,
		proxy->length) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool
send_request(
    const struct selftest *test, const struct kind *kind, int fd, int number)
{
	unsigned port = selftest_origin_port(test->origin);
	char *request = xasprintf("GET http://127.0.0.1:%u%s?%s-%d HTTP/1.1\r\n"
				  "Host: 127.0.0.1:%u\r\n"
				  "User-Agent: leakproxy-selftest-%s\r\n"
				  "Leakproxy-Tag: selftest=%s, kind=%s\r\n"
				  "%s\r\n",
	    port, kind->path, kind->name, number, port, kind->name, test->run,
	    number == 1 ? kind->name : "next",
	    kind->asks_close ? "Connection: close\r\n" : "");
	bool is_sent = send(fd, request, strlen(request), MSG_NOSIGNAL) ==
	    (ssize_t)strlen(request);

	free(request);
	return is_sent;
}

/* Byte by byte, so that the body stays where it is.  Returns whether it says
 * 200. */
static bool
read_head(int fd)
{
	char head[HEAD_BYTES];
	size_t length = 0;

	while (
	    length < sizeof(head) - 1 && recv(fd, head + length, 1, 0) == 1) {
		head[++length] = '\0';
		if (length >= 4 && strcmp(head + length - 4, "\r\n\r\n") == 0)
			return strncmp(head, "HTTP/1.1 200", 12) == 0;
	}
	return false;
}

static bool
read_body(int fd, const char *path)
{
	char bytes[65536];
	size_t left = strcmp(path, "/large") == 0 ? SELFTEST_LARGE_BYTES
						  : SELFTEST_SMALL_BYTES;

	while (left > 0) {
		size_t wanted = left < sizeof(bytes) ? left : sizeof(bytes);
		ssize_t got = recv(fd, bytes, wanted, 0);

		if (got <= 0)
			return false;
		left -= (size_t)got;
	}
	return true;
}

static void
close_plant(struct plant *plant)
{
	if (plant->fd >= 0)
		close(plant->fd);
	plant->fd = -1;
}

/* Does with the response what the kind says. */
static bool
behave(struct selftest *test, const struct kind *kind, struct plant *plant)
{
	char some[1000];

	switch (kind->manner) {
	case MANNER_USE_AGAIN:
		return read_body(plant->fd, kind->path) &&
		    send_request(test, kind, plant->fd, 2) &&
		    read_head(plant->fd) && read_body(plant->fd, kind->path);
	case MANNER_CLOSE:
		if (!read_body(plant->fd, kind->path))
			return false;
		close_plant(plant);
		return true;
	case MANNER_ANSWER_FIN:
	case MANNER_IGNORE_FIN:
		return read_body(plant->fd, kind->path);
	case MANNER_READ_NOTHING:
		return true;
	case MANNER_CLOSE_EARLY:
		if (recv(plant->fd, some, sizeof(some), 0) <= 0)
			return false;
		close_plant(plant);
		return true;
	}
	abort();
}

static bool
plant(struct selftest *test, size_t number)
{
	const struct kind *kind = &kinds[number];
	struct plant *plant = &test->plants[number];

	plant->fd = connect_proxy(test->options);
	if (plant->fd < 0) {
		fprintf(stderr,
		    "leakproxy: --proxy: cannot connect: %s: is leakproxy "
		    "serve running there?\n",
		    strerror(errno));
		return false;
	}
	if (send_request(test, kind, plant->fd, 1) && read_head(plant->fd) &&
	    behave(test, kind, plant))
		return true;
	fprintf(stderr,
	    "leakproxy: --proxy: \"%s\" was not answered as our origin "
	    "answers: is that the --listen address of a leakproxy that may "
	    "reach 127.0.0.1?\n",
	    kind->name);
	return false;
}

/* ---- asking ---- */

static void
take_verdict(struct selftest *test, const json_t *exchange)
{
	const char *kind = json_string_value(
	    json_object_get(json_object_get(exchange, "tags"), "kind"));
	const char *verdict =
	    json_string_value(json_object_get(exchange, "verdict"));
	const char *evidence =
	    json_string_value(json_object_get(exchange, "evidence"));
	const char *witness =
	    json_string_value(json_object_get(exchange, "witness"));

	for (size_t i = 0; kind != NULL && verdict != NULL && i < KIND_COUNT;
	     i++) {
		struct plant *plant = &test->plants[i];

		if (strcmp(kind, kinds[i].name) != 0)
			continue;
		free(plant->verdict);
		free(plant->evidence);
		free(plant->witness);
		plant->verdict = xstrdup(verdict);
		plant->witness = xstrdup(witness == NULL ? "" : witness);
		plant->evidence = xstrdup(evidence == NULL ? "" : evidence);
	}
}

static bool
ask(struct selftest *test)
{
	char *path =
	    xasprintf("/api/exchanges?tag=selftest=%s&limit=100", test->run);
	char *body = ask_admin(test->options, path);
	json_t *answer = body == NULL ? NULL : json_loads(body, 0, NULL);
	const json_t *list = json_object_get(answer, "exchanges");
	size_t i;
	const json_t *exchange;

	json_array_foreach(list, i, exchange) take_verdict(test, exchange);
	json_decref(answer);
	free(body);
	free(path);
	return body != NULL;
}

static bool
is_right(const struct selftest *test, size_t number)
{
	const struct plant *plant = &test->plants[number];
	char *word;
	bool is_listed;

	if (plant->verdict == NULL)
		return false;
	word = xasprintf(" %s ", plant->verdict);
	is_listed = strstr(kinds[number].right, word) != NULL;
	free(word);
	return is_listed;
}

static bool
are_all_right(const struct selftest *test)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (!is_right(test, i))
			return false;
	}
	return true;
}

/* A pool that watches its connections closes those that saw a FIN. */
static void
answer_fins(struct selftest *test)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		struct plant *plant = &test->plants[i];
		struct pollfd end = {.fd = plant->fd, .events = POLLIN};

		if (kinds[i].manner == MANNER_ANSWER_FIN && plant->fd >= 0 &&
		    poll(&end, 1, 0) == 1)
			close_plant(plant);
	}
}

/* Asks until all is right, or for as long as it may take. */
static bool
wait_for_verdicts(struct selftest *test)
{
	static const struct timespec pause = {
	    .tv_nsec = ASK_EVERY_MS * 1000 * 1000};
	mono_us left_us = test->options->selftest_timeout_us;

	for (; left_us > 0; left_us -= ASK_EVERY_MS * US_PER_MS) {
		answer_fins(test);
		if (!ask(test))
			return false;
		if (are_all_right(test))
			return true;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* ---- telling ---- */

static void
tell(const struct selftest *test)
{
	size_t right = 0;

	printf("%-36s %-10s %-12s\n", "what was done", "verdict", "evidence");
	for (size_t i = 0; i < KIND_COUNT; i++) {
		const struct plant *plant = &test->plants[i];
		bool is_good = is_right(test, i);

		right += is_good;
		printf("%-36s %-10s %-12s %s\n", kinds[i].says,
		    plant->verdict == NULL ? "-" : plant->verdict,
		    plant->evidence == NULL ? "-" : plant->evidence,
		    is_good ? "right" : "WRONG");
	}
	printf("\n%zu of %zu right.\n", right, KIND_COUNT);
}

static bool
has_evidence(const struct selftest *test, const char *word)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		const struct plant *plant = &test->plants[i];

		if (plant->evidence != NULL &&
		    (strcmp(plant->evidence, word) == 0 ||
			strcmp(plant->witness, word) == 0))
			return true;
	}
	return false;
}

static void
tell_evidence(const struct selftest *test)
{
	static const struct {
		const char *word;
		const char *without;
	} rows[] = {
	    {"stalled",
		"TCP_INFO of this kernel does not tell what was "
		"acknowledged"},
	    {"unread",
		"callers' sockets cannot be seen from where the proxy "
		"is: another network namespace, or no inet_diag"},
	    {"probe", "--probe-after is off, or longer than this test waited"},
	    {"close", "callers that are told to close do not show"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		bool is_seen = has_evidence(test, rows[i].word);

		printf("evidence %-8s %s%s\n", rows[i].word,
		    is_seen ? "available" : "NOT SEEN: ",
		    is_seen ? "" : rows[i].without);
	}
}

/* ---- all of it ---- */

static bool
run(struct selftest *test)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (!plant(test, i))
			return false;
	}
	return wait_for_verdicts(test);
}

static void
release(struct selftest *test)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		close_plant(&test->plants[i]);
		free(test->plants[i].verdict);
		free(test->plants[i].evidence);
		free(test->plants[i].witness);
	}
	selftest_origin_stop(test->origin);
}

int
selftest_run(const struct options *options)
{
	struct selftest test = {.options = options};
	int status = STATUS_FAILED;

	for (size_t i = 0; i < KIND_COUNT; i++)
		test.plants[i].fd = -1;
	snprintf(test.run, sizeof(test.run), "r%d-%lld", (int)getpid(),
	    (long long)time(NULL));
	test.origin = selftest_origin_start();
	if (test.origin == NULL) {
		fprintf(stderr,
		    "leakproxy: selftest: cannot listen on 127.0.0.1: %s\n",
		    strerror(errno));
		return STATUS_FAILED;
	}
	if (run(&test)) {
		tell(&test);
		tell_evidence(&test);
		status = are_all_right(&test) ? 0 : STATUS_WRONG;
	}
	release(&test);
	return status;
}
