/* SPDX-License-Identifier: MIT */

/*
 * Metric families in Prometheus text 0.0.4 and OpenMetrics 1.0.
 *
 * OpenMetrics names a counter's family without the "_total" of its samples,
 * has a type for information, and ends with a mark.  Its family names must
 * not collide, so a counter "x_total" beside a gauge "x" cannot be called a
 * counter there: it is of type unknown, and its samples stay what they are.
 */

#include "admin/exposition.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/utf8.h"
#include "admin/text.h"

/* Gauges whose name is that of a counter too. */
static const char *const shared_names[] = {"leakproxy_connections"};

static bool
is_shared(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(shared_names) / sizeof(char *); i++) {
		if (strlen(shared_names[i]) == length &&
		    memcmp(shared_names[i], name, length) == 0)
			return true;
	}
	return false;
}

static size_t
length_without(const char *name, const char *suffix)
{
	size_t length = strlen(name) - strlen(suffix);

	assert(strcmp(name + length, suffix) == 0);
	return length;
}

static void
put_family(struct exposition *exposition, const char *name, size_t length,
    const char *type, const char *help)
{
	fprintf(exposition->out, "# HELP %.*s %s\n", (int)length, name, help);
	fprintf(exposition->out, "# TYPE %.*s %s\n", (int)length, name, type);
}

void
exposition_gauge(
    struct exposition *exposition, const char *name, const char *help)
{
	put_family(exposition, name, strlen(name), "gauge", help);
}

void
exposition_counter(
    struct exposition *exposition, const char *name, const char *help)
{
	size_t length = length_without(name, "_total");

	if (exposition->format == METRICS_TEXT)
		put_family(exposition, name, strlen(name), "counter", help);
	else if (is_shared(name, length))
		put_family(exposition, name, strlen(name), "unknown", help);
	else
		put_family(exposition, name, length, "counter", help);
}

void
exposition_info(
    struct exposition *exposition, const char *name, const char *help)
{
	size_t length = length_without(name, "_info");

	if (exposition->format == METRICS_TEXT)
		put_family(exposition, name, strlen(name), "gauge", help);
	else
		put_family(exposition, name, length, "info", help);
}

void
exposition_count(struct exposition *exposition, const char *name,
    const char *labels, uint64_t value)
{
	fprintf(exposition->out, "%s%s %" PRIu64 "\n", name, labels, value);
}

void
exposition_real(struct exposition *exposition, const char *name, double value)
{
	fprintf(exposition->out, "%s %.15g\n", name, value);
}

void
exposition_end(struct exposition *exposition)
{
	if (exposition->format == METRICS_OPENMETRICS)
		fputs("# EOF\n", exposition->out);
}

void
exposition_put_label_value(FILE *out, const char *value)
{
	char *utf8 = utf8_copy(value);

	text_cut(utf8, EXPOSITION_LABEL_MAX_BYTES);
	for (const char *c = utf8; *c != '\0'; c++) {
		if (*c == '\n')
			fputs("\\n", out);
		else if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else
			fputc(*c, out);
	}
	free(utf8);
}
