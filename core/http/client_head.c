/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client_head.h"

#include <string.h>

#include "base/str.h"
#include "http/chars.h"

static int bad(const char **why, const char *text)
{
	*why = text;
	return WEIR_EIO;
}

/* Takes a line off the front, without its end. False: there is no whole one. */
static bool next_line(struct weir_buf *rest, struct weir_buf *line)
{
	const char *start = rest->ptr;
	const char *end = rest->len ? memchr(start, '\n', rest->len) : NULL;

	if (!end)
		return false;
	line->ptr = start;
	line->len = (size_t)(end - start);
	if (line->len > 0 && end[-1] == '\r')
		line->len--;
	rest->len -= (size_t)(end + 1 - start);
	rest->ptr = end + 1;
	return true;
}

static int read_version(struct weir_buf *line)
{
	static const struct {
		struct weir_buf text;
		int version;
	} versions[] = {
		{ { "HTTP/1.1 ", 9 }, 11 },
		{ { "HTTP/1.0 ", 9 }, 10 },
		{ { "HTTP/2 ", 7 }, 20 }, /* as libcurl writes it */
	};

	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
		if (!weir_str_starts(*line, versions[i].text))
			continue;
		line->ptr = (const char *)line->ptr + versions[i].text.len;
		line->len -= versions[i].text.len;
		return versions[i].version;
	}
	return 0;
}

static int read_status_line(struct weir_buf line, struct weir_http_head *ret, const char **why)
{
	const char *digits;

	ret->version = read_version(&line);
	digits = line.ptr;
	if (ret->version == 0 || line.len < 3 || (line.len > 3 && digits[3] != ' '))
		return bad(why, "the answer is not HTTP/1.1");
	ret->status = 0;
	for (size_t i = 0; i < 3; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return bad(why, "the answer is not HTTP/1.1");
		ret->status = ret->status * 10 + (digits[i] - '0');
	}
	if (ret->status < 100 || ret->status > 599)
		return bad(why, "the answer's status is not in 100..599");
	return WEIR_OK;
}

static int read_header(struct weir_buf line, struct weir_header *ret, const char **why)
{
	const char *text = line.ptr;
	const char *colon = memchr(text, ':', line.len);
	size_t name = colon ? (size_t)(colon - text) : 0;

	if (name == 0)
		return bad(why, "the answer has a header line without a name");
	for (size_t i = 0; i < name; i++) {
		if (!weir_http_is(text[i], WEIR_HTTP_TOKEN))
			return bad(why, "the answer has a malformed header name");
	}
	for (size_t i = name + 1; i < line.len; i++) {
		if (!weir_http_is(text[i], WEIR_HTTP_VALUE))
			return bad(why, "the answer has a control character in a header");
	}
	ret->name = (struct weir_buf){ text, name };
	ret->value = weir_str_trim((struct weir_buf){ text + name + 1, line.len - name - 1 });
	return WEIR_OK;
}

/* Takes what the header says about framing and the connection. */
static int note_header(const struct weir_header *header, struct weir_http_head *ret, const char **why)
{
	struct weir_buf list, token;

	switch (header->name.len) {
	case 10:
		if (!weir_str_equal_nocase(header->name, WEIR_STR("connection")))
			return WEIR_OK;
		list = header->value;
		while (weir_str_split(&list, ',', &token)) {
			token = weir_str_trim(token);
			if (weir_str_equal_nocase(token, WEIR_STR("close")))
				ret->keep_alive = false;
			else if (ret->version == 10 && weir_str_equal_nocase(token, WEIR_STR("keep-alive")))
				ret->keep_alive = true;
		}
		return WEIR_OK;
	case 14:
		if (!weir_str_equal_nocase(header->name, WEIR_STR("content-length")))
			return WEIR_OK;
		if (ret->length != UINT64_MAX || !weir_str_to_uint(header->value, &ret->length) ||
		    ret->length == UINT64_MAX)
			return bad(why, "the answer's Content-Length is malformed or repeated");
		return WEIR_OK;
	case 17:
		if (!weir_str_equal_nocase(header->name, WEIR_STR("transfer-encoding")))
			return WEIR_OK;
		if (ret->chunked || !weir_str_equal_nocase(header->value, WEIR_STR("chunked")))
			return bad(why, "the answer's Transfer-Encoding is not \"chunked\"");
		ret->chunked = true;
		return WEIR_OK;
	default:
		return WEIR_OK;
	}
}

static int incomplete(struct weir_buf in, const char **why)
{
	if (in.len >= WEIR_HTTP_HEAD_BYTES)
		return bad(why, "the answer's headers are larger than 64 KiB");
	return WEIR_EAGAIN;
}

/* What is wrong already at the first bytes need not wait for the rest. */
static int check_start(struct weir_buf in, const char **why)
{
	size_t length = in.len < 5 ? in.len : 5;

	if (memcmp(in.ptr, "HTTP/", length) != 0)
		return bad(why, "the answer is not HTTP/1.1");
	return WEIR_OK;
}

static int check_framing(const struct weir_http_head *head, const char **why)
{
	if (head->chunked && (head->length != UINT64_MAX || head->version == 10))
		return bad(why, "the answer has two ways to tell where it ends");
	return WEIR_OK;
}

int weir_http_head_read(struct weir_buf in, struct weir_http_head *ret,
			struct weir_header headers[WEIR_HTTP_HEAD_HEADERS], const char **why)
{
	struct weir_buf rest = in, line;
	int code;

	if (in.len > 0 && (code = check_start(in, why)) != WEIR_OK)
		return code;
	if (!next_line(&rest, &line))
		return incomplete(in, why);
	memset(ret, 0, sizeof *ret);
	ret->length = UINT64_MAX;
	if ((code = read_status_line(line, ret, why)) != WEIR_OK)
		return code;
	ret->keep_alive = ret->version != 10;
	for (;;) {
		if (!next_line(&rest, &line))
			return incomplete(in, why);
		if (line.len == 0)
			break;
		if (ret->header_count == WEIR_HTTP_HEAD_HEADERS)
			return bad(why, "the answer has more than 128 header lines");
		struct weir_header *header = &headers[ret->header_count++];
		if ((code = read_header(line, header, why)) != WEIR_OK ||
		    (code = note_header(header, ret, why)) != WEIR_OK)
			return code;
	}
	ret->bytes = in.len - rest.len;
	if (ret->bytes > WEIR_HTTP_HEAD_BYTES)
		return bad(why, "the answer's headers are larger than 64 KiB");
	return check_framing(ret, why);
}
