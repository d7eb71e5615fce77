/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_ENGINE_H
#define ACCOUNTING_ENGINE_H

/*
 * A database under the store: SQLite for one machine, PostgreSQL for a fleet.
 * Statements are written once, as SQLite has them, with ?1, ?2, ...;
 * dialect.h says what PostgreSQL reads instead.
 *
 * What fails has been noted in store->error.
 */

#include <stdbool.h>
#include <stdint.h>

#include "accounting/store.h"

struct statement; /* of one engine; free with engine->free */

enum value_type {
	VALUE_NULL,   /* of whatever type its place has */
	VALUE_NUMBER, /* or, being unknown, NULL */
	VALUE_REAL,
	VALUE_TEXT, /* or, being NULL, NULL */
};

struct value {
	enum value_type type;
	bool is_null;
	int64_t number;
	double real;
	const char *text; /* borrowed */
};

enum row {
	ROW_READ,
	ROW_END,
	ROW_FAILED,
};

struct engine {
	/* begins a transaction that writes */
	const char *begin;

	/* Runs SQL, also several statements, that yields nothing. */
	bool (*run)(struct store *store, const char *sql);

	/* Returns NULL where the SQL is refused already. */
	struct statement *(*prepare)(struct store *store, const char *sql);

	/* Index 1 is ?1; a copy of the value is kept. */
	void (*bind)(
	    struct statement *statement, int index, const struct value *value);

	/* Goes to the next row. */
	enum row (*step)(struct statement *statement);

	/* Sends what yields nothing, without waiting; settle() waits for all
	 * of it, and says whether it was done.  NULL: step() does. */
	bool (*send)(struct statement *statement);
	bool (*settle)(struct store *store);

	/* Borrowed until the next step; a NULL text is NULL. */
	struct value (*column)(const struct statement *statement, int column);

	/* Makes it ready for other values. */
	void (*reset)(struct statement *statement);
	void (*free)(struct statement *statement);
	void (*close)(struct store *store);
};

extern const struct engine engine_sqlite;
extern const struct engine engine_postgres;

#endif
