/* SPDX-License-Identifier: MIT */

/*
 * A Go service's goroutine profile beside what the proxy sees.
 *
 *      goroutine profile: total 1652
 *      822 @ 0x43e2f6 0x40a0ec ...
 *      #	0x...	net/http.(*persistConn).writeLoop+0xe5	...
 *
 * Records are separated by empty lines; the first line of each says how many
 * goroutines have this stack (runtime/pprof, debug=1).
 */

#include "admin/goroutines.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "admin/text.h"

#define MAX_COUNT_DIGITS 12

static const char title[] = "goroutine profile: total ";

/* Reads digits at *at, of `end`; moves *at behind them. */
static bool
read_count(const char **at, const char *end, uint64_t *count)
{
	size_t digits = 0;

	*count = 0;
	while (*at < end && isdigit((unsigned char)**at) &&
	    digits++ < MAX_COUNT_DIGITS)
		*count = *count * 10 + (uint64_t)(*(*at)++ - '0');
	return digits > 0;
}

static const char *
end_of_record(const char *at, const char *end)
{
	const char *blank = memmem(at, (size_t)(end - at), "\n\n", 2);

	return blank == NULL ? end : blank + 2;
}

static bool
has(const char *at, const char *end, const char *function)
{
	return memmem(at, (size_t)(end - at), function, strlen(function)) !=
	    NULL;
}

bool
goroutines_parse(const char *text, size_t length, struct goroutines *goroutines)
{
	const char *end = text + length;
	const char *at = text + strlen(title);
	struct goroutines read = {.is_known = true};

	if (length < strlen(title) || memcmp(text, title, strlen(title)) != 0 ||
	    !read_count(&at, end, &read.total) || at == end || *at++ != '\n')
		return false;
	while (at < end) {
		const char *next = end_of_record(at, end);
		uint64_t count;

		if (!read_count(&at, next, &count))
			break;
		if (has(at, next, "net/http.(*persistConn).readLoop"))
			read.read_loops += count;
		else if (has(at, next, "net/http.(*persistConn).writeLoop"))
			read.write_loops += count;
		at = next;
	}
	*goroutines = read;
	return true;
}

char *
goroutines_sentence(
    const struct goroutines *goroutines, const struct snapshot *snapshot)
{
	const struct gauges *gauges = &snapshot->gauges;
	uint64_t held = snapshot->totals.held_now;
	uint64_t ours = gauges->client_active + gauges->client_idle +
	    gauges->client_watched;
	uint64_t loops = goroutines->read_loops;

	if (!goroutines->is_known)
		return xasprintf("The goroutine profile is not known: %s.",
		    goroutines->failure == NULL ? "not read yet"
						: goroutines->failure);
	if (loops > ours)
		return xasprintf("%" PRIu64 " goroutine%s in "
				 "persistConn.readLoop: %" PRIu64
				 " hold a response here, %" PRIu64
				 " are other connections through this proxy, "
				 "and %" PRIu64 " do not come through it.",
		    loops, text_plural(loops), held,
		    ours > held ? ours - held : 0, loops - ours);
	if (loops >= held)
		return xasprintf("%" PRIu64 " goroutine%s in "
				 "persistConn.readLoop: %" PRIu64
				 " hold a response here, the others are "
				 "connections through this proxy. The counts "
				 "agree.",
		    loops, text_plural(loops), held);
	return xasprintf("%" PRIu64 " goroutine%s in persistConn.readLoop, "
			 "fewer than the %" PRIu64 " responses held here: "
			 "others than that service leak too.",
	    loops, text_plural(loops), held);
}
