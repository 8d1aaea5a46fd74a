/* SPDX-License-Identifier: Apache-2.0 */
#include "filter/like.h"

size_t weir_like_compile(char *pattern, size_t len)
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		char c = pattern[i];

		if (c == '\\' && i + 1 < len && (pattern[i + 1] == '%' || pattern[i + 1] == '_'))
			c = pattern[++i];
		else if (c == '%')
			c = (char)WEIR_LIKE_ANY;
		else if (c == '_')
			c = (char)WEIR_LIKE_ONE;
		pattern[out++] = c;
	}
	return out;
}

/* Behind the character at `at`. */
static size_t behind(const unsigned char *text, size_t len, size_t at)
{
	at++;
	while (at < len && (text[at] & 0xc0) == 0x80)
		at++;
	return at;
}

/* Where two texts are being compared; the last '%' can take one character more and all is tried again. */
struct place {
	size_t text, pattern;
};

static bool step(const unsigned char *text, size_t len, struct weir_buf compiled, struct place *at)
{
	const unsigned char *pattern = compiled.ptr;

	if (at->pattern == compiled.len)
		return false;
	if (pattern[at->pattern] == WEIR_LIKE_ONE)
		at->text = behind(text, len, at->text);
	else if (pattern[at->pattern] == text[at->text])
		at->text++;
	else
		return false;
	at->pattern++;
	return true;
}

bool weir_like_match(struct weir_buf text, struct weir_buf compiled, size_t *budget)
{
	const unsigned char *bytes = text.ptr, *pattern = compiled.ptr;
	struct place at = { 0, 0 }, again = { 0, 0 };
	bool may_again = false;

	while (at.text < text.len) {
		if (!*budget)
			return false;
		--*budget;
		if (at.pattern < compiled.len && pattern[at.pattern] == WEIR_LIKE_ANY) {
			may_again = true;
			at.pattern++;
			again = at;
		} else if (!step(bytes, text.len, compiled, &at)) {
			if (!may_again)
				return false;
			again.text = behind(bytes, text.len, again.text);
			at = again;
		}
	}
	while (at.pattern < compiled.len && pattern[at.pattern] == WEIR_LIKE_ANY)
		at.pattern++;
	return at.pattern == compiled.len;
}
