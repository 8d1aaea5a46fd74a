/* SPDX-License-Identifier: Apache-2.0 */
/* cli/cmd_drivers: which drivers are found, and what one of them can do. */
#include "cli/cmd.h"

#include <inttypes.h>
#include <json.h>
#include <stdio.h>
#include <string.h>

#include <weir/channel.h>

#include "cli/caps.h"
#include "cli/load.h"

struct drivers_options {
	struct weir_cli_config config;
	bool json, closed;
};

/* All that is known of one driver. */
struct driver_view {
	struct weir_driver_info info;
	const struct weir_driver *table; /* NULL: it could not be loaded */
	struct weir_caps caps;
	bool open;               /* `caps` is known */
	struct weir_error error; /* why `table` or `caps` is not */
};

static void load(weir_runtime *runtime, struct driver_view *view)
{
	if (view->info.problem)
		weir_fail(&view->error, WEIR_EINVAL, "%s", view->info.problem);
	else if (weir_runtime_load(runtime, view->info.kind, &view->table, &view->error))
		view->table = NULL;
}

/* ---- limits -------------------------------------------------------------- */

struct limit {
	const char *name; /* in JSON */
	const char *text; /* for people */
	uint64_t value;   /* 0: none */
};

enum { LIMITS = 10 };

static void get_limits(const struct weir_caps *caps, struct limit limits[LIMITS])
{
	const struct limit all[LIMITS] = {
		{ "maxRecordBytes", "bytes of a record", caps->max_record_bytes },
		{ "maxHeaders", "headers of a record", caps->max_headers },
		{ "maxHeaderBytes", "bytes of a header", caps->max_header_bytes },
		{ "maxKeyBytes", "bytes of a key", caps->max_key_bytes },
		{ "maxTopicBytes", "bytes of a channel's name", caps->max_topic_bytes },
		{ "maxPublishInflight", "publishes under way", caps->max_publish_inflight },
		{ "ackWaitMinMs", "ms until an acknowledgement is missed, at least", caps->ack_wait_min_ms },
		{ "ackWaitStepMs", "ms of its steps", caps->ack_wait_step_ms },
		{ "ackWaitMs", "ms until an unsettled delivery comes back, unless extended", caps->ack_wait_ms },
		{ "deadDetectMs", "ms until a silent backend is noticed", caps->dead_detect_ms },
	};

	memcpy(limits, all, sizeof all);
}

/* ---- text ---------------------------------------------------------------- */

static void print_row(const struct driver_view *view)
{
	if (!view->table) {
		printf("%-20s  unusable: %s\n", view->info.kind[0] ? view->info.kind : "?", view->error.text);
		return;
	}
	printf("%-20s  %s\n%-20s  %s %s, ABI %" PRIu32 ".%" PRIu32 ", %s\n", view->info.kind, view->table->summary, "",
	       view->info.name, view->table->version, view->info.abi_major, view->info.abi_minor, view->info.path);
}

static void print_caps(const struct weir_caps *caps)
{
	struct limit limits[LIMITS];
	const char *level = weir_cli_thread_level(caps->thread_level);

	get_limits(caps, limits);
	printf("durability    %s: %s\n", caps->durability ? caps->durability : "?",
	       caps->durability_note ? caps->durability_note : "");
	printf("threads       %s\ncapabilities ", level ? level : "?");
	for (unsigned i = 0; i < 64; i++) {
		const char *name = weir_cli_cap_name(i);

		if (name && (caps->bits & WEIR_CAP_BIT(i)))
			printf(" %s", name);
	}
	putchar('\n');
	for (int i = 0, shown = 0; i < LIMITS; i++) {
		if (limits[i].value)
			printf("%-13s %" PRIu64 " %s\n", shown++ ? "" : "limits", limits[i].value, limits[i].text);
	}
}

static void print_option(const char *driver, const struct weir_option *option)
{
	const char *type = weir_cli_option_type(option->type);

	printf("  %s.%s\n      %s%s%s%s", driver, option->key, type ? type : "?", option->choices ? ", one of " : "",
	       option->choices ? option->choices : "", option->flags & WEIR_OPTION_REQUIRED ? ", required" : "");
	if (option->min || option->max)
		printf(", %" PRId64 " to %" PRId64, option->min, option->max);
	if (option->fallback)
		printf(", default %s", option->fallback);
	if (option->flags & WEIR_OPTION_SECRET)
		printf(", secret");
	printf("\n      %s\n", option->help);
}

static void print_driver(const struct driver_view *view)
{
	const struct weir_driver *table = view->table;

	printf("%s\n\n%s\n\n", table->kind, table->summary);
	printf("driver        %s %s\npath          %s\nABI           %" PRIu32 ".%" PRIu32 "\n", table->name,
	       table->version, view->info.path, table->abi_major, table->abi_minor);
	if (view->open)
		print_caps(&view->caps);
	else if (view->error.code)
		printf("capabilities  not known: %s\n", view->error.text);
	if (table->option_count)
		printf("\noptions\n");
	for (uint32_t i = 0; i < table->option_count; i++)
		print_option(table->name, &table->options[i]);
}

/* ---- JSON ---------------------------------------------------------------- */

static void add_text(json_object *to, const char *key, const char *text)
{
	if (text && text[0])
		json_object_object_add(to, key, json_object_new_string(text));
}

static void add_number(json_object *to, const char *key, uint64_t number)
{
	json_object_object_add(to, key, json_object_new_uint64(number));
}

