/* SPDX-License-Identifier: MIT */

/*
 * One reader for each kind of value that an option has.
 *
 * A reader says what is wrong and what to write in its place; whoever calls
 * it knows whether the value came from the command line or the environment,
 * and says that.
 */

#include "proxy/option_read.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "accounting/memory.h"
#include "certs/identity.h"
#include "proxy/base/log.h"
#include "proxy/base/token.h"
#include "proxy/hosts.h"
#include "proxy/option_table.h"

#define MAX_WORKERS 256
#define MAX_CONNECTIONS 1000000
#define MIN_COLUMNS 60
#define MAX_COLUMNS 240
#define MIN_HEADER_BYTES (size_t)1024
#define MAX_HEADER_BYTES ((size_t)16 << 20)
#define MAX_TAG_HEADERS 16
#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

#define URL_SCHEME "http://"

static const char duration_wanted[] = "is no duration: write 500ms, 30s or 5m";

bool
option_refuse(char why[OPTION_WHY_BYTES], const char *text, const char *reason)
{
	snprintf(why, OPTION_WHY_BYTES, "\"%.*s\" %s", OPTION_SHOWN_BYTES, text,
	    reason);
	return false;
}

static char *
lower_case(const char *text)
{
	char *copy = xstrdup(text);

	for (char *at = copy; *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	return copy;
}

bool
option_read_text(
    struct options *options, void *field, const char *text, char *why)
{
	char **string = field;

	if (*text == '\0')
		return option_refuse(why, text, "is empty: name one");
	free(*string);
	*string = xstrdup(text);
	return true;
}

bool
option_read_flag(
    struct options *options, void *field, const char *text, char *why)
{
	static const char *const on[] = {"on", "1", "true", "yes"};
	static const char *const off[] = {"off", "0", "false", "no"};
	bool *flag = field;

	for (size_t i = 0; i < COUNT_OF(on); i++) {
		if (strcasecmp(text, on[i]) == 0) {
			*flag = true;
			return true;
		}
		if (strcasecmp(text, off[i]) == 0) {
			*flag = false;
			return true;
		}
	}
	return option_refuse(
	    why, text, "is neither on nor off: write one of them");
}

bool
option_read_duration(
    struct options *options, void *field, const char *text, char *why)
{
	if (!units_parse_duration(text, field))
		return option_refuse(why, text, duration_wanted);
	return true;
}

bool
option_read_positive_duration(
    struct options *options, void *field, const char *text, char *why)
{
	mono_us duration_us;

	if (!units_parse_duration(text, &duration_us))
		return option_refuse(why, text, duration_wanted);
	if (duration_us == 0)
		return option_refuse(
		    why, text, "is too short: write 1ms or more");
	*(mono_us *)field = duration_us;
	return true;
}

bool
option_read_duration_or_off(
    struct options *options, void *field, const char *text, char *why)
{
	if (strcmp(text, "off") == 0) {
		*(mono_us *)field = 0;
		return true;
	}
	if (!units_parse_duration(text, field))
		return option_refuse(why, text,
		    "is no duration: write 500ms, 30s or 5m, or off");
	return true;
}

bool
option_read_header_size(
    struct options *options, void *field, const char *text, char *why)
{
	size_t size_bytes;

	if (!units_parse_size(text, &size_bytes))
		return option_refuse(
		    why, text, "is no size: write 65536, 64KiB or 1MiB");
	if (size_bytes < MIN_HEADER_BYTES || size_bytes > MAX_HEADER_BYTES)
		return option_refuse(
		    why, text, "is out of range: write 1KiB to 16MiB");
	*(size_t *)field = size_bytes;
	return true;
}

/* As many as the process may run on, which in a container are fewer. */
static unsigned
count_cores(void)
{
	cpu_set_t set;
	int count;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	count = CPU_COUNT(&set);
	return count > MAX_WORKERS ? MAX_WORKERS : (unsigned)count;
}

bool
option_read_workers(
    struct options *options, void *field, const char *text, char *why)
{
	uint64_t number;

	if (strcmp(text, "cores") == 0) {
		*(unsigned *)field = count_cores();
		return true;
	}
	if (!units_parse_number(text, MAX_WORKERS, &number) || number == 0)
		return option_refuse(why, text,
		    "is no number of workers: write 1 to 256, or cores");
	*(unsigned *)field = (unsigned)number;
	return true;
}

bool
option_read_columns(
    struct options *options, void *field, const char *text, char *why)
{
	uint64_t number;

	if (!units_parse_number(text, MAX_COLUMNS, &number) ||
	    number < MIN_COLUMNS)
		return option_refuse(why, text, "is no width: write 60 to 240");
	*(unsigned *)field = (unsigned)number;
	return true;
}

bool
option_read_exit_code(
    struct options *options, void *field, const char *text, char *why)
{
	uint64_t number;

	if (!units_parse_number(text, 255, &number) || number == 0)
		return option_refuse(
		    why, text, "is no exit status: write 1 to 255");
	*(int *)field = (int)number;
	return true;
}

bool
option_read_ready_fd(
    struct options *options, void *field, const char *text, char *why)
{
	uint64_t number;
	int flags;

	if (!units_parse_number(text, INT32_MAX, &number))
		return option_refuse(
		    why, text, "is no descriptor: write a number, such as 3");
	/* It is for us alone: exec's command must not hold it open, unless it
	 * is one of the command's own streams. */
	flags = number > STDERR_FILENO ? FD_CLOEXEC : 0;
	if (fcntl((int)number, F_SETFD, flags) < 0)
		return option_refuse(why, text,
		    "is not open: have the parent open it, as in "
		    "\"leakproxy serve --ready-fd 3 3>ready\"");
	*(int *)field = (int)number;
	return true;
}

bool
option_read_log_level(
    struct options *options, void *field, const char *text, char *why)
{
	static const char *const words[] = {
	    [LOG_LEVEL_ERROR] = "error",
	    [LOG_LEVEL_WARN] = "warning",
	    [LOG_LEVEL_INFO] = "info",
	    [LOG_LEVEL_DEBUG] = "debug",
	};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (strcmp(text, words[i]) == 0) {
			*(int *)field = (int)i;
			return true;
		}
	}
	return option_refuse(
	    why, text, "is no level: write error, warning, info or debug");
}

