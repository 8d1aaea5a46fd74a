/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: one for each topic. Looked for, made if they are missing, and looked for again after each connect. */
#include "jetstream.h"

#include <stdlib.h>
#include <string.h>

enum {
	RETRY_MS = 250,
	FAILED_RETRY_MS = 5000,
	DOUBT_MS = 20, /* a stream that has no leader for a moment */
};

/* ---- opening: the host's threads ------------------------------------------------------- */

static struct weir_topic *find_in(struct link *list, const char *stream, const char *subject)
{
	struct link *at;

	for (at = list->next; at != list; at = at->next) {
		struct weir_topic *topic = weir_list_entry(at, struct weir_topic, link);

		if (strcmp(topic->stream, stream) == 0 && strcmp(topic->subject, subject) == 0)
			return topic;
	}
	return NULL;
}

static struct weir_topic *topic_find(struct weir_inst *inst, const char *stream, const char *subject)
{
	struct weir_topic *topic = find_in(&inst->topics, stream, subject);

	return topic ? topic : find_in(&inst->new_topics, stream, subject);
}

static struct weir_topic *topic_new(struct weir_inst *inst, const char *stream, const char *subject, const char *ns,
				    const char *channel)
{
	size_t size = strlen(stream) + 1, ns_size = strlen(ns) + 1, channel_size = strlen(channel) + 1;
	struct weir_topic *topic = calloc(1, sizeof *topic + size + ns_size + channel_size);

	if (!topic)
		return NULL;
	memcpy(topic->stream, stream, size);
	topic->ns = memcpy(topic->stream + size, ns, ns_size);
	topic->channel = memcpy(topic->stream + size + ns_size, channel, channel_size);
	snprintf(topic->subject, sizeof topic->subject, "%s", subject);
	topic->inst = inst;
	topic->duplicates_ms = inst->settings.duplicates_ms;
	weir_list_init(&topic->link);
	weir_list_init(&topic->queued);
	weir_list_init(&topic->sent);
	weir_list_init(&topic->notice.link);
	topic->notice.topic = topic;
	return topic;
}

/* The host is told of every opening that it is ready. Lock held. */
static void opened(struct weir_topic *topic)
{
	if (++topic->opened > 1 && topic->state == STATE_READY) {
		topic->notice.type = WEIR_EV_TOPIC_READY;
		weir_js_notify(topic->inst, &topic->notice);
		return;
	}
	topic->fresh = true;
}

int weir_js_topic_open(struct weir_inst *inst, const char *ns, const char *name, struct weir_topic **ret,
		       struct weir_error *err)
{
	char stream[WEIR_JS_MAX_NAME + 1], subject[WEIR_JS_MAX_SUBJECT];
	struct weir_topic *topic;
	int code = weir_js_stream_name(&inst->settings, ns, name, stream, sizeof stream, err);

	*ret = NULL;
	code = code ? code : weir_js_subject(&inst->settings, ns, name, subject, sizeof subject, err);
	if (code)
		return code;
	pthread_mutex_lock(&inst->lock);
	topic = topic_find(inst, stream, subject);
	if (!topic && (topic = topic_new(inst, stream, subject, ns, name)))
		weir_list_append(&inst->new_topics, &topic->link);
	if (topic)
		opened(topic);
	pthread_mutex_unlock(&inst->lock);
	if (!topic)
		return weir_fail(err, WEIR_ENOMEM, "jetstream: no memory for the stream %.200s", stream);
	weir_js_wake(inst);
	*ret = topic;
	return WEIR_OK;
}

void weir_js_topic_close(struct weir_inst *inst, struct weir_topic *topic)
{
	pthread_mutex_lock(&inst->lock);
	if (--topic->opened == 0)
		weir_list_unlink(&topic->notice.link);
	pthread_mutex_unlock(&inst->lock);
}

static void list_free(struct link *list)
{
	while (weir_list_linked(list)) {
		struct weir_topic *topic = weir_list_entry(list->next, struct weir_topic, link);

		weir_list_unlink(&topic->link);
		weir_list_unlink(&topic->notice.link);
		free(topic);
	}
}

void weir_js_topics_free(struct weir_inst *inst)
{
	list_free(&inst->topics);
	list_free(&inst->new_topics);
}

/* ---- deleting ------------------------------------------------------------------------------ */

