/* SPDX-License-Identifier: Apache-2.0 */
/* A message of header lines and a body: what is taken comes back the same from both modes. */
#include "event_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_batch(struct weir_buf body)
{
	struct weir_error err = WEIR_ERROR_INIT;
	weir_event **events;
	size_t count;
	int code = weir_event_batch_from_json(body, NULL, &events, &count, &err);

	if (code) {
		fuzz_check(code == err.code && err.text[0], "text of a refusal");
		return;
	}
	fuzz_check(count > 0, "an empty batch");
	for (size_t i = 0; i < count; i++)
		fuzz_check_http(events[i], WEIR_MODE_STRUCTURED);
	weir_event_batch_free(events, count);
}

static void check_event(const struct fuzz_message *message, enum weir_mode mode)
{
	struct weir_error err = WEIR_ERROR_INIT;
	weir_event *event = fuzz_event();
	int code = weir_event_from_http(event, message->headers, message->count, message->body, &err);

	if (code) {
		fuzz_check_refusal(event, code, &err);
	} else {
		fuzz_check(mode == WEIR_MODE_BINARY || mode == WEIR_MODE_STRUCTURED, "an event in no mode");
		fuzz_check_http(event, WEIR_MODE_STRUCTURED);
		fuzz_check_http(event, WEIR_MODE_BINARY);
	}
	weir_event_free(event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_message message;
	enum weir_mode mode;

	fuzz_parse((struct weir_buf){ data, size }, &message);
	if (weir_http_mode(message.headers, message.count, &mode, NULL) == WEIR_OK && mode == WEIR_MODE_BATCH)
		check_batch(message.body);
	check_event(&message, mode);
	return 0;
}
