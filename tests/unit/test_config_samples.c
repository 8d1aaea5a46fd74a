/* SPDX-License-Identifier: Apache-2.0 */
/* The configurations that people start from: every JSON file in configs/ loads, without a warning. */
#include <glob.h>
#include <stdlib.h>

#include "unit/config_support.h"

static glob_t samples;

static int find_samples(void **state)
{
	char pattern[4096];

	(void)state;
	snprintf(pattern, sizeof pattern, "%s/configs/*.json", getenv("WEIR_TEST_SOURCE"));
	return glob(pattern, 0, NULL, &samples);
}

static int free_samples(void **state)
{
	(void)state;
	globfree(&samples);
	return 0;
}

static void every_sample_loads(void **state)
{
	(void)state;
	assert_true(samples.gl_pathc >= 5);
	for (size_t i = 0; i < samples.gl_pathc; i++) {
		weir_config *config = config_of(NULL);

		assert_int_equal(weir_config_add_file(config, samples.gl_pathv[i]), WEIR_OK);
		load(config);
		assert_null(weir_config_warning(config, 0));
		weir_config_free(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sample_loads),
	};

	return cmocka_run_group_tests(tests, find_samples, free_samples);
}
