/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/outcome: what follows from an attempt.
 *
 *   subscriber ── 2xx ──▶ reply? ── accepted ──▶ finished
 *       │ refused, or      └ not accepted: as if the subscriber had failed
 *       ▼ retries exhausted
 *   dead-letter sink ── 2xx ──▶ finished
 *       │ refused, or retries exhausted, or there is none
 *       ▼
 *   quarantine ── on disk ──▶ finished;  otherwise again, for as long as it takes
 */
#include "dispatch/egress_state.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum { MEMORY_DELAY_MS = 1000 };

void weir_failure_note(struct weir_egress_item *item, struct weir_sink *destination, int status, const char *text,
		       struct weir_buf data)
{
	struct weir_failure *failure = item->failure;

	if (!failure)
		failure = item->failure = weir_mem_zalloc(1, sizeof *failure);
	if (!failure)
		return; /* the event goes its way without the reason */
	if (destination)
		weir_sink_ref(destination);
	weir_sink_unref(failure->destination);
	failure->destination = destination;
	failure->status = status;
	failure->mark_count = failure->mark_bytes = 0;
	snprintf(failure->text, sizeof failure->text, "%s", text ? text : "");
	failure->data_len = data.len < WEIR_FAILURE_DATA ? data.len : WEIR_FAILURE_DATA;
	if (failure->data_len)
		memcpy(failure->data, data.ptr, failure->data_len);
}

void weir_failure_forget(struct weir_egress_item *item)
{
	if (item->failure)
		weir_sink_unref(item->failure->destination);
	weir_mem_free(item->failure);
	item->failure = NULL;
}

const char *weir_failure_words(const struct weir_failure *failure, char words[WEIR_FAILURE_WORDS])
{
	const struct weir_sink *destination = failure ? failure->destination : NULL;

	snprintf(words, WEIR_FAILURE_WORDS, "%s%s%s", destination ? destination->shown : "", destination ? ": " : "",
		 failure && *failure->text ? failure->text : "not delivered");
	return words;
}

/* ---- the next attempt ----------------------------------------------------- */

static void next_phase(struct weir_egress_item *item)
{
	struct weir_egress *egress = item->egress;
	bool dead_letter = item->phase == WEIR_PHASE_SUBSCRIBER && egress->dead_letter;
	char why[WEIR_FAILURE_WORDS];

	/* Quarantine says so itself, when it knows the file. */
	if (dead_letter)
		weir_egress_log(egress, WEIR_LOG_WARNING,
				"an event goes to the dead-letter sink after %u attempt%s: %s", item->tries,
				item->tries == 1 ? "" : "s", weir_failure_words(item->failure, why));
	item->phase = dead_letter ? WEIR_PHASE_DEAD_LETTER : WEIR_PHASE_QUARANTINE;
	item->tries = 0;
	weir_egress_attempt(item);
}

static void fail(struct weir_egress_item *item, enum weir_verdict verdict, int64_t after_ms)
{
	const struct weir_egress *egress = item->egress;
	const struct weir_delivery_settings *policy = &egress->options.settings->delivery;

	if (verdict == WEIR_VERDICT_RETRY && item->tries <= policy->retry)
		weir_egress_wait(item, weir_retry_delay_ms(policy, item->tries, after_ms,
							   weir_delivery_random(egress->options.loop)));
	else
		next_phase(item);
}

/* A record that is no event can only be put away. */
static void put_away(struct weir_egress_item *item, const char *why)
{
	item->poison = true;
	item->phase = WEIR_PHASE_QUARANTINE;
	weir_failure_note(item, NULL, 0, why, (struct weir_buf){ NULL, 0 });
	weir_egress_log(item->egress, WEIR_LOG_ERROR,
			"a record of the backend is not an event, it goes to quarantine: %s", why);
	weir_egress_quarantine(item);
}

