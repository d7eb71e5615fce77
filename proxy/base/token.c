/* SPDX-License-Identifier: MIT */

/*
 * The bearer token of the admin.
 *
 * A token in a file, and not in an option or a variable, is in no list of
 * processes.  One that is too short, or that no header could carry, is refused
 * at the start and not at every request.
 */

#include "proxy/base/token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "accounting/memory.h"

/* The longest token, and white space around it. */
#define LINE_BYTES (TOKEN_MAX_BYTES + 128)
#define SHOWN_PATH_BYTES 120
#define SPACE " \t\r\n"

static const char remedy[] =
    "make one with: openssl rand -hex 16 >FILE; chmod 600 FILE";

static bool
is_b68token(const char *text)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz"
				       "0123456789-._~+/";
	size_t length = strspn(text, alphabet);

	return length > 0 && text[length + strspn(text + length, "=")] == '\0';
}

/* Returns what is wrong with it, or NULL. */
static const char *
find_fault(const char *token)
{
	size_t length = strlen(token);

	if (length == 0)
		return "has no token in its first line";
	if (length < TOKEN_MIN_BYTES)
		return "has a token of less than 16 characters";
	if (length > TOKEN_MAX_BYTES)
		return "has a token of more than 512 characters";
	if (!is_b68token(token))
		return "has other characters in its token than letters, "
		       "digits and -._~+/=";
	return NULL;
}

/* Returns the first line, or as much of it as is needed to see that it is too
 * long; false with errno. */
static bool
read_line(const char *path, char line[LINE_BYTES])
{
	FILE *file = fopen(path, "re");
	int error;

	*line = '\0';
	if (file == NULL)
		return false;
	errno = 0;
	(void)!fgets(line, LINE_BYTES, file);
	error = ferror(file) ? errno : 0;
	fclose(file);
	errno = error;
	return error == 0;
}

char *
token_read_file(const char *path, char *why, size_t why_size)
{
	char line[LINE_BYTES];
	char *token = line;
	char *copy = NULL;
	const char *fault;
	size_t length;

	if (!read_line(path, line)) {
		snprintf(why, why_size, "cannot read \"%.*s\": %s: %s",
		    SHOWN_PATH_BYTES, path, strerror(errno), remedy);
		return NULL;
	}
	token += strspn(token, SPACE);
	for (length = strlen(token);
	     length > 0 && strchr(SPACE, token[length - 1]) != NULL; length--)
		token[length - 1] = '\0';
	fault = find_fault(token);
	if (fault == NULL)
		copy = xstrdup(token);
	else
		snprintf(why, why_size, "\"%.*s\" %s: %s", SHOWN_PATH_BYTES,
		    path, fault, remedy);
	explicit_bzero(line, sizeof(line));
	return copy;
}

bool
token_is_exposed(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
	    (status.st_mode & (S_IRWXG | S_IRWXO)) != 0;
}

/* Pads with zeros, so that what follows need not know the length. */
static void
pad(unsigned char padded[TOKEN_MAX_BYTES], const char *text, size_t length)
{
	memset(padded, 0, TOKEN_MAX_BYTES);
	memcpy(padded, text, length);
}

/* Looks at every byte, whatever the first ones were. */
static bool
is_same(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned char padded_a[TOKEN_MAX_BYTES];
	unsigned char padded_b[TOKEN_MAX_BYTES];
	volatile unsigned difference = 0;

	pad(padded_a, a, a_length);
	pad(padded_b, b, b_length);
	for (size_t i = 0; i < TOKEN_MAX_BYTES; i++)
		difference |= (unsigned)(padded_a[i] ^ padded_b[i]);
	explicit_bzero(padded_a, sizeof(padded_a));
	explicit_bzero(padded_b, sizeof(padded_b));
	return difference == 0;
}

bool
token_matches(const char *token, const char *authorization)
{
	static const char scheme[] = "Bearer ";
	size_t length;

	/* A scheme's name is in any case (RFC 9110 §11.1). */
	if (authorization == NULL ||
	    strncasecmp(authorization, scheme, strlen(scheme)) != 0)
		return false;
	authorization += strlen(scheme);
	authorization += strspn(authorization, " ");
	length = strlen(authorization);
	if (length > TOKEN_MAX_BYTES)
		return false;
	return is_same(token, strlen(token), authorization, length);
}
