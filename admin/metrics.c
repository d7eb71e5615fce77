/* SPDX-License-Identifier: MIT */

/*
 * Snapshots for Prometheus.
 *
 * A _total must never fall: Prometheus takes a fall for a restart, and counts
 * everything again.  Verdicts are revised, so leakproxy_exchanges_total has
 * those alone that no later fact takes back, and for "undrained" how many
 * times that verdict was given; what stands now is a gauge of its own.
 */

#include "admin/metrics.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "admin/exposition.h"
#include "admin/held.h"
#include "admin/process.h"

#define LABELS_BYTES 128
#define NAME_BYTES 64

/* ---- which format ---- */

/* Returns the quality that the media range gives itself. */
static double
quality(const char *range, size_t length)
{
	for (size_t i = 0; i + 3 < length; i++) {
		bool is_param = range[i] == ';' || range[i] == ' ';

		if (is_param && strncasecmp(range + i + 1, "q=", 2) == 0)
			return strtod(range + i + 3, NULL);
	}
	return 1;
}

/* Returns the quality of `type` in an Accept field, 0 where it is not there;
 * wildcards are no wish for a format. */
static double
wish(const char *accept, const char *type)
{
	size_t type_length = strlen(type);
	double best = 0;

	while (*accept != '\0') {
		size_t length = strcspn(accept, ",");

		if (length >= type_length &&
		    strncasecmp(accept, type, type_length) == 0 &&
		    strchr(",; ", accept[type_length]) != NULL &&
		    quality(accept, length) > best)
			best = quality(accept, length);
		accept += length;
		accept += strspn(accept, ", \t");
	}
	return best;
}

enum metrics_format
metrics_negotiate(const char *accept)
{
	double openmetrics;

	if (accept == NULL)
		return METRICS_TEXT;
	accept += strspn(accept, ", \t");
	openmetrics = wish(accept, "application/openmetrics-text");
	if (openmetrics > 0 && openmetrics >= wish(accept, "text/plain"))
		return METRICS_OPENMETRICS;
	return METRICS_TEXT;
}

const char *
metrics_content_type(enum metrics_format format)
{
	switch (format) {
	case METRICS_TEXT:
		return "text/plain; version=0.0.4; charset=utf-8";
	case METRICS_OPENMETRICS:
		return "application/openmetrics-text; version=1.0.0; "
		       "charset=utf-8";
	}
	abort();
}

/* ---- families ---- */

static void
put_label(FILE *out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	fprintf(out, ",%s=\"", name);
	exposition_put_label_value(out, value);
	fputc('"', out);
}

/* To be joined with other series by instance and job. */
static void
put_build_info(struct exposition *exposition, const struct snapshot *snapshot)
{
	char *labels;
	size_t length;
	FILE *out = open_memstream(&labels, &length);

	if (out == NULL)
		abort();
	fputs("{version=\"" LEAKPROXY_VERSION "\"", out);
	put_label(out, "service", snapshot->service);
	put_label(out, "service_version", snapshot->service_version);
	fputs("}", out);
	fclose(out);
	exposition_info(exposition, "leakproxy_build_info",
	    "The version of leakproxy, and the service that it watches "
	    "(--service), as labels.");
	exposition_count(exposition, "leakproxy_build_info", labels, 1);
	free(labels);
}

static void
put_shipping(struct exposition *exposition, const struct shipping *shipping)
{
	if (shipping->state == SHIPPING_OFF)
		return;
	exposition_gauge(exposition, "leakproxy_shared_store_up",
	    "Whether the last attempt to reach the shared store went well.");
	exposition_count(exposition, "leakproxy_shared_store_up", "",
	    shipping->state == SHIPPING_WELL);
	exposition_gauge(exposition, "leakproxy_shared_store_waiting_rows",
	    "Rows of evidence in leakproxy.db that the shared store has not.");
	exposition_count(exposition, "leakproxy_shared_store_waiting_rows", "",
	    shipping->waiting);
	exposition_gauge(exposition,
	    "leakproxy_shared_store_last_shipped_timestamp_seconds",
	    "When the shared store had all that there was; 0: never yet.");
	exposition_real(exposition,
	    "leakproxy_shared_store_last_shipped_timestamp_seconds",
	    (double)shipping->last_at / (double)US_PER_S);
	exposition_counter(exposition, "leakproxy_shared_store_rows_total",
	    "Rows sent to the shared store.");
	exposition_count(exposition, "leakproxy_shared_store_rows_total", "",
	    shipping->rows);
	exposition_counter(exposition, "leakproxy_shared_store_errors_total",
	    "Attempts to reach the shared store that failed.");
	exposition_count(exposition, "leakproxy_shared_store_errors_total", "",
	    shipping->errors);
	exposition_counter(exposition, "leakproxy_shared_store_lost_rows_total",
	    "Rows that left leakproxy.db, by its bounds, before they were "
	    "sent.");
	exposition_count(exposition, "leakproxy_shared_store_lost_rows_total",
	    "", shipping->lost);
}

