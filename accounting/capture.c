/* SPDX-License-Identifier: MIT */

/*
 * Captures and their shelf.
 *
 * A head is written into the shelf's scratch and then copied once, at its
 * size: the request's into the capture itself, the response's beside it.  Its
 * lines stay as they came, with NULs written where something ends, so that
 * most heads are taken by copying their block.  Every
 * byte of a capture is charged to its shelf before it is allocated, in
 * make_room(); what finds no room is not kept.
 *
 * Evidence may take all but a quarter of the shelf, so that there is always
 * room to see the next leak: beyond that its oldest goes.
 */

#include "accounting/capture.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "accounting/memory.h"
#include "accounting/pack.h"
#include "accounting/redact_field.h"

/* What malloc() adds to a block, about. */
#define BLOCK_OVERHEAD_BYTES 16

#define FIRST_SCRATCH_BYTES 1024
#define FIRST_BODY_BYTES 1024

/* Names that were found to be no secret's: callers and origins send the same
 * few again and again. */
#define HARMLESS_COUNT 64
#define HARMLESS_BYTES 31

struct harmless {
	unsigned char length; /* 0: none */
	char name[HARMLESS_BYTES];
};

struct capture {
	struct capture_message messages[2]; /* by enum capture_side; owned */
	struct capture_shelf *shelf;        /* borrowed; NULL for a copy */
	struct capture **slot; /* borrowed: who must know when it goes */
	TAILQ_ENTRY(capture) link;
	size_t charged_bytes;
	enum capture_worth worth;
	char first_head[]; /* in the same allocation, unless it is a copy */
};

TAILQ_HEAD(capture_list, capture);

struct capture_shelf {
	struct capture_config config;
	struct capture_list lists[CAPTURE_WORTHS]; /* owned, oldest first */
	size_t used_bytes[CAPTURE_WORTHS];
	/* the head that is being taken down */
	char *scratch; /* owned */
	size_t scratch_length;
	size_t scratch_size;
	uint8_t http_minor;
	struct harmless harmless[HARMLESS_COUNT];
};

struct capture_shelf *
capture_shelf_new(const struct capture_config *config)
{
	struct capture_shelf *shelf = xcalloc(1, sizeof(*shelf));

	assert(config->body_bytes <= UINT32_MAX);
	shelf->config = *config;
	for (size_t i = 0; i < CAPTURE_WORTHS; i++)
		TAILQ_INIT(&shelf->lists[i]);
	shelf->scratch_size = FIRST_SCRATCH_BYTES;
	shelf->scratch = xcalloc(1, shelf->scratch_size);
	return shelf;
}

void
capture_shelf_free(struct capture_shelf *shelf)
{
	if (shelf == NULL)
		return;
	assert(capture_shelf_used_bytes(shelf) == 0);
	free(shelf->scratch);
	free(shelf);
}

size_t
capture_shelf_used_bytes(const struct capture_shelf *shelf)
{
	size_t used_bytes = 0;

	for (size_t i = 0; i < CAPTURE_WORTHS; i++)
		used_bytes += shelf->used_bytes[i];
	return used_bytes;
}

/* ---- room ---- */

/* Takes the oldest of the list but `spared`.  Returns false where there is no
 * other. */
static bool
drop_oldest(struct capture_list *list, const struct capture *spared)
{
	struct capture *oldest = TAILQ_FIRST(list);

	if (oldest != NULL && oldest == spared)
		oldest = TAILQ_NEXT(oldest, link);
	if (oldest == NULL)
		return false;
	capture_free(oldest);
	return true;
}

/* Makes room for so much more of `capture`, and charges it. */
static bool
make_room(
    struct capture_shelf *shelf, struct capture *capture, size_t more_bytes)
{
	size_t max_bytes = shelf->config.memory_bytes;
	/* Never evidence for what may never be any. */
	int last = capture->worth == CAPTURE_EVIDENCE ? CAPTURE_EVIDENCE
						      : CAPTURE_OPEN;

