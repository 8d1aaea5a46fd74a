/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulling. A request says how many messages may come; they come to an inbox of
 * the subscription's own, and so do words of the server about the request.
 * There is no polling: a request stays open, and the next one is made when
 * there is room for a batch.
 */
#include "jetstream.h"

#include <stdlib.h>
#include <string.h>

enum {
	CHUNK = 64,
	LINGER_NS = 1000000,
	AGAIN_MS = 100, /* after the server has ended a request for its own reasons */
	RETRY_MS = 250,
};

struct arrival {
	struct record *record;
	uint64_t seq, pending;
	int64_t time_ns;
	uint32_t attempt;
};

/* ---- listening ------------------------------------------------------------------------------- */

bool weir_js_sub_listen(struct weir_sub *sub)
{
	struct weir_inst *inst = sub->inst;
	char subject[sizeof inst->inbox + 64];

	if (!inst->nc)
		return false;
	/* A new one each time: what an earlier connection has asked for does not come to this one. */
	snprintf(subject, sizeof subject, "%s.d.%llx.%llx", inst->inbox, (unsigned long long)inst->connect_count,
		 (unsigned long long)sub->epoch);
	if (natsConnection_SubscribeSync(&sub->inbox, inst->nc, subject) != NATS_OK) {
		sub->inbox = NULL;
		return false;
	}
	natsSubscription_SetPendingLimits(sub->inbox, -1, -1);
	sub->requested = 0;
	return true;
}

/* ---- what a message says about itself ----------------------------------------------------------- */

static uint64_t digits(const char *at)
{
	uint64_t ret = 0;

	for (; *at >= '0' && *at <= '9'; at++)
		ret = ret * 10 + (uint64_t)(*at - '0');
	return ret;
}

/*
 * "$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQ.CONSUMER_SEQ.TIME.PENDING", or with
 * DOMAIN.ACCOUNT in front of the stream and perhaps more at the end.
 */
static bool meta_read(const char *reply, struct arrival *arrival)
{
	const char *tokens[16];
	size_t count = 0, first;
	const char *at = reply;

	if (strncmp(reply, "$JS.ACK.", 8) != 0)
		return false;
	while (at && count < 16) {
		tokens[count++] = at;
		at = strchr(at, '.');
		at = at ? at + 1 : NULL;
	}
	if (count < 9)
		return false;
	first = count >= 11 ? 6 : 4;
	arrival->attempt = (uint32_t)digits(tokens[first]);
	arrival->seq = digits(tokens[first + 1]);
	arrival->time_ns = (int64_t)digits(tokens[first + 3]);
	arrival->pending = digits(tokens[first + 4]);
	return arrival->seq > 0 && arrival->attempt > 0;
}

/* ---- words of the server -------------------------------------------------------------------------- */

static uint64_t still_pending(natsMsg *msg)
{
	const char *value = NULL;

	if (natsMsgHeader_Get(msg, "Nats-Pending-Messages", &value) != NATS_OK || !value)
		return UINT64_MAX;
	return strtoull(value, NULL, 10);
}

static void request_over(struct weir_sub *sub, natsMsg *msg)
{
	uint64_t left = still_pending(msg);

	sub->requested = left < sub->requested ? sub->requested - left : 0;
}

static void status_take(struct weir_sub *sub, natsMsg *msg, int64_t now)
{
	const char *value = NULL, *text = NULL;
	int status;

	if (natsMsgHeader_Get(msg, "Status", &value) != NATS_OK || !value)
		return;
	natsMsgHeader_Get(msg, "Description", &text);
	status = atoi(value);
	if (status == 100) /* the request is still open */
		return;
	if (status == 503) {
		weir_js_topic_doubt(sub->topic);
		weir_js_sub_doubt(sub, RETRY_MS);
		return;
	}
	request_over(sub, msg);
	if (status == 423) /* it is another one's turn */
		weir_js_pin_lose(sub);
	if (status == 404 || status == 408)
		return;
	if (text && strcasestr(text, "consumer deleted")) {
		weir_js_topic_doubt(sub->topic);
		weir_js_sub_doubt(sub, 0);
		return;
	}
	if (!text || !strcasestr(text, "batch completed"))
		sub->pull_ns = now + AGAIN_MS * WEIR_JS_MS;
}

/* ---- messages --------------------------------------------------------------------------------------- */

static void say_again(struct weir_sub *sub, struct record *record, int verb)
{
	weir_js_word_add(sub->inst, record, verb, 0);
}

/* The server sends it again though we have it. True if that is all there is to it. Lock held. */
static bool merged(struct weir_sub *sub, struct entry *entry, const struct arrival *arrival, int64_t now)
{
	if (entry->time_ns != arrival->time_ns) {
		weir_js_entry_drop(sub, entry); /* of a stream that is gone */
		return false;
	}
	if (entry->state == ENTRY_OUT && entry->deadline_ns > now) {
		entry->touched_ns = now;
		say_again(sub, arrival->record, WEIR_EXTEND);
		return true;
	}
	weir_js_entry_drop(sub, entry);
	return false;
}

/* Lock held. */
static void arrived(struct weir_sub *sub, const struct arrival *arrival, int64_t now)
{
	const struct settled *settled = weir_js_settled_find(sub, arrival->seq, arrival->time_ns);
	struct entry *entry = weir_js_entry_find(sub, arrival->seq);

	sub->behind = arrival->pending;
	if (settled) {
		say_again(sub, arrival->record, settled->verb);
		return;
	}
	if (entry && merged(sub, entry, arrival, now))
		return;
	entry = weir_js_entry_new(sub->inst);
	if (entry) {
		entry->record = arrival->record;
		entry->seq = arrival->seq;
		entry->time_ns = arrival->time_ns;
		entry->attempt = arrival->attempt;
		entry->touched_ns = now;
		sub->mean_bytes = (sub->mean_bytes * 7 + arrival->record->bytes) / 8;
		if (weir_js_entry_add(sub, entry))
			return;
		free(entry);
	}
	/* No memory: it comes again when the server's patience is over. */
	weir_js_release(arrival->record);
}

