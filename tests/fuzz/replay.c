/* SPDX-License-Identifier: MIT */

/*
 * Runs the fuzz targets over their corpora: how `make check` replays them
 * without libFuzzer.  The Makefile names the targets (FUZZ_TARGETS).
 */

#include <dirent.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accounting/memory.h"

#define CORPUS "tests/fuzz/corpus"
#define MAX_INPUT_BYTES (1024 * 1024)

typedef int (*target_fn)(const uint8_t *data, size_t size);

/* What is being replayed, for when it ends the program. */
static const char *current;

#define TARGET(name) int fuzz_##name(const uint8_t *data, size_t size);
FUZZ_TARGETS
#undef TARGET

static const struct {
	const char *name;
	target_fn run;
} targets[] = {
#define TARGET(name) {#name, fuzz_##name},
    FUZZ_TARGETS
#undef TARGET
};

static void
on_abort(int signal_number)
{
	static const char text[] = "replay: failed at ";
	ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

	ignored += write(STDERR_FILENO, current, strlen(current));
	ignored += write(STDERR_FILENO, "\n", 1);
	(void)ignored;
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void
replay(target_fn run, const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = malloc(MAX_INPUT_BYTES);
	size_t size;

	if (file == NULL || data == NULL) {
		perror(path);
		exit(1);
	}
	size = fread(data, 1, MAX_INPUT_BYTES, file);
	fclose(file);
	/* Exactly as long as the input, so that reading on is noticed. */
	data = realloc(data, size + (size == 0));
	if (data == NULL)
		abort();
	(void)run(data, size);
	free(data);
}

/* Replays one corpus.  Returns how many inputs there were. */
static unsigned
replay_all(const char *name, target_fn run)
{
	char *folder = xasprintf(CORPUS "/%s", name);
	DIR *corpus = opendir(folder);
	const struct dirent *entry;
	unsigned count = 0;

	while (corpus != NULL && (entry = readdir(corpus)) != NULL) {
		char *path;

		if (entry->d_name[0] == '.')
			continue;
		path = xasprintf("%s/%s", folder, entry->d_name);
		current = path;
		replay(run, path);
		free(path);
		count++;
	}
	if (corpus != NULL)
		closedir(corpus);
	if (count == 0)
		fprintf(stderr, "%s: no corpus\n", folder);
	free(folder);
	return count;
}

/* Replays those named. */
int
main(int argc, char **argv)
{
	unsigned passed = 0;
	unsigned inputs = 0;

	/* The sanitizers' findings, too: see the Makefile. */
	signal(SIGABRT, on_abort);
	for (int i = 1; i < argc; i++) {
		for (size_t t = 0; t < sizeof(targets) / sizeof(*targets);
		     t++) {
			unsigned count;

			if (strcmp(argv[i], targets[t].name) != 0)
				continue;
			count = replay_all(argv[i], targets[t].run);
			inputs += count;
			passed += count > 0;
		}
	}
	printf("replay: %u inputs of %u corpora\n", inputs, passed);
	printf("replay: %u passed, %u failed\n", passed,
	    (unsigned)argc - 1 - passed);
	return passed != (unsigned)argc - 1;
}
