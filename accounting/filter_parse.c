/* SPDX-License-Identifier: MIT */

/*
 * Filters as people write them.
 *
 * A term that is misspelt must not quietly let everything pass, or nothing:
 * whatever is not understood is refused, with the term and what would be.
 */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/filter_parts.h"
#include "accounting/glob.h"
#include "accounting/memory.h"

#define SHOWN_TERM_BYTES 80
#define SPACES " \t\r\n"
#define OPERATORS "=!<>~"
#define TAG_PREFIX "tag."

enum field_type {
	TYPE_TEXT,
	TYPE_ORIGIN,
	TYPE_NUMBER,
	TYPE_SIZE,
	TYPE_DURATION,
	TYPE_FLAG,
	TYPE_VERDICT,
	TYPE_EVIDENCE,
};

#define EXCHANGES FILTER_EXCHANGES
#define LEAKS FILTER_LEAKS
#define CONNS FILTER_CONNS
#define ANY (EXCHANGES | LEAKS | CONNS)

static const struct {
	const char *word;
	enum field_type type;
	unsigned subjects; /* of enum filter_subject */
} fields[] = {
#define FIELD(name, word, type, subjects, help) {word, TYPE_##type, subjects},
#include "accounting/filter_fields.def"
#undef FIELD
};

/* The longer first, so that "<" does not take the start of "<=". */
static const struct {
	const char *word;
	enum filter_operation operation;
} operators[] = {
    {"!=", OPERATION_UNEQUAL},
    {"<=", OPERATION_AT_MOST},
    {">=", OPERATION_AT_LEAST},
    {"=", OPERATION_EQUAL},
    {"<", OPERATION_LESS},
    {">", OPERATION_MORE},
};

#define TEXT_OF_(number) #number
#define TEXT_OF(number) TEXT_OF_(number)
#define TOO_MANY_TERMS \
	"a filter has " TEXT_OF(FILTER_MAX_TERMS) " terms at most"
#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

bool
filter_is_text(enum filter_field field)
{
	return fields[field].type == TYPE_TEXT ||
	    fields[field].type == TYPE_ORIGIN;
}

bool
filter_is_choice(enum filter_field field)
{
	return fields[field].type == TYPE_FLAG ||
	    fields[field].type == TYPE_VERDICT ||
	    fields[field].type == TYPE_EVIDENCE;
}

/* ---- refusals ---- */

/* Returns "\"status>\": " and the reason.  Free with free(). */
static char *
refuse(const char *term, const char *reason)
{
	size_t length = strcspn(term, SPACES);
	bool is_cut = length > SHOWN_TERM_BYTES;

	if (is_cut)
		length = SHOWN_TERM_BYTES;
	return xasprintf(
	    "\"%.*s%s\": %s", (int)length, term, is_cut ? "..." : "", reason);
}

/* Takes `list`; returns it with the word behind. */
static char *
append(char *list, const char *separator, const char *word)
{
	char *longer = xasprintf("%s%s%s", list, separator, word);

	free(list);
	return longer;
}

static char *
refuse_field(const struct filter *filter, const char *term)
{
	char *reason = xstrdup("a term begins with");
	const char *separator = " ";
	char *refusal;

	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		if ((fields[i].subjects & filter->subject) == 0)
			continue;
		reason = append(reason, separator, fields[i].word);
		separator = ", ";
	}
	reason = append(reason, ", ", "as in tag.job=imagecheck");
	refusal = refuse(term, reason);
	free(reason);
	return refusal;
}

static char *
refuse_verdict(const char *term)
{
	return refuse(term, "verdict must be one of"
#define VERDICT(name, word, meaning) " " word
#include "accounting/verdicts.def"
#undef VERDICT
	);
}

static char *
refuse_evidence(const char *term)
{
	return refuse(term, "evidence must be one of"
#define EVIDENCE(name, word, meaning) " " word
#include "accounting/evidence.def"
#undef EVIDENCE
	);
}

/* ---- values ---- */

static char *
lower_case(const char *text, size_t length)
{
	char *lower = xstrndup(text, length);

	for (char *c = lower; *c != '\0'; c++) {
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	}
	return lower;
}

static bool
parse_verdict(const char *text, int64_t *number)
{
	enum verdict verdict;

	if (!verdict_from_word(text, &verdict))
		return false;
	*number = verdict;
	return true;
}

