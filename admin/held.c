/* SPDX-License-Identifier: MIT */

/*
 * leakproxy_responses_held.
 *
 * Callers choose the tags, so what they choose must not be able to break a
 * scrape: keys become names that Prometheus accepts, their number and that of
 * the series is bounded, every series has the same labels, and leaks whose
 * labels have become the same by all that are summed, because a series that
 * is there twice costs the whole scrape.
 */

#include "admin/held.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

#define NAME "leakproxy_responses_held"
#define LABEL_NAME_BYTES (TAG_KEY_MAX_BYTES + 16)

struct label {
	const char *key; /* the tag's; borrowed from a leak */
	char name[LABEL_NAME_BYTES];
};

struct series {
	char *labels; /* owned */
	uint64_t held;
};

struct table {
	/* owned */
	const struct leak **leaks; /* those that hold most first */
	struct series *series;

	size_t leak_count;
	size_t series_count;
	struct label labels[HELD_MAX_TAG_KEYS];
	size_t label_count;
};

static int
more_held_first(const void *a, const void *b)
{
	const struct leak *left = *(const struct leak *const *)a;
	const struct leak *right = *(const struct leak *const *)b;

	if (left->held_now != right->held_now)
		return left->held_now > right->held_now ? -1 : 1;
	return leak_rank(left, right);
}

/* ---- label names ---- */

static bool
has_name(const struct table *table, const char *name)
{
	static const char *const ours[] = {
	    "origin", "route", "status", "method"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		if (strcmp(ours[i], name) == 0)
			return true;
	}
	for (size_t i = 0; i < table->label_count; i++) {
		if (strcmp(table->labels[i].name, name) == 0)
			return true;
	}
	return false;
}

static bool
is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* Writes prefix and key as [a-z0-9_]*.  Returns the length. */
static size_t
write_name(char name[LABEL_NAME_BYTES], const char *prefix, const char *key)
{
	int length = snprintf(
	    name, LABEL_NAME_BYTES, "%s%.*s", prefix, TAG_KEY_MAX_BYTES, key);

	for (char *c = name; *c != '\0'; c++) {
		if (!is_name_byte(*c))
			*c = '_';
	}
	return (size_t)length;
}

/* A name must not begin with a digit, "__" is Prometheus' own, and each is
 * there once. */
static void
make_name(
    const struct table *table, const char *key, char name[LABEL_NAME_BYTES])
{
	size_t length = write_name(name, "", key);

	if ((name[0] >= '0' && name[0] <= '9') || strncmp(name, "__", 2) == 0 ||
	    has_name(table, name))
		length = write_name(name, "tag_", key);
	for (int i = 2; has_name(table, name); i++)
		snprintf(name + length, LABEL_NAME_BYTES - length, "_%d", i);
}

static void
learn_key(struct table *table, const char *key)
{
	for (size_t i = 0; i < table->label_count; i++) {
		if (strcmp(table->labels[i].key, key) == 0)
			return;
	}
	if (table->label_count == HELD_MAX_TAG_KEYS)
		return;
	make_name(table, key, table->labels[table->label_count].name);
	table->labels[table->label_count++].key = key;
}

static void
learn_keys(struct table *table)
{
	for (size_t i = 0; i < table->leak_count && i < HELD_MAX_SERIES; i++) {
		const struct tags *tags = &table->leaks[i]->tags;

		for (size_t j = 0; j < tags->count; j++)
			learn_key(table, tags->items[j].key);
	}
}

/* ---- series ---- */

static void
put_label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	exposition_put_label_value(out, value == NULL ? "" : value);
	fputc('"', out);
}

/* Returns "{origin=...}"; of the rest, where `leak` is NULL. */
static char *
labels_of(const struct table *table, const struct leak *leak)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	char status[16] = "";

	if (out == NULL)
		abort();
	if (leak != NULL)
		snprintf(status, sizeof(status), "%d", leak->status);
	fputc('{', out);
	put_label(out, "origin", leak == NULL ? "other" : leak->origin);
	fputc(',', out);
	put_label(out, "route", leak == NULL ? "" : leak->route);
	fputc(',', out);
	put_label(out, "status", status);
	fputc(',', out);
	put_label(out, "method", leak == NULL ? "" : leak->method);
	for (size_t i = 0; i < table->label_count; i++) {
		const struct label *label = &table->labels[i];

		fputc(',', out);
		put_label(out, label->name,
		    leak == NULL ? "" : tags_get(&leak->tags, label->key));
	}
	fputc('}', out);
	fclose(out);
	return text;
}

/* Takes `labels`. */
static void
add_series(struct table *table, char *labels, uint64_t held)
{
	for (size_t i = 0; i < table->series_count; i++) {
		if (strcmp(table->series[i].labels, labels) == 0) {
			table->series[i].held += held;
			free(labels);
			return;
		}
	}
	table->series[table->series_count++] = (struct series){labels, held};
}

static void
make_series(struct table *table)
{
	uint64_t rest = 0;

	for (size_t i = 0; i < table->leak_count; i++) {
		const struct leak *leak = table->leaks[i];

		if (i < HELD_MAX_SERIES)
			add_series(
			    table, labels_of(table, leak), leak->held_now);
		else
			rest += leak->held_now;
	}
	if (table->leak_count > HELD_MAX_SERIES)
		add_series(table, labels_of(table, NULL), rest);
}

void
held_put(struct exposition *exposition, const struct snapshot *snapshot)
{
	struct table table = {.leak_count = snapshot->leak_count};

	table.leaks = xcalloc(table.leak_count + 1, sizeof(*table.leaks));
	table.series = xcalloc(HELD_MAX_SERIES + 1, sizeof(*table.series));
	for (size_t i = 0; i < table.leak_count; i++)
		table.leaks[i] = &snapshot->leaks[i];
	qsort(table.leaks, table.leak_count, sizeof(*table.leaks),
	    more_held_first);
	learn_keys(&table);
	make_series(&table);
	exposition_gauge(exposition, NAME,
	    "Responses proven undrained whose connection is held now, by "
	    "leak; tags are labels.");
	for (size_t i = 0; i < table.series_count; i++) {
		exposition_count(exposition, NAME, table.series[i].labels,
		    table.series[i].held);
		free(table.series[i].labels);
	}
	free(table.series);
	free(table.leaks);
}