int weir_js_topic_delete(struct weir_inst *inst, const char *ns, const char *name, int64_t deadline_ns,
			 struct weir_error *err)
{
	char stream[WEIR_JS_MAX_NAME + 1], subject[WEIR_JS_MAX_SUBJECT];
	struct weir_topic *topic;
	struct command *command;
	bool open;
	int code = weir_js_stream_name(&inst->settings, ns, name, stream, sizeof stream, err);

	code = code ? code : weir_js_subject(&inst->settings, ns, name, subject, sizeof subject, err);
	if (code)
		return code;
	pthread_mutex_lock(&inst->lock);
	topic = topic_find(inst, stream, subject);
	open = topic && topic->opened;
	pthread_mutex_unlock(&inst->lock);
	if (open)
		return weir_fail(err, WEIR_EBUSY, "jetstream: the stream %.200s is in use", stream);
	command = weir_js_command_new(COMMAND_DELETE_TOPIC, deadline_ns);
	if (!command)
		return weir_fail(err, WEIR_ENOMEM, "jetstream: no memory to delete the stream %.200s", stream);
	snprintf(command->stream, sizeof command->stream, "%s", stream);
	return weir_js_command_run(inst, command, err);
}

static void deleted(struct weir_inst *inst, struct call *call, struct json_object *answer,
		    const struct weir_error *failure)
{
	struct weir_error why = WEIR_ERROR_INIT;

	if (!failure && weir_js_refused(answer, &why, "deleting the stream %.150s", call->command->stream))
		failure = &why;
	weir_js_command_finish(inst, call->command, failure);
}

void weir_js_delete_stream(struct weir_inst *inst, struct command *command)
{
	const struct call call = { .done = deleted, .command = command };
	struct weir_error why = WEIR_ERROR_INIT;
	struct link *at;

	/* It is not there any more for whoever opens it again. */
	for (at = inst->topics.next; at != &inst->topics; at = at->next) {
		struct weir_topic *topic = weir_list_entry(at, struct weir_topic, link);

		if (strcmp(topic->stream, command->stream) == 0)
			weir_js_topic_doubt(topic);
	}
	if (weir_js_ask(inst, &call, NULL, "STREAM.DELETE.%s", command->stream))
		return;
	weir_fail(&why, WEIR_EUNAVAIL, "jetstream: no connection to delete the stream %.150s", command->stream);
	weir_js_command_finish(inst, command, &why);
}

/* ---- what a stream is like ----------------------------------------------------------------------- */

static void state_set(struct weir_topic *topic, enum object_state state)
{
	pthread_mutex_lock(&topic->inst->lock);
	topic->state = state;
	pthread_mutex_unlock(&topic->inst->lock);
}

void weir_js_topic_doubt(struct weir_topic *topic)
{
	if (topic->state != STATE_READY && topic->state != STATE_FAILED)
		return;
	topic->retry_ns = weir_js_now() + DOUBT_MS * WEIR_JS_MS;
	state_set(topic, STATE_WANTED);
}

/* It works, but loses events by itself: whoever looks after it is to know. */
static void lossy_check(struct weir_topic *topic, struct json_object *config)
{
	bool limits = weir_js_get_int(config, "max_msgs", -1) > 0 || weir_js_get_int(config, "max_bytes", -1) > 0;
	bool old = limits && strcmp(weir_js_get_text(config, "discard"), "new") != 0;
	bool age = weir_js_get_int(config, "max_age", 0) > 0;
	bool subject = weir_js_get_int(config, "max_msgs_per_subject", -1) > 0;
	bool lossy = old || age || subject;

	if (lossy && !topic->lossy)
		weir_js_log(topic->inst, 1,
			    "jetstream: the stream %s DROPS events that nobody has received yet: %s%s%s. Set its "
			    "discard policy to \"new\" and its limits so that nothing falls out",
			    topic->stream, old ? "the oldest when it is full; " : "",
			    age ? "those older than max_age; " : "",
			    subject ? "all but the last max_msgs_per_subject" : "");
	topic->lossy = lossy;
}

static bool has_subject(struct json_object *subjects, const char *subject)
{
	size_t count = json_object_is_type(subjects, json_type_array) ? json_object_array_length(subjects) : 0, i;

	for (i = 0; i < count; i++) {
		struct json_object *one = json_object_array_get_idx(subjects, i);
		const char *text = json_object_get_string(one);

		if (text && (strcmp(text, subject) == 0 || strcmp(text, ">") == 0))
			return true;
		/* A wildcard: the server has accepted it, and it says so when we publish if it does not match. */
		if (text && strpbrk(text, "*>"))
			return true;
	}
	return false;
}

