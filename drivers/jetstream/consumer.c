/* SPDX-License-Identifier: Apache-2.0 */
/* The durable consumer behind a subscription: looked for, made, and looked after. All of it runs on io. */
#include "jetstream.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	RETRY_MS = 250,
	FAILED_RETRY_MS = 5000,
	FIGURES_WANTED_MS = 250,
	FIGURES_MS = 5000,
	FIGURES_IDLE_MS = 30000,
	MAX_WAITING = 512,
};

static void state_set(struct weir_sub *sub, enum object_state state)
{
	pthread_mutex_lock(&sub->inst->lock);
	sub->state = state;
	pthread_mutex_unlock(&sub->inst->lock);
}

void weir_js_sub_doubt(struct weir_sub *sub, int64_t wait_ms)
{
	sub->retry_ns = weir_js_now() + wait_ms * WEIR_JS_MS;
	sub->requested = 0;
	if (sub->state == STATE_READY || sub->state == STATE_FAILED)
		state_set(sub, STATE_WANTED);
}

void weir_js_sub_cut(struct weir_sub *sub)
{
	natsSubscription_Destroy(sub->inbox);
	sub->inbox = NULL;
	weir_js_sub_doubt(sub, 0);
}

/* ---- it works, or it does not ------------------------------------------------------------- */

/* Its positions mean nothing any more. Lock held. */
static void forget_all(struct weir_sub *sub)
{
	while (weir_list_linked(&sub->ready))
		weir_js_entry_drop(sub, weir_list_entry(sub->ready.next, struct entry, link));
	while (weir_list_linked(&sub->out))
		weir_js_entry_drop(sub, weir_list_entry(sub->out.next, struct entry, link));
	sub->revoked.type = WEIR_EV_REVOKED;
	sub->revoked.epoch = sub->epoch;
	weir_js_notify(sub->inst, &sub->revoked);
	sub->epoch = sub->inst->next_epoch++;
}

static void gap_check(struct weir_sub *sub, uint64_t delivered)
{
	struct weir_inst *inst = sub->inst;
	uint64_t first = sub->topic->first_seq;

	if (first <= delivered + 1 || first == sub->told_first || delivered + 1 < sub->told_first)
		return;
	sub->told_first = first;
	pthread_mutex_lock(&inst->lock);
	sub->gap.type = WEIR_EV_GAP;
	sub->gap.position = delivered + 1;
	sub->gap.position_end = first - 1;
	weir_fail(&sub->gap.error, WEIR_ELIMIT,
		  "jetstream: the stream %.150s has dropped %llu events before %.150s got them: its limits are too low "
		  "for how far that one is behind",
		  sub->topic->stream, (unsigned long long)(first - delivered - 1), sub->consumer);
	sub->gap.error.scope = WEIR_SCOPE_SUBSCRIPTION;
	weir_js_notify(inst, &sub->gap);
	pthread_mutex_unlock(&inst->lock);
	weir_js_log(inst, 0, "%s", sub->gap.error.text);
}

/* What the server knows about it. */
static void figures_take(struct weir_sub *sub, struct json_object *info, int64_t asked_ns)
{
	uint64_t pending = (uint64_t)weir_js_get_int(info, "num_pending", 0);

	sub->floor = (uint64_t)weir_js_get_int(info, "ack_floor.stream_seq", 0);
	pthread_mutex_lock(&sub->inst->lock);
	sub->behind = pending;
	sub->known_ns = asked_ns;
	pthread_mutex_unlock(&sub->inst->lock);
	if (sub->was_ready)
		gap_check(sub, (uint64_t)weir_js_get_int(info, "delivered.stream_seq", 0));
}

/* A server that does not know of pins leaves them out. */
static void pin_check(struct weir_sub *sub, struct json_object *config)
{
	sub->pinned = weir_js_pin_is_set(config);
	weir_js_pin_lose(sub);
	if (!sub->ordered || sub->pinned || sub->warned)
		return;
	sub->warned = true;
	weir_js_log(sub->inst, 1,
		    "jetstream: the consumer %s of the stream %s cannot serve one dispatcher at a time (that needs "
		    "nats-server 2.11): the order of keys is kept while there is one dispatcher only",
		    sub->consumer, sub->topic->stream);
}

