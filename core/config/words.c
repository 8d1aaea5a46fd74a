/* SPDX-License-Identifier: Apache-2.0 */
/* config/words: what values and their bounds are called, in texts for people. */
#include "config/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *weir_printable(struct weir_buf text, char out[WEIR_PRINTABLE_SIZE])
{
	const char *at = text.ptr;
	size_t len = text.len < WEIR_PRINTABLE_SIZE - 4 ? text.len : WEIR_PRINTABLE_SIZE - 4;

	for (size_t i = 0; i < len; i++)
		out[i] = at[i] >= ' ' && at[i] <= '~' ? at[i] : '?';
	memcpy(out + len, len < text.len ? "..." : "", len < text.len ? 4 : 1);
	return out;
}

/* "PT0.2S": no zeros at the end. */
static void fraction_text(int64_t ms, char out[32])
{
	size_t len = (size_t)snprintf(out, 32, "PT%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));

	while (out[len - 1] == '0')
		len--;
	memcpy(out + len, "S", 2);
}

const char *weir_duration_text(int64_t ms, char out[32])
{
	if (ms && ms % 3600000 == 0)
		snprintf(out, 32, "PT%" PRId64 "H", ms / 3600000);
	else if (ms && ms % 60000 == 0)
		snprintf(out, 32, "PT%" PRId64 "M", ms / 60000);
	else if (ms % 1000 == 0)
		snprintf(out, 32, "PT%" PRId64 "S", ms / 1000);
	else
		fraction_text(ms, out);
	return out;
}

static void allowed_choices(const char *choices, char *out, size_t size)
{
	size_t len = 0;

	for (; *choices && len + 3 < size; choices++) {
		out[len++] = *choices == '|' ? ',' : *choices;
		if (*choices == '|')
			out[len++] = ' ';
	}
	out[len] = '\0';
}

void weir_check_allowed(const struct weir_option *option, char *out, size_t size)
{
	bool any = option->min == 0 && option->max == 0;
	char least[32], most[32];

	switch (option->type) {
	case WEIR_OPT_BOOL:
		snprintf(out, size, "true, false");
		break;
	case WEIR_OPT_ENUM:
		allowed_choices(option->choices, out, size);
		break;
	case WEIR_OPT_DURATION:
		if (any)
			snprintf(out, size, "a duration such as PT0.2S or PT10S");
		else
			snprintf(out, size, "%s to %s", weir_duration_text(option->min, least),
				 weir_duration_text(option->max, most));
		break;
	case WEIR_OPT_INT:
	case WEIR_OPT_BYTES:
		if (any)
			snprintf(out, size, option->type == WEIR_OPT_INT ? "any whole number" : "any number of bytes");
		else
			snprintf(out, size, "%" PRId64 " to %" PRId64 "%s", option->min, option->max,
				 option->type == WEIR_OPT_BYTES ? " bytes" : "");
		break;
	case WEIR_OPT_LIST:
		snprintf(out, size, "a string, or an array of strings");
		break;
	default:
		snprintf(out, size, "a string");
	}
}