static bool config_fits(struct weir_topic *topic, struct json_object *config, struct weir_error *err)
{
	if (!has_subject(weir_js_get(config, "subjects"), topic->subject)) {
		weir_fail(err, WEIR_EEXIST,
			  "jetstream: the stream %.150s is there, but does not take %.150s: another channel's? Set "
			  "jetstream.streamPattern so that their names differ, or delete it",
			  topic->stream, topic->subject);
		return false;
	}
	if (weir_js_get_int(config, "sealed", 0) || json_object_get_boolean(weir_js_get(config, "no_ack"))) {
		weir_fail(err, WEIR_EEXIST, "jetstream: the stream %.150s is sealed or confirms nothing (no_ack)",
			  topic->stream);
		return false;
	}
	if (strcmp(weir_js_get_text(config, "retention"), "workqueue") == 0) {
		weir_fail(err, WEIR_EEXIST,
			  "jetstream: the stream %.150s is a work queue: each event would reach one subscription "
			  "only. Delete it, or make it one with retention limits or interest",
			  topic->stream);
		return false;
	}
	return true;
}

/* "2026-11-24T14:00:00.123456789Z" as a number that differs for different times. */
static int64_t time_number(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return (int64_t)(hash >> 1);
}

static void figures_take(struct weir_topic *topic, struct json_object *answer)
{
	int64_t window = weir_js_get_int(answer, "config.duplicate_window", 0) / 1000000;

	pthread_mutex_lock(&topic->inst->lock);
	topic->first_seq = (uint64_t)weir_js_get_int(answer, "state.first_seq", 0);
	topic->records = (uint64_t)weir_js_get_int(answer, "state.messages", 0);
	topic->bytes = (uint64_t)weir_js_get_int(answer, "state.bytes", 0);
	topic->duplicates_ms = window;
	pthread_mutex_unlock(&topic->inst->lock);
}

static void ready(struct weir_topic *topic, struct json_object *answer)
{
	struct weir_inst *inst = topic->inst;
	int64_t created = time_number(weir_js_get_text(answer, "created"));

	figures_take(topic, answer);
	lossy_check(topic, weir_js_get(answer, "config"));
	if (topic->created && topic->created != created)
		weir_js_log(inst, 0,
			    "jetstream: the stream %s was deleted and is made anew: the events that were in it and not "
			    "delivered are lost",
			    topic->stream);
	topic->created = created;
	pthread_mutex_lock(&inst->lock);
	topic->state = STATE_READY;
	if (topic->fresh && topic->opened) {
		topic->fresh = false;
		topic->notice.type = WEIR_EV_TOPIC_READY;
		memset(&topic->notice.error, 0, sizeof topic->notice.error);
		weir_js_notify(inst, &topic->notice);
	}
	pthread_mutex_unlock(&inst->lock);
}

static bool hopeless(int code)
{
	return code == WEIR_EINVAL || code == WEIR_ENOPERM || code == WEIR_ELIMIT || code == WEIR_EEXIST;
}

/* What may pass is tried again soon; what somebody has to change, after a while. */
static void failed(struct weir_topic *topic, const struct weir_error *why)
{
	struct weir_inst *inst = topic->inst;
	bool give_up = hopeless(why->code), news;

	topic->retry_ns = weir_js_now() + (give_up ? FAILED_RETRY_MS : RETRY_MS) * WEIR_JS_MS;
	pthread_mutex_lock(&inst->lock);
	news = strcmp(topic->notice.error.text, why->text) != 0;
	topic->notice.error = *why;
	topic->state = give_up ? STATE_FAILED : STATE_WANTED;
	if (give_up && topic->opened && (topic->fresh || news)) {
		topic->notice.type = WEIR_EV_TOPIC_FAILED;
		weir_js_notify(inst, &topic->notice);
		topic->fresh = true; /* it is told when it works after all */
	}
	pthread_mutex_unlock(&inst->lock);
	if (news)
		weir_js_log(inst, 1, "%s", why->text);
	if (give_up)
		weir_js_publish_fail(topic, why->code, why->native);
}

/* ---- asking ------------------------------------------------------------------------------------------- */

static struct json_object *config_new(const struct weir_topic *topic)
{
	const struct settings *settings = &topic->inst->settings;
	struct json_object *config = json_object_new_object(), *subjects = json_object_new_array();

