/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscription's session: what the server sends, and acks.
 *
 * members=exclusive: the client's id is made of the subscription, the same in
 * every process, and the server admits one client of that name: the one that
 * reads. The others knock until it is gone; then one of them gets everything
 * that was not acked, in order. members=queue: clients of any name, one durable
 * queue group; but not for a subscription that asks for order.
 */
#include "natss.h"

#include <stdlib.h>
#include <string.h>

/* ---- telling ------------------------------------------------------------------ */

/* Lock held. */
static void tell(struct weir_sub *sub, uint32_t type, const struct weir_error *why)
{
	memset(&sub->state.error, 0, sizeof sub->state.error);
	if (why)
		sub->state.error = *why;
	sub->state.type = type;
	sub->ready = type == WEIR_EV_SUB_READY;
	sub->failed_code = why ? why->code : WEIR_OK;
	if (!sub->session.stop)
		weir_natss_notify(sub->session.inst, &sub->state);
}

/* Lock held. */
static void tell_ready(struct weir_sub *sub)
{
	if (!sub->ready)
		tell(sub, WEIR_EV_SUB_READY, NULL);
}

static void tell_gap(struct weir_sub *sub, uint64_t first, uint64_t last)
{
	bool waits = weir_list_linked(&sub->gap.link);

	/* One that was not reported yet becomes longer. */
	if (!waits)
		sub->gap.position = first;
	sub->gap.position_end = last;
	if (!sub->session.stop)
		weir_natss_notify(sub->session.inst, &sub->gap);
}

/* Everything that was handed out is nobody's business here any more. Lock held. */
static void revoke(struct weir_sub *sub)
{
	struct weir_inst *inst = sub->session.inst;

	while (weir_list_linked(&sub->acks)) {
		struct entry *entry = weir_list_entry(sub->acks.next, struct entry, link);

		weir_list_unlink(&entry->link);
		weir_natss_entry_unref(entry);
	}
	weir_natss_sequence_reset(&sub->sequence);
	sub->lag.known = false;
	if (sub->inflight.out_count && !sub->session.stop) {
		sub->revoked.epoch = sub->epoch;
		sub->epoch = inst->next_epoch++;
		weir_natss_notify(inst, &sub->revoked);
	}
	weir_natss_inflight_clear(&sub->inflight);
	weir_natss_sub_refresh(sub);
}

/* ---- arrivals -------------------------------------------------------------------- */

/* Lock held. Takes the entry. */
static void ack_later(struct weir_sub *sub, struct entry *entry)
{
	if (!weir_list_linked(&sub->acks))
		pthread_cond_signal(&sub->session.wake);
	entry->state = WEIR_NATSS_SETTLED;
	weir_list_append(&sub->acks, &entry->link);
}

static void on_reborn(struct weir_sub *sub)
{
	weir_natss_log(sub->session.inst, 1,
		       "natss: the channel %s was deleted at the server and has begun anew; what it held is lost",
		       sub->topic->name);
	revoke(sub);
}

/* Lock held. Takes the entry. */
static void arrive(struct weir_sub *sub, struct entry *entry)
{
	struct entry *known = weir_natss_inflight_find(&sub->inflight, entry->sequence);
	uint64_t first = 0, last = 0;

	/* Of a connection that is gone: it comes again, or not to us. */
	if (entry->from != sub->session.link || sub->session.lost || sub->session.stop) {
		weir_natss_entry_unref(entry);
		return;
	}
	sub->unheard = 0;
	if (known && known->time_ns == entry->time_ns) {
		weir_natss_inflight_merge(known, entry);
		return;
	}
	if (known)
		on_reborn(sub);
	switch (weir_natss_sequence_arrive(&sub->sequence, entry->sequence, entry->time_ns, entry->attempt, &first,
					   &last)) {
	case WEIR_NATSS_ACK:
		ack_later(sub, entry);
		return;
	case WEIR_NATSS_MISSED:
		weir_natss_log(sub->session.inst, 3, "natss: %s: events were lost on the way and are asked for again",
			       sub->topic->name);
		weir_natss_session_lose(&sub->session);
		weir_natss_entry_unref(entry);
		return;
	case WEIR_NATSS_GAP:
		tell_gap(sub, first, last);
		break;
	case WEIR_NATSS_REBORN:
		on_reborn(sub);
		break;
	case WEIR_NATSS_TAKE:
		break;
	}
	weir_natss_inflight_add(&sub->inflight, entry);
	weir_natss_sub_refresh(sub);
}

