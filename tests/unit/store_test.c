/* SPDX-License-Identifier: MIT */

/*
 * What is written is there afterwards: after a restart, a kill, a migration;
 * and what is not ours stays as it is.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/store_fixture.h"

/* ---- there and back ---- */

static void
test_a_run_is_what_it_was(void **state)
{
	struct desk desk;
	struct store_run run;
	struct snapshot *snapshot;
	const struct leak *leak;

	desk_init(&desk);
	desk_open(&desk);
	desk_begin(&desk, "before", DESK_EPOCH);
	desk_write(&desk, 1, 3, 10);
	desk_write(&desk, 20, 2, 0);
	assert_stored(
	    &desk, store_end_run(desk.store, DESK_EPOCH + 60 * US_PER_S));
	desk_close(&desk);

	desk_open(&desk);
	desk_find(&desk, "last", &run);
	assert_string_equal(run.name, "before");
	assert_string_equal(run.host, "host.test");
	assert_int_equal(run.exchanges, 15);
	assert_int_equal(run.undrained, 5);
	assert_int_equal(run.leaks, 1);
	assert_int_equal(run.ended - run.started, 60 * US_PER_S);
	snapshot = store_read_snapshot(desk.store, &run, NULL);
	assert_non_null(snapshot);
	assert_int_equal(snapshot->totals.by_verdict[VERDICT_UNDRAINED], 5);
	assert_int_equal(snapshot->totals.by_verdict[VERDICT_DRAINED], 10);
	assert_int_equal(snapshot->totals.held_now, 5);
	assert_int_equal(snapshot->leak_count, 1);
	leak = &snapshot->leaks[0];
	assert_string_equal(leak->route, DESK_ROUTE);
	assert_string_equal(tags_get(&leak->tags, "job"), "imagecheck");
	assert_int_equal(leak->by_evidence[EVIDENCE_UNREAD], 5);
	assert_int_equal(leak->first_seen, DESK_EPOCH + US_PER_S);
	assert_int_equal(leak->last_seen, DESK_EPOCH + 21 * US_PER_S);
	assert_int_equal(leak->caller_count, 1);
	assert_int_equal(leak->callers[0].pid, 4242);
	assert_int_equal(leak->example->conn_id, 1);
	assert_int_equal(leak->example->owner->uid, OWNER_NO_UID);
	assert_int_equal(leak->example->facts.unread_bytes, 157);
	snapshot_free(snapshot);
	store_run_fini(&run);
	desk_fini(&desk);
}

/* A verdict that was taken back counts out again, also across batches. */
static void
test_what_is_taken_back(void **state)
{
	struct desk desk;
	struct batch *batch = batch_new();
	struct store_run run;
	struct snapshot *snapshot;

	desk_init(&desk);
	desk_open(&desk);
	desk_begin(&desk, "", DESK_EPOCH);
	desk_write(&desk, 1, 2, 0);
	desk_judge(batch, 1, VERDICT_UNDRAINED, NULL, DESK_EPOCH);
	batch->totals = (struct totals){.recovered = 1};
	batch->totals.by_verdict[VERDICT_UNDRAINED]--;
	batch->totals.by_verdict[VERDICT_DRAINED]++;
	batch->leaks[0].undrained = UINT64_MAX;
	batch->leaks[0].by_evidence[EVIDENCE_UNREAD] = UINT64_MAX;
	batch->exchanges[0].judgement.verdict = VERDICT_DRAINED;
	batch->exchanges[0].is_held = false;
	assert_stored(&desk, store_write(desk.store, batch));
	batch_free(batch);

	desk_find(&desk, "1", &run);
	assert_int_equal(run.undrained, 1);
	snapshot = store_read_snapshot(desk.store, &run, NULL);
	assert_int_equal(snapshot->totals.recovered, 1);
	assert_int_equal(snapshot->leaks[0].undrained, 1);
	assert_int_equal(snapshot->leaks[0].by_evidence[EVIDENCE_UNREAD], 1);
	assert_int_equal(snapshot->leaks[0].held_now, 1);
	assert_int_equal(snapshot->leaks[0].example->conn_id, 2);
	snapshot_free(snapshot);
	store_run_fini(&run);
	desk_fini(&desk);
}

