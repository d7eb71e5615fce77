/* SPDX-License-Identifier: MIT */

/*
 * The commands that run no proxy: `ca` shows the certificate authority,
 * `report` asks a running proxy over its admin address.
 */

#include "proxy/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "accounting/memory.h"
#include "certs/authority.h"
#include "certs/bundle.h"

#define STATUS_FAILED 2
#define MIN_COLUMNS 60
#define MAX_COLUMNS 240
#define DEFAULT_COLUMNS 80
#define ANSWER_SECONDS 10
#define HTTP_UNAUTHORIZED 401
#define FINGERPRINT_BYTES (3 * EVP_MAX_MD_SIZE + 1)
#define TIME_BYTES 32
#define COPY_BYTES 16384

/* ---- ca ---- */

static void
write_time(const ASN1_TIME *time, char text[TIME_BYTES])
{
	struct tm utc;

	if (ASN1_TIME_to_tm(time, &utc) != 1 ||
	    strftime(text, TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		snprintf(text, TIME_BYTES, "?");
}

static void
write_fingerprint(const X509 *certificate, char text[FINGERPRINT_BYTES])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;

	if (X509_digest(certificate, EVP_sha256(), digest, &length) != 1)
		length = 0;
	*text = '\0';
	for (unsigned i = 0; i < length; i++)
		snprintf(text + 3 * i - (i > 0), 4, "%s%02X", i == 0 ? "" : ":",
		    digest[i]);
}

/* Beside the certificate, whose path is absolute.  Free with free(). */
static char *
bundle_path(const struct authority *authority)
{
	const char *certificate = authority_certificate_path(authority);
	const char *slash = strrchr(certificate, '/');
	int length = slash == NULL ? 0 : (int)(slash - certificate) + 1;

	return xasprintf("%.*sbundle.pem", length, certificate);
}

static bool
show(const struct authority *authority)
{
	X509 *certificate = authority_certificate(authority);
	char fingerprint[FINGERPRINT_BYTES];
	char *bundle = bundle_path(authority);
	char from[TIME_BYTES];
	char to[TIME_BYTES];

	write_time(X509_get0_notBefore(certificate), from);
	write_time(X509_get0_notAfter(certificate), to);
	write_fingerprint(certificate, fingerprint);
	printf("certificate  %s\n", authority_certificate_path(authority));
	printf("key          %s\n", authority_key_path(authority));
	printf("bundle       %s\n", bundle);
	printf("valid        %s to %s\n", from, to);
	printf("SHA-256      %s\n", fingerprint);
	free(bundle);
	return true;
}

static bool
print_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char bytes[COPY_BYTES];
	size_t got = 1;
	bool is_good = file != NULL;

	while (is_good && got > 0) {
		got = fread(bytes, 1, sizeof(bytes), file);
		is_good = fwrite(bytes, 1, got, stdout) == got;
	}
	if (!is_good || ferror(file)) {
		fprintf(stderr, "leakproxy: ca: cannot copy \"%s\": %s\n", path,
		    strerror(errno));
		is_good = false;
	}
	if (file != NULL)
		fclose(file);
	return is_good;
}

static bool
write_bundle(const struct options *options, const struct authority *authority,
    const char *path)
{
	char error[AUTHORITY_ERROR_BYTES];

	if (bundle_write(authority, options->upstream_ca, path, error))
		return true;
	fprintf(stderr, "leakproxy: ca: %s\n", error);
	return false;
}

/* Made anew each time: the system's roots may have changed. */
static bool
refresh_bundle(const struct options *options, const struct authority *authority)
{
	char *path = bundle_path(authority);
	bool is_good = write_bundle(options, authority, path);

	if (is_good && options->ca_export != NULL)
		is_good = print_file(path);
	free(path);
	return is_good;
}

static bool
is_written(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	fprintf(
	    stderr, "leakproxy: cannot write to stdout: %s\n", strerror(errno));
	return false;
}

