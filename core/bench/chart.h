/* SPDX-License-Identifier: Apache-2.0 */
/* bench/chart: small pictures for a terminal, in plain ASCII. */
#ifndef WEIR_BENCH_CHART_H
#define WEIR_BENCH_CHART_H

#include <stdio.h>

#include "bench/latency.h"
#include "bench/series.h"

/* A figure of each second as columns, at most 60 of them: seconds are averaged if there are more. */
typedef uint64_t weir_chart_figure(const struct weir_second *second);
void weir_chart_seconds(FILE *to, const char *title, const struct weir_series *series, weir_chart_figure *figure);

/* Which part of all took how long, a bar for each step of 1, 2, 5, 10. */
void weir_chart_latency(FILE *to, const char *title, const struct weir_latency *latency);

#endif
