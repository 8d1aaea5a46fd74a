/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/manifest: keys out of Kubernetes' ConfigMaps and Secrets, as operators
 * of Kyma and Knative have them: in manifests, or mounted, one file for each key.
 */
#include "config/internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/yaml_tree.h"
#include "event/base64.h"

enum { MANIFEST_MAX = 4 * 1024 * 1024, VALUE_MAX = 1024 * 1024, KEYS_MAX = 1024 };

/* Knative keeps its default channel under this key, as YAML within YAML. */
static const char default_channel[] = "default-ch-config";

struct manifest {
	weir_config *config;
	const char *path; /* in the arena */
};

static struct weir_place place_of(const struct manifest *manifest, const struct weir_node *node)
{
	struct weir_place place = { manifest->path, { 0, 0 } };

	if (node)
		place.at = node->keyed ? node->key_at : node->at;
	return place;
}

static struct weir_buf text_of(const struct weir_node *node)
{
	struct weir_buf none = { "", 0 };

	return node && node->kind == WEIR_JSON_STRING ? node->text : none;
}

/* ---- Knative's default channel ------------------------------------------- */

/* `key` gets the text of a member, if it is there. */
static void put_member(const struct manifest *manifest, const struct weir_place *place, const struct weir_node *object,
		       const char *member, const char *key)
{
	const struct weir_node *node = weir_node_member(object, member);

	if (node)
		weir_config_add_text_value(manifest->config, place, WEIR_LAYER_OVERRIDE, weir_str(key), text_of(node),
					   false);
}

static void put_namespace(const struct manifest *manifest, const struct weir_place *place,
			  const struct weir_node *object)
{
	char key[512];

	if (object->key.len > 253) {
		weir_config_problem_add(manifest->config, place, default_channel, "names a namespace that is none");
		return;
	}
	snprintf(key, sizeof key, "channel.namespaces.%.*s.kind", (int)object->key.len, (const char *)object->key.ptr);
	put_member(manifest, place, object, "kind", key);
}

static void put_default_channel(const struct manifest *manifest, const struct weir_place *place, struct weir_buf text)
{
	struct weir_tree_error err = { .at = { 0, 0 } };
	struct weir_node *root;
	const struct weir_node *cluster, *namespaces;
	int code = weir_yaml_parse(text, &manifest->config->arena, &root, &err);

	manifest->config->no_memory |= code == WEIR_ENOMEM;
	if (code == WEIR_EINVAL)
		weir_config_problem_add(manifest->config, place, default_channel, "line %u of it: %s", err.at.line,
					err.text);
	if (code)
		return;
	cluster = weir_node_member(root, "clusterDefault");
	namespaces = weir_node_member(root, "namespaceDefaults");
	if (!cluster && !namespaces)
		weir_config_problem_add(manifest->config, place, default_channel,
					"holds neither clusterDefault nor namespaceDefaults");
	put_member(manifest, place, cluster, "kind", "channel.default.kind");
	put_member(manifest, place, cluster, "apiVersion", "channel.default.apiVersion");
	for (const struct weir_node *node = namespaces ? namespaces->first : NULL; node; node = node->next)
		put_namespace(manifest, place, node);
}

static void put(const struct manifest *manifest, const struct weir_place *place, struct weir_buf key,
		struct weir_buf value)
{
	if (weir_str_equal(key, weir_str(default_channel)))
		put_default_channel(manifest, place, value);
	else if (weir_str_equal(key, WEIR_STR("overrides")))
		weir_config_problem_add(manifest->config, place, "overrides", "an override cannot name further ones");
	else
		weir_config_add_text_value(manifest->config, place, WEIR_LAYER_OVERRIDE, key, value, false);
}

/* ---- manifests ----------------------------------------------------------- */

/* base64 as it is in a Secret's `data`; line ends are left out. */
static void put_encoded(const struct manifest *manifest, const struct weir_place *place, const struct weir_node *node)
{
	struct weir_arena *arena = &manifest->config->arena;
	char *packed = weir_arena_alloc(arena, node->text.len + 1), shown[WEIR_PRINTABLE_SIZE];
	unsigned char *bytes = weir_arena_alloc(arena, weir_base64_decoded_size(node->text.len) + 1);
	const char *at = node->text.ptr;
	size_t len = 0, size;

	if (!packed || !bytes) {
		manifest->config->no_memory = true;
		return;
	}
	for (size_t i = 0; i < node->text.len; i++) {
		if (!strchr(" \r\n", at[i]) || !at[i])
			packed[len++] = at[i];
	}
	if (weir_base64_decode((struct weir_buf){ packed, len }, bytes, &size))
		put(manifest, place, node->key, (struct weir_buf){ bytes, size });
	else
		weir_config_problem_add(manifest->config, place, weir_printable(node->key, shown), "is not base64");
}