bool
option_read_export(
    struct options *options, void *field, const char *text, char *why)
{
	if (strcmp(text, "pem") != 0 && strcmp(text, "bundle") != 0)
		return option_refuse(
		    why, text, "cannot be exported: write pem or bundle");
	return option_read_text(options, field, text, why);
}

bool
option_read_listen(
    struct options *options, void *field, const char *text, char *why)
{
	struct address address;

	if (!units_parse_address(text, &address))
		return option_refuse(why, text,
		    "is no address: write 127.0.0.1:8080, 0.0.0.0:8080 or "
		    "[::1]:8080");
	options->listen = xreallocarray(options->listen,
	    options->listen_count + 1, sizeof(*options->listen));
	options->listen[options->listen_count++] = address;
	return true;
}

/* Where a running proxy is; exec tells its command in URL form. */
static bool
read_running(
    struct address *address, const char *text, const char *option, char *why)
{
	const char *start = text;
	size_t length;
	char *plain;
	bool is_good;

	if (strncmp(start, URL_SCHEME, strlen(URL_SCHEME)) == 0)
		start += strlen(URL_SCHEME);
	length = strlen(start);
	if (length > 0 && start != text && start[length - 1] == '/')
		length--;
	plain = xstrndup(start, length);
	is_good =
	    units_parse_address(plain, address) && units_port(address) != 0;
	free(plain);
	if (is_good)
		return true;
	snprintf(why, OPTION_WHY_BYTES,
	    "\"%.*s\" is not where a proxy could answer: write the address "
	    "and port of its %s",
	    OPTION_SHOWN_BYTES, text, option);
	return false;
}

