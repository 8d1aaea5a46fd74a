/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/table.h"

#include <stdbool.h>

enum { MAX_OPTIONS = 1024 };

static int no_flush(struct weir_inst *inst, int64_t deadline_ns, uint64_t *left)
{
	(void)inst;
	(void)deadline_ns;
	*left = 0;
	return WEIR_ENOTSUP;
}

static int no_pause(struct weir_inst *inst, struct weir_sub *sub, int on)
{
	(void)inst;
	(void)sub;
	(void)on;
	return WEIR_ENOTSUP;
}

static int no_health(struct weir_inst *inst, struct weir_health *ret)
{
	(void)inst;
	(void)ret;
	return WEIR_ENOTSUP;
}

static int no_stats(struct weir_inst *inst, struct weir_stats *ret)
{
	(void)inst;
	(void)ret;
	return WEIR_ENOTSUP;
}

static int no_sub_stats(struct weir_inst *inst, struct weir_sub *sub, struct weir_sub_stats *ret)
{
	(void)inst;
	(void)sub;
	(void)ret;
	return WEIR_ENOTSUP;
}

static int no_topic_delete(struct weir_inst *inst, const char *ns, const char *name, int64_t deadline_ns,
			   struct weir_error *err)
{
	(void)inst;
	(void)deadline_ns;
	return weir_fail(err, WEIR_ENOTSUP, "channel %s/%s: this driver cannot delete channels", ns, name);
}

static void fill_optional(struct weir_driver *table)
{
	if (!table->flush)
		table->flush = no_flush;
	if (!table->pause)
		table->pause = no_pause;
	if (!table->health)
		table->health = no_health;
	if (!table->stats)
		table->stats = no_stats;
	if (!table->sub_stats)
		table->sub_stats = no_sub_stats;
	if (!table->topic_delete)
		table->topic_delete = no_topic_delete;
}

static const char *missing_operation(const struct weir_driver *table)
{
	const struct {
		const char *name;
		bool there;
	} required[] = {
		{ "open", table->open },
		{ "close", table->close },
		{ "caps", table->caps },
		{ "topic_open", table->topic_open },
		{ "topic_close", table->topic_close },
		{ "publish", table->publish },
		{ "subscribe", table->subscribe },
		{ "credit", table->credit },
		{ "poll", table->poll },
		{ "event_fd", table->event_fd },
		{ "settle", table->settle },
		{ "release", table->release },
		{ "unsubscribe", table->unsubscribe },
	};

	for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
		if (!required[i].there)
			return required[i].name;
	return NULL;
}

static int check_names(const struct weir_driver *table, const struct weir_note *note, const char *path,
		       struct weir_error *err)
{
	if (!table->name || strcmp(table->name, note->name) != 0)
		return weir_fail(err, WEIR_EINVAL, "driver %s: its note says name %s, its table another one", path,
				 note->name);
	if (!table->kind || strcmp(table->kind, note->kind) != 0)
		return weir_fail(err, WEIR_EINVAL, "driver %s: its note says kind %s, its table another one", path,
				 note->kind);
	return WEIR_OK;
}

static int check_options(const struct weir_driver *table, const char *path, struct weir_error *err)
{
	if (table->option_count > MAX_OPTIONS || (table->option_count > 0 && !table->options))
		return weir_fail(err, WEIR_EINVAL, "driver %s: its option table is damaged", path);
	for (uint32_t i = 0; i < table->option_count; i++) {
		const struct weir_option *option = &table->options[i];

		if (!option->key || option->key[0] == '\0' || option->type > WEIR_OPT_LIST ||
		    (option->type == WEIR_OPT_ENUM && !option->choices))
			return weir_fail(err, WEIR_EINVAL, "driver %s: row %u of its option table is not valid", path,
					 i);
	}
	return WEIR_OK;
}

static int check_version(const struct weir_driver *table, const char *path, struct weir_error *err)
{
	if (table->size > sizeof *table)
		return weir_fail(err, WEIR_EVERSION, "driver %s: it filled more of the table than there is", path);
	if (table->abi_major != WEIR_ABI_MAJOR)
		return weir_fail(err, WEIR_EVERSION,
				 "driver %s: made for driver ABI %u.%u, this is Weir with ABI %u.%u", path,
				 table->abi_major, table->abi_minor, WEIR_ABI_MAJOR, WEIR_ABI_MINOR);
	return WEIR_OK;
}

static int init_failed(int code, const struct weir_error *cause, const char *path, struct weir_error *err)
{
	int known = weir_code_name(code)[0] == '?' ? WEIR_EUNKNOWN : code;

	return weir_fail(err, known, "driver %s: its init failed: %.*s", path, (int)sizeof cause->text - 1,
			 cause->text[0] ? cause->text : weir_code_text(known));
}

int weir_table_fill(struct weir_driver *table, weir_driver_init_fn *init, const struct weir_note *note,
		    const char *path, struct weir_error *err)
{
	struct weir_error cause = WEIR_ERROR_INIT;
	const char *missing;
	int code;

	memset(table, 0, sizeof *table);
	table->size = sizeof *table;
	code = init(WEIR_ABI_MAJOR, WEIR_ABI_MINOR, table, &cause);
	if (code)
		return init_failed(code, &cause, path, err);
	code = check_version(table, path, err);
	if (!code)
		code = check_names(table, note, path, err);
	if (!code)
		code = check_options(table, path, err);
	if (code)
		return code;
	missing = missing_operation(table);
	if (missing)
		return weir_fail(err, WEIR_EINVAL, "driver %s: it has no operation %s, which is required", path,
				 missing);
	fill_optional(table);
	return WEIR_OK;
}