static void put_values(const struct manifest *manifest, const struct weir_node *values, bool encoded)
{
	struct weir_place place = place_of(manifest, values);
	char shown[WEIR_PRINTABLE_SIZE];

	if (!values || values->kind == WEIR_JSON_NULL)
		return;
	if (values->kind != WEIR_JSON_OBJECT) {
		weir_config_problem_add(manifest->config, &place, NULL, "the keys must be a mapping, not %s",
					weir_node_kind_text(values));
		return;
	}
	for (const struct weir_node *node = values->first; node && !manifest->config->no_memory; node = node->next) {
		place = place_of(manifest, node);
		if (node->kind == WEIR_JSON_OBJECT || node->kind == WEIR_JSON_ARRAY)
			weir_config_problem_add(manifest->config, &place, weir_printable(node->key, shown),
						"must be text, not %s", weir_node_kind_text(node));
		else if (encoded && node->kind == WEIR_JSON_STRING)
			put_encoded(manifest, &place, node);
		else
			put(manifest, &place, node->key, text_of(node));
	}
}

/* Whether a manifest is for this component; if not, that is said. */
static bool is_ours(const struct manifest *manifest, const struct weir_node *document)
{
	const struct weir_node *labels = weir_node_member(weir_node_member(document, "metadata"), "labels");
	const struct weir_node *component = weir_node_member(labels, "component");
	struct weir_place place = place_of(manifest, document);
	char shown[WEIR_PRINTABLE_SIZE];

	if (!component || weir_str_starts(text_of(component), WEIR_STR("knative-eventing")) ||
	    weir_str_starts(text_of(component), WEIR_STR("weir")))
		return true;
	weir_config_warning_add(manifest->config, &place, NULL, "is meant for the component \"%s\": left out",
				weir_printable(text_of(component), shown));
	return false;
}

/* A document that is no List. */
static void put_document(const struct manifest *manifest, const struct weir_node *document)
{
	struct weir_buf kind = text_of(weir_node_member(document, "kind"));
	bool map = weir_str_equal(kind, WEIR_STR("ConfigMap")), secret = weir_str_equal(kind, WEIR_STR("Secret"));
	struct weir_place place = place_of(manifest, document);
	char shown[WEIR_PRINTABLE_SIZE];

	if (document->kind == WEIR_JSON_NULL)
		return;
	if (!kind.len)
		weir_config_problem_add(manifest->config, &place, NULL,
					"is no manifest: it has no kind; allowed: ConfigMap, Secret, List");
	else if (!map && !secret)
		weir_config_warning_add(manifest->config, &place, NULL,
					"is of kind \"%s\", neither ConfigMap nor Secret: left out",
					weir_printable(kind, shown));
	else if (is_ours(manifest, document)) {
		put_values(manifest, weir_node_member(document, "data"), secret);
		if (secret)
			put_values(manifest, weir_node_member(document, "stringData"), false);
	}
}

/* A List is what `kubectl get -o yaml` writes for several. */
static void put_any(const struct manifest *manifest, const struct weir_node *document)
{
	const struct weir_node *items;

	if (!weir_str_equal(text_of(weir_node_member(document, "kind")), WEIR_STR("List"))) {
		put_document(manifest, document);
		return;
	}
	items = weir_node_member(document, "items");
	for (const struct weir_node *node = items ? items->first : NULL; node; node = node->next)
		put_document(manifest, node);
}

static void add_manifest(const struct manifest *manifest, struct weir_buf text)
{
	struct weir_place place = { manifest->path, { 0, 0 } };
	struct weir_tree_error err = { .at = { 0, 0 } };
	struct weir_node *documents;
	int code = weir_yaml_parse(text, &manifest->config->arena, &documents, &err);

	place.at = err.at;
	manifest->config->no_memory |= code == WEIR_ENOMEM;
	if (code == WEIR_EINVAL)
		weir_config_problem_add(manifest->config, &place, NULL, "%s", err.text);
	else if (!code && !documents)
		weir_config_problem_add(manifest->config, &place, NULL, "holds no document");
	for (const struct weir_node *node = documents; !code && node && !manifest->config->no_memory; node = node->next)
		put_any(manifest, node);
}