void weir_natss_arrivals_take(struct weir_sub *sub)
{
	struct entry *entry = atomic_exchange(&sub->arrived, NULL), *next, *oldest = NULL;

	for (; entry; entry = next) {
		next = entry->chain;
		entry->chain = oldest;
		oldest = entry;
	}
	for (entry = oldest; entry; entry = next) {
		next = entry->chain;
		arrive(sub, entry);
	}
}

static void leave_for_poll(struct weir_sub *sub, struct entry *entry)
{
	struct weir_inst *inst = sub->session.inst;

	entry->chain = atomic_load_explicit(&sub->arrived, memory_order_relaxed);
	while (!atomic_compare_exchange_weak(&sub->arrived, &entry->chain, entry))
		continue;
	if (!atomic_exchange(&inst->arrivals, true))
		weir_natss_raise(inst);
}

/* On a thread of the library's. */
static void on_message(stanConnection *sc, stanSubscription *ssub, const char *channel, stanMsg *message, void *closure)
{
	struct entry *entry = weir_natss_entry_new(message, stanMsg_GetSequence(message), stanMsg_GetTimestamp(message),
						   stanMsg_GetData(message), (size_t)stanMsg_GetDataLength(message),
						   stanMsg_IsRedelivered(message), (uintptr_t)closure);
	struct weir_sub *sub = weir_natss_link_enter((uintptr_t)closure);

	(void)sc;
	(void)ssub;
	(void)channel;
	if (sub && entry) {
		leave_for_poll(sub, entry);
	} else if (sub) {
		/* It must not be overtaken: everything that is not acked comes again. */
		weir_natss_lock(sub->session.inst);
		weir_natss_session_lose(&sub->session);
		weir_natss_unlock(sub->session.inst);
	}
	weir_natss_link_leave();
	if (!entry)
		stanMsg_Destroy(message);
	else if (!sub)
		weir_natss_entry_unref(entry);
}

/* ---- subscribing -------------------------------------------------------------------- */

static natsStatus start_set(const struct weir_sub *sub, stanSubOptions *options)
{
	/* Without a durable the server does not know what was read on an earlier connection. */
	if (sub->ephemeral && sub->sequence.last)
		return stanSubOptions_StartAtSequence(options, sub->sequence.last + 1);
	switch (sub->start) {
	case WEIR_START_EARLIEST:
		return stanSubOptions_DeliverAllAvailable(options);
	case WEIR_START_POSITION:
		return stanSubOptions_StartAtSequence(options, (uint64_t)sub->start_value);
	case WEIR_START_TIME:
		return stanSubOptions_StartAtTime(options, sub->start_value);
	default:
		return NATS_OK; /* what is published from now on */
	}
}

static natsStatus sub_options(const struct weir_sub *sub, stanSubOptions **ret)
{
	natsStatus status = stanSubOptions_Create(ret);

	if (!sub->ephemeral)
		status = status ? status : stanSubOptions_SetDurableName(*ret, sub->uid);
	status = status ? status : stanSubOptions_SetManualAckMode(*ret, true);
	status = status ? status : stanSubOptions_SetAckWait(*ret, sub->ack_wait_ms);
	status = status ? status : stanSubOptions_SetMaxInflight(*ret, (int)sub->max_inflight);
	return status ? status : start_set(sub, *ret);
}

static natsStatus subscribe(struct weir_sub *sub, stanSubOptions *options)
{
	struct session *session = &sub->session;
	void *closure = (void *)session->link;

	if (!sub->shared)
		return stanConnection_Subscribe(&session->ssub, session->sc, sub->topic->name, on_message, closure,
						options);
	return stanConnection_QueueSubscribe(&session->ssub, session->sc, sub->topic->name, sub->uid, on_message,
					     closure, options);
}

