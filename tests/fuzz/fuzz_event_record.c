/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record of a driver whose capabilities are in the first byte: what is taken
 * comes back the same from a record of the same driver, of every other kind of
 * driver, and over HTTP.
 */
#include "event_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weir_caps caps_of(unsigned bits)
{
	struct weir_caps caps = { .size = sizeof caps };

	if (bits & 1)
		caps.bits |= WEIR_CAP_BIT(WEIR_CAP_HEADERS);
	if (bits & 2)
		caps.bits |= WEIR_CAP_BIT(WEIR_CAP_NULL_BODY);
	caps.binding = bits & 4 ? WEIR_BINDING_DASH : WEIR_BINDING_UNDERSCORE;
	caps.max_headers = bits & 8 ? 5 : 0;
	caps.max_header_bytes = bits & 16 ? 32 : 0;
	return caps;
}

/* To a record of another driver and back; what headers cannot tell is left out of the comparison. */
static void check_other_driver(weir_event *event, unsigned bits)
{
	struct weir_caps caps = caps_of(bits);
	weir_event *back = fuzz_event();
	struct weir_record record;
	bool typeless = weir_event_data_is_json(event) && !weir_event_get(event, "datacontenttype").ptr;

	fuzz_check(weir_event_to_record(event, &caps, &record, NULL) == WEIR_OK, "to_record");
	fuzz_check(weir_event_from_record(back, &caps, &record, NULL) == WEIR_OK, "from_record of to_record");
	if (typeless && record.header_count > 1)
		weir_event_set_text(back, "datacontenttype", NULL, NULL);
	if (!(bits & 1))
		fuzz_check_equal(event, back, true, "envelope");
	else if (record.header_count > 1 && !typeless)
		fuzz_check_equal(event, back, false, "headers");
	else
		fuzz_check(weir_str_equal(weir_event_get(event, "id"), weir_event_get(back, "id")), "structured");
	weir_event_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_message message;
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_record record = { .flags = 0 };
	struct weir_caps caps;
	weir_event *event;
	int code;

	if (size == 0)
		return 0;
	caps = caps_of(data[0]);
	fuzz_parse((struct weir_buf){ data + 1, size - 1 }, &message);
	record.headers = message.headers;
	record.header_count = (uint32_t)message.count;
	record.body = message.body;
	event = fuzz_event();
	code = weir_event_from_record(event, &caps, &record, &err);
	if (code) {
		fuzz_check_refusal(event, code, &err);
	} else {
		for (unsigned bits = 0; bits < 32; bits++)
			check_other_driver(event, bits);
		fuzz_check_http(event, WEIR_MODE_BINARY);
	}
	weir_event_free(event);
	return 0;
}