static int send_event(struct weir_egress_item *item, struct weir_attempt *attempt, struct weir_error *err)
{
	struct weir_egress *egress = item->egress;
	int code;

	if (item->phase == WEIR_PHASE_SUBSCRIBER && !egress->options.settings->own_subscriber)
		return weir_attempt_send(attempt, egress->subscriber, err);
	code = weir_hops_add(egress, attempt->event, weir_hops_of(attempt->event), err);
	if (!code && item->phase == WEIR_PHASE_SUBSCRIBER)
		return weir_attempt_send(attempt, egress->subscriber, err);
	if (!code && item->failure)
		code = weir_dead_letter_mark(attempt->event, item->failure, err);
	return code ? code : weir_attempt_send(attempt, egress->dead_letter, err);
}

static bool is_permanent(int code)
{
	return code == WEIR_EINVAL || code == WEIR_ETOOBIG || code == WEIR_ECORRUPT;
}

static int load_event(const struct weir_egress_item *item, weir_event *event, struct weir_error *err)
{
	if (weir_delivery_flags(item->delivery) & WEIR_MSG_DAMAGED)
		return weir_fail(err, WEIR_ECORRUPT, "the backend says that it is damaged");
	return weir_delivery_event(item->delivery, event, err);
}

static void count_try(struct weir_egress_item *item)
{
	if (item->tries++)
		weir_figure_add(&item->egress->counters.retries, 1);
}

/* It could not even be sent. */
static void not_sent(struct weir_egress_item *item, int code, const char *why)
{
	if (code == WEIR_ENOMEM) { /* nobody's fault, so it does not count as an attempt */
		weir_egress_log(item->egress, WEIR_LOG_WARNING, "out of memory, an event is tried again later");
		weir_egress_wait(item, MEMORY_DELAY_MS);
		return;
	}
	count_try(item);
	weir_failure_note(item, NULL, 0, why, (struct weir_buf){ NULL, 0 });
	fail(item, is_permanent(code) ? WEIR_VERDICT_REFUSED : WEIR_VERDICT_RETRY, 0);
}

void weir_egress_attempt(struct weir_egress_item *item)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_attempt *attempt;
	int code;

	/* The dead-letter sink may have gone with a reload while this waited for it. */
	if (item->phase == WEIR_PHASE_DEAD_LETTER && !item->egress->dead_letter)
		item->phase = WEIR_PHASE_QUARANTINE;
	if (item->phase == WEIR_PHASE_QUARANTINE) {
		weir_egress_quarantine(item);
		return;
	}
	attempt = weir_attempt_take(item);
	if (!attempt) {
		not_sent(item, WEIR_ENOMEM, NULL);
		return;
	}
	code = load_event(item, attempt->event, &err);
	if (is_permanent(code)) {
		weir_attempt_leave(attempt);
		put_away(item, err.text);
		return;
	}
	if (!code && item->unfiltered && !weir_egress_wants(item->egress, attempt->event)) {
		weir_attempt_leave(attempt);
		weir_egress_finish(item, &item->egress->counters.filtered);
		return;
	}
	if (!code && weir_event_get(attempt->event, WEIR_EVENT_FOR).ptr)
		code = weir_event_set(attempt->event, WEIR_EVENT_FOR, (struct weir_buf){ NULL, 0 }, &err);
	if (!code)
		code = send_event(item, attempt, &err);
	if (!code) {
		item->unfiltered = false;
		count_try(item);
		return;
	}
	weir_attempt_leave(attempt);
	not_sent(item, code, err.text);
}

/* ---- what became of it ---------------------------------------------------- */

static enum weir_verdict judge(const struct weir_http_result *result)
{
	bool answered = result->status != 0;

	if (!result->code || (result->code == WEIR_ETOOBIG && answered && result->status >= 300))
		return weir_retry_judge(result->status);
	return is_permanent(result->code) ? WEIR_VERDICT_REFUSED : WEIR_VERDICT_RETRY;
}

static int64_t asked_delay_ms(const struct weir_http_result *result)
{
	int64_t delay_ms;

	if (!weir_retry_after_counts(result->status))
		return 0;
	for (size_t i = 0; i < result->header_count; i++) {
		if (weir_str_equal_nocase(result->headers[i].name, WEIR_STR("retry-after")))
			return weir_retry_after_parse(result->headers[i].value, weir_clock_wall_ms(), &delay_ms)
				   ? delay_ms
				   : 0;
	}
	return 0;
}

