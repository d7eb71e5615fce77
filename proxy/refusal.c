/* SPDX-License-Identifier: MIT */

/*
 * Our own error responses.
 */

#include "proxy/refusal.h"

#include <string.h>

const char *
refusal_reason(int status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 408:
		return "Request Timeout";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 501:
		return "Not Implemented";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Error";
	}
}

/* An sf-string (RFC 8941 §3.3.3): printable ASCII, quotes escaped. */
static void
add_quoted(struct text *out, const char *string)
{
	text_add(out, "\"", 1);
	for (; *string != '\0'; string++) {
		if (*string == '"' || *string == '\\')
			text_add(out, "\\", 1);
		if (*string >= ' ' && *string <= '~')
			text_add(out, string, 1);
	}
	text_add(out, "\"", 1);
}

static void
add_proxy_status(const struct refusal *refusal, struct text *out)
{
	text_add_string(out, "Proxy-Status: leakproxy");
	if (refusal->token[0] != '\0')
		text_addf(out, "; error=%s", refusal->token);
	text_add_string(out, "; details=");
	add_quoted(
	    out, refusal->detail[0] != '\0' ? refusal->detail : refusal->text);
	text_add(out, "\r\n", 2);
}

static void
add_body(const struct refusal *refusal, struct text *out)
{
	text_add_string(out, "leakproxy: ");
	text_add_string(out, refusal->text);
	if (refusal->detail[0] != '\0') {
		text_add_string(out, " (");
		for (const char *p = refusal->detail; *p != '\0'; p++)
			text_add(out, *p >= ' ' && *p <= '~' ? p : "?", 1);
		text_add_string(out, ")");
	}
	text_add(out, "\n", 1);
}

size_t
refusal_write(const struct refusal *refusal, struct text *out)
{
	struct text body = {0};
	size_t length;

	add_body(refusal, &body);
	length = body.length;
	text_addf(out, "HTTP/1.1 %d %s\r\n", refusal->status,
	    refusal_reason(refusal->status));
	text_add_field(out, "Content-Type", "text/plain; charset=utf-8");
	text_addf(out, "Content-Length: %zu\r\n", length);
	add_proxy_status(refusal, out);
	if (refusal->says_close)
		text_add_field(out, "Connection", "close");
	text_add(out, "\r\n", 2);
	if (refusal->has_body)
		text_add(out, body.bytes, length);
	text_fini(&body);
	return refusal->has_body ? length : 0;
}
