/* SPDX-License-Identifier: MIT */
#ifndef PROXY_KEEP_H
#define PROXY_KEEP_H

/*
 * What is kept of the messages that pass: hands them to the ledger, where it
 * captures them.  The worker's thread.
 */

#include "accounting/ledger.h"
#include "proxy/head.h"

/* Borrow the head for the call.  The response's is told before
 * ledger_response_began(). */
void keep_request(struct ledger_exchange *record, const struct head *head);
void keep_response(struct ledger_exchange *record, const struct head *head);

#endif
