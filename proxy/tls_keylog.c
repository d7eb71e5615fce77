/* SPDX-License-Identifier: MIT */

/*
 * The log of TLS secrets.  O_APPEND and one writev() a line: threads, and the
 * command under exec with the same SSLKEYLOGFILE, do not cut each other's
 * lines in two.
 */

#include "proxy/tls_keylog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "accounting/memory.h"
#include "proxy/base/log.h"

struct tls_keylog {
	int fd; /* owned */
};

struct tls_keylog *
tls_keylog_open(const char *path, char error[TLS_KEYLOG_ERROR_BYTES])
{
	struct tls_keylog *keylog;
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		snprintf(error, TLS_KEYLOG_ERROR_BYTES,
		    "cannot append to %.120s: %s: name a file that can be "
		    "written, or unset SSLKEYLOGFILE",
		    path, strerror(errno));
		return NULL;
	}
	keylog = xcalloc(1, sizeof(*keylog));
	keylog->fd = fd;
	return keylog;
}

void
tls_keylog_free(struct tls_keylog *keylog)
{
	if (keylog == NULL)
		return;
	close(keylog->fd);
	free(keylog);
}

void
tls_keylog_write(const struct tls_keylog *keylog, const char *line)
{
	union {
		const char *in;
		char *out;
	} bytes = {line}; /* an iovec has no const; it is only read */
	static char line_end[] = "\n";
	struct iovec parts[] = {{bytes.out, strlen(line)}, {line_end, 1}};

	if (writev(keylog->fd, parts, 2) < 0)
		log_debug("SSLKEYLOGFILE: %s", strerror(errno));
}
