/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/near.h"

/* What is being read. */
struct parser {
	const struct weir_cmd *cmd;
	char **argv;
	size_t argc, at;
	void *options;
	char **args; /* the same array as argv: arguments are moved to its front */
	size_t arg_count;
	bool help;
};

static const struct weir_cli_option *find_long(const struct weir_cmd *cmd, struct weir_buf name)
{
	for (size_t i = 0; i < cmd->option_count; i++) {
		if (weir_str_equal(weir_str(cmd->options[i].name), name))
			return &cmd->options[i];
	}
	return NULL;
}

static const struct weir_cli_option *find_letter(const struct weir_cmd *cmd, char letter)
{
	for (size_t i = 0; i < cmd->option_count; i++) {
		if (cmd->options[i].letter && cmd->options[i].letter == letter)
			return &cmd->options[i];
	}
	return NULL;
}

static int unknown_option(const struct weir_cmd *cmd, struct weir_buf name)
{
	struct weir_near near = weir_near_init(name);

	for (size_t i = 0; i < cmd->option_count; i++)
		weir_near_offer(&near, cmd->options[i].name);
	weir_near_offer(&near, "help");
	if (near.best)
		return weir_cli_usage(cmd, "there is no option --%.*s (did you mean --%s?)", (int)name.len,
				      (const char *)name.ptr, near.best);
	return weir_cli_usage(cmd, "there is no option --%.*s", (int)name.len, (const char *)name.ptr);
}

/* ---- values -------------------------------------------------------------- */

static bool list_add(struct weir_cli_list *list, const char *value)
{
	const char **items = weir_mem_realloc(list->items, (list->count + 1) * sizeof *items);

	if (!items)
		return false;
	items[list->count++] = value;
	list->items = items;
	return true;
}

/* "1.5s", "200ms", "2m", "1h", or ISO 8601. */
static bool to_duration(const char *value, int64_t *ret)
{
	struct weir_buf text = weir_str(value);
	char iso[40];
	size_t digits = strspn(value, "0123456789.");
	const char *unit = value + digits;
	uint64_t ms;

	if (digits && strcmp(unit, "ms") == 0) {
		text.len = digits;
		if (!weir_str_to_uint(text, &ms) || ms > INT64_MAX)
			return false;
		*ret = (int64_t)ms;
		return true;
	}
	if (digits && unit[0] && !unit[1] && strchr("smh", unit[0])) {
		snprintf(iso, sizeof iso, "PT%.*s%c", (int)digits, value, unit[0] - 'a' + 'A');
		text = weir_str(iso);
	}
	return weir_str_to_duration_ms(text, ret);
}

static bool is_choice(const char *choices, const char *value)
{
	struct weir_buf rest = weir_str(choices), choice;

	while (weir_str_split(&rest, '|', &choice)) {
		if (weir_str_equal(choice, weir_str(value)))
			return true;
	}
	return false;
}

static int set_value(struct parser *parser, const struct weir_cli_option *option, const char *value)
{
	void *field = (char *)parser->options + option->offset;

	switch (option->type) {
	case WEIR_CLI_TEXT:
		*(const char **)field = value;
		return -1;
	case WEIR_CLI_LIST:
		if (list_add(field, value))
			return -1;
		return weir_cli_no_memory();
	case WEIR_CLI_UINT:
		if (weir_str_to_uint(weir_str(value), field))
			return -1;
		return weir_cli_usage(parser->cmd, "--%s wants a whole number", option->name);
	case WEIR_CLI_DURATION:
		if (to_duration(value, field))
			return -1;
		return weir_cli_usage(parser->cmd, "--%s wants a duration such as 30s, 200ms, 5m or PT1.5S",
				      option->name);
	default:
		if (is_choice(option->arg, value)) {
			*(const char **)field = value;
			return -1;
		}
		return weir_cli_usage(parser->cmd, "--%s wants one of %s", option->name, option->arg);
	}
}

/* ---- words --------------------------------------------------------------- */

