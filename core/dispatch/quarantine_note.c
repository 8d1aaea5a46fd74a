/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/quarantine_note: what a quarantine file says: one JSON object, with the
 * event in structured form, or the record in base64 where it is no event.
 */
#include "dispatch/egress_state.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/dynbuf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "dispatch/encode.h"

/* Base64 of the largest record, and everything around it. */
#define NOTE_MAX_BYTES ((size_t)256 * 1024 * 1024)

enum { RETRY_MIN_MS = 1000 };

struct weir_quarantine_note {
	struct weir_quarantine_job job; /* first */
	struct weir_egress_item *item;
	struct weir_dynbuf text;
};

/* ---- text ----------------------------------------------------------------- */

static void add_member(struct weir_dynbuf *out, const char *name, const char *value)
{
	weir_dynbuf_addf(out, ",\"%s\":", name);
	weir_encode_json_text(out, weir_str(value));
}

static void add_about(struct weir_dynbuf *out, const struct weir_egress_item *item)
{
	const struct weir_egress *egress = item->egress;
	const struct weir_subscription_settings *settings = egress->options.settings;
	char now[WEIR_CLOCK_TEXT_SIZE];

	weir_clock_format(weir_clock_wall_ms(), now);
	weir_dynbuf_addf(out, "{\"quarantined\":\"%s\"", now);
	add_member(out, "namespace", weir_channel_namespace(egress->options.channel));
	add_member(out, "channel", weir_channel_name(egress->options.channel));
	add_member(out, "subscription", settings->name);
	add_member(out, "uid", settings->uid);
	add_member(out, "subscriber", settings->subscriber);
	if (!(weir_delivery_flags(item->delivery) & WEIR_MSG_NO_POSITION))
		weir_dynbuf_addf(out, ",\"position\":%" PRIu64, weir_delivery_position(item->delivery));
}

static void add_failure(struct weir_dynbuf *out, const struct weir_failure *failure)
{
	if (!failure)
		return;
	weir_dynbuf_add_text(out, ",\"failure\":{\"reason\":");
	weir_encode_json_text(out, weir_str(failure->text));
	if (failure->destination)
		add_member(out, "destination", failure->destination->name);
	if (failure->status)
		weir_dynbuf_addf(out, ",\"status\":%d", failure->status);
	if (failure->data_len) {
		weir_dynbuf_add_text(out, ",\"answer_base64\":");
		weir_encode_json_bytes(out, (struct weir_buf){ failure->data, failure->data_len });
	}
	weir_dynbuf_add_char(out, '}');
}

static void add_record(struct weir_dynbuf *out, const struct weir_record *record)
{
	weir_dynbuf_add_text(out, ",\"record\":{\"key_base64\":");
	weir_encode_json_bytes(out, record->key);
	weir_dynbuf_add_text(out, ",\"headers\":[");
	for (uint32_t i = 0; i < record->header_count; i++) {
		weir_dynbuf_add_text(out, i ? ",{\"name_base64\":" : "{\"name_base64\":");
		weir_encode_json_bytes(out, record->headers[i].name);
		weir_dynbuf_add_text(out, ",\"value_base64\":");
		weir_encode_json_bytes(out, record->headers[i].value);
		weir_dynbuf_add_char(out, '}');
	}
	weir_dynbuf_add_text(out, "],\"body_base64\":");
	weir_encode_json_bytes(out, record->body);
	weir_dynbuf_add_char(out, '}');
}

/* False: it could not be decoded or written as JSON. */
static bool add_event(struct weir_dynbuf *out, struct weir_egress_item *item)
{
	struct weir_attempt *attempt = weir_attempt_take(item);
	struct weir_buf json;
	bool written = false;

	if (!attempt)
		return false;
	if (weir_delivery_event(item->delivery, attempt->event, NULL) == WEIR_OK &&
	    weir_event_to_json(attempt->event, &json, NULL) == WEIR_OK) {
		weir_dynbuf_add_text(out, ",\"event\":");
		written = weir_dynbuf_add_buf(out, json);
	}
	weir_attempt_leave(attempt);
	return written;
}

static bool write_text(struct weir_dynbuf *out, struct weir_egress_item *item)
{
	add_about(out, item);
	add_failure(out, item->failure);
	if (item->poison || !add_event(out, item))
		add_record(out, weir_delivery_record(item->delivery));
	return weir_dynbuf_add_text(out, "}\n");
}

/* ---- writing -------------------------------------------------------------- */

static void wait_and_retry(struct weir_egress_item *item, const char *why)
{
	struct weir_egress *egress = item->egress;
	int64_t delay_ms = weir_retry_delay_ms(&egress->options.settings->delivery, ++item->tries, 0,
					       weir_delivery_random(egress->options.loop));

	weir_figure_set(&egress->counters.quarantine_failing, 1);
	weir_egress_log(egress, WEIR_LOG_ERROR,
			"an event that nobody takes cannot be put into quarantine; it is kept and "
			"tried again: %s",
			why);
	weir_egress_wait(item, delay_ms > RETRY_MIN_MS ? delay_ms : RETRY_MIN_MS);
}

static void on_written(struct weir_task *task)
{
	struct weir_quarantine_note *note = WEIR_CONTAINER(task, struct weir_quarantine_note, job.task);
	struct weir_egress_item *item = note->item;
	struct weir_egress *egress = item->egress;
	char why[WEIR_FAILURE_WORDS];

	if (note->job.error.code) {
		wait_and_retry(item, note->job.error.text);
	} else {
		weir_egress_log(egress, WEIR_LOG_WARNING, "an event is in quarantine, in %s: %s", note->job.name,
				weir_failure_words(item->failure, why));
		weir_figure_set(&egress->counters.quarantine_failing, 0);
		if (item->poison)
			weir_figure_add(&egress->counters.poison, 1);
		weir_egress_finish(item, &egress->counters.quarantined);
	}
	item->note = NULL;
	weir_quarantine_note_free(note);
	weir_egress_pump(egress);
}

void weir_egress_quarantine(struct weir_egress_item *item)
{
	struct weir_delivery_loop *loop = item->egress->options.loop;
	struct weir_quarantine_note *note = weir_mem_zalloc(1, sizeof *note);

	if (note)
		weir_dynbuf_init(&note->text, NOTE_MAX_BYTES);
	if (!note || !write_text(&note->text, item)) {
		weir_quarantine_note_free(note);
		wait_and_retry(item, "out of memory");
		return;
	}
	item->note = note;
	note->item = item;
	note->job.text = weir_dynbuf_view(&note->text);
	note->job.loop = loop->worker.loop;
	note->job.task.run = on_written;
	weir_quarantine_write(loop->options.quarantine, &note->job);
}

void weir_quarantine_note_free(struct weir_quarantine_note *note)
{
	if (!note)
		return;
	weir_dynbuf_fini(&note->text);
	weir_mem_free(note);
}