static void ready(struct weir_sub *sub, struct json_object *info, int64_t asked_ns)
{
	struct weir_inst *inst = sub->inst;
	bool other = sub->created && sub->created != sub->topic->created;

	if (!sub->inbox && !weir_js_sub_listen(sub)) {
		weir_js_sub_doubt(sub, RETRY_MS);
		state_set(sub, STATE_WANTED);
		return;
	}
	pin_check(sub, weir_js_get(info, "config"));
	figures_take(sub, info, asked_ns);
	sub->heard_ns = sub->asked_ns = weir_js_now();
	sub->pull_ns = 0;
	pthread_mutex_lock(&inst->lock);
	if (other)
		forget_all(sub);
	sub->created = sub->topic->created;
	sub->state = STATE_READY;
	if ((!sub->was_ready || sub->notice.type == WEIR_EV_SUB_FAILED) && !sub->closing) {
		sub->notice.type = WEIR_EV_SUB_READY;
		memset(&sub->notice.error, 0, sizeof sub->notice.error);
		weir_js_notify(inst, &sub->notice);
	}
	sub->was_ready = true;
	pthread_mutex_unlock(&inst->lock);
	/* The server's patience has gone on while it could not hear us. */
	weir_js_keep(sub, weir_js_now(), true);
}

static bool hopeless(int code)
{
	return code == WEIR_EINVAL || code == WEIR_ENOPERM || code == WEIR_ELIMIT || code == WEIR_EEXIST;
}

static void failed(struct weir_sub *sub, const struct weir_error *why)
{
	struct weir_inst *inst = sub->inst;
	bool give_up = hopeless(why->code), news;

	sub->retry_ns = weir_js_now() + (give_up ? FAILED_RETRY_MS : RETRY_MS) * WEIR_JS_MS;
	pthread_mutex_lock(&inst->lock);
	news = strcmp(sub->notice.error.text, why->text) != 0;
	sub->state = give_up ? STATE_FAILED : STATE_WANTED;
	sub->notice.error = *why;
	if (give_up && news && !sub->closing) {
		sub->notice.type = WEIR_EV_SUB_FAILED;
		weir_js_notify(inst, &sub->notice);
	}
	pthread_mutex_unlock(&inst->lock);
	if (news)
		weir_js_log(inst, 1, "%s", why->text);
	if (why->code == WEIR_ENOTFOUND)
		weir_js_topic_doubt(sub->topic);
}

/* ---- making it ----------------------------------------------------------------------------------- */

static void start_time(struct json_object *config, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[48];
	struct tm utc;
	size_t used;

	gmtime_r(&seconds, &utc);
	used = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + used, sizeof text - used, ".%03dZ", (int)(ms % 1000));
	json_object_object_add(config, "deliver_policy", json_object_new_string("by_start_time"));
	json_object_object_add(config, "opt_start_time", json_object_new_string(text));
}

static void start_seq(struct json_object *config, uint64_t seq)
{
	json_object_object_add(config, "deliver_policy", json_object_new_string("by_start_sequence"));
	json_object_object_add(config, "opt_start_seq", json_object_new_int64((int64_t)(seq ? seq : 1)));
}

/* One that was there before goes on where it was; in another stream of that name, at its beginning. */
static void start_set(const struct weir_sub *sub, struct json_object *config)
{
	if (sub->was_ready && sub->created == sub->topic->created)
		start_seq(config, sub->floor + 1);
	else if (sub->was_ready || sub->start == WEIR_START_EARLIEST)
		json_object_object_add(config, "deliver_policy", json_object_new_string("all"));
	else if (sub->start == WEIR_START_POSITION)
		start_seq(config, (uint64_t)sub->start_value);
	else if (sub->start == WEIR_START_TIME)
		start_time(config, sub->start_value);
	else
		json_object_object_add(config, "deliver_policy", json_object_new_string("new"));
}

static void limits_set(const struct weir_sub *sub, struct json_object *config)
{
	json_object_object_add(config, "ack_wait", json_object_new_int64((int64_t)sub->ack_wait_ms * WEIR_JS_MS));
	json_object_object_add(config, "max_deliver", json_object_new_int(-1));
	json_object_object_add(config, "max_ack_pending", json_object_new_int64(sub->inst->settings.max_ack_pending));
	if (sub->ordered && !sub->warned)
		weir_js_pin_set(config);
}

