/* SPDX-License-Identifier: MIT */
#ifndef ACCOUNTING_DIALECT_H
#define ACCOUNTING_DIALECT_H

/*
 * Our SQL as PostgreSQL reads it.  It is written once, for SQLite, of what
 * both know; these few words alone differ.
 */

/* Returns the SQL for PostgreSQL.  Free with free(). */
char *dialect_postgres(const char *sql);

#endif
