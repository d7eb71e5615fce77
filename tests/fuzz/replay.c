/* SPDX-License-Identifier: MIT */

/*
 * Runs a fuzz target over the files it is given: how `make check` replays the
 * corpora without libFuzzer.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INPUT_BYTES (1024 * 1024)

static int
replay(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = malloc(MAX_INPUT_BYTES);
	size_t size;

	if (file == NULL || data == NULL) {
		perror(path);
		return 1;
	}
	size = fread(data, 1, MAX_INPUT_BYTES, file);
	fclose(file);
	/* Exactly as long as the input, so that reading on is noticed. */
	data = realloc(data, size + (size == 0));
	if (data == NULL)
		abort();
	(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

int
main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed += replay(argv[i]);
	printf("%d inputs replayed\n", argc - 1 - failed);
	return failed > 0;
}