static void consumer_made(struct weir_inst *inst, struct call *call, struct json_object *answer,
			  const struct weir_error *failure)
{
	struct weir_sub *sub = call->sub;
	struct weir_error why = WEIR_ERROR_INIT;

	if (!failure && weir_js_refused(answer, &why, "making the consumer %.100s of the stream %.100s", sub->consumer,
					sub->topic->stream))
		failure = &why;
	if (!failure) {
		ready(sub, answer, call->asked_ns);
	} else if (sub->ordered && !sub->warned && !sub->making) {
		/* One that is there, and cannot become one that keeps order: it is used as it is. */
		sub->warned = true;
		weir_js_log(inst, 1, "%s; the order of keys is kept while there is one dispatcher only", failure->text);
		state_set(sub, STATE_WANTED);
	} else if (failure->native == 10013 || failure->native == 10148) {
		/* Somebody else was faster. */
		sub->retry_ns = weir_js_now() + RETRY_MS * WEIR_JS_MS;
		state_set(sub, STATE_WANTED);
	} else {
		failed(sub, failure);
	}
}

static bool send_config(struct weir_sub *sub, struct json_object *config)
{
	const struct call call = { .done = consumer_made, .sub = sub };
	struct json_object *request = json_object_new_object();
	bool ret;

	json_object_object_add(request, "stream_name", json_object_new_string(sub->topic->stream));
	json_object_object_add(request, "config", config);
	ret = weir_js_ask(sub->inst, &call, json_object_to_json_string(request), "CONSUMER.DURABLE.CREATE.%s.%s",
			  sub->topic->stream, sub->consumer);
	json_object_put(request);
	return ret;
}

static bool make(struct weir_sub *sub)
{
	struct json_object *config = json_object_new_object();

	json_object_object_add(config, "durable_name", json_object_new_string(sub->consumer));
	json_object_object_add(config, "ack_policy", json_object_new_string("explicit"));
	json_object_object_add(config, "replay_policy", json_object_new_string("instant"));
	json_object_object_add(config, "max_waiting", json_object_new_int(MAX_WAITING));
	sub->making = true;
	start_set(sub, config);
	limits_set(sub, config);
	return send_config(sub, config);
}

/* ---- one that is there ---------------------------------------------------------------------------------- */

static bool fits(const struct weir_sub *sub, struct json_object *config, struct weir_error *err)
{
	if (*weir_js_get_text(config, "deliver_subject")) {
		weir_fail(err, WEIR_EEXIST,
			  "jetstream: the consumer %.100s of the stream %.100s is there, but it pushes: another "
			  "dispatcher's? Delete it, or set jetstream.consumerPattern",
			  sub->consumer, sub->topic->stream);
		return false;
	}
	if (strcmp(weir_js_get_text(config, "ack_policy"), "explicit") != 0) {
		weir_fail(err, WEIR_EEXIST,
			  "jetstream: the consumer %.100s of the stream %.100s is there, but without explicit "
			  "acknowledgement: delete it, or set jetstream.consumerPattern",
			  sub->consumer, sub->topic->stream);
		return false;
	}
	return true;
}

static bool limits_fit(const struct weir_sub *sub, struct json_object *config)
{
	int64_t pending = weir_js_get_int(config, "max_ack_pending", 0);

	return weir_js_get_int(config, "ack_wait", 0) == (int64_t)sub->ack_wait_ms * WEIR_JS_MS &&
	       weir_js_get_int(config, "max_deliver", 0) == -1 &&
	       (pending == -1 || pending == sub->inst->settings.max_ack_pending) &&
	       (!sub->ordered || sub->warned || weir_js_pin_is_set(config));
}

static void consumer_asked(struct weir_inst *inst, struct call *call, struct json_object *answer,
			   const struct weir_error *failure)
{
	struct weir_sub *sub = call->sub;
	struct json_object *config = weir_js_get(answer, "config"), *copy = NULL;
	struct weir_error why = WEIR_ERROR_INIT;

	(void)inst;
	if (!failure && weir_js_refused(answer, &why, "looking for the consumer %.100s of the stream %.100s",
					sub->consumer, sub->topic->stream))
		failure = &why;
	if (failure && failure->native == 10014) {
		if (sub->was_ready && sub->created == sub->topic->created)
			weir_js_log(inst, 1, "jetstream: the consumer %s of the stream %s was deleted; it is made anew",
				    sub->consumer, sub->topic->stream);
		if (!make(sub))
			state_set(sub, STATE_WANTED);
	} else if (failure) {
		failed(sub, failure);
	} else if (!fits(sub, config, &why)) {
		failed(sub, &why);
	} else if (limits_fit(sub, config)) {
		ready(sub, answer, call->asked_ns);
	} else if (json_object_deep_copy(config, &copy, NULL) == 0) {
		sub->making = false;
		limits_set(sub, copy);
		if (!send_config(sub, copy))
			state_set(sub, STATE_WANTED);
	}
}

