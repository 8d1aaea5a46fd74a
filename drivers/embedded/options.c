/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's settings. */
#include "embedded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct weir_option weir_embedded_options[] = {
	{ "path", WEIR_OPT_STRING, 0, NULL, 0, 0, NULL,
	  "Folder of the store; default: $STATE_DIRECTORY, else ./weir-data. It is made if it is missing." },
	{ "sync", WEIR_OPT_ENUM, 0, "always", 0, 0, "always|os",
	  "When an event counts as persisted: always, after fdatasync; os, once the operating system has it." },
	{ "maxBytes", WEIR_OPT_BYTES, 0, "17179869184", 1 << 20, INT64_C(1) << 44, NULL,
	  "Most room that records take on the disk; when it is used up, publishing is refused." },
	{ "maxPending", WEIR_OPT_INT, 0, "16384", 1, 1 << 20, NULL,
	  "Most records that wait to be written at a time; when there are as many, publishing waits." },
	{ "groupCommitDelay", WEIR_OPT_DURATION, 0, "0", 0, 1000, NULL,
	  "How long the first record waits for others to share its sync; 0: not longer than the sync before takes." },
	{ "retention", WEIR_OPT_DURATION, 0, "604800000", 0, INT64_C(315360000000), NULL,
	  "How long records are kept in a topic that has no subscription; 0: not at all." },
};
const uint32_t weir_embedded_option_count = sizeof weir_embedded_options / sizeof weir_embedded_options[0];

static const struct weir_option *option_find(const char *key)
{
	uint32_t i;

	for (i = 0; i < weir_embedded_option_count; i++)
		if (strcmp(weir_embedded_options[i].key, key) == 0)
			return &weir_embedded_options[i];
	return NULL;
}

static bool number_read(const struct weir_option *option, const char *text, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	return !errno && end != text && !*end && *ret >= option->min && *ret <= option->max;
}

/* The folder that systemd made for us is the first of a list. */
static char *path_default(void)
{
	const char *state = getenv("STATE_DIRECTORY");

	if (!state || !*state)
		return strdup("./weir-data");
	return strndup(state, strcspn(state, ":"));
}

static int setting_set(struct weir_inst *inst, const struct weir_option *option, const char *value,
		       struct weir_error *err)
{
	int64_t number = 0;

	if (strcmp(option->key, "path") == 0) {
		free(inst->path);
		inst->path = *value ? strdup(value) : NULL;
		return inst->path || !*value ? WEIR_OK : weir_fail(err, WEIR_ENOMEM, "no memory for settings");
	}
	if (strcmp(option->key, "sync") == 0) {
		inst->sync = strcmp(value, "os") != 0;
		if (!inst->sync || strcmp(value, "always") == 0)
			return WEIR_OK;
		return weir_fail(err, WEIR_EINVAL, "embedded.sync: allowed are always and os");
	}
	if (!number_read(option, value, &number))
		return weir_fail(err, WEIR_EINVAL, "embedded.%s: allowed are %lld to %lld", option->key,
				 (long long)option->min, (long long)option->max);
	if (strcmp(option->key, "maxBytes") == 0)
		inst->max_bytes = (uint64_t)number;
	else if (strcmp(option->key, "maxPending") == 0)
		inst->max_pending = (uint64_t)number;
	else if (strcmp(option->key, "groupCommitDelay") == 0)
		inst->delay_ns = number * 1000000;
	else
		inst->retention_ms = number;
	return WEIR_OK;
}

int weir_embedded_settings(struct weir_inst *inst, const struct weir_setting *settings, size_t count,
			   struct weir_error *err)
{
	uint32_t option;
	size_t i;
	int code;

	for (option = 0; option < weir_embedded_option_count; option++)
		if (weir_embedded_options[option].fallback &&
		    (code = setting_set(inst, &weir_embedded_options[option], weir_embedded_options[option].fallback,
					err)))
			return code;
	for (i = 0; i < count; i++) {
		const struct weir_option *known = option_find(settings[i].key);

		if (!known)
			return weir_fail(err, WEIR_EINVAL, "embedded.%s: there is no such setting", settings[i].key);
		if (settings[i].value && (code = setting_set(inst, known, settings[i].value, err)))
			return code;
	}
	if (!inst->path)
		inst->path = path_default();
	return inst->path ? WEIR_OK : weir_fail(err, WEIR_ENOMEM, "no memory for settings");
}
