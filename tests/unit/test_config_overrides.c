/* SPDX-License-Identifier: Apache-2.0 */
/* ConfigMaps and Secrets under the key `overrides`: manifests in files, and mounted folders. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/config_support.h"

#define CANARY "canary-55d0"

static char folder[] = "/tmp/weir-test-XXXXXX";
static char manifest[64], mounted[64];

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(manifest, sizeof manifest, "%s/o.yaml", folder);
	snprintf(mounted, sizeof mounted, "%s/mounted", folder);
	return mkdir(mounted, 0700);
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(manifest);
	return rmdir(mounted) || rmdir(folder) ? -1 : 0;
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* A configuration, not loaded, with these manifests. */
static weir_config *with_manifest(const char *text)
{
	weir_config *config = config_of(NULL);
	char setting[96];

	write_text(manifest, text);
	snprintf(setting, sizeof setting, "overrides=%s", manifest);
	assert_int_equal(weir_config_add_setting(config, setting), WEIR_OK);
	return config;
}

static weir_config *loaded_with_manifest(const char *text)
{
	weir_config *config = with_manifest(text);

	load(config);
	return config;
}

/* Expects just the problem "MANIFEST:reason". */
static void assert_manifest_refused(const char *text, const char *reason)
{
	char expected[256];

	snprintf(expected, sizeof expected, "%s:%s", manifest, reason);
	assert_only_problem(with_manifest(text), expected);
}

/* Expects that it loads with just the warning "MANIFEST:1:1: reason". */
static void assert_manifest_left_out(const char *text, const char *reason)
{
	weir_config *config = loaded_with_manifest(text);
	char expected[256];

	snprintf(expected, sizeof expected, "%s:1:1: %s", manifest, reason);
	assert_non_null(weir_config_warning(config, 0));
	assert_string_equal(weir_config_warning(config, 0), expected);
	assert_null(weir_config_warning(config, 1));
	weir_config_free(config);
}

static weir_config *with_sample(const char *name)
{
	weir_config *config = config_of(NULL);
	char setting[4200];

	snprintf(setting, sizeof setting, "overrides=%s/configs/%s", getenv("WEIR_TEST_SOURCE"), name);
	assert_int_equal(weir_config_add_setting(config, setting), WEIR_OK);
	load(config);
	return config;
}

static void the_manifests_of_kyma_pick_the_backend_as_they_are(void **state)
{
	weir_config *config = with_sample("overrides-kyma.yaml");

	(void)state;
	assert_string_equal(weir_config_get(config, "channel.default.kind"), "KafkaChannel");
	assert_string_equal(weir_config_get(config, "channel.default.apiVersion"),
			    "knativekafka.kyma-project.io/v1alpha1");
	assert_string_equal(weir_config_get(config, "kafka.brokers"), "kafka.example.com:9093");
	assert_string_equal(weir_config_get(config, "kafka.provider"), "confluent");
	assert_string_equal(weir_config_get(config, "kafka.username"), "weir");
	weir_config_free(config);
}

static void the_default_channels_of_knative_are_read(void **state)
{
	weir_config *config = with_sample("overrides-knative.yaml");

	(void)state;
	assert_string_equal(weir_config_kind(config, "any", "channel"), "EmbeddedChannel");
	assert_string_equal(weir_config_kind(config, "scratch", "channel"), "InMemoryChannel");
	weir_config_free(config);
}

static void overrides_win_over_files_and_lose_to_the_environment(void **state)
{
	weir_config *config = with_manifest("kind: ConfigMap\ndata:\n  log.level: error\n  log.format: json\n");
	char origin[96];

	(void)state;
	weir_config_add_text(config, "c.json", WEIR_STR("{\"log.level\": \"debug\", \"log.format\": \"text\"}"));
	add_variable(config, "WEIR_LOG__FORMAT=text");
	load(config);
	snprintf(origin, sizeof origin, "overrides: %s:3", manifest);
	assert_value(config, "log.level", "error", origin);
	assert_value(config, "log.format", "text", "environment");
	weir_config_free(config);
}

static void manifests_may_be_json(void **state)
{
	weir_config *config =
	    loaded_with_manifest("{\"kind\": \"ConfigMap\", \"data\": {\"dispatcher.ingressLoops\": \"3\"}}");

	(void)state;
	assert_int_equal(weir_config_get_int(config, "dispatcher.ingressLoops"), 3);
	weir_config_free(config);
}

