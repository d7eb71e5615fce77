/* SPDX-License-Identifier: MIT */

/*
 * Marks out of a request head.
 */

#include "proxy/marking.h"

#include "proxy/base/clock.h"

size_t
marking_read(const struct head *head, struct marks *marks)
{
	size_t malformed = 0;

	for (size_t i = 0; i < head->field_count; i++) {
		const struct field *field = &head->fields[i];
		struct mark mark;

		if (field->id != FIELD_LEAKPROXY_MARK)
			continue;
		mark.at = clock_wall();
		mark.mono_at = clock_mono();
		if (mark_parse(&mark, field->value.at, field->value.length) !=
		    NULL)
			malformed++;
		else
			marks_add(marks, &mark);
	}
	return malformed;
}
