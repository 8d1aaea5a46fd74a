/* SPDX-License-Identifier: Apache-2.0 */
/* What became of deliveries. A token is the sequence and which of its deliveries; the ack itself is sent later. */
#include "natss.h"

#include <limits.h>

enum { SEQUENCE_BITS = 48 };

static uint64_t token_of(const struct entry *entry)
{
	return (uint64_t)entry->attempt << SEQUENCE_BITS | entry->sequence;
}

static bool is_epoch_of_another(const struct weir_inst *inst, const struct weir_sub *sub, uint64_t epoch)
{
	for (const struct link *at = inst->subs.next; at != &inst->subs; at = at->next) {
		const struct weir_sub *other =
		    (const struct weir_sub *)(const void *)((const char *)at - offsetof(struct weir_sub, link));

		if (other != sub && other->epoch == epoch)
			return true;
	}
	return false;
}

/* WEIR_OK with *ret; or why it cannot be settled. */
static int find(struct weir_sub *sub, const struct weir_token *token, struct entry **ret)
{
	const struct weir_inst *inst = sub->session.inst;
	uint64_t sequence = token->seq & ((UINT64_C(1) << SEQUENCE_BITS) - 1);

	if (token->lane != sub->lane || token->epoch < inst->first_epoch || token->epoch >= inst->next_epoch ||
	    is_epoch_of_another(inst, sub, token->epoch))
		return WEIR_EINVAL;
	if (token->epoch != sub->epoch)
		return WEIR_ESTALE;
	*ret = weir_natss_inflight_find(&sub->inflight, sequence);
	if (*ret && (*ret)->state == WEIR_NATSS_OUT && token_of(*ret) == token->seq)
		return WEIR_OK;
	/* Settled before, or never handed out? Only what has been seen can be stale. */
	return *ret || sequence <= sub->sequence.acked_top ? WEIR_ESTALE : WEIR_EINVAL;
}

static void acked(struct weir_sub *sub, struct entry *entry, struct link *acks)
{
	weir_natss_inflight_remove(&sub->inflight, entry);
	weir_natss_sequence_acked(&sub->sequence, entry->sequence);
	weir_list_append(acks, &entry->link);
}

static void nacked(struct weir_sub *sub, struct entry *entry, int64_t delay_ms)
{
	weir_natss_inflight_nack(&sub->inflight, entry, weir_natss_after_ms(weir_natss_now(), delay_ms));
	weir_natss_sub_refresh(sub);
}

static int settle_one(struct weir_sub *sub, int verb, const struct weir_token *token, int64_t arg, struct link *acks)
{
	struct entry *entry = NULL;
	int code = find(sub, token, &entry);

	sub->session.inst->stale += code == WEIR_ESTALE;
	if (code)
		return code;
	if (verb == WEIR_NACK)
		nacked(sub, entry, arg > 0 ? arg : 0);
	else
		acked(sub, entry, acks);
	return WEIR_OK;
}

int weir_natss_settle(struct weir_inst *inst, struct weir_sub *sub, int verb, const struct weir_token *tokens,
		      size_t count, int64_t arg, uint16_t *codes)
{
	struct link acks;
	uint32_t acked_count = 0;
	bool direct = false;

	if (verb != WEIR_ACK && verb != WEIR_NACK && verb != WEIR_TERM)
		return WEIR_ENOTSUP;
	weir_list_init(&acks);
	weir_natss_lock(inst);
	for (size_t i = 0; i < count; i++) {
		int code = settle_one(sub, verb, &tokens[i], arg, &acks);

		acked_count += !code;

		if (codes)
			codes[i] = (uint16_t)code;
	}
	if (verb == WEIR_NACK)
		weir_natss_timer_arm(inst);
	else if (acked_count)
		direct = weir_natss_acks_take(sub, &acks, acked_count);
	weir_natss_unlock(inst);
	if (direct)
		weir_natss_acks_send(sub, &acks);
	return WEIR_OK;
}

void weir_natss_release(void *lease)
{
	weir_natss_entry_unref(lease);
}
