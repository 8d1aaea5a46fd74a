/* SPDX-License-Identifier: Apache-2.0 */
/* What has been seen of a channel's sequence: inflight.h. */
#include "inflight.h"

#include <stdlib.h>
#include <string.h>

void weir_natss_sequence_fini(struct weir_natss_sequence *seen)
{
	free(seen->acked);
	seen->acked = NULL;
}

void weir_natss_sequence_reset(struct weir_natss_sequence *seen)
{
	if (seen->acked)
		memset(seen->acked, 0, WEIR_NATSS_REMEMBERED / 8);
	seen->last = seen->acked_top = 0;
	seen->newest_ns = 0;
	seen->begun = false;
}

void weir_natss_sequence_reconnect(struct weir_natss_sequence *seen)
{
	seen->begun = false;
}

/* ---- acks ------------------------------------------------------------------ */

static bool remembered(const struct weir_natss_sequence *seen, uint64_t sequence)
{
	return seen->acked && sequence <= seen->acked_top && seen->acked_top - sequence < WEIR_NATSS_REMEMBERED;
}

static bool was_acked(const struct weir_natss_sequence *seen, uint64_t sequence)
{
	uint64_t bit = sequence % WEIR_NATSS_REMEMBERED;

	return remembered(seen, sequence) && seen->acked[bit / 8] & 1u << bit % 8;
}

/* Makes room up to there: the bits are of much older sequences. */
static void advance(struct weir_natss_sequence *seen, uint64_t sequence)
{
	if (sequence <= seen->acked_top)
		return;
	if (sequence - seen->acked_top >= WEIR_NATSS_REMEMBERED) {
		memset(seen->acked, 0, WEIR_NATSS_REMEMBERED / 8);
		seen->acked_top = sequence;
		return;
	}
	while (seen->acked_top < sequence) {
		uint64_t bit = ++seen->acked_top % WEIR_NATSS_REMEMBERED;

		seen->acked[bit / 8] &= (uint8_t) ~(1u << bit % 8);
	}
}

void weir_natss_sequence_acked(struct weir_natss_sequence *seen, uint64_t sequence)
{
	uint64_t bit = sequence % WEIR_NATSS_REMEMBERED;

	if (!seen->acked)
		seen->acked = calloc(WEIR_NATSS_REMEMBERED / 8, 1);
	if (!seen->acked)
		return; /* an ack that is lost costs a duplicate */
	advance(seen, sequence);
	if (remembered(seen, sequence))
		seen->acked[bit / 8] |= (uint8_t)(1u << bit % 8);
}

/* ---- arrivals ---------------------------------------------------------------- */

/*
 * Sequences and times of publishing grow together. One that is not newer by its
 * number and yet was published later than anything seen is of another channel
 * of the same name.
 */
static bool is_reborn(const struct weir_natss_sequence *seen, uint64_t sequence, int64_t time_ns)
{
	uint64_t newest = seen->last > seen->acked_top ? seen->last : seen->acked_top;

	return newest && sequence <= newest && time_ns > seen->newest_ns;
}

static enum weir_natss_arrival arrive_next(struct weir_natss_sequence *seen, uint64_t sequence, uint64_t *first,
					   uint64_t *last)
{
	bool next = sequence == seen->last + 1;

	if (!next && !seen->shared && seen->begun)
		return WEIR_NATSS_MISSED;
	*first = seen->last + 1;
	*last = sequence - 1;
	seen->last = sequence;
	seen->begun = true;
	return next || seen->shared ? WEIR_NATSS_TAKE : WEIR_NATSS_GAP;
}

enum weir_natss_arrival weir_natss_sequence_arrive(struct weir_natss_sequence *seen, uint64_t sequence, int64_t time_ns,
						   bool redelivered, uint64_t *first, uint64_t *last)
{
	enum weir_natss_arrival result = WEIR_NATSS_TAKE;

	if (is_reborn(seen, sequence, time_ns)) {
		weir_natss_sequence_reset(seen);
		result = WEIR_NATSS_REBORN;
	} else if (seen->last && sequence > seen->last) {
		result = arrive_next(seen, sequence, first, last);
	} else if (redelivered && was_acked(seen, sequence)) {
		result = WEIR_NATSS_ACK;
	}
	if (result == WEIR_NATSS_MISSED)
		return result;
	/* What was sent to an earlier process is no beginning: between those there are gaps. */
	if (!seen->last && !redelivered) {
		seen->last = sequence;
		seen->begun = true;
	}
	if (time_ns > seen->newest_ns)
		seen->newest_ns = time_ns;
	return result;
}