	if (capture->charged_bytes + more_bytes > max_bytes)
		return false;
	for (int worth = CAPTURE_SETTLED; worth <= last; worth++) {
		while (
		    capture_shelf_used_bytes(shelf) + more_bytes > max_bytes &&
		    drop_oldest(&shelf->lists[worth], capture))
			continue;
	}
	if (capture_shelf_used_bytes(shelf) + more_bytes > max_bytes)
		return false;
	capture->charged_bytes += more_bytes;
	shelf->used_bytes[capture->worth] += more_bytes;
	return true;
}

static void
trim_evidence(struct capture_shelf *shelf, const struct capture *newest)
{
	size_t max_bytes = shelf->config.memory_bytes / 4 * 3;

	while (shelf->used_bytes[CAPTURE_EVIDENCE] > max_bytes &&
	    drop_oldest(&shelf->lists[CAPTURE_EVIDENCE], newest))
		continue;
}

/* ---- the life of a capture ---- */

/* Makes one with room for its first head. */
static struct capture *
shelve(struct capture_shelf *shelf, struct capture **slot, size_t head_bytes)
{
	size_t size = sizeof(struct capture) + head_bytes;
	struct capture *capture = xmalloc(size);

	*capture = (struct capture){
	    .worth = CAPTURE_OPEN, .shelf = shelf, .slot = slot};
	TAILQ_INSERT_TAIL(&shelf->lists[CAPTURE_OPEN], capture, link);
	*slot = capture;
	if (make_room(shelf, capture, size + BLOCK_OVERHEAD_BYTES))
		return capture;
	capture_free(capture);
	return NULL;
}

void
capture_free(struct capture *capture)
{
	if (capture == NULL)
		return;
	if (capture->shelf != NULL) {
		struct capture_shelf *shelf = capture->shelf;

		TAILQ_REMOVE(&shelf->lists[capture->worth], capture, link);
		shelf->used_bytes[capture->worth] -= capture->charged_bytes;
		*capture->slot = NULL;
	}
	for (size_t i = 0; i < 2; i++) {
		if (capture->messages[i].head != capture->first_head)
			free(capture->messages[i].head);
		free(capture->messages[i].body);
	}
	free(capture);
}

void
capture_set_worth(struct capture *capture, enum capture_worth worth)
{
	struct capture_shelf *shelf;

	if (capture == NULL || capture->worth == worth)
		return;
	shelf = capture->shelf;
	TAILQ_REMOVE(&shelf->lists[capture->worth], capture, link);
	shelf->used_bytes[capture->worth] -= capture->charged_bytes;
	capture->worth = worth;
	TAILQ_INSERT_TAIL(&shelf->lists[worth], capture, link);
	shelf->used_bytes[worth] += capture->charged_bytes;
	if (worth == CAPTURE_EVIDENCE)
		trim_evidence(shelf, capture);
}