/* By number, by name (the latest of that name), last; and by version. */
static void
test_runs_are_found(void **state)
{
	static const struct {
		const char *reference;
		int64_t id; /* 0: none */
		const char *version;
	} cases[] = {
	    {"1", 1, NULL},
	    {"last", 3, NULL},
	    {"nightly", 3, NULL},
	    {"other", 2, NULL},
	    {"2@1.4", 2, "1.4"},
	    {"last@", 3, ""},
	    {"7", 0, NULL},
	    {"none", 0, NULL},
	    {"", 0, NULL},
	    {"123456789012345678901234567890", 0, NULL},
	    {"1 OR 1=1", 0, NULL},
	};
	static const char *const names[] = {"nightly", "other", "nightly"};
	struct desk desk;
	struct store_run *runs;
	size_t count;

	desk_init(&desk);
	desk_open(&desk);
	for (size_t i = 0; i < 3; i++)
		desk_begin(&desk, names[i], DESK_EPOCH + (wall_us)i);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct store_run run = {0};
		char *version = NULL;

		if (store_find_run(
			desk.store, cases[i].reference, &run, &version)) {
			assert_int_equal(run.id, cases[i].id);
		} else {
			assert_int_equal(cases[i].id, 0);
			assert_int_equal(
			    store_error(desk.store)->result, STORE_ABSENT);
		}
		if (cases[i].version == NULL)
			assert_null(version);
		else
			assert_string_equal(version, cases[i].version);
		free(version);
		store_run_fini(&run);
	}
	runs = store_list_runs(desk.store, &count);
	assert_int_equal(count, 3);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(runs[i].id, i + 1);
		assert_int_equal(runs[i].ended, 0);
		store_run_fini(&runs[i]);
	}
	free(runs);
	desk_fini(&desk);
}

/* Two versions of a service under one run of the proxy. */
static void
test_versions_are_told_apart(void **state)
{
	struct desk desk;
	struct batch *batch = batch_new();
	struct store_run run;
	struct compare_run before;
	struct compare_run after;
	struct compared *list;
	size_t count;

	desk_init(&desk);
	desk_open(&desk);
	desk_begin(&desk, "", DESK_EPOCH);
	for (uint64_t i = 0; i < 12; i++)
		desk_judge(batch, 1 + i, VERDICT_UNDRAINED, "1.4",
		    DESK_EPOCH + (wall_us)i * US_PER_S);
	for (uint64_t i = 0; i < 20; i++)
		desk_judge(batch, 100 + i, VERDICT_DRAINED, "1.5",
		    DESK_EPOCH + (wall_us)(3600 + 360 * i) * US_PER_S);
	assert_stored(&desk, store_write(desk.store, batch));
	batch_free(batch);
	desk_find(&desk, "last", &run);
	assert_string_equal(run.versions, "1.4, 1.5");
	assert_stored(
	    &desk, store_read_kinds(desk.store, &run, "1.4", &before));
	assert_stored(&desk, store_read_kinds(desk.store, &run, "1.5", &after));
	assert_true(after.hours > 1.89 && after.hours < 1.91);
	list = compare_runs(&before, &after, STORE_VERSION_TAG, &count);
	assert_int_equal(count, 1);
	assert_int_equal(list[0].comparison.change, CHANGE_GONE);
	assert_int_equal(list[0].before.settled, 12);
	assert_int_equal(list[0].after.settled, 20);
	free(list);
	compare_run_fini(&before);
	compare_run_fini(&after);
	store_run_fini(&run);
	desk_fini(&desk);
}

#define BIN(column, order) \
	"SELECT " column " FROM timeline WHERE run = 1 ORDER BY at " order

static void
test_marks_and_timeline(void **state)
{
	struct desk desk;
	struct batch *batch = batch_new();

	desk_init(&desk);
	desk_open(&desk);
	desk_begin(&desk, "", DESK_EPOCH);
	batch_add_mark(batch, "imagecheck", "start", DESK_EPOCH + 1);
	batch_add_mark(batch, "imagecheck", "stop", DESK_EPOCH + 2);
	batch->taken_at = DESK_EPOCH;
	assert_false(batch_is_empty(batch));
	assert_stored(&desk, store_write(desk.store, batch));
	batch_free(batch);
	desk_write(&desk, 1, 1, 4);  /* in the first 5 s */
	desk_write(&desk, 12, 2, 0); /* in the next bin */
	assert_int_equal(desk_number(&desk, "SELECT count(*) FROM mark"), 2);
	assert_int_equal(desk_number(&desk,
			     "SELECT count(*) FROM mark WHERE run = 1 AND"
			     " name = 'imagecheck' AND phase = 'stop'"),
	    1);
	assert_int_equal(
	    desk_number(&desk, "SELECT count(*) FROM timeline"), 2);
	assert_int_equal(desk_number(&desk, BIN("at", "ASC")), DESK_EPOCH);
	assert_int_equal(desk_number(&desk, BIN("requests", "ASC")), 5);
	assert_int_equal(desk_number(&desk, BIN("undrained", "ASC")), 1);
	assert_int_equal(
	    desk_number(&desk, BIN("at", "DESC")), DESK_EPOCH + STORE_BIN_US);
	assert_int_equal(desk_number(&desk, BIN("undrained", "DESC")), 2);
	desk_fini(&desk);
}

