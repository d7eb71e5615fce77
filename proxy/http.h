/* SPDX-License-Identifier: MIT */
#ifndef PROXY_HTTP_H
#define PROXY_HTTP_H

/*
 * HTTP/1 messages out of bytes: llhttp behind our own rules (RFC 9112).  One
 * parser reads one message after the other from one connection; between
 * messages it holds no buffer.  The worker's thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "proxy/head.h"

enum http_error {
#define HTTP_ERROR(name, status, token, text) HTTP_##name,
#include "proxy/http_errors.def"
#undef HTTP_ERROR
};

enum http_kind { HTTP_KIND_REQUEST, HTTP_KIND_RESPONSE };

enum http_progress {
	HTTP_NEEDS_MORE,  /* all bytes were taken, the message goes on */
	HTTP_HAS_HEAD,    /* the head is complete: http_head(); feed the rest */
	HTTP_HAS_MESSAGE, /* the message is complete: http_next() before more */
	HTTP_IS_BAD,      /* http_error(); nothing more can be read */
};

struct http_parser;

/* Called for each piece of the body, unframed. */
typedef void (*http_body_cb)(void *arg, const char *bytes, size_t length);

struct http_parser *http_parser_new(enum http_kind kind, size_t max_head_bytes,
    http_body_cb on_body, void *arg);
void http_parser_free(struct http_parser *parser);

/* Between messages: whom the next ones are told to. */
void http_parser_set_owner(
    struct http_parser *parser, http_body_cb on_body, void *arg);

/*
 * Feeds bytes; *taken of them were used.  Stops behind the head, and behind
 * the message: what is left belongs to the next.
 */
enum http_progress http_feed(struct http_parser *parser, const char *bytes,
    size_t length, size_t *taken);

/* The bytes of a body of known length that have not come yet; 0 where there is
 * none, or its length is not known. */
int64_t http_body_left(const struct http_parser *parser);

/* So many of these came, and went another way: on_body has nothing to see. */
void http_body_passed(struct http_parser *parser, size_t length);

/* The connection ended.  Returns HTTP_HAS_MESSAGE when that completes a
 * response, HTTP_NEEDS_MORE when nothing had begun, else HTTP_IS_BAD. */
enum http_progress http_feed_eof(struct http_parser *parser);

/* Borrowed, valid from HTTP_HAS_HEAD until http_next(), also where the body
 * turned out to be bad. */
struct head *http_head(struct http_parser *parser);

/* Whether there is one. */
bool http_has_head(const struct http_parser *parser);

/* The fields that came after the body.  They are not among http_head()'s: what
 * comes late must not pass for what came first (RFC 9110 §6.5.1). */
const struct field *http_trailer(struct http_parser *parser, size_t *count);

/* For a response, before its head: the request was HEAD, or CONNECT. */
void http_expect_no_body(struct http_parser *parser);

/* Whether any byte of a message has come since http_next(). */
bool http_has_begun(const struct http_parser *parser);

/* Makes ready for the next message and frees the head. */
void http_next(struct http_parser *parser);

enum http_error http_error(const struct http_parser *parser);
int http_error_status(enum http_error error); /* for a request */
/* The Proxy-Status token for a response; a request's is http_request_error. */
const char *http_error_response_token(enum http_error error);
const char *http_error_text(enum http_error error);

#endif