static bool
parse_evidence(const char *text, int64_t *number)
{
	for (size_t i = 0; i < EVIDENCE_COUNT; i++) {
		if (strcmp(verdict_evidence_word((enum evidence)i), text) != 0)
			continue;
		*number = (int64_t)i;
		return true;
	}
	return false;
}

static bool
parse_flag(const char *text, int64_t *number)
{
	*number = strcmp(text, "yes") == 0;
	return *number == 1 || strcmp(text, "no") == 0;
}

static bool
parse_size(const char *text, int64_t *number)
{
	size_t size;

	if (!units_parse_size(text, &size) || size > INT64_MAX)
		return false;
	*number = (int64_t)size;
	return true;
}

static bool
parse_number(const char *text, int64_t *number)
{
	uint64_t value;

	if (!units_parse_number(text, INT64_MAX, &value))
		return false;
	*number = (int64_t)value;
	return true;
}

/* Records have their origins in lower case. */
static struct glob *
origin_pattern(const char *text)
{
	char *lower = lower_case(text, strlen(text));
	struct glob *pattern = glob_new(lower);

	free(lower);
	return pattern;
}

/* Fills in the operand.  Returns NULL, or the refusal. */
static char *
read_operand(struct filter_operand *operand, enum filter_field field,
    const char *text, const char *term)
{
	int64_t *number = &operand->number;

	switch (fields[field].type) {
	case TYPE_TEXT:
		operand->pattern = glob_new(text);
		return NULL;
	case TYPE_ORIGIN:
		operand->pattern = origin_pattern(text);
		return NULL;
	case TYPE_NUMBER:
		return parse_number(text, number)
		    ? NULL
		    : refuse(term, "its value is a number, such as 404");
	case TYPE_SIZE:
		return parse_size(text, number)
		    ? NULL
		    : refuse(term, "its value is a size: 65536, 64KiB, 1MiB");
	case TYPE_DURATION:
		return units_parse_duration(text, number)
		    ? NULL
		    : refuse(term, "its value is a duration: 500ms, 30s, 5m");
	case TYPE_FLAG:
		return parse_flag(text, number)
		    ? NULL
		    : refuse(term, "its value is yes or no");
	case TYPE_VERDICT:
		return parse_verdict(text, number) ? NULL
						   : refuse_verdict(term);
	case TYPE_EVIDENCE:
		return parse_evidence(text, number) ? NULL
						    : refuse_evidence(term);
	}
	abort();
}

/*
 * Reads one value: up to a comma or a space that is in no quotes.  Moves *at
 * behind it.  Returns its text, in which a backslash stands before what is
 * meant as it is; or NULL where a quote is not closed.  Free with free().
 */
static char *
take_value(const char **at)
{
	char *value = xcalloc(1, strlen(*at) + 1);
	char *to = value;
	const char *c = *at;
	bool is_quoted = false;

	for (; *c != '\0'; c++) {
		if (!is_quoted && strchr(SPACES ",", *c) != NULL)
			break;
		if (*c == '"') {
			is_quoted = !is_quoted;
			continue;
		}
		if (*c == '\\' && c[1] != '\0')
			*to++ = *c++;
		*to++ = *c;
	}
	*at = c;
	if (!is_quoted)
		return value;
	free(value);
	return NULL;
}

static char *
add_value(struct filter_term *slot, const char **at, const char *term)
{
	char *value;
	char *refusal;

	if (slot->operand_count == FILTER_MAX_VALUES)
		return refuse(term,
		    "a term has " TEXT_OF(FILTER_MAX_VALUES) " values at most");
	value = take_value(at);
	if (value == NULL)
		return refuse(term, "a quote is not closed");
	if (*value == '\0') {
		free(value);
		return refuse(term, "a value is missing");
	}
	refusal = read_operand(
	    &slot->operands[slot->operand_count++], slot->field, value, term);
	free(value);
	return refusal;
}

static char *
read_values(struct filter_term *slot, const char **at, const char *term)
{
	char *refusal;

	/* A habit from elsewhere, "==" or "=~", is no value's start. */
	if (**at != '\0' && strchr(OPERATORS, **at) != NULL)
		return refuse(term, "operators are = != < <= > >=");
	slot->operands = xcalloc(FILTER_MAX_VALUES, sizeof(*slot->operands));
	refusal = add_value(slot, at, term);
	while (refusal == NULL && **at == ',') {
		++*at;
		refusal = add_value(slot, at, term);
	}
	if (refusal != NULL)
		return refusal;
	slot->operands = xreallocarray(
	    slot->operands, slot->operand_count, sizeof(*slot->operands));
	if (slot->operation > OPERATION_UNEQUAL && slot->operand_count > 1)
		return refuse(term, "< and > compare with one value alone");
	return NULL;
}

