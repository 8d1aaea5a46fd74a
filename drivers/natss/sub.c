/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions as the host sees them. */
#include "natss.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- subscribing ---------------------------------------------------------------- */

static struct weir_sub *sub_at(struct link *at)
{
	return weir_list_entry(at, struct weir_sub, link);
}

/* Lock held. 0: no memory. */
static uint64_t lane_number(struct weir_inst *inst, const struct weir_topic *topic, const char *uid)
{
	size_t size = strlen(topic->name) + 1 + strlen(uid) + 1;
	struct lane *lane;
	char *id = malloc(size);

	if (!id)
		return 0;
	snprintf(id, size, "%s %s", topic->name, uid);
	for (lane = inst->lanes; lane && strcmp(lane->id, id) != 0; lane = lane->next)
		continue;
	if (!lane && (lane = calloc(1, sizeof *lane + size))) {
		memcpy(lane->id, id, size);
		lane->number = ++inst->next_lane;
		lane->next = inst->lanes;
		inst->lanes = lane;
	}
	free(id);
	return lane ? lane->number : 0;
}

void weir_natss_lanes_free(struct weir_inst *inst)
{
	while (inst->lanes) {
		struct lane *lane = inst->lanes;

		inst->lanes = lane->next;
		free(lane);
	}
}

static void notice_init(struct notice *notice, struct weir_sub *sub, uint32_t type)
{
	weir_list_init(&notice->link);
	notice->sub = sub;
	notice->type = type;
}

static void sub_free(struct weir_sub *sub)
{
	struct entry *entry = atomic_exchange(&sub->arrived, NULL), *next;

	for (; entry; entry = next) {
		next = entry->chain;
		weir_natss_entry_unref(entry);
	}
	while (weir_list_linked(&sub->acks)) {
		entry = weir_list_entry(sub->acks.next, struct entry, link);
		weir_list_unlink(&entry->link);
		weir_natss_entry_unref(entry);
	}
	weir_natss_inflight_fini(&sub->inflight);
	weir_natss_sequence_fini(&sub->sequence);
	weir_natss_session_fini(&sub->session);
	free(sub);
}

static uint32_t at_most(uint32_t value, uint32_t max)
{
	return value && value < max ? value : max;
}

static struct weir_sub *sub_new(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec)
{
	size_t size = strlen(spec->uid) + 1;
	struct weir_sub *sub = calloc(1, sizeof *sub + size);
	uint32_t flags;

	if (!sub)
		return NULL;
	memcpy(sub->uid, spec->uid, size);
	weir_natss_session_init(&sub->session, inst, &weir_natss_reader);
	weir_list_init(&sub->link);
	weir_list_init(&sub->ready_link);
	weir_list_init(&sub->acks);
	notice_init(&sub->state, sub, WEIR_EV_SUB_READY);
	notice_init(&sub->stopped, sub, WEIR_EV_PAUSED);
	notice_init(&sub->gap, sub, WEIR_EV_GAP);
	notice_init(&sub->revoked, sub, WEIR_EV_REVOKED);
	sub->topic = topic;
	sub->start = spec->start;
	sub->start_value = spec->start_value;
	sub->ack_wait_ms = spec->ack_wait_ms ? spec->ack_wait_ms : inst->settings.ack_wait_ms;
	if (sub->ack_wait_ms < 1000)
		sub->ack_wait_ms = 1000;
	sub->max_inflight = at_most(spec->max_unsettled, inst->settings.max_inflight);
	flags = spec->size >= offsetof(struct weir_sub_spec, reserved) ? spec->flags : 0;
	sub->ephemeral = flags & WEIR_SUB_EPHEMERAL;
	sub->shared = inst->settings.queue && !(flags & (WEIR_SUB_EPHEMERAL | WEIR_SUB_ORDERED));
	sub->sequence.shared = sub->shared;
	if (weir_natss_inflight_init(&sub->inflight, sub->max_inflight))
		return sub;
	sub_free(sub);
	return NULL;
}

static void client_name(struct weir_sub *sub)
{
	const struct weir_inst *inst = sub->session.inst;

	if (sub->shared || sub->ephemeral)
		weir_natss_own_name(inst->settings.client, sub->session.client);
	else
		weir_natss_reader_name(sub->topic->name, sub->uid, sub->session.client);
}

/* Lock held. */
static int enlist(struct weir_sub *sub, struct weir_error *err)
{
	struct weir_inst *inst = sub->session.inst;

	for (struct link *at = inst->subs.next; at != &inst->subs && !sub->shared && !sub->ephemeral; at = at->next)
		if (sub_at(at)->topic == sub->topic && strcmp(sub_at(at)->uid, sub->uid) == 0)
			return weir_fail(err, WEIR_EBUSY,
					 "natss: this process has the subscription %.100s of %.200s already", sub->uid,
					 sub->topic->name);
	sub->lane = lane_number(inst, sub->topic, sub->uid);
	if (!sub->lane)
		return weir_fail(err, WEIR_ENOMEM, "natss: no memory for a subscription");
	sub->epoch = inst->next_epoch++;
	weir_list_append(&inst->subs, &sub->link);
	return WEIR_OK;
}

static void delist(struct weir_sub *sub)
{
	weir_natss_lock(sub->session.inst);
	weir_list_unlink(&sub->link);
	weir_list_unlink(&sub->ready_link);
	weir_list_unlink(&sub->state.link);
	weir_list_unlink(&sub->stopped.link);
	weir_list_unlink(&sub->gap.link);
	weir_list_unlink(&sub->revoked.link);
	weir_natss_unlock(sub->session.inst);
}

