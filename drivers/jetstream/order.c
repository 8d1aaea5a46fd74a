/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order of keys with several members. A pull consumer hands each message to
 * whoever asks first, so two members could work on one key at a time. Where the
 * host keeps order the consumer is a pinned one: it serves one member, and
 * another one when that has been silent for a while. The new one finds messages
 * that the one before has left unsettled; they come again when their time is
 * over, later than newer ones. So it waits until all of them are here, and
 * hands out in the order of the stream. All of it runs on io.
 */
#include "jetstream.h"

#include <string.h>

enum {
	ASK_MS = 250,
};

static const char group[] = "weir";

void weir_js_pin_set(struct json_object *config)
{
	struct json_object *groups = json_object_new_array();

	json_object_array_add(groups, json_object_new_string(group));
	json_object_object_add(config, "priority_groups", groups);
	json_object_object_add(config, "priority_policy", json_object_new_string("pinned_client"));
	json_object_object_add(config, "priority_timeout", json_object_new_int64(WEIR_JS_PIN_MS * WEIR_JS_MS));
}

bool weir_js_pin_is_set(struct json_object *config)
{
	return strcmp(weir_js_get_text(config, "priority_policy"), "pinned_client") == 0;
}

void weir_js_pin_take(struct weir_sub *sub, natsMsg *msg)
{
	const char *pin = NULL;

	if (!sub->pinned || natsMsgHeader_Get(msg, "Nats-Pin-Id", &pin) != NATS_OK || !pin ||
	    strcmp(pin, sub->pin) == 0)
		return;
	snprintf(sub->pin, sizeof sub->pin, "%s", pin);
	sub->pin_ns = weir_js_now();
	sub->barrier_ns = 0;
	sub->left_ns = sub->pin_ns;
	sub->foreign = 0;
	pthread_mutex_lock(&sub->inst->lock);
	sub->barrier = true;
	pthread_mutex_unlock(&sub->inst->lock);
}

void weir_js_pin_lose(struct weir_sub *sub)
{
	sub->pin[0] = '\0';
}

void weir_js_pin_name(const struct weir_sub *sub, char *ret, size_t size)
{
	ret[0] = '\0';
	if (sub->pinned && sub->pin[0])
		snprintf(ret, size, ",\"group\":\"%s\",\"id\":\"%s\"", group, sub->pin);
	else if (sub->pinned)
		snprintf(ret, size, ",\"group\":\"%s\"", group);
}

/* Everything that is unsettled is here: the order is known. */
static void left_known(struct weir_inst *inst, struct call *call, struct json_object *answer,
		       const struct weir_error *failure)
{
	struct weir_sub *sub = call->sub;
	uint64_t outstanding, have;

	if (failure || weir_js_get(answer, "error"))
		return;
	outstanding = (uint64_t)weir_js_get_int(answer, "num_ack_pending", 0);
	pthread_mutex_lock(&inst->lock);
	have = sub->ready_count + sub->unsettled;
	sub->foreign = outstanding > have ? outstanding - have : 0;
	if (!sub->foreign && sub->barrier) {
		sub->barrier = false;
		weir_js_raise(inst);
	}
	pthread_mutex_unlock(&inst->lock);
}

/*
 * Before their time is over new messages would come instead, and fill what room
 * there is; after it the server sends them first. If they do not come then,
 * their member is alive and has asked for more time: once more, after a while.
 */
uint64_t weir_js_pin_room(struct weir_sub *sub, int64_t now)
{
	if (!sub->foreign || now - sub->left_ns < (int64_t)sub->ack_wait_ms * WEIR_JS_MS)
		return 0;
	sub->left_ns = now;
	return sub->foreign;
}

/* A request that no message fits into: the server only notes that we are there. */
static void keep_pin(struct weir_sub *sub, int64_t now)
{
	struct weir_inst *inst = sub->inst;
	char subject[WEIR_JS_MAX_SUBJECT + 128], reply[sizeof inst->inbox + 16], body[256], pin[128];

	sub->pin_ns = now;
	weir_js_pin_name(sub, pin, sizeof pin);
	snprintf(subject, sizeof subject, "%s.CONSUMER.MSG.NEXT.%s.%s", inst->settings.api, sub->topic->stream,
		 sub->consumer);
	snprintf(reply, sizeof reply, "%s.c.k0", inst->inbox);
	snprintf(body, sizeof body, "{\"batch\":1,\"max_bytes\":1,\"expires\":%lld%s}",
		 (long long)(WEIR_JS_PIN_MS / 3 * WEIR_JS_MS), pin);
	natsConnection_PublishRequest(inst->nc, subject, reply, body, (int)strlen(body));
}

int weir_js_pin_tend(struct weir_sub *sub, int64_t now)
{
	const struct call call = { .done = left_known, .sub = sub };

	if (!sub->pinned || !sub->pin[0])
		return -1;
	if (now - sub->pin_ns >= WEIR_JS_PIN_MS / 3 * WEIR_JS_MS)
		keep_pin(sub, now);
	if (!sub->barrier)
		return WEIR_JS_PIN_MS / 3;
	if (now - sub->barrier_ns >= ASK_MS * WEIR_JS_MS) {
		sub->barrier_ns = now;
		weir_js_ask(sub->inst, &call, NULL, "CONSUMER.INFO.%s.%s", sub->topic->stream, sub->consumer);
	}
	return ASK_MS;
}
