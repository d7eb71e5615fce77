/* SPDX-License-Identifier: MIT */

/*
 * Heads as they came, for those who want to see a leak again.
 */

#include "proxy/keep.h"

#include <string.h>

#include "accounting/redact_field.h"

/* The fields that are meant for us: no part of the request.  Tags are in the
 * ledger, as far as they are any. */
static bool
is_shown(const struct field *field)
{
	return (field_traits(field->id) & FIELD_IS_FOR_US) == 0;
}

uint64_t
keep_plain_fields(const struct secrets *secrets)
{
	uint64_t plain = 0;

	for (unsigned id = FIELD_LEAKPROXY + 1; id < FIELD_COUNT; id++) {
		bool is_plain = (field_traits(id) & FIELD_IS_FOR_US) == 0 &&
		    !redact_field_is_secret(secrets, field_name(id));

		plain |= (uint64_t)is_plain << id;
	}
	return plain;
}

/* Whether nothing must be left out or hidden. */
static bool
is_plain(struct capture_shelf *shelf, const struct head *head, struct span all,
    uint64_t plain_fields)
{
	bool are_values_plain = capture_are_values_plain(all.at, all.length);

	if (are_values_plain && (head->present & ~plain_fields) == 0)
		return true;
	for (size_t i = 0; i < head->field_count; i++) {
		const struct field *field = &head->fields[i];

		if ((plain_fields >> field->id & 1) == 0 &&
		    (!is_shown(field) ||
			!capture_is_name_plain(
			    shelf, field->name.at, field->name.length)))
			return false;
		if (!are_values_plain &&
		    !capture_is_value_plain(
			shelf, field->value.at, field->value.length))
			return false;
	}
	return true;
}

/* From the reason, if there is one, to the last field's line end. */
static struct span
lines_of(const struct head *head)
{
	const char *start = head->reason.length > 0
	    ? head->reason.at
	    : head->fields[0].name.at - strlen("\r\n");
	const char *end = head->block + head->block_length - strlen("\r\n");

	return (struct span){start, (size_t)(end - start)};
}

static size_t
end_in(struct span lines, struct span part)
{
	return (size_t)(part.at + part.length - lines.at);
}

static void
take_lines(
    struct capture_shelf *shelf, const struct head *head, struct span lines)
{
	capture_begin_lines(shelf, head->http_minor, lines.at, lines.length,
	    head->reason.length);
	for (size_t i = 0; i < head->field_count; i++)
		capture_split_line(shelf, end_in(lines, head->fields[i].name),
		    end_in(lines, head->fields[i].value));
}

static void
take_fields(struct capture_shelf *shelf, const struct head *head)
{
	capture_begin_head(
	    shelf, head->http_minor, head->reason.at, head->reason.length);
	for (size_t i = 0; i < head->field_count; i++) {
		const struct field *field = &head->fields[i];

		if (is_shown(field))
			capture_add_field(shelf, field->name.at,
			    field->name.length, field->value.at,
			    field->value.length);
	}
}

static void
keep(struct ledger_exchange *record, const struct head *head,
    enum capture_side side, uint64_t plain_fields)
{
	struct capture_shelf *shelf = ledger_captures(record);
	struct span lines;

	if (shelf == NULL)
		return;
	lines = head->field_count == 0 ? (struct span){"", 0} : lines_of(head);
	if (lines.length > 0 && is_plain(shelf, head, lines, plain_fields))
		take_lines(shelf, head, lines);
	else
		take_fields(shelf, head);
	ledger_head_taken(record, side);
}

void
keep_request(struct ledger_exchange *record, const struct head *head,
    uint64_t plain_fields)
{
	keep(record, head, CAPTURE_REQUEST, plain_fields);
}

void
keep_response(struct ledger_exchange *record, const struct head *head,
    uint64_t plain_fields)
{
	keep(record, head, CAPTURE_RESPONSE, plain_fields);
}
