/* SPDX-License-Identifier: MIT */

/*
 * From a path to its template.
 *
 * Patterns first: the operator's in their order, then those of the registry
 * API, which a general rule cannot know (a repository's name is any number of
 * segments, a tag any word).  A path that no pattern matches has its segments
 * looked at one by one, and those that name one of many become {}.  Words are
 * left alone, versions such as v2 too: a route that says too much is split in
 * two, one that says too little hides the leak among its neighbours.
 *
 * Paths come from strangers.  Matching goes back to its last star and to no
 * earlier one, so its time is at worst the product of both lengths; what is
 * written is printable ASCII, the rest percent-encoded.
 */

#include "accounting/route.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"

#define PLACEHOLDER "{}"

/* Shorter ones are words too often ("cafe", "a1"). */
#define HEX_MIN_DIGITS 8

/* MD5, the shortest digest that anybody stores things under. */
#define DIGEST_MIN_DIGITS 32

/* Of the directories that storage spreads digests over: sha256/1f/1f3a... */
#define FAN_OUT_DIGITS 2

/* Bytes between two slashes; no C string. */
struct segment {
	const char *at;
	size_t length;
};

struct route_set {
	char **patterns; /* owned */
	size_t count;
};

/* A template under construction: once something did not fit, it is over. */
struct writer {
	char *at;
	size_t space; /* without the NUL */
};

/* OCI distribution API; here a '*' also stands for what is no identifier. */
static const char *const builtin_patterns[] = {
    "/v2/**/manifests/*",
    "/v2/**/blobs/uploads",
    "/v2/**/blobs/uploads/",
    "/v2/**/blobs/uploads/*",
    "/v2/**/blobs/*",
    "/v2/**/tags/list",
    "/v2/**/referrers/*",
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
is_visible(char c)
{
	return c > 0x20 && c < 0x7f;
}

static struct segment
segment_at(const char *at, const char *end)
{
	const char *slash = memchr(at, '/', (size_t)(end - at));

	return (struct segment){
	    at, (size_t)((slash == NULL ? end : slash) - at)};
}

/* Where the segment after the one at `at` begins, or NULL. */
static const char *
next_segment(const char *at, const char *end)
{
	const char *slash = memchr(at, '/', (size_t)(end - at));

	return slash == NULL ? NULL : slash + 1;
}

static bool
is_any_segments(struct segment pattern)
{
	return pattern.length == 2 && memcmp(pattern.at, "**", 2) == 0;
}

/* Within a segment, '*' stands for one byte or more. */
static bool
segment_matches(struct segment pattern, struct segment text)
{
	const char *p = pattern.at;
	const char *p_end = pattern.at + pattern.length;
	const char *t = text.at;
	const char *t_end = text.at + text.length;
	const char *star = NULL;      /* after the last one met */
	const char *star_text = NULL; /* where what follows it was tried */

	while (t < t_end) {
		if (p < p_end && *p == '*') {
			star = ++p;
			star_text = ++t;
		} else if (p < p_end && *p == *t) {
			p++;
			t++;
		} else if (star != NULL) {
			p = star;
			t = ++star_text;
		} else {
			return false;
		}
	}
	return p == p_end;
}

/* "**" takes one segment, and the next too if that one was empty: a name that
 * is missing does not match. */
static const char *
swallow_segment(const char *at, const char *end)
{
	struct segment first = segment_at(at, end);
	const char *next = next_segment(at, end);

	if (first.length > 0 || next == NULL)
		return next;
	return next_segment(next, end);
}

/* What is before its first star has to be there, whatever follows. */
static bool
begins_like(const char *pattern, const char *path)
{
	while (*pattern != '*' && *pattern != '\0' && *pattern == *path) {
		pattern++;
		path++;
	}
	return *pattern == '*' || *pattern == '\0';
}

static bool
pattern_matches(const char *pattern, const char *path, const char *end)
{
	const char *pattern_end = pattern + strlen(pattern);
	const char *p = pattern + 1;
	const char *t = path + 1;
	const char *star = NULL;      /* what follows the last "**" */
	const char *star_text = NULL; /* where that was tried */
	bool has_star = false;

	while (p != NULL || t != NULL) {
		struct segment wanted;

		if (p != NULL && t != NULL) {
			wanted = segment_at(p, pattern_end);
			if (is_any_segments(wanted)) {
				if (t == end)
					return false;
				has_star = true;
				star = p = next_segment(p, pattern_end);
				star_text = t = swallow_segment(t, end);
				continue;
			}
			if (segment_matches(wanted, segment_at(t, end))) {
				p = next_segment(p, pattern_end);
				t = next_segment(t, end);
				continue;
			}
		}
		if (!has_star || star_text == NULL)
			return false;
		p = star;
		star_text = t = next_segment(star_text, end);
	}
	return true;
}

static bool
is_number(struct segment segment)
{
	for (size_t i = 0; i < segment.length; i++) {
		if (!is_digit(segment.at[i]))
			return false;
	}
	return segment.length > 0;
}

static bool
is_all_hex(struct segment segment)
{
	for (size_t i = 0; i < segment.length; i++) {
		if (!is_hex(segment.at[i]))
			return false;
	}
	return segment.length > 0;
}

/* Eight letters that happen to be hex ("deadbeef", "effaced") are a word. */
static bool
is_hex_id(struct segment segment)
{
	if (segment.length < HEX_MIN_DIGITS || !is_all_hex(segment))
		return false;
	for (size_t i = 0; i < segment.length; i++) {
		if (is_digit(segment.at[i]))
			return true;
	}
	return false;
}

static bool
is_uuid(struct segment segment)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (segment.length != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; i < segment.length; i++) {
		char c = segment.at[i];

		if (shape[i] == '-' ? c != '-' : !is_hex(c))
			return false;
	}
	return true;
}

