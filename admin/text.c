/* SPDX-License-Identifier: MIT */

/*
 * Strings that strangers chose, made fit to be shown.
 *
 * URLs, tags and user agents come from the network and may hold any byte but
 * NUL.  JSON and Prometheus refuse what is not UTF-8, and a terminal obeys
 * what is not text, so everything passes here on its way out.
 */

#include "admin/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "accounting/memory.h"
#include "accounting/utf8.h"

#define ELLIPSIS "\xe2\x80\xa6" /* U+2026 */

/* An escape is the longest thing that a byte can become. */
#define ESCAPE_BYTES sizeof("\\u202e")

/* Characters that move the cursor, end the line or turn the text around. */
static bool
is_unruly(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) ||
	    point == 0x061c || point == 0x200e || point == 0x200f ||
	    (point >= 0x2028 && point <= 0x202e) ||
	    (point >= 0x2066 && point <= 0x2069);
}

static size_t
put_escape(char *to, uint32_t point)
{
	return (size_t)snprintf(to, ESCAPE_BYTES,
	    point < 0x100 ? "\\x%02" PRIx32 : "\\u%04" PRIx32, point);
}

char *
text_visible(const char *bytes)
{
	char *text = xcalloc(strlen(bytes) + 1, ESCAPE_BYTES);
	char *end = text;

	while (*bytes != '\0') {
		char *start = end;
		uint32_t point = utf8_take(&bytes, &end);

		if (is_unruly(point))
			end = start + put_escape(start, point);
	}
	*end++ = '\0';
	return xreallocarray(text, (size_t)(end - text), 1);
}

static bool
is_continuation(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

size_t
text_columns(const char *utf8)
{
	size_t columns = 0;

	for (; *utf8 != '\0'; utf8++)
		columns += !is_continuation(*utf8);
	return columns;
}

/* Returns where the character after the first `count` begins. */
static const char *
skip(const char *utf8, size_t count)
{
	for (; *utf8 != '\0'; utf8++) {
		if (!is_continuation(*utf8) && count-- == 0)
			break;
	}
	return utf8;
}

char *
text_shorten(const char *utf8, size_t columns)
{
	size_t had = text_columns(utf8);
	size_t head;
	size_t tail;

	if (had <= columns)
		return xstrdup(utf8);
	if (columns == 0)
		return xstrdup("");
	head = columns / 2;
	tail = columns - 1 - head;
	return xasprintf("%.*s" ELLIPSIS "%s", (int)(skip(utf8, head) - utf8),
	    utf8, skip(utf8, had - tail));
}

void
text_cut(char *utf8, size_t max_bytes)
{
	if (strlen(utf8) <= max_bytes)
		return;
	while (max_bytes > 0 && is_continuation(utf8[max_bytes]))
		max_bytes--;
	utf8[max_bytes] = '\0';
}

/* Puts so many digits, and what stands behind them.  Returns where they end. */
static char *
put_digits(char *to, int64_t number, int count, char behind)
{
	to[count] = behind;
	for (int i = count; i-- > 0; number /= 10)
		to[i] = (char)('0' + number % 10);
	return to + count + 1;
}

/* By itself: strftime() and printf() cost more than all else that a leak has
 * to say. */
void
text_timestamp(wall_us at, char text[TEXT_NUMBER_BYTES])
{
	time_t seconds = (time_t)(at / US_PER_S);
	struct tm utc;

	gmtime_r(&seconds, &utc);
	text = put_digits(text, utc.tm_year + 1900, 4, '-');
	text = put_digits(text, utc.tm_mon + 1, 2, '-');
	text = put_digits(text, utc.tm_mday, 2, 'T');
	text = put_digits(text, utc.tm_hour, 2, ':');
	text = put_digits(text, utc.tm_min, 2, ':');
	text = put_digits(text, utc.tm_sec, 2, '.');
	text = put_digits(text, at % US_PER_S / US_PER_MS, 3, 'Z');
	*text = '\0';
}

void
text_bytes(int64_t bytes, char text[TEXT_NUMBER_BYTES])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(text, TEXT_NUMBER_BYTES, "%" PRId64 " B", bytes);
		return;
	}
	/* What would be printed as 1024.0 is one of the next unit. */
	while (value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(*units)) {
		value /= 1024;
		unit++;
	}
	snprintf(text, TEXT_NUMBER_BYTES, "%.1f %s", value, units[unit]);
}

void
text_duration(int64_t us, char text[TEXT_NUMBER_BYTES])
{
	int64_t seconds = us / US_PER_S;
	int64_t minutes = seconds / 60;
	int64_t hours = minutes / 60;

	if (us < 2 * US_PER_S)
		snprintf(text, TEXT_NUMBER_BYTES, "%" PRId64 ".%d s", seconds,
		    (int)(us % US_PER_S / (100 * US_PER_MS)));
	else if (seconds < 120)
		snprintf(text, TEXT_NUMBER_BYTES, "%" PRId64 " s", seconds);
	else if (minutes < 120)
		snprintf(text, TEXT_NUMBER_BYTES, "%" PRId64 " min", minutes);
	else if (hours < 48)
		snprintf(text, TEXT_NUMBER_BYTES, "%" PRId64 " h %d min", hours,
		    (int)(minutes % 60));
	else
		snprintf(text, TEXT_NUMBER_BYTES, "%" PRId64 " d %d h",
		    hours / 24, (int)(hours % 24));
}

void
text_rate(uint64_t count, int64_t observed_us, char text[TEXT_NUMBER_BYTES])
{
	double rate =
	    (double)count * 3600 * (double)US_PER_S / (double)observed_us;
	double step = 1;

	while (rate / step >= 999.5)
		step *= 10;
	if (rate < 10)
		snprintf(text, TEXT_NUMBER_BYTES, "~%.2g per hour", rate);
	else
		snprintf(text, TEXT_NUMBER_BYTES, "~%.0f per hour",
		    (double)(uint64_t)(rate / step + 0.5) * step);
}

int
text_digits(uint64_t number)
{
	return snprintf(NULL, 0, "%" PRIu64, number);
}

const char *
text_plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

char *
text_caller(const char *command, pid_t pid, const char *host)
{
	if (pid < 0)
		return xstrdup(host);
	if (command == NULL)
		return xasprintf("pid %d at %s", (int)pid, host);
	return xasprintf("%s (pid %d) at %s", command, (int)pid, host);
}