static bool ask(struct weir_sub *sub)
{
	const struct call call = { .done = consumer_asked, .sub = sub };

	return weir_js_ask(sub->inst, &call, NULL, "CONSUMER.INFO.%s.%s", sub->topic->stream, sub->consumer);
}

/* ---- figures ------------------------------------------------------------------------------------------------ */

static void stream_figures(struct weir_inst *inst, struct call *call, struct json_object *answer,
			   const struct weir_error *failure)
{
	(void)inst;
	if (failure || weir_js_get(answer, "error"))
		return;
	call->sub->topic->first_seq = (uint64_t)weir_js_get_int(answer, "state.first_seq", 0);
}

static void consumer_figures(struct weir_inst *inst, struct call *call, struct json_object *answer,
			     const struct weir_error *failure)
{
	(void)inst;
	if (failure)
		return;
	if (weir_js_get(answer, "error"))
		weir_js_sub_doubt(call->sub, 0);
	else
		figures_take(call->sub, answer, call->asked_ns);
}

/* First the stream's: of the two answers the consumer's is the later one, so what is missing then is missing. */
static void figures_ask(struct weir_sub *sub, int64_t now)
{
	const struct call stream = { .done = stream_figures, .sub = sub };
	const struct call consumer = { .done = consumer_figures, .sub = sub };
	int64_t every_ms;

	pthread_mutex_lock(&sub->inst->lock);
	every_ms = sub->curious ? FIGURES_WANTED_MS : sub->unsettled || sub->behind ? FIGURES_MS : FIGURES_IDLE_MS;
	if (now - sub->asked_ns < every_ms * WEIR_JS_MS) {
		pthread_mutex_unlock(&sub->inst->lock);
		return;
	}
	sub->curious = false;
	pthread_mutex_unlock(&sub->inst->lock);
	sub->asked_ns = now;
	weir_js_ask(sub->inst, &stream, NULL, "STREAM.INFO.%s", sub->topic->stream);
	weir_js_ask(sub->inst, &consumer, NULL, "CONSUMER.INFO.%s.%s", sub->topic->stream, sub->consumer);
}

/* ---- looking after them ------------------------------------------------------------------------------------- */

void weir_js_subs_tend(struct weir_inst *inst, int64_t now)
{
	struct link *at;

	for (at = inst->subs.next; at != &inst->subs; at = at->next) {
		struct weir_sub *sub = weir_list_entry(at, struct weir_sub, link);

		if (sub->topic->state != STATE_READY)
			continue;
		if (sub->state == STATE_READY) {
			figures_ask(sub, now);
		} else if (sub->state != STATE_ASKED && now >= sub->retry_ns) {
			state_set(sub, STATE_ASKED);
			if (!ask(sub))
				state_set(sub, STATE_WANTED);
		}
	}
}

/* ---- deleting ------------------------------------------------------------------------------------------------ */

static void deleted(struct weir_inst *inst, struct call *call, struct json_object *answer,
		    const struct weir_error *failure)
{
	struct weir_error why = WEIR_ERROR_INIT;

	if (!failure && weir_js_refused(answer, &why, "deleting the consumer %.150s", call->command->consumer))
		failure = &why;
	if (failure && failure->code == WEIR_ENOTFOUND)
		failure = NULL;
	weir_js_command_finish(inst, call->command, failure);
}

/* While others are members it is still theirs: the last one to go takes it along. */
static bool shared(struct weir_inst *inst, const struct command *command)
{
	struct link *at;

	for (at = inst->subs.next; at != &inst->subs; at = at->next) {
		const struct weir_sub *sub = weir_list_entry(at, struct weir_sub, link);

		if (strcmp(sub->consumer, command->consumer) == 0 && strcmp(sub->topic->stream, command->stream) == 0)
			return true;
	}
	return false;
}

void weir_js_delete_consumer(struct weir_inst *inst, struct command *command)
{
	const struct call call = { .done = deleted, .command = command };
	struct weir_error why = WEIR_ERROR_INIT;

	if (shared(inst, command)) {
		weir_js_command_finish(inst, command, NULL);
		return;
	}
	if (weir_js_ask(inst, &call, NULL, "CONSUMER.DELETE.%s.%s", command->stream, command->consumer))
		return;
	weir_fail(&why, WEIR_EUNAVAIL, "jetstream: no connection to delete the consumer %.150s", command->consumer);
	weir_js_command_finish(inst, command, &why);
}
