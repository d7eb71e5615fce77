/* SPDX-License-Identifier: MIT */
#ifndef PROXY_DIAL_H
#define PROXY_DIAL_H

/*
 * Reaching an origin: name, address after address, another proxy, TLS.  One
 * dial gives one stream, ready to be written to, or a reason.  The worker's
 * thread.
 */

#include "proxy/origin.h"
#include "proxy/stream.h"
#include "proxy/worker.h"

enum dial_result {
#define DIAL(name, status, token, text) DIAL_##name,
#include "proxy/dial_results.def"
#undef DIAL
};

/* What the connection is for, which decides how another proxy is asked. */
enum dial_purpose {
	DIAL_FOR_REQUESTS, /* plain ones go to that proxy as they are */
	DIAL_FOR_TUNNEL,   /* bytes of any kind: CONNECT */
};

struct dial;

/* Called once, from the loop, unless cancelled.  The stream (NULL unless
 * DIAL_OK) is the callee's, which sets its owner at once.  `detail` is more on
 * a failure, for people; "" without. */
typedef void (*dial_cb)(enum dial_result result, struct stream *stream,
    const char *detail, void *arg);

/* Speaks TLS when the origin is_tls; goes through --upstream-proxy where the
 * chain leads there.  Refers to `origin`.  Returns the dial, valid until the
 * callback. */
struct dial *dial_start(struct worker *worker, struct origin *origin,
    enum dial_purpose purpose, dial_cb on_dialled, void *arg);
void dial_cancel(struct dial **dial);

int dial_status(enum dial_result result);
const char *dial_token(enum dial_result result);
const char *dial_text(enum dial_result result);

#endif