int weir_natss_subscribe(struct weir_inst *inst, struct weir_topic *topic, const struct weir_sub_spec *spec,
			 struct weir_sub **ret, struct weir_error *err)
{
	struct weir_sub *sub;
	int code = weir_natss_uid_check(spec->uid, inst->settings.queue, err);

	if (code)
		return code;
	if (spec->start > WEIR_START_TIME || (spec->start != WEIR_START_LATEST && spec->start_value < 0))
		return weir_fail(err, WEIR_EINVAL, "natss: a subscription cannot start there");
	sub = sub_new(inst, topic, spec);
	if (!sub)
		return weir_fail(err, WEIR_ENOMEM, "natss: no memory for a subscription");
	client_name(sub);
	weir_natss_lock(inst);
	code = enlist(sub, err);
	weir_natss_unlock(inst);
	if (code) {
		sub_free(sub);
		return code;
	}
	*ret = sub; /* before its thread can report it */
	code = weir_natss_session_start(&sub->session, err);
	if (code) {
		delist(sub);
		sub_free(sub);
		*ret = NULL;
	}
	return code;
}

/* ---- ending ----------------------------------------------------------------------- */

int weir_natss_unsubscribe(struct weir_inst *inst, struct weir_sub *sub, int keep, int64_t deadline_ns,
			   struct weir_error *err)
{
	int code = WEIR_OK;

	weir_natss_lock(inst);
	keep |= sub->ephemeral; /* there is nothing to forget */
	sub->session.persist = !keep;
	weir_natss_session_stop(&sub->session, deadline_ns);
	weir_natss_unlock(inst);
	weir_natss_session_join(&sub->session);
	if (!keep && !sub->session.done)
		code = weir_fail(err, WEIR_ETIMEDOUT,
				 "natss: the server did not confirm in time that the subscription %.100s of %.200s is "
				 "forgotten: it does not answer, or another process reads it",
				 sub->uid, sub->topic->name);
	delist(sub);
	sub_free(sub);
	return code;
}

void weir_natss_subs_end(struct weir_inst *inst, int64_t deadline_ns)
{
	weir_natss_lock(inst);
	for (struct link *at = inst->subs.next; at != &inst->subs; at = at->next)
		weir_natss_session_stop(&sub_at(at)->session, deadline_ns);
	weir_natss_unlock(inst);
	while (weir_list_linked(&inst->subs))
		weir_natss_unsubscribe(inst, sub_at(inst->subs.next), 1, deadline_ns, NULL);
}

/* ---- flow --------------------------------------------------------------------------- */

void weir_natss_sub_refresh(struct weir_sub *sub)
{
	const struct weir_natss_inflight *inflight = &sub->inflight;
	bool ready = !sub->paused && sub->credit_records > 0 && sub->credit_bytes > 0 && !sub->session.stop &&
		     (weir_list_linked(&inflight->again) || weir_list_linked(&inflight->fresh) ||
		      weir_natss_inflight_due(inflight) <= weir_natss_now());

	if (!ready)
		weir_list_unlink(&sub->ready_link);
	else if (!weir_list_linked(&sub->ready_link))
		weir_list_append(&sub->session.inst->ready, &sub->ready_link);
}

static int64_t add(int64_t value, int64_t more)
{
	if (__builtin_add_overflow(value, more, &value))
		value = more > 0 ? INT64_MAX : 0;
	return value < 0 && more < 0 ? 0 : value;
}

int weir_natss_credit(struct weir_inst *inst, struct weir_sub *sub, int64_t records, int64_t bytes)
{
	weir_natss_lock(inst);
	sub->credit_records = add(sub->credit_records, records);
	sub->credit_bytes = add(sub->credit_bytes, bytes);
	weir_natss_sub_refresh(sub);
	if (weir_list_linked(&sub->inflight.waiting))
		weir_natss_timer_arm(inst);
	weir_natss_unlock(inst);
	return WEIR_OK;
}

int weir_natss_pause(struct weir_inst *inst, struct weir_sub *sub, int on)
{
	weir_natss_lock(inst);
	if (on && !sub->paused)
		weir_natss_notify(inst, &sub->stopped);
	else if (!on)
		weir_list_unlink(&sub->stopped.link);
	sub->paused = on != 0;
	weir_natss_sub_refresh(sub);
	if (weir_list_linked(&sub->inflight.waiting))
		weir_natss_timer_arm(inst);
	weir_natss_unlock(inst);
	return WEIR_OK;
}

/* ---- figures -------------------------------------------------------------------------- */

int weir_natss_sub_stats(struct weir_inst *inst, struct weir_sub *sub, struct weir_sub_stats *ret)
{
	const struct weir_natss_inflight *inflight = &sub->inflight;
	int64_t oldest = INT64_MAX, lag_ns = 0;

	weir_natss_lock(inst);
	weir_natss_arrivals_take(sub);
	for (struct link *at = inflight->out.next; at != &inflight->out; at = at->next) {
		const struct entry *entry = weir_list_entry(at, struct entry, link);

		oldest = entry->out_ns < oldest ? entry->out_ns : oldest;
	}
	ret->lag = weir_natss_lag(sub, &lag_ns);
	if (ret->size >= sizeof *ret)
		ret->lag_ns = lag_ns;
	ret->unsettled = inflight->out_count;
	ret->redelivered = sub->redelivered;
	ret->oldest_ms = inflight->out_count ? (weir_natss_now() - oldest) / 1000000 : -1;
	weir_natss_unlock(inst);
	return WEIR_OK;
}
