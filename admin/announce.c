/* SPDX-License-Identifier: MIT */

/*
 * Marks as JSON, in and out.
 */

#include "admin/announce.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "accounting/memory.h"
#include "admin/text.h"
#include "proxy/base/clock.h"

static json_t *
mark_json(const struct mark *mark)
{
	char at[TEXT_NUMBER_BYTES];

	text_timestamp(mark->at, at);
	return json_pack("{s:s, s:s, s:s}", "name", mark->name, "phase",
	    mark_phase_word(mark->phase), "at", at);
}

/* Takes `json`. */
static char *
dump(json_t *json)
{
	char *text = json_dumps(json, JSON_INDENT(1));
	char *line = xasprintf("%s\n", text);

	free(text);
	json_decref(json);
	return line;
}

/*
 * A form of another site's page can post text/plain or a form's types, and
 * those alone, without being asked whether it may (Fetch, "CORS-safelisted
 * request-header").
 */
static bool
is_json(const char *content_type)
{
	static const char type[] = "application/json";
	size_t length = strlen(type);

	return content_type != NULL &&
	    strncasecmp(content_type, type, length) == 0 &&
	    (content_type[length] == '\0' ||
		strchr("; \t", content_type[length]) != NULL);
}

/* Returns what is wrong with the mark, or NULL. */
static const char *
read_mark(const char *body, struct mark *mark)
{
	json_t *json = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	const char *name;
	const char *phase;
	const char *mistake;

	if (json_unpack(json, "{s:s, s:s}", "name", &name, "phase", &phase) !=
	    0)
		mistake = "write {\"name\":\"imagecheck\","
			  "\"phase\":\"start\"} or \"stop\"";
	else
		mistake = mark_name(mark, name, phase);
	json_decref(json);
	return mistake;
}

int
announce_take(struct marks *marks, const char *content_type, const char *body,
    char **text, const char **refusal)
{
	struct mark mark = {.at = clock_wall(), .mono_at = clock_mono()};

	if (!is_json(content_type)) {
		*refusal = "send Content-Type: application/json";
		return 415;
	}
	*refusal = read_mark(body, &mark);
	if (*refusal != NULL)
		return 400;
	marks_add(marks, &mark);
	*text = dump(mark_json(&mark));
	return 200;
}

char *
announce_list(struct marks *marks)
{
	size_t count;
	struct mark *copy = marks_copy(marks, &count);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, mark_json(&copy[i]));
	free(copy);
	return dump(json_pack("{s:o}", "marks", list));
}