static char *
copy_bytes(const char *bytes, size_t length)
{
	char *copy;

	if (bytes == NULL)
		return NULL;
	copy = xmalloc(length + 1);
	memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

struct capture *
capture_copy(const struct capture *capture)
{
	struct capture *copy;

	if (capture == NULL)
		return NULL;
	copy = xcalloc(1, sizeof(*copy));
	for (size_t i = 0; i < 2; i++) {
		struct capture_message *message = &copy->messages[i];

		*message = capture->messages[i];
		message->head = copy_bytes(message->head, message->head_bytes);
		message->body = copy_bytes(message->body, message->body_bytes);
		message->body_size = message->body_bytes;
	}
	return copy;
}

struct capture *
capture_pack(const struct capture *capture, struct pack *pack)
{
	struct capture copy = {0};
	struct capture *packed;

	if (capture == NULL)
		return NULL;
	packed = pack_room(pack, sizeof(*packed));
	for (size_t i = 0; i < 2; i++) {
		struct capture_message *message = &copy.messages[i];

		*message = capture->messages[i];
		message->head =
		    pack_bytes(pack, message->head, message->head_bytes);
		message->body =
		    pack_bytes(pack, message->body, message->body_bytes);
		message->body_size = message->body_bytes;
	}
	if (packed != NULL)
		*packed = copy;
	return packed;
}

/* ---- heads ---- */

/* Returns where so many bytes more are to be written. */
static char *
grow_scratch(struct capture_shelf *shelf, size_t length)
{
	size_t wanted = shelf->scratch_length + length;
	char *at;

	if (wanted > shelf->scratch_size) {
		while (shelf->scratch_size < wanted)
			shelf->scratch_size *= 2;
		shelf->scratch =
		    xreallocarray(shelf->scratch, shelf->scratch_size, 1);
	}
	at = shelf->scratch + shelf->scratch_length;
	shelf->scratch_length = wanted;
	return at;
}

/* Writes it and a NUL, which a head cannot have inside. */
static void
put(struct capture_shelf *shelf, const char *bytes, size_t length)
{
	char *at;

	length = length == 0 ? 0 : strnlen(bytes, length);
	at = grow_scratch(shelf, length + 1);
	if (length > 0)
		memcpy(at, bytes, length);
	at[length] = '\0';
}

static void
end_line(struct capture_shelf *shelf)
{
	*grow_scratch(shelf, 1) = '\n';
}

void
capture_begin_head(struct capture_shelf *shelf, unsigned http_minor,
    const char *reason, size_t reason_length)
{
	shelf->scratch_length = 0;
	shelf->http_minor = (uint8_t)http_minor;
	put(shelf, reason, reason_length);
	end_line(shelf);
}

void
capture_begin_lines(struct capture_shelf *shelf, unsigned http_minor,
    const char *lines, size_t length, size_t reason_end)
{
	shelf->scratch_length = 0;
	shelf->http_minor = (uint8_t)http_minor;
	memcpy(grow_scratch(shelf, length), lines, length);
	shelf->scratch[reason_end] = '\0';
}

void
capture_split_line(
    struct capture_shelf *shelf, size_t name_end, size_t value_end)
{
	shelf->scratch[name_end] = '\0';
	shelf->scratch[value_end] = '\0';
}

bool
capture_are_values_plain(const char *lines, size_t length)
{
	return redact_field_is_plain((struct span){lines, length});
}

bool
capture_is_name_plain(
    struct capture_shelf *shelf, const char *at, size_t length)
{
	struct span name = {at, length};
	struct harmless *known;

	if (name.length == 0 || name.length > HARMLESS_BYTES)
		return !redact_field_is_secret(shelf->config.secrets, name);
	known =
	    &shelf->harmless[(name.length * 11 + (unsigned char)name.at[0] * 5 +
				 (unsigned char)name.at[name.length / 2]) %
		HARMLESS_COUNT];
	if (known->length == name.length &&
	    memcmp(known->name, name.at, name.length) == 0)
		return true;
	if (redact_field_is_secret(shelf->config.secrets, name))
		return false;
	memcpy(known->name, name.at, name.length);
	known->length = (unsigned char)name.length;
	return true;
}

bool
capture_is_value_plain(
    const struct capture_shelf *shelf, const char *value, size_t length)
{
	struct span text = {value, length};
	char *instead;

	if (redact_field_is_plain(text))
		return true;
	instead = redact_field_value(shelf->config.secrets, text);
	free(instead);
	return instead == NULL;
}

void
capture_add_field(struct capture_shelf *shelf, const char *name,
    size_t name_length, const char *value, size_t value_length)
{
	const struct secrets *secrets = shelf->config.secrets;
	struct span name_text = {name, name_length};
	struct span value_text = {value, value_length};
	char *instead = capture_is_name_plain(shelf, name, name_length)
	    ? redact_field_value(secrets, value_text)
	    : redact_field(secrets, name_text, value_text);

	put(shelf, name, name_length);
	if (instead == NULL)
		put(shelf, value, value_length);
	else
		put(shelf, instead, strlen(instead));
	end_line(shelf);
	free(instead);
}

/* Returns where the head that was taken down is to be copied, or NULL where
 * there is no room. */
static char *
room_for_head(struct capture_shelf *shelf, struct capture **slot)
{
	size_t length = shelf->scratch_length;
	struct capture *capture = *slot;

	if (capture == NULL) {
		capture = shelve(shelf, slot, length);
		return capture == NULL ? NULL : capture->first_head;
	}
	return make_room(shelf, capture, length + BLOCK_OVERHEAD_BYTES)
	    ? xmalloc(length)
	    : NULL;
}

void
capture_end_head(
    struct capture_shelf *shelf, struct capture **slot, enum capture_side side)
{
	char *head = room_for_head(shelf, slot);
	struct capture_message *message;

	if (head == NULL)
		return;
	memcpy(head, shelf->scratch, shelf->scratch_length);
	message = &(*slot)->messages[side];
	assert(message->head == NULL);
	message->head = head;
	message->head_bytes = (uint32_t)shelf->scratch_length;
	message->http_minor = shelf->http_minor;
}

/* ---- bodies ---- */

/* Makes the buffer hold so much; false where there is no room for it. */
static bool
grow_body(struct capture *capture, struct capture_message *message,
    size_t wanted_bytes)
{
	size_t max_bytes = capture->shelf->config.body_bytes;
	size_t size = message->body_size;

	if (wanted_bytes <= size)
		return true;
	if (size == 0)
		size = FIRST_BODY_BYTES;
	while (size < wanted_bytes)
		size *= 2;
	if (size > max_bytes)
		size = max_bytes;
	if (!make_room(capture->shelf, capture, size - message->body_size))
		return false;
	message->body = xreallocarray(message->body, size, 1);
	message->body_size = (uint32_t)size;
	return true;
}

void
capture_add_body(struct capture *capture, enum capture_side side,
    const char *bytes, size_t length)
{
	struct capture_message *message;
	size_t left_bytes;

	if (capture == NULL || capture->shelf->config.body_bytes == 0)
		return;
	message = &capture->messages[side];
	if (message->is_cut)
		return;
	left_bytes = capture->shelf->config.body_bytes - message->body_bytes;
	if (length > left_bytes)
		length = left_bytes;
	message->is_cut =
	    !grow_body(capture, message, message->body_bytes + length);
	if (message->is_cut || length == 0)
		return;
	memcpy(message->body + message->body_bytes, bytes, length);
	message->body_bytes += (uint32_t)length;
}

/* ---- reading ---- */

const struct capture_message *
capture_message(const struct capture *capture, enum capture_side side)
{
	return &capture->messages[side];
}

const char *
capture_reason(const struct capture_message *message)
{
	return message->head == NULL ? "" : message->head;
}

/* Behind the end of the line that the NUL at `at` is in. */
static size_t
next_line(const struct capture_message *message, size_t at)
{
	const char *end =
	    memchr(message->head + at, '\n', message->head_bytes - at);

	return end == NULL ? message->head_bytes
			   : (size_t)(end - message->head) + 1;
}

bool
capture_next_field(const struct capture_message *message, size_t *at,
    struct capture_field *field)
{
	if (message->head == NULL)
		return false;
	if (*at == 0)
		*at = next_line(message, strlen(message->head));
	if (*at >= message->head_bytes)
		return false;
	field->name = message->head + *at;
	field->value = field->name + strlen(field->name) + 1;
	/* As it came, there is white space between (RFC 9112 §5). */
	field->value += strspn(field->value, " \t");
	*at = next_line(message,
	    (size_t)(field->value - message->head) + strlen(field->value));
	return true;
}

const char *
capture_find(const struct capture_message *message, const char *name)
{
	struct capture_field field;
	size_t at = 0;

	while (capture_next_field(message, &at, &field)) {
		if (strcasecmp(field.name, name) == 0)
			return field.value;
	}
	return NULL;
}
