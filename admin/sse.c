/* SPDX-License-Identifier: MIT */

/*
 * The text of server-sent events.
 */

#include "admin/sse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A reader ends a line at CR, LF or both, and puts LF between those it joins;
 * so whatever ends a line of ours begins a field "data" of its own. */
static void
put_data(FILE *out, const char *data)
{
	for (;;) {
		size_t length = strcspn(data, "\r\n");

		fprintf(out, "data: %.*s\n", (int)length, data);
		data += length;
		if (*data == '\0')
			return;
		data += data[0] == '\r' && data[1] == '\n' ? 2 : 1;
	}
}

char *
sse_event(const char *name, uint64_t id, const char *data)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		abort();
	fprintf(out, "id: %" PRIu64 "\nevent: %s\n", id, name);
	put_data(out, data);
	fputc('\n', out);
	fclose(out);
	return text;
}
