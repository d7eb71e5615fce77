/* SPDX-License-Identifier: MIT */

/*
 * Heads as they came, for those who want to see a leak again.
 */

#include "proxy/keep.h"

static void
keep(struct ledger_exchange *record, const struct head *head,
    enum capture_side side)
{
	struct capture_shelf *shelf = ledger_captures(record);

	if (shelf == NULL)
		return;
	capture_begin_head(
	    shelf, head->http_minor, head->reason.at, head->reason.length);
	for (size_t i = 0; i < head->field_count; i++) {
		const struct field *field = &head->fields[i];

		/* What is meant for us is no part of the request: tags are in
		 * the ledger, as far as they are any. */
		if ((field_traits(field->id) & FIELD_IS_FOR_US) == 0)
			capture_add_field(shelf, field->name.at,
			    field->name.length, field->value.at,
			    field->value.length);
	}
	ledger_head_taken(record, side);
}

void
keep_request(struct ledger_exchange *record, const struct head *head)
{
	keep(record, head, CAPTURE_REQUEST);
}

void
keep_response(struct ledger_exchange *record, const struct head *head)
{
	keep(record, head, CAPTURE_RESPONSE);
}
