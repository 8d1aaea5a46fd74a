/* SPDX-License-Identifier: Apache-2.0 */
#include "config/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { PROBLEMS_MAX = 1000 };

void weir_lines_fini(struct weir_lines *lines)
{
	weir_mem_free(lines->items);
	*lines = (struct weir_lines){ 0 };
}

bool weir_config_reserve(weir_config *config, void *items, size_t count, size_t *capacity, size_t size)
{
	size_t wanted = *capacity ? *capacity * 2 : 16;
	void *old, *grown;

	if (count < *capacity)
		return true;
	memcpy(&old, items, sizeof old);
	grown = weir_mem_realloc(old, wanted * size);
	if (!grown) {
		config->no_memory = true;
		return false;
	}
	memcpy(items, &grown, sizeof grown);
	*capacity = wanted;
	return true;
}

/* Control characters, and what is not ASCII and not UTF-8, do not reach a terminal. */
static void make_printable(char *text)
{
	bool utf8 = weir_str_is_utf8(weir_str(text));

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == 0x7f || (c >= 0x80 && !utf8))
			*text = '?';
	}
}

static size_t begin_line(char line[WEIR_LINE_SIZE], const struct weir_place *place, const char *key)
{
	int len;

	if (place->at.line)
		len = snprintf(line, WEIR_LINE_SIZE / 2, "%.400s:%u:%u: ", place->source, place->at.line,
			       place->at.column);
	else
		len = snprintf(line, WEIR_LINE_SIZE / 2, "%.400s: ", place->source);
	if (key)
		len += snprintf(line + len, WEIR_LINE_SIZE / 2, "%.300s%s: ", *key ? key : "\"\"",
				strlen(key) > 300 ? "..." : "");
	return (size_t)len;
}

void weir_config_line(char line[WEIR_LINE_SIZE], const struct weir_place *place, const char *key, const char *text)
{
	size_t len = begin_line(line, place, key);

	snprintf(line + len, WEIR_LINE_SIZE - len, "%s", text);
	make_printable(line);
}

__attribute__((format(printf, 5, 0))) static void add_line(weir_config *config, struct weir_lines *lines,
							   const struct weir_place *place, const char *key,
							   const char *format, va_list args)
{
	char line[WEIR_LINE_SIZE], text[WEIR_LINE_SIZE / 2];
	const char *kept;

	vsnprintf(text, sizeof text, format, args);
	weir_config_line(line, place, key, text);
	if (lines->count >= PROBLEMS_MAX) {
		lines->more++;
		return;
	}
	if (!weir_config_reserve(config, &lines->items, lines->count, &lines->capacity, sizeof *lines->items))
		return;
	kept = weir_arena_text(&config->arena, weir_str(line));
	if (kept)
		lines->items[lines->count++] = kept;
	else
		config->no_memory = true;
}

void weir_config_problem_add(weir_config *config, const struct weir_place *place, const char *key, const char *format,
			     ...)
{
	va_list args;

	va_start(args, format);
	add_line(config, &config->problems, place, key, format, args);
	va_end(args);
}

void weir_config_warning_add(weir_config *config, const struct weir_place *place, const char *key, const char *format,
			     ...)
{
	va_list args;

	va_start(args, format);
	add_line(config, &config->warnings, place, key, format, args);
	va_end(args);
}

const char *weir_config_problem(const weir_config *config, size_t index)
{
	const struct weir_lines *problems = &config->problems;

	if (index < problems->count)
		return problems->items[index];
	return index == problems->count && problems->more ? "there are more problems than are shown" : NULL;
}

const char *weir_config_warning(const weir_config *config, size_t index)
{
	return index < config->warnings.count ? config->warnings.items[index] : NULL;
}

int weir_config_report(weir_config *config, const char *where, const char *key, const char *text)
{
	struct weir_place place = { where, { 0, 0 } };

	weir_config_problem_add(config, &place, key, "%s", text);
	return config->no_memory ? WEIR_ENOMEM : WEIR_OK;
}
