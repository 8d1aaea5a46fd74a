/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/exposition.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { NUMBER_TEXT = 40 };

void weir_exposition_init(struct weir_exposition *exposition, enum weir_exposition_format format, size_t max)
{
	memset(exposition, 0, sizeof *exposition);
	weir_dynbuf_init(&exposition->out, max);
	exposition->format = format;
}

void weir_exposition_fini(struct weir_exposition *exposition)
{
	weir_dynbuf_fini(&exposition->out);
}

static const char *suffix_of(enum weir_exposition_type type)
{
	switch (type) {
	case WEIR_EXPOSITION_COUNTER:
		return "_total";
	case WEIR_EXPOSITION_INFO:
		return "_info";
	default:
		return "";
	}
}

static const char *type_name(const struct weir_exposition *exposition)
{
	switch (exposition->type) {
	case WEIR_EXPOSITION_COUNTER:
		return "counter";
	case WEIR_EXPOSITION_HISTOGRAM:
		return "histogram";
	case WEIR_EXPOSITION_INFO:
		return exposition->format == WEIR_EXPOSITION_OPENMETRICS ? "info" : "gauge";
	default:
		return "gauge";
	}
}

void weir_exposition_family(struct weir_exposition *exposition, const char *name, enum weir_exposition_type type,
			    const char *help)
{
	/* OpenMetrics names the family, the older format its samples. */
	const char *suffix = exposition->format == WEIR_EXPOSITION_OPENMETRICS ? "" : suffix_of(type);

	exposition->name = name;
	exposition->type = type;
	weir_dynbuf_addf(&exposition->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix,
			 type_name(exposition));
}

static void write_escaped(struct weir_dynbuf *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			weir_dynbuf_add(out, "\\n", 2);
		else if (*value == '\\' || *value == '"')
			weir_dynbuf_add(out, (const char[]){ '\\', *value }, 2);
		else
			weir_dynbuf_add_char(out, *value);
	}
}

/* Name and labels; `le` may be NULL. */
static void write_series(struct weir_exposition *exposition, const char *suffix,
			 const struct weir_exposition_label *labels, size_t count, const char *le)
{
	struct weir_dynbuf *out = &exposition->out;
	char separator = '{';

	weir_dynbuf_add_text(out, exposition->name);
	weir_dynbuf_add_text(out, suffix);
	for (size_t i = 0; i < count + (le ? 1 : 0); i++) {
		weir_dynbuf_add_char(out, separator);
		weir_dynbuf_add_text(out, i < count ? labels[i].name : "le");
		weir_dynbuf_add(out, "=\"", 2);
		write_escaped(out, i < count ? labels[i].value : le);
		weir_dynbuf_add_char(out, '"');
		separator = ',';
	}
	weir_dynbuf_add_text(out, separator == ',' ? "} " : " ");
}

/* A short text that both formats read as a float: "0.25", "30.0". */
static void format_double(double value, char text[NUMBER_TEXT])
{
	double shown = isfinite(value) ? value : 0;
	int length = snprintf(text, NUMBER_TEXT, "%.15g", shown);

	if (!strpbrk(text, ".e"))
		snprintf(text + length, (size_t)(NUMBER_TEXT - length), ".0");
}

void weir_exposition_uint(struct weir_exposition *exposition, const struct weir_exposition_label *labels, size_t count,
			  uint64_t value)
{
	write_series(exposition, suffix_of(exposition->type), labels, count, NULL);
	weir_dynbuf_add_uint(&exposition->out, value);
	weir_dynbuf_add_char(&exposition->out, '\n');
}

void weir_exposition_double(struct weir_exposition *exposition, const struct weir_exposition_label *labels,
			    size_t count, double value)
{
	char text[NUMBER_TEXT];

	format_double(value, text);
	write_series(exposition, suffix_of(exposition->type), labels, count, NULL);
	weir_dynbuf_addf(&exposition->out, "%s\n", text);
}

void weir_exposition_histogram(struct weir_exposition *exposition, const struct weir_exposition_label *labels,
			       size_t count, const double *bounds, size_t bound_count, const uint64_t *buckets,
			       double sum)
{
	struct weir_dynbuf *out = &exposition->out;
	char text[NUMBER_TEXT];

	for (size_t i = 0; i <= bound_count; i++) {
		if (i < bound_count)
			format_double(bounds[i], text);
		write_series(exposition, "_bucket", labels, count, i < bound_count ? text : "+Inf");
		weir_dynbuf_add_uint(out, buckets[i]);
		weir_dynbuf_add_char(out, '\n');
	}
	format_double(sum, text);
	write_series(exposition, "_sum", labels, count, NULL);
	weir_dynbuf_addf(out, "%s\n", text);
	write_series(exposition, "_count", labels, count, NULL);
	weir_dynbuf_add_uint(out, buckets[bound_count]);
	weir_dynbuf_add_char(out, '\n');
}

int weir_exposition_end(struct weir_exposition *exposition)
{
	if (exposition->format == WEIR_EXPOSITION_OPENMETRICS)
		weir_dynbuf_add_text(&exposition->out, "# EOF\n");
	return exposition->out.failed ? WEIR_ENOMEM : WEIR_OK;
}

const char *weir_exposition_content_type(enum weir_exposition_format format)
{
	return format == WEIR_EXPOSITION_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
						     : "text/plain; version=0.0.4; charset=utf-8";
}
