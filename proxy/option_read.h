/* SPDX-License-Identifier: MIT */
#ifndef PROXY_OPTION_READ_H
#define PROXY_OPTION_READ_H

/*
 * Reads an option's value: `text` into `field`, or into wherever in `options`
 * it belongs.  Each returns false with what is wrong, and the remedy, in
 * `why`.  Main thread.
 */

#include <stdbool.h>

#include "proxy/options.h"

#define OPTION_WHY_BYTES 512

/* How much of a value a reason shows. */
#define OPTION_SHOWN_BYTES 120

/* Writes that the value `reason`, and returns false for a reader to return. */
bool option_refuse(
    char why[OPTION_WHY_BYTES], const char *text, const char *reason);

typedef bool option_reader(struct options *options, void *field,
    const char *text, char why[OPTION_WHY_BYTES]);

option_reader option_read_admin;
option_reader option_read_admin_token_file;
option_reader option_read_client_cert;
option_reader option_read_columns;
option_reader option_read_destination;
option_reader option_read_duration;
option_reader option_read_duration_or_off;
option_reader option_read_exit_code;
option_reader option_read_export;
option_reader option_read_flag;
option_reader option_read_header_size;
option_reader option_read_listen;
option_reader option_read_log_level;
option_reader option_read_max_connections;
option_reader option_read_pem_file;
option_reader option_read_positive_duration;
option_reader option_read_pprof;
option_reader option_read_proxy;
option_reader option_read_ready_fd;
option_reader option_read_resolve;
option_reader option_read_tag_header;
option_reader option_read_text;
option_reader option_read_upstream_proxy;
option_reader option_read_workers;

/* ---- option_redirect.c: what is about redirected connections ---- */

/* An address, or a port alone: that of both loopback addresses. */
option_reader option_read_redirect;
option_reader option_read_uid;

/* Appends a network, for more than one reader. */
bool option_add_cidr(struct cidr **list, size_t *count, const char *text,
    char why[OPTION_WHY_BYTES]) MUST_CHECK;

/* ---- option_policy.c: what SIGHUP reads anew ---- */

option_reader option_read_allow;
option_reader option_read_passthrough;
option_reader option_read_route;

/* ---- option_top.c: how often it is drawn ---- */

option_reader option_read_count;

/* ---- option_capture.c: what is kept of messages ---- */

/* A filter of exchanges. */
option_reader option_read_capture;
option_reader option_read_capture_bytes;
option_reader option_read_capture_dir_size;
/* A filter of leaks, kept as it was written. */
option_reader option_read_leak_filter;
option_reader option_read_redact;
option_reader option_read_size_or_off;

/* ---- option_store.c: what is about stored runs ---- */

/* A list of changes, such as "new,worse". */
option_reader option_read_fail_on;

/* serve, exec: a name for a run; report: what a run is called. */
option_reader option_read_run;
option_reader option_read_service;
/* on, off, or where a shared one is. */
option_reader option_read_store;
option_reader option_read_store_size;

#endif
