/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_FILTER_PARTS_H
#define ACCOUNTING_FILTER_PARTS_H

/*
 * What the parser of filters shares with the matcher, and nobody else.
 */

#include <stddef.h>
#include <stdint.h>

#include "accounting/filter.h"

struct glob;

enum filter_operation {
	OPERATION_HAS, /* the field alone */
	OPERATION_EQUAL,
	OPERATION_UNEQUAL,
	OPERATION_LESS,
	OPERATION_AT_MOST,
	OPERATION_MORE,
	OPERATION_AT_LEAST,
};

struct filter_operand {
	struct glob *pattern; /* owned; NULL unless the field is text */
	int64_t number; /* microseconds, bytes, a word's place in its enum */
};

struct filter_term {
	enum filter_field field;
	enum filter_operation operation;
	char *key;                       /* owned; a tag's, else NULL */
	struct filter_operand *operands; /* owned; none with OPERATION_HAS */
	size_t operand_count;
};

struct filter {
	enum filter_subject subject;
	struct filter_term terms[FILTER_MAX_TERMS];
	size_t term_count;
};

bool filter_is_text(enum filter_field field);

/* Whether its numbers are words, of which the first means "not at all". */
bool filter_is_choice(enum filter_field field);

#endif