static int begin(struct session *session, struct weir_error *err)
{
	struct weir_sub *sub = (struct weir_sub *)session;
	stanSubOptions *options = NULL;
	natsStatus status;
	int code = WEIR_OK;

	weir_natss_lock(session->inst);
	weir_natss_sequence_reconnect(&sub->sequence);
	weir_natss_unlock(session->inst);
	status = sub_options(sub, &options);
	status = status ? status : subscribe(sub, options);
	stanSubOptions_Destroy(options);
	if (status)
		code = weir_natss_fail(err, status, "subscribing to %.200s", sub->topic->name);
	if (!code) {
		weir_natss_lock(session->inst);
		tell_ready(sub);
		weir_natss_unlock(session->inst);
	}
	return code;
}

/* ---- acks -------------------------------------------------------------------------------- */

/* Only the connection through which an event came can ack it. Through another it comes again, and is acked then. */
static void ack(struct session *session, struct entry *entry)
{
	stanMsg *message = entry->newer ? entry->newer : entry->message;

	if (entry->from == session->link && stanSubscription_AckMsg(session->ssub, message) != NATS_OK)
		weir_natss_log(session->inst, 3, "natss: an ack could not be sent");
}

static void ack_all(struct session *session, struct link *list)
{
	while (weir_list_linked(list)) {
		struct entry *entry = weir_list_entry(list->next, struct entry, link);

		weir_list_unlink(&entry->link);
		ack(session, entry);
		weir_natss_entry_unref(entry);
	}
}

/* Puts all of `from` behind what `to` has. */
static void list_move(struct link *to, struct link *from)
{
	if (!weir_list_linked(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	weir_list_init(from);
}

bool weir_natss_acks_take(struct weir_sub *sub, struct link *list, uint32_t count)
{
	if (!weir_list_linked(&sub->acks) && sub->unheard + count <= WEIR_NATSS_LIVELY_ACKS &&
	    weir_natss_session_enter(&sub->session)) {
		sub->unheard += count;
		return true;
	}
	if (!weir_list_linked(&sub->acks))
		pthread_cond_signal(&sub->session.wake);
	list_move(&sub->acks, list);
	return false;
}

void weir_natss_acks_send(struct weir_sub *sub, struct link *list)
{
	ack_all(&sub->session, list);
	weir_natss_session_leave(&sub->session);
}

static bool work(struct session *session)
{
	struct weir_sub *sub = (struct weir_sub *)session;
	struct link batch;

	if (!weir_list_linked(&sub->acks))
		return weir_natss_lag_work(sub);
	weir_list_init(&batch);
	list_move(&batch, &sub->acks);
	sub->unheard = 0; /* whatever they wait for, it is over then */
	weir_natss_unlock(session->inst);
	ack_all(session, &batch);
	weir_natss_lock(session->inst);
	return true;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void leave(struct session *session)
{
	struct weir_sub *sub = (struct weir_sub *)session;
	natsStatus status;
	bool forget;

	weir_natss_lock(session->inst);
	forget = session->persist;
	weir_natss_unlock(session->inst);
	status = forget ? stanSubscription_Unsubscribe(session->ssub) : stanSubscription_Close(session->ssub);
	if (status)
		weir_natss_log(session->inst, 2, "natss: %s: ending a subscription: %s", sub->topic->name,
			       natsStatus_GetText(status));
	weir_natss_lock(session->inst);
	session->done = status == NATS_OK;
	weir_natss_unlock(session->inst);
}

/* A person has to do something about it, or the server. */
static bool is_hopeless(int code)
{
	return code == WEIR_EINVAL || code == WEIR_ELIMIT || code == WEIR_ENOPERM || code == WEIR_ENOTFOUND ||
	       code == WEIR_EBUSY;
}

static void failed(struct session *session, const struct weir_error *why)
{
	struct weir_sub *sub = (struct weir_sub *)session;

	if (why->code == WEIR_EFENCED) {
		/* Another process reads: a record that is published now reaches the subscription. */
		revoke(sub);
		weir_natss_session_mark(session, false, NULL);
		tell_ready(sub);
	} else if (is_hopeless(why->code) && sub->failed_code != why->code) {
		tell(sub, WEIR_EV_SUB_FAILED, why);
		sub->state.error.scope = WEIR_SCOPE_SUBSCRIPTION;
	}
}

static void closed(struct session *session)
{
	weir_natss_lag_drop((struct weir_sub *)session);
}

const struct session_role weir_natss_reader = { begin, work, NULL, leave, closed, failed };
