/* SPDX-License-Identifier: MIT */

/*
 * Which recorded response answers a request.
 */

#include "accounting/tape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accounting/memory.h"

#define LISTED_MAX 20
#define SUPERSEDED -1 /* a status that no response has */

struct tape *
tape_new(void)
{
	return xcalloc(1, sizeof(struct tape));
}

void
tape_fini_answer(struct tape_answer *answer)
{
	free(answer->id);
	for (size_t i = 0; i < answer->field_count; i++) {
		free(answer->fields[i].name);
		free(answer->fields[i].value);
	}
	free(answer->fields);
	free(answer->method);
	free(answer->host);
	free(answer->target);
	free(answer->reason);
	free(answer->body);
}

void
tape_free(struct tape *tape)
{
	if (tape == NULL)
		return;
	for (size_t i = 0; i < tape->count; i++)
		tape_fini_answer(&tape->answers[i]);
	free(tape->answers);
	free(tape);
}

void
tape_add(struct tape *tape, const struct tape_answer *answer)
{
	tape->answers = xreallocarray(
	    tape->answers, tape->count + 1, sizeof(*tape->answers));
	tape->answers[tape->count++] = *answer;
}

/* An answer and its place on the tape. */
struct place {
	const char *id;
	size_t at;
};

static int
by_id_then_place(const void *a, const void *b)
{
	const struct place *left = a;
	const struct place *right = b;
	int order = strcmp(left->id, right->id);

	return order != 0 ? order : left->at < right->at ? -1 : 1;
}

/* Marks what comes before another of the same id. */
static void
mark_superseded(struct tape *tape, struct place *places, size_t count)
{
	if (count > 0)
		qsort(places, count, sizeof(*places), by_id_then_place);
	for (size_t i = 0; i + 1 < count; i++) {
		if (strcmp(places[i].id, places[i + 1].id) == 0)
			tape->answers[places[i].at].status = SUPERSEDED;
	}
}

void
tape_drop_superseded(struct tape *tape)
{
	struct place *places = xcalloc(tape->count + 1, sizeof(*places));
	size_t count = 0;
	size_t kept = 0;

	for (size_t i = 0; i < tape->count; i++) {
		if (tape->answers[i].id != NULL)
			places[count++] =
			    (struct place){tape->answers[i].id, i};
	}
	mark_superseded(tape, places, count);
	free(places);
	for (size_t i = 0; i < tape->count; i++) {
		if (tape->answers[i].status == SUPERSEDED)
			tape_fini_answer(&tape->answers[i]);
		else
			tape->answers[kept++] = tape->answers[i];
	}
	tape->count = kept;
}

const char *
tape_find(const struct tape_answer *answer, const char *name)
{
	for (size_t i = 0; i < answer->field_count; i++) {
		if (strcasecmp(answer->fields[i].name, name) == 0)
			return answer->fields[i].value;
	}
	return NULL;
}

static bool
has_same_path(const char *a, const char *b)
{
	size_t length = strcspn(a, "?");

	return strcspn(b, "?") == length && strncmp(a, b, length) == 0;
}

/* How well the answer suits the request; 0: not at all. */
static unsigned
fitness(const struct tape_answer *answer, const struct tape_request *request,
    const char *method)
{
	unsigned fitness = 1;

	if (strcmp(answer->method, method) != 0 ||
	    !has_same_path(answer->target, request->target))
		return 0;
	if (strcmp(answer->target, request->target) == 0)
		fitness += 2;
	if (request->host != NULL &&
	    strcasecmp(answer->host, request->host) == 0)
		fitness += 1;
	return fitness;
}

static struct tape_answer *
find_fittest(
    struct tape *tape, const struct tape_request *request, const char *method)
{
	struct tape_answer *fittest = NULL;
	unsigned best = 0;

	for (size_t i = 0; i < tape->count; i++) {
		struct tape_answer *answer = &tape->answers[i];
		unsigned its = fitness(answer, request, method);

		if (its > best ||
		    (its > 0 && its == best &&
			answer->plays < fittest->plays)) {
			fittest = answer;
			best = its;
		}
	}
	return fittest;
}

struct tape_answer *
tape_play(struct tape *tape, const struct tape_request *request)
{
	struct tape_answer *answer =
	    find_fittest(tape, request, request->method);

	if (answer == NULL && strcmp(request->method, "HEAD") == 0)
		answer = find_fittest(tape, request, "GET");
	if (answer != NULL)
		answer->plays++;
	return answer;
}

static bool
is_repeated(const struct tape *tape, size_t index)
{
	const struct tape_answer *answer = &tape->answers[index];

	for (size_t i = 0; i < index; i++) {
		if (strcmp(tape->answers[i].method, answer->method) == 0 &&
		    strcmp(tape->answers[i].target, answer->target) == 0)
			return true;
	}
	return false;
}

char *
tape_list(const struct tape *tape)
{
	char *text = NULL;
	size_t length;
	size_t listed = 0;
	size_t others = 0;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		abort();
	for (size_t i = 0; i < tape->count; i++) {
		if (is_repeated(tape, i))
			continue;
		if (listed == LISTED_MAX) {
			others++;
			continue;
		}
		fprintf(out, "%s%s %s", listed++ == 0 ? "" : ", ",
		    tape->answers[i].method, tape->answers[i].target);
	}
	if (others > 0)
		fprintf(out, " and %zu others", others);
	fclose(out);
	return text;
}
