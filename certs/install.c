/* SPDX-License-Identifier: MIT */

#include "certs/install.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
write_all(int file, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(file, bytes, length);

		if (written == -1 && errno == EINTR)
			continue;
		if (written == -1)
			return false;
		bytes += written;
		length -= (size_t)written;
	}
	return true;
}

static bool
sync_directory_of(const char *path)
{
	char *copy = strdup(path);
	int directory;
	bool is_synced;

	if (copy == NULL)
		abort();
	directory = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	is_synced = directory != -1 && fsync(directory) == 0;
	if (directory != -1)
		close(directory);
	free(copy);
	return is_synced;
}

static bool
give_name(const char *temporary, const char *path, enum install how)
{
	if (how == INSTALL_NEW)
		return link(temporary, path) == 0;
	return rename(temporary, path) == 0 && sync_directory_of(path);
}

bool
install_file(const char *path, mode_t mode, const void *bytes, size_t length,
    enum install how)
{
	char *temporary;
	bool is_installed;
	int error;
	int file;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		abort();
	/* mkostemp() opens with mode 0600; only then may it become wider. */
	file = mkostemp(temporary, O_CLOEXEC);
	is_installed = file != -1 && fchmod(file, mode) == 0 &&
	    write_all(file, bytes, length) && fsync(file) == 0 &&
	    give_name(temporary, path, how);
	error = errno;
	if (file != -1) {
		unlink(temporary); /* gone already where it was renamed */
		close(file);
	}
	free(temporary);
	errno = error;
	return is_installed;
}
