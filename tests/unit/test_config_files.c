/* SPDX-License-Identifier: Apache-2.0 */
/* Files that cannot be read, are not what they should be, or are too much (bad-input row 97). */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/config_support.h"

static char folder[] = "/tmp/weir-test-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/c.json", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static int remove_file(void **state)
{
	(void)state;
	if (rmdir(path) < 0)
		unlink(path);
	return 0;
}

static void write_file(const void *content, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* Expects just the problem "PATH: reason". */
static void assert_file_refused(const char *reason)
{
	weir_config *config = config_of(NULL);
	char expected[256];

	snprintf(expected, sizeof expected, "%s:%s", path, reason);
	assert_int_equal(weir_config_add_file(config, path), WEIR_OK);
	assert_only_problem(config, expected);
}

static void a_file_is_read(void **state)
{
	weir_config *config = config_of(NULL);
	char origin[80];

	(void)state;
	write_file("{\n\"log.level\": \"debug\"}", 23);
	assert_int_equal(weir_config_add_file(config, path), WEIR_OK);
	load(config);
	snprintf(origin, sizeof origin, "%s:2", path);
	assert_value(config, "log.level", "debug", origin);
	weir_config_free(config);
}

static void a_file_that_is_missing(void **state)
{
	(void)state;
	assert_file_refused(" cannot be opened: No such file or directory");
}

static void an_empty_file(void **state)
{
	(void)state;
	write_file("", 0);
	assert_file_refused("1:1: is empty; an empty configuration is written {}");
}

static void a_binary_file(void **state)
{
	(void)state;
	write_file("\x7f"
		   "ELF\0\x01\xff",
		   7);
	assert_file_refused("1:5: is not UTF-8 text; a configuration is JSON");
}

static void a_file_with_a_byte_order_mark(void **state)
{
	(void)state;
	write_file("\xEF\xBB\xBF{}", 5);
	assert_file_refused("1:1: begins with a byte order mark; write the file as UTF-8 without one");
}

static void a_file_in_another_encoding(void **state)
{
	(void)state;
	write_file("{\"log.level\":\n \"\xe4\"}", 19);
	assert_file_refused("2:3: is not UTF-8 text; a configuration is JSON");
}

static void a_file_of_100_mib(void **state)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 100 << 20), 0);
	close(fd);
	assert_file_refused(" has 104857600 bytes; allowed: at most 16777216");
}

static void a_folder(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_file_refused(" is a folder, not a file");
}

static void a_pipe_that_nobody_writes_to(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_file_refused(" is a pipe, not a file");
}

static void a_symbolic_link_to_itself(void **state)
{
	(void)state;
	assert_int_equal(symlink(path, path), 0);
	assert_file_refused(" cannot be opened: Too many levels of symbolic links");
}

static void a_file_that_may_not_be_read(void **state)
{
	(void)state;
	if (geteuid() == 0)
		skip();
	write_file("{}", 2);
	assert_int_equal(chmod(path, 0), 0);
	assert_file_refused(" cannot be opened: Permission denied");
}

static void columns_count_characters(void **state)
{
	(void)state;
	write_file("{\"\xc3\xa4\xc3\xb6\": 1, }", 13);
	assert_file_refused("1:11: expected the name of a member, in double quotes");
}

static void a_text_beyond_the_limit(void **state)
{
	size_t len = (16 << 20) + 1;
	char *text = calloc(1, len);
	weir_config *config = config_of(NULL);

	(void)state;
	assert_non_null(text);
	assert_int_equal(weir_config_add_text(config, "t", (struct weir_buf){ text, len }), WEIR_OK);
	assert_only_problem(config, "t: has 16777217 bytes; allowed: at most 16777216");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_file_is_read, remove_file),
		cmocka_unit_test_teardown(a_file_that_is_missing, remove_file),
		cmocka_unit_test_teardown(an_empty_file, remove_file),
		cmocka_unit_test_teardown(a_binary_file, remove_file),
		cmocka_unit_test_teardown(a_file_with_a_byte_order_mark, remove_file),
		cmocka_unit_test_teardown(a_file_in_another_encoding, remove_file),
		cmocka_unit_test_teardown(a_file_of_100_mib, remove_file),
		cmocka_unit_test_teardown(a_folder, remove_file),
		cmocka_unit_test_teardown(a_pipe_that_nobody_writes_to, remove_file),
		cmocka_unit_test_teardown(a_symbolic_link_to_itself, remove_file),
		cmocka_unit_test_teardown(a_file_that_may_not_be_read, remove_file),
		cmocka_unit_test_teardown(columns_count_characters, remove_file),
		cmocka_unit_test(a_text_beyond_the_limit),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
