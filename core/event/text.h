/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event/text: what may be in the value of an attribute, and in its name.
 */
#ifndef WEIR_EVENT_TEXT_H
#define WEIR_EVENT_TEXT_H

#include <stdbool.h>

#include <weir/driver.h>

/* What bytes occur in a text. */
enum {
	WEIR_TEXT_CONTROL = 1u << 0, /* 0x00-0x1F, 0x7F */
	WEIR_TEXT_HIGH = 1u << 1,    /* 0x80-0xFF */
	WEIR_TEXT_PERCENT = 1u << 2, /* '%' */
};

unsigned weir_text_class(struct weir_buf text);

/*
 * A String as the specification has it: valid UTF-8 without control characters
 * (U+0000-001F, U+007F-009F) and noncharacters.
 */
bool weir_text_is_valid(struct weir_buf text);

/* Nothing but spaces, or nothing at all. */
bool weir_text_is_blank(struct weir_buf text);

/* Only [a-z0-9], at least one. */
bool weir_text_is_name(struct weir_buf text);

#endif