static bool
is_algorithm_byte(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') ||
	    (c != '\0' && strchr("+._-", c) != NULL);
}

/* sha256:1f3a..., the colon as it is or percent-encoded */
static bool
is_digest(struct segment segment)
{
	size_t at = 0;

	while (at < segment.length && is_algorithm_byte(segment.at[at]))
		at++;
	if (at == 0)
		return false;
	segment.at += at;
	segment.length -= at;
	if (segment.length >= 1 && segment.at[0] == ':')
		at = 1;
	else if (segment.length >= 3 && strncasecmp(segment.at, "%3a", 3) == 0)
		at = 3;
	else
		return false;
	segment.at += at;
	segment.length -= at;
	return segment.length >= DIGEST_MIN_DIGITS && is_all_hex(segment);
}

static bool
is_fan_out(struct segment segment, struct segment next)
{
	return segment.length == FAN_OUT_DIGITS && is_all_hex(segment) &&
	    next.length >= DIGEST_MIN_DIGITS && is_all_hex(next);
}

static bool
is_identifier(struct segment segment)
{
	return is_number(segment) || is_hex_id(segment) || is_uuid(segment) ||
	    is_digest(segment);
}

/* All of it or nothing, so that no placeholder is cut in half. */
static void
write_text(struct writer *writer, const char *text, size_t length)
{
	if (length > writer->space) {
		writer->space = 0;
		return;
	}
	memcpy(writer->at, text, length);
	writer->at += length;
	writer->space -= length;
	*writer->at = '\0';
}

static void
write_bytes(struct writer *writer, struct segment segment)
{
	char encoded[sizeof("%XX")];

	for (size_t i = 0; i < segment.length && writer->space > 0; i++) {
		char c = segment.at[i];

		if (is_visible(c)) {
			write_text(writer, &c, 1);
			continue;
		}
		snprintf(encoded, sizeof(encoded), "%%%02X", (unsigned char)c);
		write_text(writer, encoded, strlen(encoded));
	}
}

static void
write_pattern(struct writer *writer, const char *pattern)
{
	while (*pattern != '\0') {
		size_t stars = strspn(pattern, "*");
		size_t literal = strcspn(pattern, "*");

		if (stars > 0)
			write_text(writer, PLACEHOLDER, strlen(PLACEHOLDER));
		else
			write_bytes(writer, (struct segment){pattern, literal});
		pattern += stars > 0 ? stars : literal;
	}
}

