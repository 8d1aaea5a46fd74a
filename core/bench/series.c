/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/series.h"

#include <string.h>

#include "base/mem.h"

enum { FIRST_ROOM = 64 };

void weir_series_fini(struct weir_series *series)
{
	weir_mem_free(series->seconds);
	memset(series, 0, sizeof *series);
}

static struct weir_second *new_second(struct weir_series *series)
{
	size_t room = series->room ? series->room * 2 : FIRST_ROOM;
	struct weir_second *seconds;

	if (series->count < series->room)
		return &series->seconds[series->count++];
	seconds = series->count < WEIR_SERIES_MAX ? weir_mem_realloc(series->seconds, room * sizeof *seconds) : NULL;
	if (!seconds) {
		series->dropped++;
		return NULL;
	}
	series->seconds = seconds;
	series->room = room;
	return &seconds[series->count++];
}

const struct weir_second *weir_series_end_second(struct weir_series *series)
{
	struct weir_second *second = new_second(series);

	series->now.answer_p50_us = weir_latency_us(&series->answers, 0.5);
	series->now.answer_p99_us = weir_latency_us(&series->answers, 0.99);
	series->now.delivery_p50_us = weir_latency_us(&series->deliveries, 0.5);
	series->now.delivery_p99_us = weir_latency_us(&series->deliveries, 0.99);
	if (second)
		*second = series->now;
	memset(&series->now, 0, sizeof series->now);
	memset(&series->answers, 0, sizeof series->answers);
	memset(&series->deliveries, 0, sizeof series->deliveries);
	return second;
}

bool weir_series_write_csv(const struct weir_series *series, FILE *to)
{
	fputs("second,sent,accepted,refused,received,answer_p50_us,answer_p99_us,delivery_p50_us,delivery_p99_us\n",
	      to);
	for (size_t i = 0; i < series->count; i++) {
		const struct weir_second *second = &series->seconds[i];

		fprintf(to, "%zu,%llu,%llu,%llu,%llu,%.0f,%.0f,%.0f,%.0f\n", i + 1, (unsigned long long)second->sent,
			(unsigned long long)second->accepted, (unsigned long long)second->refused,
			(unsigned long long)second->received, second->answer_p50_us, second->answer_p99_us,
			second->delivery_p50_us, second->delivery_p99_us);
	}
	return fflush(to) == 0 && !ferror(to);
}
