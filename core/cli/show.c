/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

static int show_json(weir_event *event, struct weir_error *err)
{
	struct weir_buf json;
	const char *text;
	int code = weir_event_to_json(event, &json, err);

	if (code)
		return code;
	text = json.ptr;
	/* A line end in JSON is always between tokens: in a string it would be written as an escape. */
	for (size_t from = 0; from < json.len;) {
		size_t len = 0;

		while (from + len < json.len && text[from + len] != '\n' && text[from + len] != '\r')
			len++;
		fwrite(text + from, 1, len, stdout);
		from += len;
		if (from < json.len) {
			putchar(' ');
			from++;
		}
	}
	putchar('\n');
	return WEIR_OK;
}

/* Bytes of the control character at `at`; 0: it is none. C0, DEL and, in UTF-8, C1. */
static size_t control_length(const unsigned char *at, size_t left)
{
	if (at[0] < 0x20 || at[0] == 0x7f)
		return 1;
	return at[0] == 0xc2 && left > 1 && at[1] < 0xa0 ? 2 : 0;
}

/* Nobody's event may send commands to a terminal. */
static void put_safely(struct weir_buf text, const char *indent)
{
	const unsigned char *bytes = text.ptr;

	for (size_t i = 0; i < text.len;) {
		size_t control = control_length(bytes + i, text.len - i);

		if (bytes[i] == '\n' && indent)
			printf("\n%s", indent);
		else if (!control || bytes[i] == '\t')
			putchar(bytes[i]);
		else
			putchar('?');
		i += control ? control : 1;
	}
}

static void show_attribute(const char *name, size_t len, struct weir_buf value)
{
	printf("  %-16.*s ", (int)len, name);
	put_safely(value, NULL);
	putchar('\n');
}

static void show_data(const weir_event *event)
{
	struct weir_buf data = weir_event_data(event);

	if (!data.ptr)
		return;
	if (!weir_str_is_utf8(data)) {
		printf("  data             %zu bytes, not text\n", data.len);
		return;
	}
	printf("  data             %zu bytes\n    ", data.len);
	put_safely(data, "    ");
	putchar('\n');
}

static void show_pretty(const weir_event *event)
{
	static const char *const names[WEIR_ATTR_COUNT] = { "specversion", "id",   "source",          "type",
							    "subject",     "time", "datacontenttype", "dataschema" };
	const struct weir_extension *extensions;
	size_t count = weir_event_extensions(event, &extensions);

	printf("event\n");
	for (int i = WEIR_ATTR_ID; i < WEIR_ATTR_COUNT; i++) {
		struct weir_buf value = weir_event_attribute(event, (enum weir_attribute)i);

		if (value.ptr)
			show_attribute(names[i], strlen(names[i]), value);
	}
	for (size_t i = 0; i < count; i++)
		show_attribute(extensions[i].name.ptr, extensions[i].name.len, extensions[i].value);
	show_data(event);
}

int weir_cli_show(weir_event *event, bool pretty, struct weir_error *err)
{
	if (!pretty)
		return show_json(event, err);
	show_pretty(event);
	return WEIR_OK;
}