static void
write_collapsed(struct writer *writer, const char *path, const char *end)
{
	const char *at = path;

	while (at != NULL && writer->space > 0) {
		const char *next_at = next_segment(at, end);
		struct segment segment = segment_at(at, end);
		struct segment next = {0};

		if (next_at != NULL)
			next = segment_at(next_at, end);
		if (is_identifier(segment) || is_fan_out(segment, next))
			write_text(writer, PLACEHOLDER, strlen(PLACEHOLDER));
		else
			write_bytes(writer, segment);
		if (next_at != NULL)
			write_text(writer, "/", 1);
		at = next_at;
	}
}

static const char *
find_pattern(const struct route_set *set, const char *path, const char *end)
{
	size_t builtins =
	    sizeof(builtin_patterns) / sizeof(builtin_patterns[0]);

	if (*path != '/')
		return NULL;
	for (size_t i = 0; set != NULL && i < set->count; i++) {
		if (begins_like(set->patterns[i], path) &&
		    pattern_matches(set->patterns[i], path, end))
			return set->patterns[i];
	}
	for (size_t i = 0; i < builtins; i++) {
		if (begins_like(builtin_patterns[i], path) &&
		    pattern_matches(builtin_patterns[i], path, end))
			return builtin_patterns[i];
	}
	return NULL;
}

void
route_of(
    const struct route_set *set, const char *path, char route[ROUTE_MAX_BYTES])
{
	const char *end = path + strcspn(path, "?#");
	struct writer writer = {route, ROUTE_MAX_BYTES - 1};
	const char *pattern;

	*route = '\0';
	if (path == end) {
		write_text(&writer, "/", 1);
		return;
	}
	pattern = find_pattern(set, path, end);
	if (pattern != NULL)
		write_pattern(&writer, pattern);
	else
		write_collapsed(&writer, path, end);
}

struct route_set *
route_set_new(void)
{
	return xcalloc(1, sizeof(struct route_set));
}

void
route_set_free(struct route_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->count; i++)
		free(set->patterns[i]);
	free(set->patterns);
	free(set);
}

/* "**" is a segment of its own: as a part of one it would promise to match
 * across slashes. */
static bool
has_stray_stars(const char *pattern)
{
	const char *end = pattern + strlen(pattern);

	for (const char *at = pattern + 1; at != NULL;
	     at = next_segment(at, end)) {
		struct segment segment = segment_at(at, end);

		if (!is_any_segments(segment) &&
		    memmem(segment.at, segment.length, "**", 2) != NULL)
			return true;
	}
	return false;
}

static const char *
find_fault(const char *pattern)
{
	char route[ROUTE_MAX_BYTES + 1] = "";
	struct writer writer = {route, ROUTE_MAX_BYTES};

	if (*pattern != '/')
		return "is no route: it must begin with /";
	for (const char *c = pattern; *c != '\0'; c++) {
		if (!is_visible(*c))
			return "holds a byte that no path has: "
			       "percent-encode it";
	}
	if (strpbrk(pattern, "?#") != NULL)
		return "holds a query or fragment: a route ends before it";
	if (has_stray_stars(pattern))
		return "has ** within a segment: write it between slashes";
	write_pattern(&writer, pattern);
	if (writer.space == 0)
		return "is longer than a route may be";
	return NULL;
}

const char *
route_set_add(struct route_set *set, const char *pattern)
{
	const char *reason = find_fault(pattern);

	if (reason != NULL)
		return reason;
	if (set->count == ROUTE_MAX_PATTERNS)
		return "is one route too many";
	set->patterns = xreallocarray(
	    set->patterns, set->count + 1, sizeof(*set->patterns));
	set->patterns[set->count++] = xstrdup(pattern);
	return NULL;
}

/* The path of an absolute URL, "/" where it has none. */
static const char *
path_of(const char *url)
{
	const char *authority = strstr(url, "://");
	const char *path;

	if (authority == NULL)
		return url;
	path = authority + 3 + strcspn(authority + 3, "/?#");
	return *path == '/' ? path : "/";
}

void
route_of_url(
    const struct route_set *set, const char *url, char route[ROUTE_MAX_BYTES])
{
	route_of(set, path_of(url), route);
}
