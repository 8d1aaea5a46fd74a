/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/chart.h"

enum { COLUMNS = 60, ROWS = 6, BAR = 50 };

static void put_many(FILE *to, char what, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fputc(what, to);
}

/* The mean of the seconds that share column `at` of `columns`. */
static double column_of(const struct weir_series *series, weir_chart_figure *figure, size_t at, size_t columns)
{
	size_t from = at * series->count / columns, to = (at + 1) * series->count / columns;
	double sum = 0;

	for (size_t i = from; i < to; i++)
		sum += (double)figure(&series->seconds[i]);
	return sum / (double)(to - from);
}

void weir_chart_seconds(FILE *to, const char *title, const struct weir_series *series, weir_chart_figure *figure)
{
	size_t columns = series->count < COLUMNS ? series->count : COLUMNS;
	double values[COLUMNS], most = 0;

	for (size_t i = 0; i < columns; i++) {
		values[i] = column_of(series, figure, i, columns);
		most = values[i] > most ? values[i] : most;
	}
	if (most <= 0)
		return;
	fprintf(to, "\n  %s, at most %.0f\n", title, most);
	for (unsigned row = ROWS; row > 0; row--) {
		fputs("  |", to);
		for (size_t i = 0; i < columns; i++)
			fputc(values[i] * ROWS / most > row - 0.5 ? '#' : ' ', to);
		fputc('\n', to);
	}
	fputs("  +", to);
	put_many(to, '-', (unsigned)columns);
	fprintf(to, " %zu s\n", series->count);
}

static void print_time(FILE *to, uint64_t us)
{
	if (us < 1000)
		fprintf(to, "  <= %4llu us ", (unsigned long long)us);
	else if (us < 1000000)
		fprintf(to, "  <= %4llu ms ", (unsigned long long)us / 1000);
	else
		fprintf(to, "  <= %4llu s  ", (unsigned long long)us / 1000000);
}

void weir_chart_latency(FILE *to, const char *title, const struct weir_latency *latency)
{
	/* Ends that people read at a glance. */
	static const uint64_t ends_us[] = { 50,      100,     200,      500,      1000,     2000,   5000,
					    10000,   20000,   50000,    100000,   200000,   500000, 1000000,
					    2000000, 5000000, 10000000, 30000000, 137000000 };
	uint64_t before = 0;

	if (!latency->total)
		return;
	fprintf(to, "\n  %s\n", title);
	for (size_t i = 0; i < sizeof ends_us / sizeof ends_us[0] && before < latency->total; i++) {
		uint64_t within = weir_latency_within(latency, ends_us[i]);
		double part = (double)(within - before) / (double)latency->total;

		if (!within)
			continue;
		print_time(to, ends_us[i]);
		put_many(to, '#', (unsigned)(part * BAR + 0.5));
		fprintf(to, " %.2f %%\n", part * 100);
		before = within;
	}
}
