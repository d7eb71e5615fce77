/* SPDX-License-Identifier: MIT */
#ifndef PROXY_KEEP_H
#define PROXY_KEEP_H

/*
 * What is kept of the messages that pass: hands them to the ledger, where it
 * captures them.  The worker's thread.
 */

#include <stdint.h>

#include "accounting/ledger.h"
#include "accounting/secrets.h"
#include "proxy/head.h"

/* Returns the fields, a bit for each enum field_id, whose names tell no secret
 * and that are not meant for us. */
uint64_t keep_plain_fields(const struct secrets *secrets);

/* Borrow the head for the call.  The response's is told before
 * ledger_response_began(). */
void keep_request(struct ledger_exchange *record, const struct head *head,
    uint64_t plain_fields);
void keep_response(struct ledger_exchange *record, const struct head *head,
    uint64_t plain_fields);

#endif