static void a_list_holds_several_manifests(void **state)
{
	weir_config *config = loaded_with_manifest("kind: List\nitems:\n- kind: ConfigMap\n  data: {log.level: error}\n"
						   "- kind: ConfigMap\n  data: {log.format: json}\n");

	(void)state;
	assert_string_equal(weir_config_get(config, "log.level"), "error");
	assert_string_equal(weir_config_get(config, "log.format"), "json");
	weir_config_free(config);
}

static void a_secrets_data_is_base64(void **state)
{
	weir_config *config = loaded_with_manifest("kind: Secret\ndata:\n  acme.password: |\n    YWJj\n    ZA==\n");

	(void)state;
	assert_string_equal(weir_config_get(config, "acme.password"), "abcd");
	weir_config_free(config);
}

static void a_configmaps_data_is_not_base64(void **state)
{
	weir_config *config = loaded_with_manifest("kind: ConfigMap\ndata: {acme.text: YWJj}\n");

	(void)state;
	assert_string_equal(weir_config_get(config, "acme.text"), "YWJj");
	weir_config_free(config);
}

static void values_of_manifests_are_checked_like_all_others(void **state)
{
	(void)state;
	assert_manifest_refused("kind: ConfigMap\ndata:\n  log.level: loud\n",
				"3:3: log.level: \"loud\" is not a choice; allowed: error, warning, notice, debug");
	assert_manifest_refused("kind: ConfigMap\ndata:\n  log.levl: error\n",
				"3:3: log.levl: unknown key; did you mean \"log.level\"?");
}

static void manifests_for_others_are_left_out(void **state)
{
	(void)state;
	assert_manifest_left_out("kind: ConfigMap\nmetadata: {labels: {component: monitoring}}\ndata: {bad: x}\n",
				 "is meant for the component \"monitoring\": left out");
	assert_manifest_left_out("kind: Deployment\nspec: {}\n",
				 "is of kind \"Deployment\", neither ConfigMap nor Secret: left out");
}

static void what_is_no_manifest_is_refused(void **state)
{
	(void)state;
	assert_manifest_refused("", " holds no document");
	assert_manifest_refused("log.level: error\n",
				"1:1: is no manifest: it has no kind; allowed: ConfigMap, Secret, List");
	assert_manifest_refused("kind: ConfigMap\ndata: [a]\n", "2:1: the keys must be a mapping, not an array");
	assert_manifest_refused("kind: ConfigMap\ndata:\n  a: {b: c}\n", "3:3: a: must be text, not an object");
	assert_manifest_refused("kind: Secret\ndata:\n  a.b: '***'\n", "3:3: a.b: is not base64");
	assert_manifest_refused("kind: ConfigMap\ndata: {overrides: /x}\n",
				"2:8: overrides: an override cannot name further ones");
	assert_manifest_refused("kind: ConfigMap\ndata:\n  default-ch-config: 'a: [1'\n",
				"3:3: default-ch-config: line 2 of it: did not find expected ',' or ']'");
	assert_manifest_refused("kind: ConfigMap\ndata:\n  default-ch-config: 'a: 1'\n",
				"3:3: default-ch-config: holds neither clusterDefault nor namespaceDefaults");
}

static void what_yaml_can_do_beyond_manifests_is_refused(void **state)
{
	(void)state;
	assert_manifest_refused("a: &x [b]\n", "1:4: anchors are not taken");
	assert_manifest_refused("a: *x\n", "1:4: aliases are not taken");
	assert_manifest_refused("a: !!python/object:os.system x\n", "1:4: tags are not taken");
	assert_manifest_refused("a: !!map {}\n", "1:4: tags are not taken");
	assert_manifest_refused("kind: ConfigMap\nkind: Secret\n", "2:1: this key stands in the same mapping already");
	assert_manifest_refused("? [a]\n: b\n", "1:3: a key must be plain text");
	assert_manifest_refused("a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
				"1:35: mappings and sequences are nested too deep");
}

static void a_manifest_that_is_missing_is_refused(void **state)
{
	weir_config *config = config_of("{\"overrides\": [\"/no/such/file\"]}");

	(void)state;
	assert_only_problem(config, "/no/such/file: cannot be opened: No such file or directory");
}

