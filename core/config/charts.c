/* SPDX-License-Identifier: Apache-2.0 */
/* config/charts: how the charts of Kyma and Knative spell keys; what they call by two keys and Weir by one. */
#include "config/internal.h"

#include <string.h>
#include <strings.h>

#include "base/dynbuf.h"
#include "base/str.h"

#define BROKERS "kafka.brokers"

const char *weir_field_canonical(const char *key, bool fold)
{
	static const char chart[] = "knative-eventing.", provider[] = "environment.kafkaProvider";
	int (*compare)(const char *a, const char *b) = fold ? strcasecmp : strcmp;

	if (fold ? strncasecmp(key, chart, strlen(chart)) == 0 : strncmp(key, chart, strlen(chart)) == 0)
		key += strlen(chart);
	return compare(key, provider) == 0 ? "kafka.provider" : key;
}

/* Text of a string, or of a number if the key takes one: charts write the port as either. */
static struct weir_buf part_text(const struct weir_value *part, bool number)
{
	const struct weir_input *input = &part->entry->input;
	struct weir_buf none = { NULL, 0 };

	if (input->node->kind == WEIR_JSON_STRING || (number && input->node->kind == WEIR_JSON_NUMBER))
		return input->node->text;
	return input->text ? input->raw : none;
}

static void refuse_part(weir_config *config, const struct weir_value *part, const char *why)
{
	weir_config_problem_add(config, &part->entry->place, part->key, "%s", why);
}

/* "host:port" as a value of the key that Weir knows. */
static void join(weir_config *config, const struct weir_value *host, const struct weir_value *port,
		 struct weir_value *ret)
{
	struct weir_entry *entry = weir_arena_alloc(&config->arena, sizeof *entry);
	struct weir_node *node = weir_arena_alloc(&config->arena, sizeof *node);
	struct weir_buf host_text = part_text(host, false), port_text = part_text(port, true);
	char *text = weir_arena_alloc(&config->arena, host_text.len + port_text.len + 2);
	uint64_t number;

	if (!entry || !node || !text) {
		config->no_memory = true;
		return;
	}
	if (!host_text.len)
		refuse_part(config, host, "is not a host; allowed: a string such as \"broker.example.com\"");
	if (!port_text.ptr || !weir_str_to_uint(port_text, &number) || number < 1 || number > 65535) {
		refuse_part(config, port, "is not a port; allowed: 1 to 65535");
		return;
	}
	if (host_text.len)
		memcpy(text, host_text.ptr, host_text.len);
	text[host_text.len] = ':';
	memcpy(text + host_text.len + 1, port_text.ptr, port_text.len);
	text[host_text.len + 1 + port_text.len] = '\0';
	*entry = *host->entry;
	*node = (struct weir_node){ .kind = WEIR_JSON_STRING, .text = { text, host_text.len + 1 + port_text.len } };
	entry->key = BROKERS;
	entry->input = (struct weir_input){ node, true, node->text };
	*ret = (struct weir_value){ .key = BROKERS, .text = text, .origin = host->origin, .entry = entry };
}

static struct weir_value *find(weir_config *config, const char *key)
{
	for (size_t i = 0; i < config->value_count; i++) {
		if (strcasecmp(config->values[i].key, key) == 0)
			return &config->values[i];
	}
	return NULL;
}

static void drop(weir_config *config, const char *key)
{
	struct weir_value *value = find(config, key);

	if (value)
		*value = config->values[--config->value_count];
}

/* Host and port are one key to Weir. Whichever was said last is effective: the two, or the one. */
void weir_config_join_parts(weir_config *config)
{
	static const char host_key[] = BROKERS ".hostname", port_key[] = BROKERS ".port";
	const struct weir_value *host = find(config, host_key), *port = find(config, port_key);
	struct weir_value *whole = find(config, BROKERS), joined = { 0 };

	if (!host && !port)
		return;
	if (!host || !port) {
		refuse_part(config, host ? host : port,
			    host ? "needs " BROKERS ".port beside it" : "needs " BROKERS ".hostname beside it");
		return;
	}
	join(config, host, port, &joined);
	if (joined.key && (!whole || whole->entry->order < joined.entry->order)) {
		/* Takes the place of the host, so that there is room for it. */
		*(whole ? whole : find(config, host_key)) = joined;
	}
	drop(config, host_key);
	drop(config, port_key);
}
