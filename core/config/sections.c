/* SPDX-License-Identifier: Apache-2.0 */
/* config/sections: sections that nobody reads, because no driver has that name. */
#include "config/internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/near.h"
#include "base/str.h"

static bool is_found(const char *key, const char *const *drivers, size_t count)
{
	size_t len = strcspn(key, ".");

	for (size_t i = 0; i < count; i++) {
		if (strlen(drivers[i]) == len && strncasecmp(key, drivers[i], len) == 0)
			return true;
	}
	return false;
}

static void refuse_section(weir_config *config, const struct weir_entry *entry, const char *const *drivers,
			   size_t count)
{
	size_t len = strcspn(entry->key, ".");
	struct weir_near near = weir_near_init(weir_str(entry->key));
	struct weir_near driver = weir_near_init((struct weir_buf){ entry->key, len });

	for (size_t i = 0; i < weir_fields.count; i++)
		weir_near_offer(&near, weir_fields.rows[i].option.key);
	for (size_t i = 0; i < count; i++)
		weir_near_offer(&driver, drivers[i]);
	if (near.best)
		weir_config_problem_add(config, &entry->place, entry->key, "unknown key; did you mean \"%s\"?",
					near.best);
	else if (driver.best)
		weir_config_problem_add(config, &entry->place, entry->key, "unknown key; did you mean \"%s%s\"?",
					driver.best, entry->key + len);
	else
		weir_config_problem_add(config, &entry->place, entry->key,
					"unknown key: neither Weir nor a driver that was found is called \"%.*s\"",
					(int)(len < 60 ? len : 60), entry->key);
}

static int by_order(const void *a, const void *b)
{
	const struct weir_entry *const *x = a, *const *y = b;

	return (*x)->order < (*y)->order ? -1 : (*x)->order > (*y)->order;
}

/* Entries are in the order of their keys by now; mistakes are told in the order of the files. */
static const struct weir_entry **in_order(weir_config *config)
{
	const struct weir_entry **entries = weir_mem_zalloc(config->entry_count + 1, sizeof(const struct weir_entry *));

	config->no_memory |= !entries;
	for (size_t i = 0; entries && i < config->entry_count; i++)
		entries[i] = &config->entries[i];
	if (entries)
		qsort(entries, config->entry_count, sizeof(const struct weir_entry *), by_order);
	return entries;
}

int weir_config_check_sections(weir_config *config, const char *const *drivers, size_t count, struct weir_error *err)
{
	const struct weir_entry **entries = in_order(config);
	size_t before = config->problems.count;

	for (size_t i = 0; i < config->entry_count && !config->no_memory; i++) {
		if (!weir_field_owns(entries[i]->key) && !is_found(entries[i]->key, drivers, count))
			refuse_section(config, entries[i], drivers, count);
	}
	weir_mem_free(entries);
	if (config->no_memory)
		return weir_fail(err, WEIR_ENOMEM, "configuration: %s", weir_code_text(WEIR_ENOMEM));
	return config->problems.count > before ? weir_fail(err, WEIR_EINVAL, "%s", config->problems.items[before])
					       : WEIR_OK;
}