/* `value` NULL: it is the next word. */
static int take_option(struct parser *parser, const struct weir_cli_option *option, const char *value)
{
	if (option->type == WEIR_CLI_FLAG) {
		if (value)
			return weir_cli_usage(parser->cmd, "--%s takes no value", option->name);
		*(bool *)((char *)parser->options + option->offset) = true;
		return -1;
	}
	if (!value) {
		if (parser->at == parser->argc)
			return weir_cli_usage(parser->cmd, "--%s wants a value (%s)", option->name, option->arg);
		value = parser->argv[parser->at++];
	}
	return set_value(parser, option, value);
}

static int take_long(struct parser *parser, const char *word)
{
	struct weir_buf rest = weir_str(word), name;
	const struct weir_cli_option *option;

	weir_str_split(&rest, '=', &name);
	if (weir_str_equal(name, WEIR_STR("help"))) {
		parser->help = true;
		return -1;
	}
	option = find_long(parser->cmd, name);
	if (!option)
		return unknown_option(parser->cmd, name);
	return take_option(parser, option, rest.ptr);
}

static int take_letters(struct parser *parser, const char *letters)
{
	for (; *letters; letters++) {
		const struct weir_cli_option *option = find_letter(parser->cmd, *letters);
		int code;

		if (*letters == 'h') {
			parser->help = true;
			continue;
		}
		if (!option)
			return weir_cli_usage(parser->cmd, "there is no option -%c", *letters);
		if (option->type != WEIR_CLI_FLAG)
			return take_option(parser, option, letters[1] ? letters + 1 : NULL);
		code = take_option(parser, option, NULL);
		if (code >= 0)
			return code;
	}
	return -1;
}

static int take_words(struct parser *parser)
{
	bool options_end = false;

	while (parser->at < parser->argc) {
		char *word = parser->argv[parser->at++];
		int code = -1;

		if (options_end || word[0] != '-' || !word[1])
			parser->args[parser->arg_count++] = word;
		else if (strcmp(word, "--") == 0)
			options_end = true;
		else if (word[1] == '-')
			code = take_long(parser, word + 2);
		else
			code = take_letters(parser, word + 1);
		if (code >= 0)
			return code;
	}
	return -1;
}

/* ---- help ---------------------------------------------------------------- */

static void print_option(char letter, const char *name, const char *arg, const char *help)
{
	char left[64];
	char short_form[5] = "    ";

	if (letter)
		snprintf(short_form, sizeof short_form, "-%c, ", letter);
	snprintf(left, sizeof left, "%s--%s%s%s", short_form, name, arg ? " " : "", arg ? arg : "");
	if (strlen(left) > 26)
		printf("  %s\n  %-26s  %s\n", left, "", help);
	else
		printf("  %-26s  %s\n", left, help);
}

static void print_help(const struct weir_cmd *cmd)
{
	printf("usage: weir %s%s%s%s\n\n%s.\n", cmd->name, cmd->args[0] ? " " : "", cmd->args,
	       cmd->option_count ? " [OPTION]..." : "", cmd->summary);
	if (cmd->details)
		printf("\n%s\n", cmd->details);
	printf("\noptions:\n");
	for (size_t i = 0; i < cmd->option_count; i++)
		print_option(cmd->options[i].letter, cmd->options[i].name, cmd->options[i].arg, cmd->options[i].help);
	print_option('h', "help", NULL, "show this");
}

int weir_cli_parse(const struct weir_cmd *cmd, char **argv, size_t argc, void *options, char *const **args,
		   size_t *arg_count)
{
	struct parser parser = { .cmd = cmd, .argv = argv, .argc = argc, .options = options };
	int code;

	parser.args = argv;
	code = take_words(&parser);
	if (code >= 0)
		return code;
	if (parser.help) {
		print_help(cmd);
		return WEIR_EXIT_OK;
	}
	if (parser.arg_count < cmd->min_args)
		return weir_cli_usage(cmd, "%s is missing", cmd->args);
	if (parser.arg_count > cmd->max_args)
		return weir_cli_usage(cmd, "unexpected argument '%s'", parser.args[cmd->max_args]);
	*args = parser.args;
	*arg_count = parser.arg_count;
	return -1;
}

void weir_cli_parse_fini(const struct weir_cmd *cmd, void *options)
{
	for (size_t i = 0; i < cmd->option_count; i++) {
		struct weir_cli_list *list = (void *)((char *)options + cmd->options[i].offset);

		if (cmd->options[i].type == WEIR_CLI_LIST)
			weir_mem_free(list->items);
	}
}
