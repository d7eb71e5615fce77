/* SPDX-License-Identifier: MIT */

/*
 * Our own error responses, with what strangers sent quoted in them.  The first
 * byte chooses among the refusals, the rest is the detail: whatever it is, the
 * answer is one well-formed response whose head has the fields we gave it and
 * no other, and whose body is one line.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "accounting/memory.h"
#include "proxy/refusal.h"
#include "tests/fuzz/strict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	int status;
	const char *token;
	const char *text;
} refusals[] = {
#define HTTP_ERROR(name, status, token, text) {status, token, text},
#include "proxy/http_errors.def"
#undef HTTP_ERROR
    {502, "dns_error", "the origin's name does not resolve"},
    {502, "tls_certificate_error", "the origin's certificate is not trusted"},
    {504, "connection_timeout", "the origin does not answer"},
    {503, "", "draining"},
};

#define REFUSAL_COUNT (sizeof(refusals) / sizeof(*refusals))

/* leakproxy; error=token; details="sf-string" (RFC 8941 §3.3.3) */
static void
check_proxy_status(struct span value, const char *token)
{
	char *text = head_span_copy(value);
	char *start = *token == '\0'
	    ? xstrdup("leakproxy; details=\"")
	    : xasprintf("leakproxy; error=%s; details=\"", token);
	const char *p = text + strlen(start);

	assert(strncmp(text, start, strlen(start)) == 0);
	for (; *p != '"'; p++) {
		if (*p == '\\') {
			p++;
			assert(*p == '"' || *p == '\\');
		}
		assert(*p >= ' ' && *p <= '~');
	}
	assert(p[1] == '\0');
	free(text);
	free(start);
}

static void
check_body(const struct text *body)
{
	assert(body->length > 0 && body->bytes[body->length - 1] == '\n');
	for (size_t i = 0; i + 1 < body->length; i++)
		assert((unsigned char)body->bytes[i] >= ' ' &&
		    body->bytes[i] != 0x7f);
}

static void
check(const struct refusal *refusal, const struct text *out, size_t length)
{
	struct strict_message message;
	enum strict_kind kind =
	    refusal->has_body ? STRICT_RESPONSE : STRICT_RESPONSE_TO_HEAD;

	assert(
	    strict_read(&message, kind, out->bytes, out->length) == STRICT_OK);
	assert(message.length == out->length);
	assert(message.status == refusal->status);
	assert(message.field_count == (refusal->says_close ? 4 : 3));
	assert(strict_count(&message, "Connection") == refusal->says_close);
	assert(strict_count(&message, "Content-Length") == 1);
	assert(strict_count(&message, "Proxy-Status") == 1);
	check_proxy_status(
	    strict_find(&message, "Proxy-Status")->value, refusal->token);
	assert(message.body.length == length);
	if (refusal->has_body)
		check_body(&message.body);
	strict_fini(&message);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct refusal refusal = {0};
	struct text out = {0};
	char *detail;
	size_t which;
	size_t length;

	if (size < 1)
		return 0;
	which = 1 + (data[0] >> 2) % (REFUSAL_COUNT - 1); /* the first is OK */
	detail = xstrndup((const char *)data + 1, size - 1);
	refusal.status = refusals[which].status;
	refusal.token = refusals[which].token;
	refusal.text = refusals[which].text;
	refusal.detail = detail;
	refusal.says_close = (data[0] & 1) != 0;
	refusal.has_body = (data[0] & 2) != 0;
	length = refusal_write(&refusal, &out);
	check(&refusal, &out, length);
	text_fini(&out);
	free(detail);
	return 0;
}
