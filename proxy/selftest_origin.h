/* SPDX-License-Identifier: MIT */
#ifndef PROXY_SELFTEST_ORIGIN_H
#define PROXY_SELFTEST_ORIGIN_H

/*
 * The origin that the self-test asks through the proxy: blocking, a thread a
 * connection, on loopback.
 */

#include <stdint.h>

/* Bodies by path: /small has SELFTEST_SMALL_BYTES, sent a moment after the
 * head so that it lies in a segment of its own; /large more than any socket
 * buffers. */
#define SELFTEST_SMALL_BYTES 1000
#define SELFTEST_LARGE_BYTES (16 * 1024 * 1024)

struct selftest_origin;

/* Returns NULL with errno.  It serves until the process ends: its threads
 * wait in the kernel and hold nothing that must be given back. */
struct selftest_origin *selftest_origin_start(void);

uint16_t selftest_origin_port(const struct selftest_origin *origin);

/* Closes the listener; connections end with their callers. */
void selftest_origin_stop(struct selftest_origin *origin);

#endif