int
commands_ca(const struct options *options)
{
	char error[AUTHORITY_ERROR_BYTES];
	struct authority *authority = authority_open(options->state_dir, error);
	bool is_good;

	if (authority == NULL) {
		fprintf(stderr, "leakproxy: ca: %s\n", error);
		return STATUS_FAILED;
	}
	if (options->ca_export == NULL)
		is_good = refresh_bundle(options, authority) && show(authority);
	else if (strcmp(options->ca_export, "bundle") == 0)
		is_good = refresh_bundle(options, authority);
	else
		is_good = fputs(authority_pem(authority), stdout) >= 0;
	authority_free(authority);
	return is_written() && is_good ? 0 : STATUS_FAILED;
}

/* ---- report ---- */

/* One request, from the asking to its end. */
struct question {
	struct event_base *base; /* borrowed */
	struct address address;
	char where[UNITS_ADDRESS_TEXT_BYTES];
	char host[UNITS_ADDRESS_TEXT_BYTES]; /* without brackets */
	uint16_t port;

	bool is_over;
	int status;            /* 0: no answer */
	const char *token;     /* borrowed; NULL: none */
	char *reason;          /* owned, or NULL */
	struct evbuffer *body; /* owned */
};

static unsigned
bounded(uint64_t columns)
{
	if (columns < MIN_COLUMNS)
		return MIN_COLUMNS;
	return columns > MAX_COLUMNS ? MAX_COLUMNS : (unsigned)columns;
}

unsigned
commands_columns(const struct options *options, int fd)
{
	const char *environment = getenv("COLUMNS");
	struct winsize window;
	uint64_t columns;

	if (options->columns != 0)
		return options->columns;
	if (environment != NULL &&
	    units_parse_number(environment, UINT32_MAX, &columns))
		return bounded(columns);
	if (ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_col != 0)
		return bounded(window.ws_col);
	return DEFAULT_COLUMNS;
}

/* What was bound to every address answers on loopback too. */
static struct address
reachable(const struct address *admin)
{
	struct address address = *admin;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	memcpy(&v4, &address.sockaddr, sizeof(v4));
	memcpy(&v6, &address.sockaddr, sizeof(v6));
	if (v4.sin_family == AF_INET && v4.sin_addr.s_addr == INADDR_ANY) {
		v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		memcpy(&address.sockaddr, &v4, sizeof(v4));
	} else if (v6.sin6_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr)) {
		v6.sin6_addr = in6addr_loopback;
		memcpy(&address.sockaddr, &v6, sizeof(v6));
	}
	return address;
}

static void
question_init(struct question *question, const struct options *options)
{
	const char *start;
	size_t length;

	*question = (struct question){.address = reachable(&options->admin),
	    .token = options->admin_token};
	question->port = units_port(&question->address);
	units_address_text(&question->address, question->where);
	start = question->where;
	length = (size_t)(strrchr(start, ':') - start);
	if (*start == '[') {
		start++;
		length -= 2;
	}
	memcpy(question->host, start, length);
	question->body = evbuffer_new();
}

static void
question_fini(struct question *question)
{
	evbuffer_free(question->body);
	free(question->reason);
}

static void
on_answered(struct evhttp_request *request, void *arg)
{
	struct question *question = arg;

	question->is_over = true;
	if (request != NULL)
		question->status = evhttp_request_get_response_code(request);
	if (question->status != 0) {
		question->reason = xstrdup_or_null(
		    evhttp_request_get_response_code_line(request));
		evbuffer_add_buffer(
		    question->body, evhttp_request_get_input_buffer(request));
	}
	event_base_loopexit(question->base, NULL);
}

static void
add_token(struct evkeyvalq *fields, const char *token)
{
	char *value = xasprintf("Bearer %s", token);

	evhttp_add_header(fields, "Authorization", value);
	explicit_bzero(value, strlen(value));
	free(value);
}