bool
option_read_proxy(
    struct options *options, void *field, const char *text, char *why)
{
	return read_running(
	    field, text, "--listen, such as 127.0.0.1:8080", why);
}

bool
option_read_admin(
    struct options *options, void *field, const char *text, char *why)
{
	if (option_table_asks(options->command)) {
		options->has_admin = true;
		return read_running(&options->admin, text,
		    "--admin, such as 127.0.0.1:9901", why);
	}
	if (strcmp(text, "off") == 0) {
		options->has_admin = false;
		return true;
	}
	if (!units_parse_address(text, field))
		return option_refuse(why, text,
		    "is no address: write 127.0.0.1:9901 or [::1]:9901, or "
		    "off");
	options->has_admin = true;
	return true;
}

/* Kept as an absolute path: exec's command may change its directory. */
bool
option_read_admin_token_file(
    struct options *options, void *field, const char *text, char *why)
{
	char **path = field;
	char *token = token_read_file(text, why, OPTION_WHY_BYTES);

	if (token == NULL)
		return false;
	free(options->admin_token);
	options->admin_token = token;
	free(*path);
	*path = realpath(text, NULL);
	if (*path == NULL)
		*path = xstrdup(text);
	return true;
}

/* Reads all of it now, so that a typo is not found by the first handshake. */
bool
option_read_pem_file(
    struct options *options, void *field, const char *text, char *why)
{
	FILE *file = fopen(text, "re");
	char *line = NULL;
	size_t size = 0;
	bool has_certificate = false;

	errno = file == NULL ? errno : 0;
	while (file != NULL && getline(&line, &size, file) >= 0)
		has_certificate |= strstr(line, "BEGIN CERTIFICATE") != NULL;
	if (file == NULL || ferror(file)) {
		snprintf(why, OPTION_WHY_BYTES,
		    "cannot read \"%.*s\": %s: name a PEM file with the roots "
		    "that your origins' certificates come from",
		    OPTION_SHOWN_BYTES, text, strerror(errno));
		has_certificate = false;
	} else if (!has_certificate) {
		option_refuse(why, text,
		    "holds no certificate: name a file with "
		    "\"-----BEGIN CERTIFICATE-----\" in it (PEM, not DER)");
	}
	free(line);
	if (file != NULL)
		fclose(file);
	return has_certificate && option_read_text(options, field, text, why);
}

bool
option_read_client_cert(
    struct options *options, void *field, const char *text, char *why)
{
	const char *equals = strchr(text, '=');
	struct client_cert cert = {0};
	char reason[IDENTITY_ERROR_BYTES];
	char *host;

	if (equals == NULL)
		return option_refuse(why, text,
		    "is no HOST=FILE: write registry.test=client.pem");
	host = xstrndup(text, (size_t)(equals - text));
	cert.pattern = hosts_parse_pattern(host);
	free(host);
	if (cert.pattern == NULL)
		return option_refuse(why, text,
		    "begins with no host pattern: write "
		    "registry.test=client.pem or *.registry.test=client.pem");
	cert.identity = identity_read(equals + 1, reason);
	if (cert.identity == NULL) {
		free(cert.pattern);
		return option_refuse(why, equals + 1, reason);
	}
	options->client_certs = xreallocarray(options->client_certs,
	    options->client_cert_count + 1, sizeof(*options->client_certs));
	options->client_certs[options->client_cert_count++] = cert;
	return true;
}

static bool
is_token(const char *text)
{
	static const char marks[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 §5.6.2 */

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (!isalnum((unsigned char)*text) &&
		    strchr(marks, *text) == NULL)
			return false;
	}
	return true;
}

static bool
is_among(const struct strings *strings, const char *text)
{
	for (size_t i = 0; i < strings->count; i++) {
		if (strcasecmp(strings->items[i], text) == 0)
			return true;
	}
	return false;
}