	json_object_array_add(subjects, json_object_new_string(topic->subject));
	json_object_object_add(config, "name", json_object_new_string(topic->stream));
	json_object_object_add(config, "subjects", subjects);
	json_object_object_add(config, "retention", json_object_new_string(settings->interest ? "interest" : "limits"));
	json_object_object_add(config, "storage", json_object_new_string(settings->memory ? "memory" : "file"));
	json_object_object_add(config, "discard", json_object_new_string(settings->discard_old ? "old" : "new"));
	json_object_object_add(config, "num_replicas", json_object_new_int(settings->replicas));
	json_object_object_add(config, "max_consumers", json_object_new_int(-1));
	json_object_object_add(config, "max_msgs_per_subject", json_object_new_int(-1));
	json_object_object_add(config, "max_msg_size", json_object_new_int(-1));
	json_object_object_add(config, "max_msgs",
			       json_object_new_int64(settings->max_messages ? settings->max_messages : -1));
	json_object_object_add(config, "max_bytes",
			       json_object_new_int64(settings->max_bytes ? settings->max_bytes : -1));
	json_object_object_add(config, "max_age", json_object_new_int64(settings->max_age_ms * WEIR_JS_MS));
	json_object_object_add(config, "duplicate_window", json_object_new_int64(settings->duplicates_ms * WEIR_JS_MS));
	return config;
}

static void stream_asked(struct weir_inst *inst, struct call *call, struct json_object *answer,
			 const struct weir_error *failure);

static bool ask(struct weir_topic *topic)
{
	const struct call call = { .done = stream_asked, .topic = topic };

	return weir_js_ask(topic->inst, &call, NULL, "STREAM.INFO.%s", topic->stream);
}

static void stream_made(struct weir_inst *inst, struct call *call, struct json_object *answer,
			const struct weir_error *failure)
{
	struct weir_topic *topic = call->topic;
	struct weir_error why = WEIR_ERROR_INIT;

	(void)inst;
	if (!failure && weir_js_refused(answer, &why, "making the stream %.150s", topic->stream))
		failure = &why;
	if (!failure)
		ready(topic, answer);
	else if (failure->native == 10058) /* somebody else was faster */
		state_set(topic, STATE_WANTED);
	else
		failed(topic, failure);
}

static bool make(struct weir_topic *topic)
{
	const struct call call = { .done = stream_made, .topic = topic };
	struct json_object *config = config_new(topic);
	bool ret =
	    weir_js_ask(topic->inst, &call, json_object_to_json_string(config), "STREAM.CREATE.%s", topic->stream);

	json_object_put(config);
	return ret;
}

static void stream_asked(struct weir_inst *inst, struct call *call, struct json_object *answer,
			 const struct weir_error *failure)
{
	struct weir_topic *topic = call->topic;
	struct weir_error why = WEIR_ERROR_INIT;

	if (!failure && weir_js_refused(answer, &why, "looking for the stream %.150s", topic->stream))
		failure = &why;
	if (!failure) {
		if (config_fits(topic, weir_js_get(answer, "config"), &why))
			ready(topic, answer);
		else
			failed(topic, &why);
		return;
	}
	if (failure->code != WEIR_ENOTFOUND) {
		failed(topic, failure);
		return;
	}
	if (!inst->settings.create) {
		weir_fail(&why, WEIR_EINVAL,
			  "jetstream: there is no stream %.150s; make it, or set jetstream.createStreams to true",
			  topic->stream);
		failed(topic, &why);
	} else if (!make(topic)) {
		state_set(topic, STATE_WANTED);
	}
}

void weir_js_topics_tend(struct weir_inst *inst, int64_t now)
{
	struct link *at;

	for (at = inst->topics.next; at != &inst->topics; at = at->next) {
		struct weir_topic *topic = weir_list_entry(at, struct weir_topic, link);
		bool wanted;

		pthread_mutex_lock(&inst->lock);
		wanted = topic->opened && topic->state != STATE_ASKED && topic->state != STATE_READY;
		/* Opened anew: not to wait for the next try of the one before. */
		if (wanted && topic->fresh && topic->state == STATE_WANTED && !topic->notice.error.code)
			topic->retry_ns = 0;
		wanted = wanted && now >= topic->retry_ns;
		if (wanted)
			topic->state = STATE_ASKED;
		pthread_mutex_unlock(&inst->lock);
		if (wanted && !ask(topic))
			state_set(topic, STATE_WANTED);
	}
}
