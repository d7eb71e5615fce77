/* SPDX-License-Identifier: MIT */

/*
 * Filters from strangers: a first byte that says what it is about, then the
 * text.  It is taken, and a copy of it says the same of every record; or
 * refused with one line.
 */

#include "accounting/filter.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Shows the filter a record in which the text itself stands everywhere. */
static void
ask(const struct filter *filter, char *text)
{
	struct filter *copy = filter_copy(filter);
	struct process process = {.command = text};
	struct owner owner = {.process = &process, .pid = 1};
	struct exchange_record x = {.method = text,
	    .url = text,
	    .origin = text,
	    .route = text,
	    .user_agent = text,
	    .error = text,
	    .owner = &owner,
	    .status = 404};
	struct leak leak = {
	    .method = text, .origin = text, .route = text, .status = 404};
	struct conn_record conn = {.user_agent = text};

	assert(filter_passes_exchange(filter, &x) ==
	    filter_passes_exchange(copy, &x));
	assert(filter_passes_leak(filter, &leak) ==
	    filter_passes_leak(copy, &leak));
	assert(filter_passes_conn(filter, &conn) ==
	    filter_passes_conn(copy, &conn));
	filter_free(copy);
}

/* A value that is meant to the letter passes where it stands, and nowhere
 * else. */
static void
require(char *text)
{
	static char other[] = "/another/";
	struct filter *filter = filter_new(FILTER_EXCHANGES);

	assert(filter_require(filter, FILTER_URL, NULL, text) == NULL);
	assert(filter_passes_exchange(
	    filter, &(struct exchange_record){.url = text}));
	assert(strcmp(text, other) == 0 ||
	    !filter_passes_exchange(
		filter, &(struct exchange_record){.url = other}));
	filter_free(filter);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum filter_subject subjects[] = {
	    FILTER_EXCHANGES, FILTER_LEAKS, FILTER_CONNS};
	struct filter *filter;
	char *refusal;
	char *text;

	if (size == 0)
		return 0;
	text = xstrndup((const char *)data + 1, size - 1);
	filter = filter_new(subjects[data[0] % 3]);
	refusal = filter_add(filter, text);
	if (refusal == NULL)
		ask(filter, text);
	else
		assert(*refusal != '\0' && strchr(refusal, '\n') == NULL);
	require(text);
	free(refusal);
	filter_free(filter);
	free(text);
	return 0;
}