static void note_result(struct weir_egress_item *item, struct weir_sink *destination,
			const struct weir_http_result *result)
{
	char text[32];

	snprintf(text, sizeof text, "status %d", result->status);
	weir_failure_note(item, destination, result->status, result->code ? result->text : text, result->body);
}

/*
 * Says when a subscriber, or the target of its replies, begins to fail and when
 * all works again; not each failure in between.
 */
static void note_failing(struct weir_egress_item *item)
{
	struct weir_egress *egress = item->egress;
	char why[WEIR_FAILURE_WORDS];

	if (item->phase != WEIR_PHASE_SUBSCRIBER || weir_figure_get(&egress->counters.failing))
		return;
	weir_figure_set(&egress->counters.failing, 1);
	weir_egress_log(egress, WEIR_LOG_WARNING, "delivery fails: %s", weir_failure_words(item->failure, why));
}

static void note_working(struct weir_egress *egress)
{
	if (!weir_figure_get(&egress->counters.failing))
		return;
	weir_figure_set(&egress->counters.failing, 0);
	weir_egress_log(egress, WEIR_LOG_NOTICE, "delivery works again");
}

/* The sink took it. */
static void succeeded(struct weir_attempt *attempt)
{
	struct weir_egress_item *item = attempt->item;
	struct weir_egress_counters *counters = &item->egress->counters;

	if (attempt->reply)
		weir_figure_add(&counters->replies, 1);
	if (item->phase == WEIR_PHASE_SUBSCRIBER)
		note_working(item->egress);
	weir_attempt_leave(attempt);
	weir_egress_finish(item,
			   item->phase == WEIR_PHASE_DEAD_LETTER ? &counters->dead_lettered : &counters->delivered);
}

static void failed(struct weir_attempt *attempt, const struct weir_http_result *result, enum weir_verdict verdict)
{
	struct weir_egress_item *item = attempt->item;
	int64_t after_ms = asked_delay_ms(result);

	note_result(item, attempt->sink, result);
	if (item->failure && item->phase == WEIR_PHASE_SUBSCRIBER)
		weir_failure_marks(item->failure, result);
	note_failing(item);
	weir_attempt_leave(attempt);
	fail(item, verdict, after_ms);
}

static void failed_reply(struct weir_attempt *attempt, enum weir_verdict verdict, const char *text)
{
	struct weir_egress_item *item = attempt->item;

	weir_failure_note(item, attempt->sink, 0, text, (struct weir_buf){ NULL, 0 });
	note_failing(item);
	weir_attempt_leave(attempt);
	fail(item, verdict, 0);
}

/* The subscriber answered 2xx: done, unless there is a reply to send on first. */
static void answered(struct weir_attempt *attempt, const struct weir_http_result *result)
{
	struct weir_error err = WEIR_ERROR_INIT;

	switch (weir_reply_forward(attempt, result, &err)) {
	case WEIR_REPLY_NONE:
		succeeded(attempt);
		break;
	case WEIR_REPLY_SENT:
		break;
	case WEIR_REPLY_INVALID:
		failed_reply(attempt, WEIR_VERDICT_REFUSED, err.text);
		break;
	case WEIR_REPLY_FAILED:
		failed_reply(attempt, WEIR_VERDICT_RETRY, err.text);
		break;
	}
}

void weir_egress_attempted(struct weir_attempt *attempt, const struct weir_http_result *result)
{
	struct weir_egress_item *item = attempt->item;
	struct weir_egress *egress = item->egress;
	enum weir_verdict verdict = judge(result);

	if (egress->closing) {
		weir_attempt_leave(attempt); /* given up: it stays unsettled */
		return;
	}
	if (verdict != WEIR_VERDICT_DONE)
		failed(attempt, result, verdict);
	else if (item->phase == WEIR_PHASE_SUBSCRIBER && !attempt->reply)
		answered(attempt, result);
	else
		succeeded(attempt);
	weir_egress_pump(egress);
}
