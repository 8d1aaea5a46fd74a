/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/tally: which events of a run were answered with 2xx, and how often each
 * arrived. One byte for each event, up to a maximum; what is beyond it is only
 * counted as `untracked`.
 */
#ifndef WEIR_BENCH_TALLY_H
#define WEIR_BENCH_TALLY_H

#include <stddef.h>
#include <stdint.h>

enum { WEIR_TALLY_MAX = 256 * 1024 * 1024 };

struct weir_tally {
	unsigned copies;    /* how often an event is to arrive, 1..63 */
	uint64_t missing;   /* arrivals that accepted events still lack */
	uint64_t repeated;  /* arrivals beyond `copies` */
	uint64_t untracked; /* calls about events beyond the maximum, or without memory */
	uint8_t *bytes;
	size_t room;
};

void weir_tally_init(struct weir_tally *tally, unsigned copies);
void weir_tally_fini(struct weir_tally *tally);
void weir_tally_accept(struct weir_tally *tally, uint64_t number);
void weir_tally_arrive(struct weir_tally *tally, uint64_t number);

#endif