/* The list has the samples of a family in a row. */
static void
put_counters(struct exposition *exposition, const struct counters *counters)
{
	const struct {
		const char *sample;
		const char *help;
		uint64_t value;
	} list[] = {
#define COUNTER(name, sample, help) {sample, help, counters->name},
#include "accounting/counters.def"
#undef COUNTER
	};
	char family[NAME_BYTES] = "";

	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
		size_t length = strcspn(list[i].sample, "{");

		if (strlen(family) != length ||
		    memcmp(family, list[i].sample, length) != 0) {
			snprintf(family, sizeof(family), "%.*s", (int)length,
			    list[i].sample);
			exposition_counter(exposition, family, list[i].help);
		}
		exposition_count(exposition, list[i].sample, "", list[i].value);
	}
}

static void
put_connections(struct exposition *exposition, const struct gauges *gauges)
{
	static const char name[] = "leakproxy_connections";

	exposition_gauge(exposition, name,
	    "Connections there are now; watched: our FIN is out, the "
	    "caller's is not in.");
	exposition_count(exposition, name, "{side=\"client\",state=\"active\"}",
	    gauges->client_active);
	exposition_count(exposition, name, "{side=\"client\",state=\"idle\"}",
	    gauges->client_idle);
	exposition_count(exposition, name,
	    "{side=\"client\",state=\"watched\"}", gauges->client_watched);
	exposition_count(exposition, name,
	    "{side=\"upstream\",state=\"active\"}", gauges->upstream_active);
	exposition_count(exposition, name, "{side=\"upstream\",state=\"idle\"}",
	    gauges->upstream_idle);
}

static void
put_connection_limit(struct exposition *exposition, unsigned limit)
{
	if (limit == 0)
		return;
	exposition_gauge(exposition, "leakproxy_connections_limit",
	    "Callers' connections beyond so many get 503 "
	    "(--max-connections).");
	exposition_count(exposition, "leakproxy_connections_limit", "", limit);
}

static void
put_verdict(struct exposition *exposition, const char *name,
    enum verdict verdict, uint64_t value)
{
	char labels[LABELS_BYTES];

	snprintf(
	    labels, sizeof(labels), "{verdict=\"%s\"}", verdict_word(verdict));
	exposition_count(exposition, name, labels, value);
}

/* How often the verdict was given, where that can only grow. */
static bool
count_given(const struct totals *totals, enum verdict verdict, uint64_t *count)
{
	*count = totals->by_verdict[verdict];
	switch (verdict) {
	case VERDICT_NONE:
	case VERDICT_DRAINED:
	case VERDICT_ABANDONED:
	case VERDICT_UNPROVEN:
		return true;
	case VERDICT_UNDRAINED:
		*count += totals->recovered;
		return true;
	case VERDICT_OPEN:
	case VERDICT_SUSPECTED:
	case VERDICT_COUNT:
		break;
	}
	return false;
}

static void
put_exchanges(struct exposition *exposition, const struct totals *totals)
{
	static const char total[] = "leakproxy_exchanges_total";
	static const char now[] = "leakproxy_exchange_verdicts";

	exposition_counter(exposition, total,
	    "Exchanges by settled verdict. open and suspected are not "
	    "settled; undrained counts each time that verdict was given, "
	    "also the leakproxy_recovered_total times it was taken back.");
	for (size_t i = 0; i < VERDICT_COUNT; i++) {
		uint64_t count;

		if (count_given(totals, (enum verdict)i, &count))
			put_verdict(exposition, total, (enum verdict)i, count);
	}
	exposition_gauge(exposition, now,
	    "Exchanges since the start by the verdict that they have now; "
	    "each is in one.");
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		put_verdict(
		    exposition, now, (enum verdict)i, totals->by_verdict[i]);
}

char *
metrics_text(const struct snapshot *snapshot, enum metrics_format format)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	struct exposition exposition = {out, format};

	if (out == NULL)
		abort();
	put_build_info(&exposition, snapshot);
	put_counters(&exposition, &snapshot->counters);
	put_connections(&exposition, &snapshot->gauges);
	put_connection_limit(&exposition, snapshot->max_connections);
	put_shipping(&exposition, &snapshot->shipping);
	put_exchanges(&exposition, &snapshot->totals);
	held_put(&exposition, snapshot);
	process_put(&exposition);
	exposition_end(&exposition);
	fclose(out);
	return text;
}