/* ---- terms ---- */

static bool
is_word(const char *word, const char *text, size_t length)
{
	return strlen(word) == length && memcmp(word, text, length) == 0;
}

/* Reads the field's name and a tag's key. */
static char *
read_field(const struct filter *filter, struct filter_term *slot,
    const char **at, const char *term)
{
	size_t length = strcspn(term, SPACES OPERATORS);
	size_t prefix = strlen(TAG_PREFIX);
	size_t i = FILTER_TAG;

	*at = term + length;
	if (length > prefix && strncmp(term, TAG_PREFIX, prefix) == 0) {
		slot->key = lower_case(term + prefix, length - prefix);
	} else {
		for (i = 0; i < COUNT_OF(fields); i++) {
			if (i != FILTER_TAG &&
			    is_word(fields[i].word, term, length))
				break;
		}
	}
	if (i == COUNT_OF(fields) ||
	    (fields[i].subjects & filter->subject) == 0)
		return refuse_field(filter, term);
	slot->field = (enum filter_field)i;
	return NULL;
}

static char *
read_operator(struct filter_term *slot, const char **at, const char *term)
{
	size_t i;

	slot->operation = OPERATION_HAS;
	if (**at == '\0' || strchr(SPACES, **at) != NULL)
		return NULL;
	for (i = 0; i < COUNT_OF(operators); i++) {
		size_t length = strlen(operators[i].word);

		if (strncmp(*at, operators[i].word, length) != 0)
			continue;
		slot->operation = operators[i].operation;
		*at += length;
		break;
	}
	if (i == COUNT_OF(operators))
		return refuse(term, "operators are = != < <= > >=");
	if (slot->operation > OPERATION_UNEQUAL &&
	    (filter_is_text(slot->field) || filter_is_choice(slot->field)))
		return refuse(term, "< and > compare numbers: write = or !=");
	return read_values(slot, at, term);
}

static struct filter_term *
new_term(struct filter *filter)
{
	return filter->term_count == FILTER_MAX_TERMS
	    ? NULL
	    : &filter->terms[filter->term_count++];
}

/* Reads one term, and moves *at behind it. */
static char *
read_term(struct filter *filter, const char **at)
{
	const char *term = *at;
	struct filter_term *slot = new_term(filter);
	char *refusal;

	if (slot == NULL)
		return refuse(term, TOO_MANY_TERMS);
	refusal = read_field(filter, slot, at, term);
	if (refusal == NULL)
		refusal = read_operator(slot, at, term);
	return refusal;
}

static bool
has_control_byte(const char *text)
{
	for (; *text != '\0'; text++) {
		if (((unsigned char)*text < ' ' &&
			strchr(SPACES, *text) == NULL) ||
		    *text == 0x7f)
			return true;
	}
	return false;
}

char *
filter_add(struct filter *filter, const char *text)
{
	char *refusal = NULL;

	if (strlen(text) > FILTER_MAX_BYTES)
		return xasprintf(
		    "it is longer than %d bytes", FILTER_MAX_BYTES);
	if (has_control_byte(text))
		return xstrdup("it has a control character");
	for (;;) {
		text += strspn(text, SPACES);
		if (*text == '\0' || refusal != NULL)
			return refusal;
		refusal = read_term(filter, &text);
	}
}

/* Returns the value with a backslash before what stands for more than itself.
 * Free with free(). */
static char *
quote(const char *value)
{
	char *quoted = xcalloc(2, strlen(value) + 1);
	char *to = quoted;

	for (; *value != '\0'; value++) {
		if (*value == '*' || *value == '\\')
			*to++ = '\\';
		*to++ = *value;
	}
	return quoted;
}

char *
filter_require(struct filter *filter, enum filter_field field, const char *key,
    const char *value)
{
	struct filter_term *slot = new_term(filter);
	char *quoted;
	char *refusal;

	if (slot == NULL)
		return refuse(fields[field].word, TOO_MANY_TERMS);
	slot->field = field;
	slot->key = key == NULL ? NULL : lower_case(key, strlen(key));
	if (value == NULL)
		return NULL;
	slot->operation = OPERATION_EQUAL;
	slot->operands = xcalloc(1, sizeof(*slot->operands));
	slot->operand_count = 1;
	quoted = quote(value);
	refusal = read_operand(slot->operands, field, quoted, value);
	free(quoted);
	return refusal;
}