/* Asks, and waits for the answer; false if it could not even be sent. */
static bool
ask(struct question *question, const char *path)
{
	static const struct timeval patience = {ANSWER_SECONDS, 0};
	struct evhttp_connection *connection = evhttp_connection_base_new(
	    question->base, NULL, question->host, question->port);
	struct evhttp_request *request =
	    evhttp_request_new(on_answered, question);
	struct evkeyvalq *fields;
	bool is_sent;

	if (connection == NULL || request == NULL)
		return false;
	fields = evhttp_request_get_output_headers(request);
	evhttp_add_header(fields, "Host", question->where);
	evhttp_add_header(fields, "Connection", "close");
	if (question->token != NULL)
		add_token(fields, question->token);
	is_sent =
	    evhttp_make_request(connection, request, EVHTTP_REQ_GET, path) == 0;
	if (is_sent && !question->is_over) {
		event_base_loopexit(question->base, &patience);
		event_base_dispatch(question->base);
	}
	evhttp_connection_free(connection);
	return is_sent;
}

/* evhttp keeps to itself why it could not connect: try again, to know.
 * Returns 0 where that works, so that the answer was no HTTP. */
static int
connect_error(const struct address *address)
{
	static const struct timeval patience = {ANSWER_SECONDS, 0};
	int fd =
	    socket(address->sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error = 0;

	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address->sockaddr,
		address->length) < 0)
		error = errno;
	close(fd);
	return error;
}

static void
explain_silence(const struct question *question)
{
	int error = connect_error(&question->address);

	if (error == 0)
		fprintf(stderr,
		    "leakproxy: --admin: what answers at %s speaks no HTTP: "
		    "is that the --admin address of a leakproxy?\n",
		    question->where);
	else
		fprintf(stderr,
		    "leakproxy: --admin: nothing answers at %s (%s): is "
		    "leakproxy serve running there?\n",
		    question->where, strerror(error));
}

static bool
explain(const struct question *question)
{
	if (question->status == HTTP_OK)
		return true;
	if (question->status == HTTP_UNAUTHORIZED)
		fprintf(stderr,
		    "leakproxy: --admin-token-file: %s asks for %s: name the "
		    "file that the proxy was started with\n",
		    question->where,
		    question->token == NULL ? "a token" : "another token");
	else if (question->status != 0)
		fprintf(stderr,
		    "leakproxy: --admin: %s answered %d %s: is that the "
		    "--admin address of a leakproxy?\n",
		    question->where, question->status,
		    question->reason == NULL ? "" : question->reason);
	else if (!question->is_over)
		fprintf(stderr,
		    "leakproxy: --admin: %s gave no answer in %d s: is "
		    "leakproxy serve running there?\n",
		    question->where, ANSWER_SECONDS);
	else
		explain_silence(question);
	return false;
}

static bool
print_body(struct evbuffer *body, const char *path)
{
	FILE *file = path == NULL ? stdout : fopen(path, "we");
	size_t length = evbuffer_get_length(body);
	const unsigned char *bytes = evbuffer_pullup(body, -1);
	bool is_good = file != NULL;

	if (is_good && length > 0)
		is_good = fwrite(bytes, 1, length, file) == length;
	if (is_good && length > 0 && bytes[length - 1] != '\n')
		is_good = putc('\n', file) != EOF;
	if (is_good)
		is_good = fflush(file) == 0;
	if (!is_good)
		fprintf(stderr, "leakproxy: %s: cannot write to %s: %s\n",
		    path == NULL ? "report" : "--report-file",
		    path == NULL ? "stdout" : path, strerror(errno));
	if (path != NULL && file != NULL)
		fclose(file);
	return is_good;
}

int
commands_report(const struct options *options)
{
	int fd = options->report_file == NULL ? STDOUT_FILENO : -1;
	struct question question;
	bool is_good;
	char *path;

	if (options->wants_json)
		path = xstrdup("/api/leaks");
	else
		path = xasprintf(
		    "/report?columns=%u", commands_columns(options, fd));
	question_init(&question, options);
	question.base = event_base_new();
	is_good = question.base != NULL && ask(&question, path);
	if (!is_good)
		fprintf(stderr, "leakproxy: report: cannot ask %s: %s\n",
		    question.where, strerror(errno));
	is_good = is_good && explain(&question) &&
	    print_body(question.body, options->report_file);
	if (question.base != NULL)
		event_base_free(question.base);
	question_fini(&question);
	free(path);
	return is_good ? 0 : STATUS_FAILED;
}
