/* SPDX-License-Identifier: MIT */
#ifndef PROXY_OPTIONS_H
#define PROXY_OPTIONS_H

/*
 * The command line and the environment, read into one plain struct.  One
 * table (options.def) feeds the parser, LEAKPROXY_* and --help.  Main thread,
 * before any other is started; read-only afterwards.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "accounting/filter.h"
#include "accounting/secrets.h"
#include "accounting/units.h"
#include "proxy/chain.h"
#include "proxy/hosts.h"
#include "proxy/policy.h"
#include "proxy/units.h"

struct identity;
struct policy_word;

enum command {
	COMMAND_SERVE,
	COMMAND_EXEC,
	COMMAND_REPORT,
	COMMAND_TOP,
	COMMAND_CA,
	COMMAND_SELFTEST,
	COMMAND_RUNS,
	COMMAND_COMPARE,
	COMMAND_REDIRECT_RULES,
	COMMAND_REPLAY, /* the last */
};

/* --client-cert HOST=FILE */
struct client_cert {
	char *pattern;             /* owned: a host pattern, lower case */
	struct identity *identity; /* owned */
};

struct options {
	enum command command;

	struct address *listen; /* at least one after options_parse() */
	size_t listen_count;
	struct address *redirect;
	size_t redirect_count;
	struct address admin;
	bool has_admin;         /* false: --admin off */
	char *admin_token_path; /* absolute; NULL: none */
	char *admin_token;      /* NULL: none is asked for */
	int ready_fd;           /* -1: none */
	unsigned workers;

	char *state_dir;
	char *upstream_ca;          /* NULL: the system's roots */
	struct strings tag_headers; /* lower case; leakproxy-tag is first */
	struct client_cert *client_certs; /* the first that matches counts */
	size_t client_cert_count;
	struct resolve_rule *resolve;
	size_t resolve_count;
	struct cidr *allowed_destinations; /* beside what is not link-local */
	size_t allowed_destination_count;
	struct chain chain;    /* --upstream-proxy */
	struct policy *policy; /* owned: as first read; the service's counts */
	struct policy_word *policy_words; /* owned: what it was read from */
	size_t policy_word_count;

	mono_us stall_after_us;
	mono_us probe_after_us; /* 0: off */
	mono_us probe_grace_us;
	mono_us connect_timeout_us;
	mono_us drain_timeout_us;
	mono_us header_timeout_us;
	mono_us idle_timeout_us;  /* 0: off */
	mono_us total_timeout_us; /* 0: off */
	unsigned max_connections; /* 0: as many as descriptors allow */
	bool is_strict;
	char *pprof_url; /* NULL: none */
	size_t max_header_bytes;
	int log_level;               /* enum log_level */
	size_t capture_bytes;        /* of each body; 0: none */
	size_t capture_memory_bytes; /* of the process; 0: nothing is kept */
	char *capture_dir;           /* NULL: none */
	size_t capture_dir_bytes;
	struct filter *capture;  /* of what is written there; NULL: all */
	struct secrets *secrets; /* --redact */

	bool keeps_store; /* --store */
	char *store_url;  /* of a shared one, besides; NULL: none */
	char *service;    /* --service, without its version; NULL: not said */
	char *service_version; /* NULL: not said */
	mono_us store_max_age_us;
	size_t store_max_bytes;
	char *run; /* serve, exec: its name, NULL none; report: which one, NULL
	              for the proxy that runs */

	char *events_path; /* --events; "-": stdout; NULL: none */

	/* serve, redirect-rules */
	char *user; /* NULL: stay who we are */

	/* serve */
	bool wants_seccomp;

	/* redirect-rules */
	int64_t uid; /* -1: see user */
	bool wants_removal;

	/* exec */
	char **child_argv;  /* borrowed from main(); NULL-terminated */
	int leak_exit_code; /* -1: leaks do not change the exit status */

	/* exec, report */
	char *report_file; /* NULL: stderr for exec, stdout for report */
	unsigned columns;  /* 0: as wide as the terminal */
	bool wants_json;   /* report --json */
	char *filter;      /* report: of leaks, known to be good; NULL: all */

	/* top */
	mono_us interval_us;
	uint64_t count; /* 0: without end */

	/* selftest */
	struct address proxy; /* where the proxy listens */
	mono_us selftest_timeout_us;

	/* compare */
	const char *runs[2]; /* before and after; borrowed from main() */
	unsigned run_count;
	unsigned fail_on; /* a bit for each, 1 << enum change */

	/* ca */
	char *ca_export; /* "pem", "bundle"; NULL: print where things are */
	bool wants_hints;
	const char *hint; /* their name; borrowed from main(); NULL: all */

	/* replay */
	const char **har_paths; /* owned; each borrowed from main() */
	size_t har_count;
};

/*
 * Reads argv and the environment.  Returns NULL when the work is already done
 * or cannot be: *exit_status is 0 after --help and --version (printed to
 * stdout) and 2 after a mistake, for which one line that names the option and
 * the remedy has gone to stderr.  Free with options_free().
 */
struct options *options_parse(int argc, char **argv, int *exit_status);
void options_free(struct options *options);

#endif
