/* SPDX-License-Identifier: MIT */
#ifndef PROXY_STREAM_PARTS_H
#define PROXY_STREAM_PARTS_H

/*
 * What the files about a stream share, and nobody else sees: stream.c (its
 * life and its reading), stream_write.c (its writing and its FIN) and
 * stream_bulk.c (how much is read at a time, and bytes that pass on within the
 * kernel).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event_struct.h>
#include <event2/util.h>

#include "proxy/stream.h"

struct evbuffer;

/* Where bytes pass on to, unseen. */
struct stream_passage {
	struct stream *to;     /* borrowed */
	struct splice *splice; /* borrowed */
	int64_t left_bytes;    /* 0: what comes next is shown */
};

/* A TLS record's payload; also what is worth copying into one record. */
#define STREAM_RECORD_BYTES (16 * 1024)

enum stream_state {
	STREAM_SECURING,
	STREAM_OPEN,
	STREAM_FINISHED,
	STREAM_ENDED,
	STREAM_CLOSED,
};

enum socket_result {
	SOCKET_BYTES, /* came, and there may be more */
	SOCKET_LATER, /* no more for now */
	SOCKET_FIN,
	SOCKET_RST
};

/* A read that brings so much is bulk: worth a closer look at the socket that
 * it goes to, and worth passing on within the kernel. */
#define STREAM_BULK_BYTES (16 * 1024)

/* For a body that is served most often, and its head. */
#define STREAM_READ_BYTES (80 * 1024)

struct stream {
	enum stream_state state;
	bool is_paused;
	bool is_finishing; /* our FIN goes out when the queue is empty */
	bool has_sent_fin;
	bool reads_on;   /* ... and reading goes on after it */
	bool has_failed; /* a write failed: to be told by the loop */
	bool was_full;
	bool is_stuffed; /* the socket takes no more: write_event is due */
	bool is_modest;  /* the kernel shall not grow its receive buffer yet */
	uint8_t run_count;      /* reads in a row that were bulk */
	bool has_close_notify;  /* the other side's */
	bool was_cut;           /* its FIN came without one */
	int fd;                 /* owned */
	int fin_bytes;          /* what our end added; 0: it is not out */
	struct tls *tls;        /* owned; NULL where plain */
	struct evbuffer *queue; /* owned; NULL while there is nothing */
	char *kept;             /* owned: shown and not taken */
	size_t kept_length;
	int64_t received_bytes; /* beside what tls counts */
	int64_t sent_bytes;
	int64_t taken_received_bytes; /* by stream_take_bytes() */
	int64_t taken_sent_bytes;
	int64_t bytes_after_fin;
	struct stream_passage *passage; /* owned; NULL: none yet */
	struct event read_event;
	struct event *write_event; /* owned; NULL until the socket was full */
	struct loop *loop;         /* borrowed */
	const struct stream_callbacks *callbacks; /* borrowed */
	void *arg;                                /* borrowed */
};

void stream_set_state(struct stream *stream, enum stream_state next);

/* Keeps a copy of what was shown and not taken; length 0: nothing. */
void stream_keep(struct stream *stream, const char *bytes, size_t length);

/* Goes on with the TLS handshake. */
void stream_shake_hands(struct stream *stream);

/* ---- stream_write.c ---- */

/* The socket will take more: what is queued goes then, maybe our FIN. */
void stream_await_writable(struct stream *stream);

/* It need not any more. */
void stream_forget_writable(struct stream *stream);

void stream_free_queue(struct stream *stream);

bool stream_may_send(const struct stream *stream);

/* A write failed: the loop tells the owner, not the call that wrote. */
void stream_fail(struct stream *stream);

/* After much was written: the stream is full while its socket is. */
void stream_await_room(struct stream *stream);

/* Says close_notify before an end that drops nothing. */
void stream_say_goodbye(struct stream *stream);

/* ---- stream_bulk.c ---- */

/* How much to read at a time, at most. */
size_t stream_read_bytes(const struct stream *stream, size_t max);

/* So much was read at once; before its owner is told. */
void stream_note_read(struct stream *stream, size_t length);

/* Whether what comes next is to pass unseen. */
bool stream_may_pass(const struct stream *stream);

/* Passes on some of what has come, and tells the owner. */
enum socket_result stream_pass_once(struct stream *stream);

#endif
