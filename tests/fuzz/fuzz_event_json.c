/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON text: what our scanner takes, json-c takes too; what is an event comes
 * back the same, and json-c reads what we wrote.
 */
#include <json-c/json.h>

#include "event/json_scan.h"
#include "event_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH = 64, JSONC_DEPTH = DEPTH + 8 };

/*
 * The second opinion. json-c counts bytes in an int, and takes a text to its end
 * only if that is marked with a NUL.
 */
static bool jsonc_accepts(struct weir_buf text)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSONC_DEPTH);
	char *copy = malloc(text.len + 1);
	bool accepts;

	fuzz_check(tokener && copy && text.len < INT32_MAX, "memory");
	if (text.len)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	json_object_put(json_tokener_parse_ex(tokener, copy, (int)text.len + 1));
	accepts = json_tokener_get_error(tokener) == json_tokener_success;
	json_tokener_free(tokener);
	free(copy);
	return accepts;
}

/* Each token lies in the text, and behind the one before. */
static void check_tokens(struct weir_buf text)
{
	struct weir_json_scan scan;
	struct weir_json_token token;
	size_t last = 0;

	weir_json_init(&scan, text, DEPTH);
	while (weir_json_next(&scan, &token) > WEIR_JSON_END) {
		size_t start = (size_t)((const char *)token.text.ptr - (const char *)text.ptr);

		fuzz_check(token.offset >= last && start >= token.offset && start + token.text.len <= text.len,
			   "place of a token");
		last = start + token.text.len;
	}
	if (token.kind == WEIR_JSON_ERROR)
		fuzz_check(scan.error && scan.error_offset <= text.len, "place of an error");
	else
		fuzz_check(jsonc_accepts(text), "json-c refuses what the scanner takes");
}

static void check_encoding(weir_event *event)
{
	weir_event *back = fuzz_event();
	struct weir_buf json;

	fuzz_check(weir_event_to_json(event, &json, NULL) == WEIR_OK, "to_json");
	fuzz_check(jsonc_accepts(json), "json-c refuses what was written");
	fuzz_check(weir_event_from_json(back, json, NULL) == WEIR_OK, "from_json of to_json");
	fuzz_check_equal(event, back, true, "JSON");
	weir_event_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_buf text = { data, size };
	struct weir_error err = WEIR_ERROR_INIT;
	weir_event *event = fuzz_event();
	int code = weir_event_from_json(event, text, &err);

	check_tokens(text);
	if (code)
		fuzz_check_refusal(event, code, &err);
	else
		check_encoding(event);
	weir_event_free(event);
	return 0;
}
