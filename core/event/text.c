/* SPDX-License-Identifier: Apache-2.0 */
#include "event/text.h"

#include "event/utf8.h"

static unsigned class_of(const unsigned char *p, size_t len)
{
	unsigned found = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] < 0x20 || p[i] == 0x7F)
			found |= WEIR_TEXT_CONTROL;
		else if (p[i] >= 0x80)
			found |= WEIR_TEXT_HIGH;
		else if (p[i] == '%')
			found |= WEIR_TEXT_PERCENT;
	}
	return found;
}

unsigned weir_text_class(struct weir_buf text)
{
	const unsigned char *p = text.ptr;
	uint64_t odd = 0, percent = 0;
	size_t at;

	if (text.len < 8)
		return class_of(p, text.len);
	for (at = 0; at + 8 <= text.len; at += 8) {
		uint64_t word = weir_eight_load(p + at);

		odd |= weir_eight_outside(word, 0x20) | weir_eight_equal(word, 0x7F);
		percent |= weir_eight_equal(word, '%');
	}
	/* The last eight bytes once more, in place of what the loop left over. */
	odd |= weir_eight_outside(weir_eight_load(p + text.len - 8), 0x20);
	odd |= weir_eight_equal(weir_eight_load(p + text.len - 8), 0x7F);
	percent |= weir_eight_equal(weir_eight_load(p + text.len - 8), '%');
	if (odd)
		return class_of(p, text.len);
	return percent ? WEIR_TEXT_PERCENT : 0;
}

static bool is_character(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7F && c <= 0x9F))
		return false;
	return (c & 0xFFFE) != 0xFFFE && !(c >= 0xFDD0 && c <= 0xFDEF);
}

bool weir_text_is_valid(struct weir_buf text)
{
	unsigned found = weir_text_class(text);
	const unsigned char *p = text.ptr;
	const unsigned char *end;

	if (found & WEIR_TEXT_CONTROL)
		return false;
	if (!(found & WEIR_TEXT_HIGH))
		return true;
	for (end = p + text.len; p < end;) {
		uint32_t c;
		size_t len = weir_utf8_decode(p, end, &c);

		if (len == 0 || !is_character(c))
			return false;
		p += len;
	}
	return true;
}

bool weir_text_is_blank(struct weir_buf text)
{
	const char *p = text.ptr;

	for (size_t i = 0; i < text.len; i++)
		if (p[i] != ' ')
			return false;
	return true;
}

bool weir_text_is_name(struct weir_buf text)
{
	const char *p = text.ptr;

	for (size_t i = 0; i < text.len; i++)
		if (!(p[i] >= 'a' && p[i] <= 'z') && !(p[i] >= '0' && p[i] <= '9'))
			return false;
	return text.len > 0;
}
