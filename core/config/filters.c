/* SPDX-License-Identifier: Apache-2.0 */
/* config/filters: a subscription's `filters`, compiled. */
#include "config/object.h"

#include <stdio.h>
#include <string.h>

#include "base/dynbuf.h"
#include "base/near.h"
#include "base/str.h"
#include "config/describe.h"
#include "filter/build.h"

enum { PATH_SIZE = 512, TEXT_MAX = 1024 * 1024 };

enum dialect { EXACT, PREFIX, SUFFIX, ALL, ANY, NOT, CESQL, SQL, DIALECTS };

const char *const weir_filter_dialects[] = { "exact", "prefix", "suffix", "all", "any", "not", "cesql", "sql", NULL };

/* A list of filters that is being read; the first is `filters` itself. */
struct level {
	const struct weir_node *next; /* filter */
	const struct weir_node *list; /* NULL: the one filter of `not` */
	size_t index;
	size_t path_len; /* of the path to the list */
};

struct walk {
	weir_config *config;
	const char *source;
	struct weir_filter_builder *builder;
	struct level levels[WEIR_FILTER_NESTING_MAX + 1];
	size_t depth;
	char path[PATH_SIZE]; /* to what is being read */
};

/* ---- problems ------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void refuse(struct walk *walk, struct weir_position at, const char *format,
							 ...)
{
	struct weir_place place = { walk->source, at };
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	weir_config_problem_add(walk->config, &place, walk->path, "%s", text);
}

/* What the builder said, if it was not memory. */
static void answer(struct walk *walk, struct weir_position at, int code, const struct weir_error *err)
{
	if (code == WEIR_ENOMEM)
		walk->config->no_memory = true;
	else if (code)
		refuse(walk, at, "%s", err->text);
}

/* The path to where `len` says, and `text` behind it. Too long a path is cut. */
__attribute__((format(printf, 3, 4))) static void step_path(struct walk *walk, size_t len, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(walk->path + len, sizeof walk->path - len, format, args);
	va_end(args);
}

/* ---- one filter ----------------------------------------------------------- */

static void read_match(struct walk *walk, enum weir_filter_dialect dialect, const struct weir_node *member)
{
	struct weir_error err = WEIR_ERROR_INIT;
	size_t len = strlen(walk->path);
	char shown[WEIR_PRINTABLE_SIZE];

	step_path(walk, len, ".%s", weir_printable(member->key, shown));
	if (member->kind != WEIR_JSON_STRING)
		refuse(walk, member->at, "must be a string, not %s", weir_node_kind_text(member));
	else
		answer(walk, member->at, weir_filter_add_match(walk->builder, dialect, member->key, member->text, &err),
		       &err);
	walk->path[len] = '\0';
}

static void read_matches(struct walk *walk, enum weir_filter_dialect dialect, const struct weir_node *value)
{
	struct weir_error err = WEIR_ERROR_INIT;
	int code;

	if (value->kind != WEIR_JSON_OBJECT || !value->children) {
		refuse(walk, value->at, "must be an object of attributes and their values%s%s",
		       value->kind == WEIR_JSON_OBJECT ? "" : ", not ",
		       value->kind == WEIR_JSON_OBJECT ? "" : weir_node_kind_text(value));
		return;
	}
	code = value->children > 1 ? weir_filter_begin(walk->builder, WEIR_FILTER_ALL, &err) : WEIR_OK;
	answer(walk, value->at, code, &err);
	for (const struct weir_node *member = value->first; member && !code; member = member->next)
		read_match(walk, dialect, member);
	if (value->children > 1 && !code)
		weir_filter_end(walk->builder, NULL); /* a member that was refused is a problem already */
}

