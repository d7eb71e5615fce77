/* SPDX-License-Identifier: MIT */
#ifndef CERTS_FAIL_H
#define CERTS_FAIL_H

#include <stdbool.h>

#include "certs/authority.h"

/* Writes one line, whatever the names in it hold; returns false. */
bool fail(char error[AUTHORITY_ERROR_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
