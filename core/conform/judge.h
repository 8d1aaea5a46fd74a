/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conform/judge: what a history says about the driver. Pure: the same history
 * and rules give the same judgement, and no driver is called.
 *
 * What holds for every history:
 *   - an accepted record completes exactly once, unless its process was killed
 *     or closed; nothing else completes;
 *   - nothing is delivered that was not published on that topic, that is not as
 *     it was published, or that was said not to be persisted;
 *   - nothing is delivered before a member is ready, after it ended, while it is
 *     paused, or beyond its credit;
 *   - a record that is out, acked or termed is not delivered again, but for
 *     reasons: its nack, the end of its member, a revocation, a lost connection,
 *     a crash, its deadline. What comes without a reason counts as a duplicate;
 *   - each reader that must be whole got every persisted record that is its own.
 */
#ifndef WEIR_CONFORM_JUDGE_H
#define WEIR_CONFORM_JUDGE_H

#include "conform/history.h"

enum weir_judge_order { WEIR_JUDGE_ANY = 0, WEIR_JUDGE_TOPIC = 1, WEIR_JUDGE_KEY = 2 };

struct weir_judge_rules {
	enum weir_judge_order order; /* of first deliveries */
	uint64_t duplicates;         /* how many without a reason are forgiven */
	int64_t ack_wait_ns;         /* after it an unsettled delivery may come again; 0: never */
	bool prefix; /* not WEIR_CAP_ACK_SELECTIVE: what is acked behind an unsettled record may come again */
	bool flags;  /* WEIR_CAP_REDELIVERED_FLAG: a nacked record comes back with it */
	bool lose_all_in_crash; /* not durable: a crash or close takes records along */
};

struct weir_judgement {
	uint64_t accepted, persisted, not_persisted, unknown, deliveries, duplicates, lost, missing_done;
	uint64_t compared;   /* pairs whose order was compared */
	uint64_t judged;     /* things that could have been wrong and were looked at */
	uint64_t violations; /* the first of them is: */
	char text[400];      /* "" if there is none */
};

/* False: memory is short. A history that violates a rule is a judgement, not a failure. */
bool weir_judge(const struct weir_op *ops, size_t count, const struct weir_judge_rules *rules,
		struct weir_judgement *ret);

/* Records that a reader must have and has not, as of the end of the history. UINT64_MAX: memory is short. */
uint64_t weir_judge_missing(const struct weir_op *ops, size_t count, const struct weir_judge_rules *rules,
			    uint32_t reader);

#endif
