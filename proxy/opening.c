/* SPDX-License-Identifier: MIT */

/*
 * A request line (RFC 9112 §3): method, target in origin-form or "*", version.
 * What has not come yet is taken to be right.
 */

#include "proxy/opening.h"

#include <string.h>

/* The longest method that is registered has 17. */
#define MAX_METHOD_BYTES 24

/* Methods in use are upper case, some with a hyphen. */
static size_t
method_length(const char *bytes, size_t length)
{
	size_t at = 0;

	while (at < length &&
	    ((bytes[at] >= 'A' && bytes[at] <= 'Z') ||
		(bytes[at] == '-' && at > 0)))
		at++;
	return at;
}

/* Whether `line`, behind its target, ends with a version of ours. */
static bool
has_version(const char *line, size_t length)
{
	static const char version[] = " HTTP/1.";
	const size_t tail = strlen(version) + 1;

	if (length > 0 && line[length - 1] == '\r')
		length--;
	return length >= tail &&
	    memcmp(line + length - tail, version, strlen(version)) == 0;
}

bool
opening_is_request(const char *bytes, size_t length)
{
	size_t at = method_length(bytes, length);
	const char *end;

	if (at == 0 || at > MAX_METHOD_BYTES)
		return false;
	if (at == length)
		return true;
	if (bytes[at] != ' ')
		return false;
	at++;
	if (at == length)
		return true;
	if (bytes[at] != '/' && bytes[at] != '*')
		return false;
	end = memchr(bytes, '\n', length);
	return end == NULL || has_version(bytes, (size_t)(end - bytes));
}