static void open_group(struct walk *walk, enum dialect dialect, const struct weir_node *value)
{
	static const enum weir_filter_group groups[] = {
		[ALL] = WEIR_FILTER_ALL, [ANY] = WEIR_FILTER_ANY, [NOT] = WEIR_FILTER_NOT
	};
	struct weir_error err = WEIR_ERROR_INIT;
	bool list = dialect != NOT;
	int code;

	if (list && (value->kind != WEIR_JSON_ARRAY || !value->children)) {
		refuse(walk, value->at, "must be an array of filters%s%s",
		       value->kind == WEIR_JSON_ARRAY ? " that is not empty" : ", not ",
		       value->kind == WEIR_JSON_ARRAY ? "" : weir_node_kind_text(value));
		return;
	}
	code = weir_filter_begin(walk->builder, groups[dialect], &err);
	answer(walk, value->at, code, &err);
	if (!code)
		walk->levels[++walk->depth] =
		    (struct level){ list ? value->first : value, list ? value : NULL, 0, strlen(walk->path) };
}

static void doubt(struct walk *walk, struct weir_position at, unsigned doubts)
{
	struct weir_place place = { walk->source, at };

	if (doubts & WEIR_FILTER_DOUBT_MIXED)
		weir_config_warning_add(walk->config, &place, walk->path,
					"AND, OR and XOR have the same rank and are read from left to right; "
					"parentheses would say what is meant");
	if (doubts & WEIR_FILTER_DOUBT_NOT)
		weir_config_warning_add(walk->config, &place, walk->path,
					"NOT is of the value right behind it only: NOT a = b is (NOT a) = b");
}

static void read_cesql(struct walk *walk, const struct weir_node *value)
{
	struct weir_error err = WEIR_ERROR_INIT;
	unsigned doubts;
	int code;

	if (value->kind != WEIR_JSON_STRING) {
		refuse(walk, value->at, "must be a string with an expression, not %s", weir_node_kind_text(value));
		return;
	}
	code = weir_filter_add_cesql(walk->builder, value->text, &doubts, &err);
	answer(walk, value->at, code, &err);
	if (!code)
		doubt(walk, value->at, doubts);
}

static void refuse_dialect(struct walk *walk, const struct weir_node *member)
{
	struct weir_near near = weir_near_init(member->key);
	char shown[WEIR_PRINTABLE_SIZE];

	for (const char *const *word = weir_filter_dialects; *word; word++)
		weir_near_offer(&near, *word);
	refuse(walk, member->key_at, "\"%s\" is no dialect of filters%s%s%s", weir_printable(member->key, shown),
	       near.best ? "; did you mean \"" : "", near.best ? near.best : "", near.best ? "\"?" : "");
}

static void read_dialect(struct walk *walk, const struct weir_node *member)
{
	int dialect = 0;

	while (dialect < DIALECTS && !weir_str_equal(member->key, weir_str(weir_filter_dialects[dialect])))
		dialect++;
	if (dialect == DIALECTS) {
		refuse_dialect(walk, member);
		return;
	}
	step_path(walk, strlen(walk->path), ".%s", weir_filter_dialects[dialect]);
	if (dialect <= SUFFIX)
		read_matches(walk, (enum weir_filter_dialect)dialect, member);
	else if (dialect >= CESQL)
		read_cesql(walk, member);
	else
		open_group(walk, (enum dialect)dialect, member);
}

static void read_filter(struct walk *walk, const struct weir_node *node)
{
	if (node->kind != WEIR_JSON_OBJECT)
		refuse(walk, node->at, "must be an object with one dialect, not %s", weir_node_kind_text(node));
	else if (node->children != 1)
		refuse(walk, node->at, "must have just one dialect; several filters are several objects of a list");
	else
		read_dialect(walk, node->first);
}

/* ---- all of them ----------------------------------------------------------- */

static void end_level(struct walk *walk)
{
	walk->path[walk->levels[walk->depth].path_len] = '\0';
	/* Fails only if a member was refused, which is a problem already. */
	if (walk->depth && weir_filter_end(walk->builder, NULL) == WEIR_ENOMEM)
		walk->config->no_memory = true;
}