/* URLs are nobody else's business, whatever the umask. */
static void
test_the_file_is_private(void **state)
{
	struct desk desk;
	struct stat status;
	mode_t before = umask(0);

	desk_init(&desk);
	desk_open(&desk);
	umask(before);
	assert_int_equal(stat(desk.path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	desk_fini(&desk);
}

/* ---- kill -9 ---- */

/* Writes batches without an end, telling each that is committed. */
static void
write_for_ever(struct desk *desk, int fd)
{
	desk_open(desk);
	desk_begin(desk, "killed", DESK_EPOCH);
	for (uint64_t conn = 1;; conn += 50) {
		desk_write(desk, conn, 50, 50);
		if (write(fd, &conn, sizeof(conn)) != sizeof(conn))
			_exit(1);
	}
}

/* Killed in the middle of whatever it does: what was committed is there, and
 * no half of a batch. */
static void
test_kill_loses_nothing_that_was_committed(void **state)
{
	for (int round = 0; round < 5; round++) {
		struct desk desk;
		int pipes[2];
		uint64_t told = 0;
		uint64_t last = 0;
		int64_t stored;
		pid_t child;

		desk_init(&desk);
		assert_int_equal(pipe(pipes), 0);
		child = fork();
		if (child == 0)
			write_for_ever(&desk, pipes[1]);
		close(pipes[1]);
		while (told < (uint64_t)(3 + 2 * round) &&
		    read(pipes[0], &last, sizeof(last)) == sizeof(last))
			told++;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (read(pipes[0], &last, sizeof(last)) == sizeof(last))
			told++;
		close(pipes[0]);

		desk_open(&desk);
		stored = desk_number(&desk, "SELECT count(*) FROM exchange");
		assert_true(stored >= 50 * (int64_t)told);
		assert_int_equal(stored % 50, 0);
		assert_int_equal(
		    desk_number(&desk, "SELECT undrained FROM leak"), stored);
		assert_int_equal(
		    desk_number(&desk, "SELECT settled FROM exposure"),
		    2 * stored);
		desk_fini(&desk);
	}
}

/* ---- versions of the schema ---- */

/* What version 1 created, as it did. */
static const char first_schema[] =
    "CREATE TABLE run("
    " run INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL,"
    " seen INTEGER NOT NULL, ended INTEGER, name TEXT NOT NULL,"
    " host TEXT NOT NULL, program TEXT NOT NULL, pid INTEGER NOT NULL);"
    "CREATE TABLE count("
    " run INTEGER NOT NULL, what TEXT NOT NULL, value INTEGER NOT NULL,"
    " PRIMARY KEY(run, what)) WITHOUT ROWID;"
    "CREATE TABLE kind("
    " kind INTEGER PRIMARY KEY, leak_id TEXT NOT NULL UNIQUE,"
    " origin TEXT NOT NULL, method TEXT NOT NULL, route TEXT NOT NULL,"
    " status INTEGER NOT NULL, version TEXT);"
    "CREATE TABLE kind_tag("
    " kind INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY(kind, name)) WITHOUT ROWID;"
    "CREATE TABLE leak("
    " run INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " undrained INTEGER NOT NULL, suspected INTEGER NOT NULL,"
    " held_to_exit INTEGER NOT NULL, released INTEGER NOT NULL,"
    " released_s REAL NOT NULL, released_squares_s REAL NOT NULL,"
    " first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
    " PRIMARY KEY(run, kind)) WITHOUT ROWID;"
    "CREATE TABLE evidence("
    " run INTEGER NOT NULL, kind INTEGER NOT NULL, word TEXT NOT NULL,"
    " value INTEGER NOT NULL, PRIMARY KEY(run, kind, word)) WITHOUT ROWID;"
    "CREATE TABLE exchange("
    " run INTEGER NOT NULL, conn INTEGER NOT NULL, ordinal INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, verdict TEXT NOT NULL, evidence TEXT NOT NULL,"
    " held INTEGER NOT NULL, escalated INTEGER NOT NULL, url TEXT NOT NULL,"
    " user_agent TEXT, traceparent TEXT, client_address TEXT, error TEXT,"
    " pid INTEGER, fd INTEGER, uid INTEGER, command TEXT,"
    " request_bytes INTEGER, body_bytes INTEGER, delivered_bytes INTEGER,"
    " unread_bytes INTEGER, began_at INTEGER NOT NULL, first_byte_us INTEGER,"
    " duration_us INTEGER, PRIMARY KEY(run, conn, ordinal)) WITHOUT ROWID;"
    "CREATE INDEX exchange_kind ON exchange(run, kind);"
    "CREATE INDEX exchange_age ON exchange(began_at);"
    "PRAGMA application_id=1280004184; PRAGMA user_version=1;"
    "INSERT INTO run VALUES(1, 1000, 2000, 2000, 'old', 'h', '0.0', 1);"
    "INSERT INTO count VALUES(1, 'undrained', 7);"
    "INSERT INTO kind VALUES(1, '00c0ffee00c0ffee', 'http://o:80', 'GET',"
    " '/r', 404, NULL);"
    "INSERT INTO leak VALUES(1, 1, 7, 0, 0, 0, 0, 0, 1500, 1600);";

/* The old run is there, and says that it does not know how often. */
static void
test_an_older_file_is_migrated(void **state)
{
	struct desk desk;
	struct store_run run;
	struct compare_run kinds;

	desk_init(&desk);
	desk_sql(&desk, first_schema);
	desk_open(&desk);
	assert_int_equal(
	    desk_number(&desk, "PRAGMA user_version"), STORE_SCHEMA);
	desk_find(&desk, "old", &run);
	assert_int_equal(run.undrained, 7);
	assert_stored(&desk, store_read_kinds(desk.store, &run, NULL, &kinds));
	assert_int_equal(kinds.count, 1);
	assert_int_equal(kinds.kinds[0].side.undrained, 7);
	assert_int_equal(kinds.kinds[0].side.settled, -1);
	compare_run_fini(&kinds);
	store_run_fini(&run);
	desk_begin(&desk, "new", DESK_EPOCH);
	desk_write(&desk, 1, 1, 1);
	desk_fini(&desk);
}

/* Refuses to open, with this result, and leaves each byte as it was. */
static void
expect_untouched(struct desk *desk, enum store_result result)
{
	char *command = xasprintf("cp %s %s.before", desk->path, desk->path);
	struct store_error error;

	assert_int_equal(system(command), 0);
	free(command);
	for (int access = STORE_READ; access <= STORE_WRITE; access++) {
		assert_null(store_open(
		    desk->directory, (enum store_access)access, &error));
		assert_int_equal(error.result, result);
		assert_non_null(strstr(error.text, desk->path));
		assert_non_null(strstr(error.text, "left as it is") == NULL
			? strstr(error.text, "left as it was")
			: error.text);
		assert_null(strchr(error.text, '\n'));
	}
	command = xasprintf("cmp %s %s.before", desk->path, desk->path);
	assert_int_equal(system(command), 0);
	free(command);
	assert_true(store_is_hopeless(result));
}

static void
test_a_newer_file_is_left_alone(void **state)
{
	struct desk desk;

	desk_init(&desk);
	desk_open(&desk);
	desk_close(&desk);
	desk_sql(&desk, "PRAGMA user_version=99; CREATE TABLE future(x);");
	expect_untouched(&desk, STORE_NEWER);
	desk_fini(&desk);
}

static void
test_what_is_not_ours_is_left_alone(void **state)
{
	struct desk desk;
	FILE *file;

	desk_init(&desk);
	desk_sql(&desk, "CREATE TABLE theirs(x);");
	expect_untouched(&desk, STORE_ALIEN);
	file = fopen(desk.path, "we");
	for (int i = 0; i < 1000; i++)
		fputs("This is no database, but somebody's diary.\n", file);
	fclose(file);
	expect_untouched(&desk, STORE_ALIEN);
	desk_fini(&desk);
}

/* Its first page is good, the others are not. */
static void
test_damage_is_found_when_it_is_met(void **state)
{
	struct desk desk;
	struct batch *batch = batch_new();
	char garbage[8192];
	int fd;

	desk_init(&desk);
	desk_open(&desk);
	desk_begin(&desk, "", DESK_EPOCH);
	desk_write(&desk, 1, 200, 0);
	desk_close(&desk);
	memset(garbage, 0xa5, sizeof(garbage));
	fd = open(desk.path, O_WRONLY | O_CLOEXEC);
	for (off_t at = 4096; at < 100 * 1024; at += sizeof(garbage))
		assert_int_equal(
		    pwrite(fd, garbage, sizeof(garbage), at), sizeof(garbage));
	close(fd);
	desk_open(&desk);
	desk_judge(batch, 1, VERDICT_UNDRAINED, NULL, DESK_EPOCH);
	assert_false(store_write(desk.store, batch));
	assert_int_equal(store_error(desk.store)->result, STORE_ALIEN);
	batch_free(batch);
	desk_fini(&desk);
}

/* ---- trouble that passes ---- */

static void
test_a_locked_file_is_waited_for_and_reported(void **state)
{
	struct desk desk;
	struct batch *batch = batch_new();
	sqlite3 *other;

	desk_init(&desk);
	desk_open(&desk);
	desk_begin(&desk, "", DESK_EPOCH);
	desk_judge(batch, 1, VERDICT_UNDRAINED, NULL, DESK_EPOCH);
	assert_int_equal(sqlite3_open(desk.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", 0, 0, 0), 0);
	assert_false(store_write(desk.store, batch));
	assert_int_equal(store_error(desk.store)->result, STORE_BUSY);
	assert_int_equal(sqlite3_exec(other, "ROLLBACK", 0, 0, 0), 0);
	sqlite3_close(other);
	assert_stored(&desk, store_write(desk.store, batch));
	batch_free(batch);
	assert_int_equal(desk_number(&desk, "SELECT undrained FROM leak"), 1);
	desk_fini(&desk);
}

/* The disk is full in the middle of a batch: nothing of it is there; once
 * there is room, all of it. */
static void
test_a_full_disk(void **state)
{
	struct desk desk;
	struct batch *batch = batch_new();
	struct rlimit before;
	struct rlimit full;

	desk_init(&desk);
	desk_open(&desk);
	desk_begin(&desk, "", DESK_EPOCH);
	for (uint64_t i = 1; i <= 2000; i++)
		desk_judge(batch, i, VERDICT_UNDRAINED, NULL, DESK_EPOCH);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	full = before;
	full.rlim_cur = 200 * 1024;
	setrlimit(RLIMIT_FSIZE, &full);
	for (int i = 0; i < 3; i++) {
		assert_false(store_write(desk.store, batch));
		assert_int_equal(store_error(desk.store)->result, STORE_FULL);
	}
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(desk_number(&desk, "SELECT count(*) FROM leak"), 0);
	assert_stored(&desk, store_write(desk.store, batch));
	batch_free(batch);
	assert_int_equal(
	    desk_number(&desk, "SELECT undrained FROM leak"), 2000);
	desk_fini(&desk);
}

static void
test_a_directory_that_may_not_be_written(void **state)
{
	struct store_error error;

	assert_null(store_open("/proc/nowhere", STORE_WRITE, &error));
	assert_int_equal(error.result, STORE_DENIED);
	assert_null(store_open("/proc/nowhere", STORE_READ, &error));
	assert_int_equal(error.result, STORE_ABSENT);
	assert_false(store_is_hopeless(error.result));
}

/* ---- bounds ---- */

static int64_t
used_bytes(const struct desk *desk)
{
	return (desk_number(desk, "PRAGMA page_count") -
		   desk_number(desk, "PRAGMA freelist_count")) *
	    desk_number(desk, "PRAGMA page_size");
}

/* Of too much, what is harmless goes first, then what is merely suspected,
 * then single exchanges; leaks stay as long as their run. */
static void
test_size_is_bounded(void **state)
{
	struct store_bounds bounds = {0};
	struct desk desk;

	desk_init(&desk);
	desk_open(&desk);
	desk_begin(&desk, "first", DESK_EPOCH);
	desk_write(&desk, 1, 4000, 0);
	desk_begin(&desk, "second", DESK_EPOCH + 5000 * US_PER_S);
	desk_write(&desk, 5000, 1000, 0);
	desk_sql(&desk,
	    "UPDATE exchange SET verdict = 'drained' WHERE conn < 3000;"
	    "UPDATE exchange SET verdict = 'suspected'"
	    " WHERE conn BETWEEN 3000 AND 3999");
	bounds.max_bytes = used_bytes(&desk) * 9 / 10;
	assert_stored(&desk, store_prune(desk.store, &bounds, DESK_EPOCH));
	assert_true(used_bytes(&desk) <= bounds.max_bytes);
	assert_true(
	    desk_number(&desk,
		"SELECT count(*) FROM exchange WHERE verdict = 'drained'") <
	    2999);
	assert_int_equal(desk_number(&desk,
			     "SELECT count(*) FROM exchange"
			     " WHERE verdict <> 'drained'"),
	    2001);

	bounds.max_bytes = 250 * 1024;
	assert_stored(&desk, store_prune(desk.store, &bounds, DESK_EPOCH));
	assert_true(used_bytes(&desk) <= bounds.max_bytes);
	assert_int_equal(desk_number(&desk,
			     "SELECT count(*) FROM exchange"
			     " WHERE verdict <> 'undrained'"),
	    0);
	assert_int_equal(desk_number(&desk, "SELECT count(*) FROM leak"), 2);
	assert_int_equal(
	    desk_number(&desk, "SELECT sum(undrained) FROM leak"), 5000);

	/* Less than an empty file takes: the run that is written stays. */
	bounds.max_bytes = 4096;
	assert_stored(&desk, store_prune(desk.store, &bounds, DESK_EPOCH));
	assert_int_equal(desk_number(&desk, "SELECT count(*) FROM run"), 1);
	assert_int_equal(
	    desk_number(&desk, "SELECT undrained FROM leak"), 1000);
	desk_fini(&desk);
}

static void
test_age_is_bounded(void **state)
{
	struct store_bounds bounds = {
	    .max_age_us = 3600 * US_PER_S, .max_bytes = 1 << 30};
	struct desk desk;

	desk_init(&desk);
	desk_open(&desk);
	desk_begin(&desk, "old", DESK_EPOCH);
	desk_write(&desk, 1, 10, 10);
	desk_begin(&desk, "new", DESK_EPOCH + 3000 * US_PER_S);
	desk_write(&desk, 3000, 10, 10);
	assert_stored(&desk,
	    store_prune(desk.store, &bounds, DESK_EPOCH + 3500 * US_PER_S));
	assert_int_equal(desk_number(&desk, "SELECT count(*) FROM run"), 2);
	assert_stored(&desk,
	    store_prune(desk.store, &bounds, DESK_EPOCH + 3700 * US_PER_S));
	assert_int_equal(desk_number(&desk, "SELECT count(*) FROM run"), 1);
	assert_int_equal(
	    desk_number(&desk, "SELECT count(*) FROM exchange"), 10);
	/* Long afterwards the run that is written has its leaks alone. */
	assert_stored(&desk,
	    store_prune(desk.store, &bounds, DESK_EPOCH + 36000 * US_PER_S));
	assert_int_equal(
	    desk_number(&desk, "SELECT count(*) FROM exchange"), 0);
	assert_int_equal(desk_number(&desk, "SELECT undrained FROM leak"), 10);
	desk_fini(&desk);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_run_is_what_it_was),
	    cmocka_unit_test(test_what_is_taken_back),
	    cmocka_unit_test(test_runs_are_found),
	    cmocka_unit_test(test_versions_are_told_apart),
	    cmocka_unit_test(test_marks_and_timeline),
	    cmocka_unit_test(test_the_file_is_private),
	    cmocka_unit_test(test_kill_loses_nothing_that_was_committed),
	    cmocka_unit_test(test_an_older_file_is_migrated),
	    cmocka_unit_test(test_a_newer_file_is_left_alone),
	    cmocka_unit_test(test_what_is_not_ours_is_left_alone),
	    cmocka_unit_test(test_damage_is_found_when_it_is_met),
	    cmocka_unit_test(test_a_locked_file_is_waited_for_and_reported),
	    cmocka_unit_test(test_a_full_disk),
	    cmocka_unit_test(test_a_directory_that_may_not_be_written),
	    cmocka_unit_test(test_size_is_bounded),
	    cmocka_unit_test(test_age_is_bounded),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