bool
option_read_tag_header(
    struct options *options, void *field, const char *text, char *why)
{
	/* A tag is shown to everybody, and is part of a metric's name. */
	static const char *const secrets[] = {"authorization",
	    "proxy-authorization", "cookie", "x-api-key", "x-auth-token",
	    "x-amz-security-token", "private-token"};
	struct strings *headers = field;

	if (!is_token(text))
		return option_refuse(why, text,
		    "is no header name: write one such as X-Request-Job");
	for (size_t i = 0; i < COUNT_OF(secrets); i++) {
		if (strcasecmp(text, secrets[i]) == 0)
			return option_refuse(why, text,
			    "holds secrets, and tags are shown: name a header "
			    "of your own");
	}
	if (is_among(headers, text))
		return true;
	if (headers->count == MAX_TAG_HEADERS)
		return option_refuse(
		    why, text, "is one too many: 16 can be named");
	strings_append(headers, lower_case(text));
	return true;
}

bool
option_read_resolve(
    struct options *options, void *field, const char *text, char *why)
{
	struct resolve_rule rule = {0};

	if (!hosts_parse_rule(text, &rule))
		return option_refuse(why, text,
		    "is no rule: write registry.test:443:127.0.0.1:8443, "
		    "*:443:127.0.0.1 or registry.test:*:[::1]");
	options->resolve = xreallocarray(options->resolve,
	    options->resolve_count + 1, sizeof(*options->resolve));
	options->resolve[options->resolve_count++] = rule;
	return true;
}

bool
option_read_pprof(
    struct options *options, void *field, const char *text, char *why)
{
	struct chain url = {0};
	bool is_good = strchr(text, '@') == NULL &&
	    strncasecmp(text, URL_SCHEME, strlen(URL_SCHEME)) == 0;
	char *origin = is_good
	    ? xstrndup(text,
		  strlen(URL_SCHEME) +
		      strcspn(text + strlen(URL_SCHEME), "/?#"))
	    : NULL;

	is_good = is_good && chain_parse(origin, &url);
	free(origin);
	chain_fini(&url);
	if (!is_good)
		return option_refuse(
		    why, text, "is no such URL: write http://127.0.0.1:6060");
	return option_read_text(options, field, text, why);
}

bool
option_add_cidr(struct cidr **list, size_t *count, const char *text,
    char why[OPTION_WHY_BYTES])
{
	struct cidr cidr;

	if (!units_parse_cidr(text, &cidr))
		return option_refuse(why, text,
		    "is no network: write 10.0.0.0/8, fd00::/8 or an address");
	*list = xreallocarray(*list, *count + 1, sizeof(**list));
	(*list)[(*count)++] = cidr;
	return true;
}

bool
option_read_destination(
    struct options *options, void *field, const char *text, char *why)
{
	return option_add_cidr(&options->allowed_destinations,
	    &options->allowed_destination_count, text, why);
}

/* As curl does, the lower-case name counts first. */
bool
option_read_upstream_proxy(
    struct options *options, void *field, const char *text, char *why)
{
	struct chain *chain = field;
	const char *no_proxy = getenv("no_proxy");

	if (!chain_parse(text, chain)) {
		/* It may hold a password: not shown. */
		snprintf(why, OPTION_WHY_BYTES,
		    "is no proxy: write http://host:port or "
		    "http://user:password@host:port");
		return false;
	}
	if (no_proxy == NULL)
		no_proxy = getenv("NO_PROXY");
	free(chain->no_proxy);
	chain->no_proxy = xstrdup_or_null(no_proxy);
	return true;
}

bool
option_read_max_connections(
    struct options *options, void *field, const char *text, char *why)
{
	uint64_t number = 0;

	if (strcmp(text, "auto") != 0 &&
	    (!units_parse_number(text, MAX_CONNECTIONS, &number) ||
		number == 0))
		return option_refuse(why, text,
		    "is no number of connections: write 1 to 1000000, or auto");
	*(unsigned *)field = (unsigned)number;
	return true;
}
