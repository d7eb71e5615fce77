/* SPDX-License-Identifier: MIT */
#ifndef PROXY_RULES_H
#define PROXY_RULES_H

/*
 * The kernel's rules that send connections to --redirect, as nft(8) reads
 * them.  Pure but for rules_print(); any thread.
 */

#include <stdint.h>

#include "proxy/options.h"
#include "proxy/text.h"

struct rules {
	int64_t uid;      /* whose connections are spared */
	uint16_t v4_port; /* 0: IPv4 is not redirected */
	uint16_t v6_port; /* 0: IPv6 is not redirected */
};

/* Adds what puts the rules in place, whether or not there are some. */
void rules_add(const struct rules *rules, struct text *out);

/* Adds what removes them, whether or not there are any. */
void rules_add_removal(struct text *out);

/* Prints what the options ask for.  Returns the exit status: 0, or 2 with one
 * line on stderr. */
int rules_print(const struct options *options);

#endif