static void walk_filters(struct walk *walk)
{
	for (;;) {
		struct level *level = &walk->levels[walk->depth];
		const struct weir_node *node = level->next;

		if (!node) {
			end_level(walk);
			if (!walk->depth--)
				return;
			continue;
		}
		if (level->list)
			step_path(walk, level->path_len, "[%zu]", level->index++);
		level->next = level->list ? node->next : NULL;
		read_filter(walk, node);
	}
}

static void compile(struct walk *walk, const struct weir_node *node, const struct weir_filter **ret)
{
	struct weir_error err = WEIR_ERROR_INIT;
	size_t problems = walk->config->problems.count;
	int code = weir_filter_builder_new(&walk->config->arena, &walk->builder);

	if (!code) {
		walk->levels[0] = (struct level){ node->first, node, 0, strlen(walk->path) };
		walk_filters(walk);
		code = weir_filter_finish(walk->builder, ret, &err);
	}
	if (code == WEIR_ENOMEM || walk->config->problems.count == problems)
		answer(walk, node->at, code, &err);
	weir_filter_builder_free(walk->builder);
}

/* ---- as text ---------------------------------------------------------------- */

static void add_string(struct weir_dynbuf *out, struct weir_buf text)
{
	const char *bytes = text.ptr;

	weir_dynbuf_add_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)bytes[i] < ' ')
			weir_dynbuf_addf(out, "\\u%04x", (unsigned)bytes[i]);
		else if (bytes[i] == '"' || bytes[i] == '\\')
			weir_dynbuf_addf(out, "\\%c", bytes[i]);
		else
			weir_dynbuf_add_char(out, bytes[i]);
	}
	weir_dynbuf_add_char(out, '"');
}

static void add_begin(struct weir_dynbuf *out, const struct weir_node *root, const struct weir_node *node)
{
	if (node != root && node != node->parent->first)
		weir_dynbuf_add_char(out, ',');
	if (node != root && node->keyed) {
		add_string(out, node->key);
		weir_dynbuf_add_char(out, ':');
	}
	if (node->kind == WEIR_JSON_STRING)
		add_string(out, node->text);
	else
		weir_dynbuf_add_buf(out, node->text); /* of an object or array, its bracket */
}

/* Writes closing brackets up to where the tree goes on; NULL: it ends. */
static const struct weir_node *add_end(struct weir_dynbuf *out, const struct weir_node *root,
				       const struct weir_node *node)
{
	for (;; node = node->parent) {
		if (node->kind == WEIR_JSON_OBJECT)
			weir_dynbuf_add_char(out, '}');
		else if (node->kind == WEIR_JSON_ARRAY)
			weir_dynbuf_add_char(out, ']');
		if (node == root)
			return NULL;
		if (node->next)
			return node->next;
	}
}

static const char *text_of(weir_config *config, const struct weir_node *root)
{
	const struct weir_node *node = root;
	struct weir_dynbuf out;
	const char *kept = NULL;

	weir_dynbuf_init(&out, TEXT_MAX);
	while (node) {
		add_begin(&out, root, node);
		node = node->first ? node->first : add_end(&out, root, node);
	}
	if (!out.failed)
		kept = weir_arena_text(&config->arena, weir_dynbuf_view(&out));
	config->no_memory |= !kept;
	weir_dynbuf_fini(&out);
	return kept;
}

void weir_reader_filters(const struct weir_reader *reader, const struct weir_node *node, const char *parent,
			 struct weir_subscription_settings *ret)
{
	struct walk walk = { .config = reader->config, .source = reader->source };

	ret->filter = NULL;
	ret->filters = NULL;
	if (!node)
		return;
	snprintf(walk.path, sizeof walk.path, "%s.filters", parent);
	if (node->kind != WEIR_JSON_ARRAY) {
		refuse(&walk, node->at, "must be an array of filters, not %s", weir_node_kind_text(node));
		return;
	}
	if (!node->children)
		return;
	compile(&walk, node, &ret->filter);
	ret->filters = text_of(reader->config, node);
}
