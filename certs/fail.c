/* SPDX-License-Identifier: MIT */

#include "certs/fail.h"

#include <stdarg.h>
#include <stdio.h>

bool
fail(char error[AUTHORITY_ERROR_BYTES], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, AUTHORITY_ERROR_BYTES, format, args);
	va_end(args);
	for (char *c = error; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	return false;
}