static json_object *caps_to_json(const struct weir_caps *caps)
{
	json_object *root = json_object_new_object(), *names = json_object_new_array();
	json_object *bounds = json_object_new_object();
	struct limit limits[LIMITS];

	for (unsigned i = 0; i < 64; i++) {
		if (weir_cli_cap_name(i) && (caps->bits & WEIR_CAP_BIT(i)))
			json_object_array_add(names, json_object_new_string(weir_cli_cap_name(i)));
	}
	get_limits(caps, limits);
	for (int i = 0; i < LIMITS; i++) {
		if (limits[i].value)
			add_number(bounds, limits[i].name, limits[i].value);
	}
	add_text(root, "durability", caps->durability);
	add_text(root, "durabilityNote", caps->durability_note);
	add_text(root, "threads", weir_cli_thread_level(caps->thread_level));
	json_object_object_add(root, "capabilities", names);
	json_object_object_add(root, "limits", bounds);
	return root;
}

static json_object *option_to_json(const char *driver, const struct weir_option *option)
{
	json_object *root = json_object_new_object();
	char key[256];

	snprintf(key, sizeof key, "%s.%s", driver, option->key);
	add_text(root, "key", key);
	add_text(root, "type", weir_cli_option_type(option->type));
	add_text(root, "default", option->fallback);
	add_text(root, "choices", option->choices);
	add_text(root, "help", option->help);
	if (option->min || option->max) {
		json_object_object_add(root, "min", json_object_new_int64(option->min));
		json_object_object_add(root, "max", json_object_new_int64(option->max));
	}
	json_object_object_add(root, "required", json_object_new_boolean((option->flags & WEIR_OPTION_REQUIRED) != 0));
	json_object_object_add(root, "secret", json_object_new_boolean((option->flags & WEIR_OPTION_SECRET) != 0));
	return root;
}

static json_object *driver_to_json(const struct driver_view *view, bool with_options)
{
	json_object *root = json_object_new_object(), *options;
	const struct weir_driver *table = view->table;
	char abi[32];

	snprintf(abi, sizeof abi, "%" PRIu32 ".%" PRIu32, view->info.abi_major, view->info.abi_minor);
	add_text(root, "kind", view->info.kind);
	add_text(root, "name", view->info.name);
	add_text(root, "path", view->info.path);
	add_text(root, "abi", abi);
	if (table) {
		add_text(root, "version", table->version);
		add_text(root, "summary", table->summary);
	}
	if (view->error.code)
		add_text(root, "problem", view->error.text);
	if (view->open)
		json_object_object_add(root, "backend", caps_to_json(&view->caps));
	if (!table || !with_options)
		return root;
	options = json_object_new_array();
	for (uint32_t i = 0; i < table->option_count; i++)
		json_object_array_add(options, option_to_json(table->name, &table->options[i]));
	json_object_object_add(root, "options", options);
	return root;
}

static void print_json(json_object *root)
{
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(root);
}

/* ---- the command --------------------------------------------------------- */

static int list_drivers(weir_runtime *runtime, bool json)
{
	json_object *root = json ? json_object_new_array() : NULL;
	struct driver_view view;
	size_t count = 0;

	for (;; count++) {
		memset(&view, 0, sizeof view);
		if (weir_runtime_driver(runtime, count, &view.info))
			break;
		load(runtime, &view);
		if (json)
			json_object_array_add(root, driver_to_json(&view, false));
		else
			print_row(&view);
	}
	if (json)
		print_json(root);
	if (count)
		return WEIR_EXIT_OK;
	/* Asking for a kind that nobody has tells which folders were searched. */
	weir_runtime_load(runtime, "any", &view.table, &view.error);
	return weir_cli_fail(&view.error);
}

/* Which of those found is used for the kind: the first that has no problem. */
static void find_info(weir_runtime *runtime, const char *kind, struct weir_driver_info *ret)
{
	struct weir_driver_info info;

	for (size_t i = 0; weir_runtime_driver(runtime, i, &info) == WEIR_OK; i++) {
		if (strcmp(info.kind, kind) == 0 && (!ret->path || (ret->problem && !info.problem)))
			*ret = info;
	}
}

static int show_driver(weir_runtime *runtime, const struct drivers_options *options, const char *kind)
{
	struct driver_view view = { .caps = { .size = sizeof view.caps } };

	if (weir_runtime_load(runtime, kind, &view.table, &view.error))
		return weir_cli_fail(&view.error);
	find_info(runtime, kind, &view.info);
	if (!options->closed)
		view.open = weir_runtime_caps(runtime, kind, &view.caps, &view.error) == WEIR_OK;
	if (options->json)
		print_json(driver_to_json(&view, true));
	else
		print_driver(&view);
	return WEIR_EXIT_OK;
}

static int run(void *opaque, char *const *args, size_t arg_count)
{
	const struct drivers_options *options = opaque;
	weir_config *config;
	weir_runtime *runtime;
	int code = weir_cli_open(&options->config, &config, &runtime);

	if (code)
		return code;
	code = arg_count ? show_driver(runtime, options, args[0]) : list_drivers(runtime, options->json);
	weir_cli_close(config, runtime);
	return code;
}

static const struct weir_cli_option options[] = {
	{ "json", 0, WEIR_CLI_FLAG, NULL, "write JSON", offsetof(struct drivers_options, json) },
	{ "closed", 0, WEIR_CLI_FLAG, NULL, "do not open the backend to learn what it can do",
	  offsetof(struct drivers_options, closed) },
	WEIR_CLI_CONFIG_OPTIONS(struct drivers_options, config),
};

const struct weir_cmd weir_cmd_drivers = {
	.name = "drivers",
	.args = "[KIND]",
	.summary = "List the drivers, or show what one can do and the settings it takes",
	.details = "With KIND, its backend is opened with the configured settings, because what it can do may\n"
		   "depend on the server it connects to.",
	.options = options,
	.option_count = sizeof options / sizeof options[0],
	.options_size = sizeof(struct drivers_options),
	.max_args = 1,
	.run = run,
};
