/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a subscriber's answer on any bytes. Oracle: a part of a head that
 * is accepted is incomplete, never something else; views lie inside of the input.
 */
#include <stdint.h>
#include <stdlib.h>

#include "http/client_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int right)
{
	if (!right)
		abort();
}

static int inside(struct weir_buf part, const uint8_t *data, size_t size)
{
	const uint8_t *at = part.ptr;

	return at >= data && at + part.len <= data + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct weir_header headers[WEIR_HTTP_HEAD_HEADERS];
	struct weir_http_head head, part;
	const char *why = NULL;
	int code = weir_http_head_read((struct weir_buf){ data, size }, &head, headers, &why);

	must(code == WEIR_OK || code == WEIR_EAGAIN || (code == WEIR_EIO && why));
	if (code != WEIR_OK)
		return 0;
	must(head.bytes <= size && head.status >= 100 && head.status <= 599);
	for (size_t i = 0; i < head.header_count; i++)
		must(inside(headers[i].name, data, head.bytes) && inside(headers[i].value, data, head.bytes));
	for (size_t len = 0; len < head.bytes; len += 1 + head.bytes / 64)
		must(weir_http_head_read((struct weir_buf){ data, len }, &part, headers, &why) == WEIR_EAGAIN);
	return 0;
}
