/* SPDX-License-Identifier: MIT */

/*
 * What all of the store is made of: statements over an engine, and errors.
 */

#include "accounting/store_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "accounting/memory.h"

bool
store_is_hopeless(enum store_result result)
{
	return result == STORE_ALIEN || result == STORE_NEWER;
}

const struct store_error *
store_error(const struct store *store)
{
	return &store->error;
}

const char *
store_path(const struct store *store)
{
	return store->path;
}

bool
store_refuse(
    struct store *store, enum store_result result, const char *format, ...)
{
	struct store_error *error = &store->error;
	int length;
	va_list args;

	error->result = result;
	length = snprintf(error->text, sizeof(error->text), "%s ", store->path);
	if (length >= (int)sizeof(error->text))
		return false;
	va_start(args, format);
	vsnprintf(error->text + length, sizeof(error->text) - (size_t)length,
	    format, args);
	va_end(args);
	return false;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	if (store->db != NULL)
		store->engine->close(store);
	free(store->identity);
	free(store->path);
	free(store);
}

/* ---- statements ---- */

bool
store_run_sql(struct store *store, const char *sql)
{
	return store->engine->run(store, sql);
}

struct statement *
store_prepare(struct store *store, const char *sql)
{
	return store->engine->prepare(store, sql);
}

void
store_free(struct store *store, struct statement *statement)
{
	if (statement != NULL)
		store->engine->free(statement);
}

enum row
store_next(struct store *store, struct statement *statement)
{
	return statement == NULL ? ROW_FAILED : store->engine->step(statement);
}

bool
store_step(struct store *store, struct statement *statement)
{
	bool is_good = store_next(store, statement) == ROW_END;

	if (statement != NULL)
		store->engine->reset(statement);
	return is_good;
}

bool
store_send(struct store *store, struct statement *statement)
{
	bool is_sent;

	if (store->engine->send == NULL || statement == NULL)
		return store_step(store, statement);
	is_sent = store->engine->send(statement);
	store->engine->reset(statement);
	return is_sent;
}

bool
store_settle(struct store *store)
{
	return store->engine->settle == NULL || store->engine->settle(store);
}

bool
store_read_number(struct store *store, const char *sql, int64_t *number)
{
	struct statement *statement = store_prepare(store, sql);
	struct reader row = {store, statement};
	bool is_good = store_next(store, statement) == ROW_READ;

	if (is_good)
		*number = store_number(&row, 0);
	store_free(store, statement);
	return is_good;
}

bool
store_begin(struct store *store)
{
	return store_run_sql(store, store->engine->begin);
}

bool
store_finish(struct store *store, bool is_good)
{
	struct store_error error;

	if (is_good && store_run_sql(store, "COMMIT"))
		return true;
	/* Some errors have rolled back already; then this one says so. */
	error = store->error;
	(void)!store_run_sql(store, "ROLLBACK");
	store->error = error;
	return false;
}

/* ---- parameters ---- */

void
store_bind_value(struct binder *binder, const struct value *value)
{
	binder->index++;
	if (binder->statement != NULL)
		binder->store->engine->bind(
		    binder->statement, binder->index, value);
}

void
store_bind_number(struct binder *binder, int64_t number)
{
	store_bind_value(
	    binder, &(struct value){.type = VALUE_NUMBER, .number = number});
}

void
store_bind_known(struct binder *binder, int64_t number)
{
	store_bind_value(binder,
	    &(struct value){
		.type = VALUE_NUMBER, .is_null = number < 0, .number = number});
}

void
store_bind_real(struct binder *binder, double number)
{
	store_bind_value(
	    binder, &(struct value){.type = VALUE_REAL, .real = number});
}

void
store_bind_text(struct binder *binder, const char *text)
{
	store_bind_value(binder,
	    &(struct value){
		.type = VALUE_TEXT, .is_null = text == NULL, .text = text});
}

/* ---- a row ---- */

static struct value
column_of(const struct reader *row, int column)
{
	return row->store->engine->column(row->statement, column);
}

int64_t
store_number(const struct reader *row, int column)
{
	struct value value = column_of(row, column);

	return value.is_null ? 0 : value.number;
}

int64_t
store_known(const struct reader *row, int column)
{
	struct value value = column_of(row, column);

	return value.is_null ? -1 : value.number;
}

double
store_real(const struct reader *row, int column)
{
	return column_of(row, column).real;
}

const char *
store_text(const struct reader *row, int column)
{
	return column_of(row, column).text;
}

char *
store_copy(const struct reader *row, int column)
{
	return xstrdup_or_null(store_text(row, column));
}