static size_t chunk_take(struct weir_sub *sub, struct arrival *arrivals, int *left, int64_t now)
{
	size_t count = 0;
	natsMsg *msg;

	while (count<CHUNK && * left> 0 && natsSubscription_NextMsg(&msg, sub->inbox, 0) == NATS_OK) {
		const char *reply = natsMsg_GetReply(msg);
		struct arrival *arrival = &arrivals[count];

		--*left;
		if (!reply || !*reply) {
			status_take(sub, msg, now);
			natsMsg_Destroy(msg);
			continue;
		}
		if (sub->requested)
			sub->requested--;
		weir_js_pin_take(sub, msg);
		if (!meta_read(reply, arrival) || !(arrival->record = weir_js_record_new(msg)))
			natsMsg_Destroy(msg);
		else
			count++;
	}
	return count;
}

void weir_js_receive(struct weir_sub *sub, int64_t now)
{
	struct arrival arrivals[CHUNK];
	bool news = false;
	int left = 0;
	size_t count, i;

	if (!sub->inbox || natsSubscription_GetPending(sub->inbox, &left, NULL) != NATS_OK || !left)
		return;
	sub->heard_ns = now;
	while (left > 0 && sub->inbox) {
		count = chunk_take(sub, arrivals, &left, now);
		if (!count)
			continue;
		pthread_mutex_lock(&sub->inst->lock);
		for (i = 0; i < count; i++)
			arrived(sub, &arrivals[i], now);
		news = sub->ready_count && sub->credit_records > 0 && !sub->paused;
		pthread_mutex_unlock(&sub->inst->lock);
	}
	if (news)
		weir_js_raise(sub->inst);
}

/* ---- asking for more ---------------------------------------------------------------------------------- */

/* Messages that could be handed out and are not on their way. */
static uint64_t room_for(struct weir_sub *sub, int64_t now)
{
	uint64_t records, bytes, have;

	if (sub->barrier)
		return weir_js_pin_room(sub, now);
	pthread_mutex_lock(&sub->inst->lock);
	records = sub->credit_records > 0 && sub->credit_bytes > 0 && !sub->paused && !sub->closing
		      ? (uint64_t)sub->credit_records
		      : 0;
	bytes = sub->credit_bytes > 0 ? (uint64_t)sub->credit_bytes : 0;
	if (sub->mean_bytes && records > 1 + bytes / sub->mean_bytes)
		records = 1 + bytes / sub->mean_bytes;
	have = sub->ready_count + sub->requested;
	pthread_mutex_unlock(&sub->inst->lock);
	records = records > have ? records - have : 0;
	return records < WEIR_JS_PULL_MAX ? records : WEIR_JS_PULL_MAX;
}

static void request(struct weir_sub *sub, uint64_t count, int64_t now)
{
	struct weir_inst *inst = sub->inst;
	char subject[WEIR_JS_MAX_SUBJECT + 128], body[320], pin[128] = "";
	const char *reply = natsSubscription_GetSubject(sub->inbox);

	snprintf(subject, sizeof subject, "%s.CONSUMER.MSG.NEXT.%s.%s", inst->settings.api, sub->topic->stream,
		 sub->consumer);
	weir_js_pin_name(sub, pin, sizeof pin);
	snprintf(body, sizeof body, "{\"batch\":%llu,\"expires\":%lld,\"idle_heartbeat\":%lld%s}",
		 (unsigned long long)count, (long long)(WEIR_JS_PULL_MS * WEIR_JS_MS),
		 (long long)(WEIR_JS_BEAT_MS * WEIR_JS_MS), pin);
	if (natsConnection_PublishRequest(inst->nc, subject, reply, body, (int)strlen(body)) != NATS_OK)
		return;
	if (!sub->requested)
		sub->heard_ns = now;
	sub->requested += count;
	sub->linger_ns = 0;
}

/* True if a request of that size is worth it now; else *wait_ms says when it is. */
static bool worth_it(struct weir_sub *sub, uint64_t room, int64_t now, int *wait_ms)
{
	uint64_t batch = sub->window / 4 ? sub->window / 4 : 1;

	if (room >= batch && room >= sub->requested)
		return true;
	if (sub->requested)
		return false;
	if (!sub->linger_ns)
		sub->linger_ns = now + LINGER_NS;
	if (now >= sub->linger_ns)
		return true;
	*wait_ms = 1;
	return false;
}

int weir_js_pull(struct weir_sub *sub, int64_t now)
{
	int wait_ms, linger_ms = -1;
	uint64_t room;

	if (sub->state != STATE_READY || !sub->inbox)
		return -1;
	wait_ms = weir_js_pin_tend(sub, now);
	if (sub->requested && now - sub->heard_ns > (2 * WEIR_JS_BEAT_MS + 1000) * WEIR_JS_MS) {
		weir_js_sub_doubt(sub, 0); /* the server has forgotten the request */
		return 0;
	}
	if (now < sub->pull_ns)
		return (int)((sub->pull_ns - now) / WEIR_JS_MS) + 1;
	room = room_for(sub, now);
	if (room && (sub->barrier || worth_it(sub, room, now, &linger_ms)))
		request(sub, room, now);
	return linger_ms >= 0 ? linger_ms : wait_ms;
}
