/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin/exposition: writes metrics as Prometheus text 0.0.4 or OpenMetrics 1.0.
 * Internal to core/admin.
 *
 * A family is begun, then its samples are written. Names are given without the
 * suffixes that the formats add ("_total", "_info", "_bucket").
 */
#ifndef WEIR_ADMIN_EXPOSITION_H
#define WEIR_ADMIN_EXPOSITION_H

#include "base/dynbuf.h"

enum weir_exposition_format { WEIR_EXPOSITION_PROMETHEUS, WEIR_EXPOSITION_OPENMETRICS };

enum weir_exposition_type {
	WEIR_EXPOSITION_GAUGE,
	WEIR_EXPOSITION_COUNTER, /* samples get "_total" */
	WEIR_EXPOSITION_INFO,    /* samples get "_info" */
	WEIR_EXPOSITION_HISTOGRAM,
};

struct weir_exposition_label {
	const char *name;
	const char *value; /* any text: it is escaped */
};

struct weir_exposition {
	struct weir_dynbuf out;
	enum weir_exposition_format format;
	enum weir_exposition_type type; /* of the family that was begun */
	const char *name;
};

void weir_exposition_init(struct weir_exposition *exposition, enum weir_exposition_format format, size_t max);
void weir_exposition_fini(struct weir_exposition *exposition);
/* `name` is borrowed until the next family. */
void weir_exposition_family(struct weir_exposition *exposition, const char *name, enum weir_exposition_type type,
			    const char *help);
void weir_exposition_uint(struct weir_exposition *exposition, const struct weir_exposition_label *labels, size_t count,
			  uint64_t value);
void weir_exposition_double(struct weir_exposition *exposition, const struct weir_exposition_label *labels,
			    size_t count, double value);
/*
 * A histogram: buckets[i] samples were at most bounds[i]; buckets[bound_count]:
 * all samples.
 */
void weir_exposition_histogram(struct weir_exposition *exposition, const struct weir_exposition_label *labels,
			       size_t count, const double *bounds, size_t bound_count, const uint64_t *buckets,
			       double sum);
/* After the last family. WEIR_ENOMEM: it did not fit, or memory was short. */
int weir_exposition_end(struct weir_exposition *exposition);
const char *weir_exposition_content_type(enum weir_exposition_format format);

#endif
