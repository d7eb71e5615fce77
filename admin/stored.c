/* SPDX-License-Identifier: MIT */

/*
 * From the store to what is printed.
 */

#include "admin/stored.h"

#include <stdlib.h>

#include "accounting/memory.h"
#include "admin/api.h"
#include "admin/report.h"
#include "admin/runs.h"

char *
stored_runs(struct store *store, const struct stored_form *form)
{
	size_t count;
	struct store_run *runs = store_list_runs(store, &count);
	char *text;

	if (runs == NULL)
		return NULL;
	text = form->is_json ? runs_json(runs, count) : runs_text(runs, count);
	for (size_t i = 0; i < count; i++)
		store_run_fini(&runs[i]);
	free(runs);
	return text;
}

/* ---- a report ---- */

static char *
render_report(const struct store_run *run, const char *version,
    const struct snapshot *snapshot, const struct stored_form *form)
{
	char *heading;
	char *report;
	char *text;

	if (form->is_json)
		return api_leaks(snapshot);
	heading = runs_heading(run, version, form->columns);
	report = report_text(snapshot, form->columns);
	text = xasprintf("%s%s", heading, report);
	free(report);
	free(heading);
	return text;
}

char *
stored_report(
    struct store *store, const char *reference, const struct stored_form *form)
{
	struct snapshot *snapshot = NULL;
	struct store_run run = {0};
	char *version = NULL;
	char *text = NULL;

	if (store_find_run(store, reference, &run, &version))
		snapshot = store_read_snapshot(store, &run, version);
	if (snapshot != NULL) {
		snapshot_filter_leaks(snapshot, form->filter);
		text = render_report(&run, version, snapshot, form);
	}
	snapshot_free(snapshot);
	store_run_fini(&run);
	free(version);
	return text;
}

/* ---- a comparison ---- */

/* One of the two. */
struct picked {
	struct store_run run;
	struct compare_run kinds;
	char *version;
};

static bool
pick(struct store *store, const char *reference, struct picked *picked)
{
	return store_find_run(
		   store, reference, &picked->run, &picked->version) &&
	    store_read_kinds(
		store, &picked->run, picked->version, &picked->kinds);
}

static void
picked_fini(struct picked *picked)
{
	store_run_fini(&picked->run);
	compare_run_fini(&picked->kinds);
	free(picked->version);
}

static char *
render_comparison(struct picked *before, struct picked *after,
    const struct stored_form *form, unsigned *found)
{
	struct runs_comparison comparison = {
	    .before = &before->run,
	    .after = &after->run,
	    .before_version = before->version,
	    .after_version = after->version,
	};
	struct compared *leaks = compare_runs(&before->kinds, &after->kinds,
	    STORE_VERSION_TAG, &comparison.count);
	char *text;

	comparison.leaks = leaks;
	*found = 0;
	for (size_t i = 0; i < comparison.count; i++)
		*found |= 1u << leaks[i].comparison.change;
	text = form->is_json ? runs_compared_json(&comparison)
			     : runs_compared_text(&comparison, form->columns);
	free(leaks);
	return text;
}

char *
stored_comparison(struct store *store, const char *const references[2],
    const struct stored_form *form, unsigned *found)
{
	struct picked before = {0};
	struct picked after = {0};
	char *text = NULL;

	if (pick(store, references[0], &before) &&
	    pick(store, references[1], &after))
		text = render_comparison(&before, &after, form, found);
	picked_fini(&before);
	picked_fini(&after);
	return text;
}