/* ---- files and folders --------------------------------------------------- */

/* NULL, or the content in memory that weir_mem_free() frees; what is wrong with the file is said. */
static char *read_file(const struct manifest *manifest, size_t max, size_t *len)
{
	struct weir_place place = { manifest->path, { 0, 0 } };
	char why[WEIR_WHY_SIZE], *text = NULL;
	unsigned mode;
	int code;

	weir_config_add_source(manifest->config, manifest->path);
	code = weir_source_read(manifest->path, max, &text, len, &mode, why);

	manifest->config->no_memory |= code == WEIR_ENOMEM;
	if (code == WEIR_EINVAL)
		weir_config_problem_add(manifest->config, &place, NULL, "%s", why);
	return code ? NULL : text;
}

static const char *keep_path(weir_config *config, const char *folder, const char *name)
{
	size_t size = strlen(folder) + 1 + strlen(name) + 1;
	char *path = weir_arena_alloc(&config->arena, size);

	config->no_memory |= !path;
	if (path)
		snprintf(path, size, "%s/%s", folder, name);
	return path;
}

/* One key of a mounted ConfigMap or Secret. Without the line's end that an editor puts there. */
static void add_mounted(weir_config *config, const char *folder, const char *name)
{
	struct manifest manifest = { config, keep_path(config, folder, name) };
	struct weir_place place = { manifest.path, { 0, 0 } };
	struct weir_buf value;
	size_t len = 0;
	char *text = manifest.path ? read_file(&manifest, VALUE_MAX, &len) : NULL;

	if (!text)
		return;
	value =
	    weir_arena_copy(&config->arena, (struct weir_buf){ text, len && text[len - 1] == '\n' ? len - 1 : len });
	explicit_bzero(text, len);
	weir_mem_free(text);
	if (value.ptr)
		put(&manifest, &place, weir_str(name), value);
	else
		config->no_memory = true;
}

/* Kubernetes keeps `..data` and what it points to beside the keys. */
static int is_key(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void add_folder(weir_config *config, const char *folder)
{
	struct weir_place place = { folder, { 0, 0 } };
	struct dirent **entries = NULL;
	int count;

	weir_config_add_source(config, folder);
	count = scandir(folder, &entries, is_key, alphasort);

	if (count < 0)
		weir_config_problem_add(config, &place, NULL, "cannot be read: %s", strerrordesc_np(errno));
	else if (count > KEYS_MAX)
		weir_config_problem_add(config, &place, NULL, "has %d files; allowed: at most %d", count, KEYS_MAX);
	for (int i = 0; i < count; i++) {
		if (count <= KEYS_MAX && !config->no_memory)
			add_mounted(config, folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

static void add_file(weir_config *config, const char *path)
{
	struct manifest manifest = { config, path };
	size_t len = 0;
	char *text = read_file(&manifest, MANIFEST_MAX, &len);

	if (text)
		add_manifest(&manifest, (struct weir_buf){ text, len });
	if (text)
		explicit_bzero(text, len);
	weir_mem_free(text);
}

static void add_override(weir_config *config, struct weir_buf path)
{
	const char *name = weir_arena_text(&config->arena, path);
	struct stat info;

	if (!name)
		config->no_memory = true;
	else if (stat(name, &info) == 0 && S_ISDIR(info.st_mode))
		add_folder(config, name);
	else
		add_file(config, name);
}

void weir_config_add_overrides(weir_config *config)
{
	const struct weir_field *row = weir_field_find("overrides", false);
	const struct weir_entry *last = NULL;
	struct weir_checked checked;
	struct weir_buf rest, path;
	char why[WEIR_WHY_SIZE];
	int code;

	for (size_t i = 0; i < config->entry_count; i++) {
		const struct weir_entry *entry = &config->entries[i];

		if (strcmp(entry->key, row->option.key) == 0 && (!last || last->order < entry->order))
			last = entry;
	}
	if (!last)
		return;
	code = weir_check(row, &last->input, &config->arena, &checked, why);
	config->no_memory |= code == WEIR_ENOMEM;
	/* What is wrong with the list itself is said when all keys are checked. */
	rest = weir_str(code ? NULL : checked.text);
	while (!config->no_memory && weir_str_split(&rest, ',', &path))
		add_override(config, path);
}