static void no_secret_of_a_manifest_is_told(void **state)
{
	static const char *const texts[] = {
		"kind: Secret\nstringData:\n  acme.password: [" CANARY "]\n",
		"kind: Secret\nstringData:\n  acme.password: *" CANARY "\n",
		"kind: Secret\nstringData:\n  acme.password: \"" CANARY "\n",
		"kind: Secret\ndata:\n  acme.password: " CANARY "\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		weir_config *config = with_manifest(texts[i]);
		const char *problem;

		assert_int_equal(weir_config_load(config, NULL), WEIR_EINVAL);
		for (size_t j = 0; (problem = weir_config_problem(config, j)); j++)
			assert_null(strstr(problem, CANARY));
		weir_config_free(config);
	}
}

/* ---- mounted folders ----------------------------------------------------- */

static void mount(const char *path, const char *text)
{
	char full[128];

	snprintf(full, sizeof full, "%s/%s", mounted, path);
	write_text(full, text);
}

static void unmount(const char *path)
{
	char full[128];

	snprintf(full, sizeof full, "%s/%s", mounted, path);
	assert_int_equal(remove(full), 0);
}

static weir_config *with_mounted(void)
{
	weir_config *config = config_of(NULL);
	char setting[96];

	snprintf(setting, sizeof setting, "overrides=%s", mounted);
	assert_int_equal(weir_config_add_setting(config, setting), WEIR_OK);
	return config;
}

/* As a kubelet lays it out: keys are links into a folder that is swapped as a whole. */
static void a_mounted_folder_has_a_file_for_each_key(void **state)
{
	weir_config *config = with_mounted();
	char link[128], origin[160];

	(void)state;
	snprintf(link, sizeof link, "%s/..2026_11_24", mounted);
	assert_int_equal(mkdir(link, 0700), 0);
	mount("..2026_11_24/log.level", "error\n");
	snprintf(link, sizeof link, "%s/..data", mounted);
	assert_int_equal(symlink("..2026_11_24", link), 0);
	snprintf(link, sizeof link, "%s/log.level", mounted);
	assert_int_equal(symlink("..data/log.level", link), 0);
	mount("default-ch-config", "clusterDefault: {kind: InMemoryChannel}\n");
	load(config);
	snprintf(origin, sizeof origin, "overrides: %s/log.level", mounted);
	assert_value(config, "log.level", "error", origin);
	assert_string_equal(weir_config_kind(config, "a", "b"), "InMemoryChannel");
	weir_config_free(config);
	unmount("default-ch-config");
	unmount("log.level");
	unmount("..data");
	unmount("..2026_11_24/log.level");
	unmount("..2026_11_24");
}

static void an_unknown_key_in_a_mounted_folder_is_refused(void **state)
{
	weir_config *config = with_mounted();
	char expected[160];

	(void)state;
	mount("log.levle", "error");
	snprintf(expected, sizeof expected, "%s/log.levle: log.levle: unknown key; did you mean \"log.level\"?",
		 mounted);
	assert_only_problem(config, expected);
	unmount("log.levle");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manifests_of_kyma_pick_the_backend_as_they_are),
		cmocka_unit_test(the_default_channels_of_knative_are_read),
		cmocka_unit_test(overrides_win_over_files_and_lose_to_the_environment),
		cmocka_unit_test(manifests_may_be_json),
		cmocka_unit_test(a_list_holds_several_manifests),
		cmocka_unit_test(a_secrets_data_is_base64),
		cmocka_unit_test(a_configmaps_data_is_not_base64),
		cmocka_unit_test(values_of_manifests_are_checked_like_all_others),
		cmocka_unit_test(manifests_for_others_are_left_out),
		cmocka_unit_test(what_is_no_manifest_is_refused),
		cmocka_unit_test(what_yaml_can_do_beyond_manifests_is_refused),
		cmocka_unit_test(a_manifest_that_is_missing_is_refused),
		cmocka_unit_test(no_secret_of_a_manifest_is_told),
		cmocka_unit_test(a_mounted_folder_has_a_file_for_each_key),
		cmocka_unit_test(an_unknown_key_in_a_mounted_folder_is_refused),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
