/* SPDX-License-Identifier: Apache-2.0 */
/* The table of character classes, derived anew from what the RFCs say. */
#include "unit/weir_cmocka.h"

#include <stdbool.h>
#include <string.h>

#include "http/chars.h"

static bool is_alnum(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_in(const char *set, int c)
{
	return c && c < 0x80 && strchr(set, c);
}

/* RFC 9110, 5.6.2. */
static bool is_token(int c)
{
	return is_alnum(c) || is_in("!#$%&'*+-.^_`|~", c);
}

/* RFC 9110, 5.5: field-vchar, space and tab. */
static bool is_value(int c)
{
	return c == '\t' || (c >= 0x20 && c < 0x7f) || c >= 0x80;
}

/* RFC 9110, 5.6.4. */
static bool is_qdtext(int c)
{
	return is_value(c) && c != '"' && c != '\\';
}

/* RFC 3986, 3.2.2: unreserved, sub-delims, pct-encoded. */
static bool is_regname(int c)
{
	return is_alnum(c) || is_in("-._~!$&'()*+,;=%", c);
}

/* RFC 3986, 3.3 and 3.4, with an IPv6 authority's brackets, and what the handler is to find nothing at. */
static bool is_target(int c)
{
	return is_regname(c) || is_in(":@/?[]", c) || c >= 0x80;
}

static void every_byte_has_its_classes(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;

		if (weir_http_is(byte, WEIR_HTTP_TOKEN) != is_token(c) ||
		    weir_http_is(byte, WEIR_HTTP_VALUE) != is_value(c) ||
		    weir_http_is(byte, WEIR_HTTP_QDTEXT) != is_qdtext(c) ||
		    weir_http_is(byte, WEIR_HTTP_REGNAME) != is_regname(c) ||
		    weir_http_is(byte, WEIR_HTTP_TARGET) != is_target(c))
			fail_msg("byte 0x%02x", (unsigned)c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_has_its_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
