/* SPDX-License-Identifier: MIT */
#ifndef ADMIN_CURL_H
#define ADMIN_CURL_H

/*
 * A request as a command that sends it again.
 */

#include "accounting/record.h"

/*
 * Returns one command for a shell, with a newline at its end.  What was
 * redacted stands there as REDACTED; a body that was not kept whole is
 * replaced by zeros, as many.  Free with free().
 */
char *curl_command(const struct exchange_record *exchange);

#endif
