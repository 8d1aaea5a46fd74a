/* SPDX-License-Identifier: Apache-2.0 */
/* bench/report: a result for people, and as JSON. */
#ifndef WEIR_BENCH_REPORT_H
#define WEIR_BENCH_REPORT_H

#include <stdio.h>

#include "bench/bench.h"

/* Figures, then charts. */
void weir_bench_print(FILE *to, const struct weir_bench_options *options, const struct weir_bench_result *result);

/* One object on one line. WEIR_ENOMEM. */
int weir_bench_print_json(FILE *to, const struct weir_bench_options *options, const struct weir_bench_result *result);

#endif
