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
#include <unistd.h>

#include <event2/http.h>

#include "accounting/memory.h"
#include "certs/authority.h"
#include "certs/bundle.h"
#include "certs/hints.h"
#include "certs/truststore.h"
#include "proxy/ask.h"

#define STATUS_FAILED 2
#define MIN_COLUMNS 60
#define MAX_COLUMNS 240
#define DEFAULT_COLUMNS 80
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
path_beside(const struct authority *authority, const char *name)
{
	const char *certificate = authority_certificate_path(authority);
	const char *slash = strrchr(certificate, '/');
	int length = slash == NULL ? 0 : (int)(slash - certificate) + 1;

	return xasprintf("%.*s%s", length, certificate, name);
}

static void
show(const struct authority *authority, const struct hint_places *places)
{
	X509 *certificate = authority_certificate(authority);
	char fingerprint[FINGERPRINT_BYTES];
	char from[TIME_BYTES];
	char to[TIME_BYTES];

	write_time(X509_get0_notBefore(certificate), from);
	write_time(X509_get0_notAfter(certificate), to);
	write_fingerprint(certificate, fingerprint);
	printf("certificate  %s\n", places->ca);
	printf("key          %s\n", authority_key_path(authority));
	printf("bundle       %s\n", places->bundle);
	printf("for Java     %s\n", places->truststore);
	printf("valid        %s to %s\n", from, to);
	printf("SHA-256      %s\n", fingerprint);
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

/* Made anew each time: the system's roots may have changed. */
static bool
refresh(const struct options *options, const struct authority *authority,
    const struct hint_places *places)
{
	char error[AUTHORITY_ERROR_BYTES];

	if (bundle_write(
		authority, options->upstream_ca, places->bundle, error) &&
	    truststore_write(places->bundle, places->truststore, error))
		return true;
	fprintf(stderr, "leakproxy: ca: %s\n", error);
	return false;
}

/* Says what was asked for of an authority and the files beside it. */
static bool
answer(const struct options *options, const struct authority *authority,
    const struct hint_places *places)
{
	if (options->ca_export != NULL &&
	    strcmp(options->ca_export, "pem") == 0)
		return fputs(authority_pem(authority), stdout) >= 0;
	if (!refresh(options, authority, places))
		return false;
	if (options->ca_export != NULL)
		return print_file(places->bundle);
	if (options->wants_hints)
		hints_print(stdout, places, options->hint);
	else
		show(authority, places);
	return true;
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

static void
refuse_hint(const char *name)
{
	fprintf(stderr,
	    "leakproxy: ca: there are no hints for \"%s\": write one of ",
	    name);
	hints_print_names(stderr);
	fputs("\n", stderr);
}

int
commands_ca(const struct options *options)
{
	char error[AUTHORITY_ERROR_BYTES];
	struct authority *authority;
	char *bundle;
	char *truststore;
	bool is_good;

	if (options->hint != NULL && !hints_know(options->hint)) {
		refuse_hint(options->hint);
		return STATUS_FAILED;
	}
	authority = authority_open(options->state_dir, error);
	if (authority == NULL) {
		fprintf(stderr, "leakproxy: ca: %s\n", error);
		return STATUS_FAILED;
	}
	bundle = path_beside(authority, "bundle.pem");
	truststore = path_beside(authority, "truststore.p12");
	is_good = answer(options, authority,
	    &(struct hint_places){
		.ca = authority_certificate_path(authority),
		.bundle = bundle,
		.truststore = truststore,
	    });
	free(bundle);
	free(truststore);
	authority_free(authority);
	return is_written() && is_good ? 0 : STATUS_FAILED;
}

/* ---- report ---- */

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

static bool
print_body(const char *body, const char *path)
{
	FILE *file = path == NULL ? stdout : fopen(path, "we");
	size_t length = strlen(body);
	bool is_good = file != NULL && fputs(body, file) >= 0;

	if (is_good && length > 0 && body[length - 1] != '\n')
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

/* Returns `path` with the parameter behind.  Takes it. */
static char *
add_parameter(char *path, const char *name, const char *value)
{
	char *encoded = evhttp_uriencode(value, -1, 1);
	char *longer = xasprintf("%s%s%s=%s", path,
	    strchr(path, '?') == NULL ? "?" : "&", name, encoded);

	free(encoded);
	free(path);
	return longer;
}

int
commands_report(const struct options *options)
{
	int fd = options->report_file == NULL ? STDOUT_FILENO : -1;
	char *path;
	char *body;
	bool is_good;

	if (options->wants_json)
		path = xstrdup("/api/leaks");
	else
		path = xasprintf(
		    "/report?columns=%u", commands_columns(options, fd));
	if (options->filter != NULL)
		path = add_parameter(path, "filter", options->filter);
	body = ask_admin(options, path);
	is_good = body != NULL && print_body(body, options->report_file);
	free(body);
	free(path);
	return is_good ? 0 : STATUS_FAILED;
}
