/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and loading drivers: what is taken, and why the rest is not. */
#include "unit/weir_cmocka.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/channel.h>

#include "base/clock.h"
#include "channel/find.h"
#include "channel/note.h"
#include "fixtures/channel_fakes.h"

static struct {
	char folder[64]; /* of this test; empty at its start */
	char paths[4][160];
	struct weir_config config;
	weir_runtime *runtime;
	struct weir_error err;
} t;

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof t);
	/* Not in /tmp itself: whoever may write there may write beside it, but not into it. */
	snprintf(t.folder, sizeof t.folder, "/tmp/weir-loader-XXXXXX");
	return mkdtemp(t.folder) ? 0 : -1;
}

static void close_runtime(void)
{
	weir_runtime_close(t.runtime, weir_clock_now_ns(), NULL);
	t.runtime = NULL;
}

static int teardown(void **state)
{
	DIR *dir = opendir(t.folder);
	struct dirent *entry;

	(void)state;
	close_runtime();
	weir_find_set_elevated(-1);
	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	return rmdir(t.folder);
}

static void open_runtime(void)
{
	assert_int_equal(weir_runtime_open(&t.config, NULL, NULL, &t.runtime, &t.err), WEIR_OK);
}

static const char *fixture(const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/tests/drivers/weir-driver-%s.so", getenv("WEIR_TEST_BUILD"), name);
	return path;
}

static const char *in_folder(int slot, const char *file)
{
	snprintf(t.paths[slot], sizeof t.paths[slot], "%s/%s", t.folder, file);
	return t.paths[slot];
}

static size_t read_file(const char *path, char **ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat info;
	size_t size;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &info), 0);
	size = (size_t)info.st_size;
	*ret = malloc(size + 1);
	assert_int_equal(read(fd, *ret, size), (ssize_t)size);
	close(fd);
	return size;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

/* A copy of a fixture in the test's folder. */
static const char *copy(int slot, const char *name, const char *file)
{
	const char *path = in_folder(slot, file);
	char *bytes;
	size_t size = read_file(fixture(name), &bytes);

	write_file(path, bytes, size);
	free(bytes);
	return path;
}

/* Loads the driver that `drivers.kinds.GoodChannel` names. */
static int load_named(const char *path)
{
	const struct weir_driver *table;

	fake_config_set(&t.config, "drivers.kinds.GoodChannel", path);
	if (!t.runtime)
		open_runtime();
	return weir_runtime_load(t.runtime, "GoodChannel", &table, &t.err);
}

static void refused(const char *path, int code, const char *reason)
{
	assert_int_equal(load_named(path), code);
	assert_int_equal(t.err.code, code);
	if (!strstr(t.err.text, path))
		fail_msg("no path in: %s", t.err.text);
	if (!strstr(t.err.text, reason))
		fail_msg("no \"%s\" in: %s", reason, t.err.text);
}

static void refused_fixture(const char *name, int code, const char *reason)
{
	refused(fixture(name), code, reason);
}

/* ---- listing -------------------------------------------------------------- */

static void a_folder_is_listed_with_names_kinds_and_problems(void **state)
{
	struct weir_driver_info info;

	(void)state;
	copy(0, "good", "weir-driver-a.so");
	copy(0, "no-note", "weir-driver-b.so");
	copy(0, "good-two", "weir-driver-c.so");
	write_file(in_folder(0, "readme.txt"), "x", 1);
	fake_config_set(&t.config, "drivers.path", t.folder);
	open_runtime();
	assert_int_equal(weir_runtime_driver(t.runtime, 0, &info), WEIR_OK);
	assert_string_equal(info.name, "good");
	assert_string_equal(info.kind, "GoodChannel");
	assert_null(info.problem);
	assert_int_equal(weir_runtime_driver(t.runtime, 1, &info), WEIR_OK);
	assert_non_null(strstr(info.problem, "no note"));
	assert_int_equal(weir_runtime_driver(t.runtime, 2, &info), WEIR_OK);
	assert_string_equal(info.kind, "GoodTwoChannel");
	assert_int_equal(weir_runtime_driver(t.runtime, 3, &info), WEIR_ENOTFOUND);
}

static void a_driver_that_the_configuration_names_is_listed(void **state)
{
	struct weir_driver_info info;

	(void)state;
	fake_config_set(&t.config, "drivers.kinds.goodchannel", fixture("good"));
	open_runtime();
	assert_int_equal(weir_runtime_driver(t.runtime, 0, &info), WEIR_OK);
	assert_string_equal(info.name, "good");
	assert_string_equal(info.path, fixture("good"));
	assert_null(info.problem);
	assert_int_equal(weir_runtime_driver(t.runtime, 1, &info), WEIR_ENOTFOUND);
}

static void a_driver_that_the_configuration_names_goes_before_those_in_folders(void **state)
{
	const struct weir_driver *table;
	struct weir_driver_info info;

	(void)state;
	copy(0, "good", "weir-driver-a.so");
	fake_config_set(&t.config, "drivers.path", t.folder);
	fake_config_set(&t.config, "drivers.kinds.GoodChannel", fixture("newer-minor"));
	open_runtime();
	assert_int_equal(weir_runtime_load(t.runtime, "GoodChannel", &table, NULL), WEIR_OK);
	assert_string_equal(table->name, "newer-minor");
	assert_int_equal(weir_runtime_driver(t.runtime, 1, &info), WEIR_OK);
	assert_non_null(strstr(info.problem, "hidden by"));
}

static void listing_a_folder_loads_nothing(void **state)
{
	struct weir_driver_info info;

	(void)state;
	/* Loading it would fail. */
	copy(0, "unresolved", "weir-driver-unresolved.so");
	fake_config_set(&t.config, "drivers.path", t.folder);
	open_runtime();
	assert_int_equal(weir_runtime_driver(t.runtime, 0, &info), WEIR_OK);
	assert_null(info.problem);
}

static void of_two_drivers_for_one_kind_the_first_is_used(void **state)
{
	struct weir_driver_info info;
	const struct weir_driver *table;

	(void)state;
	copy(0, "good", "weir-driver-a.so");
	copy(0, "good", "weir-driver-b.so");
	fake_config_set(&t.config, "drivers.path", t.folder);
	open_runtime();
	assert_int_equal(weir_runtime_driver(t.runtime, 1, &info), WEIR_OK);
	assert_non_null(strstr(info.problem, "hidden by"));
	assert_non_null(strstr(info.problem, "weir-driver-a.so"));
	assert_int_equal(weir_runtime_load(t.runtime, "GoodChannel", &table, NULL), WEIR_OK);
}

static void a_missing_kind_names_the_kinds_found_and_the_folders_searched(void **state)
{
	const struct weir_driver *table;
	char path[160];

	(void)state;
	copy(0, "good", "weir-driver-a.so");
	snprintf(path, sizeof path, "%s, /nowhere/drivers, relative", t.folder);
	fake_config_set(&t.config, "drivers.path", path);
	open_runtime();
	assert_int_equal(weir_runtime_load(t.runtime, "NoChannel", &table, &t.err), WEIR_ENOTFOUND);
	assert_non_null(strstr(t.err.text, "NoChannel"));
	assert_non_null(strstr(t.err.text, "GoodChannel"));
	assert_non_null(strstr(t.err.text, t.folder));
	assert_non_null(strstr(t.err.text, "/nowhere/drivers (no such folder)"));
	assert_non_null(strstr(t.err.text, "relative (not an absolute path)"));
}

static void a_missing_kind_names_the_file_that_cannot_be_used(void **state)
{
	const struct weir_driver *table;

	(void)state;
	write_file(in_folder(0, "weir-driver-good.so"), "", 0);
	fake_config_set(&t.config, "drivers.path", t.folder);
	open_runtime();
	assert_int_equal(weir_runtime_load(t.runtime, "GoodChannel", &table, &t.err), WEIR_ENOTFOUND);
	assert_non_null(strstr(t.err.text, "weir-driver-good.so: not an ELF file"));
}

static void with_raised_privileges_folders_of_the_environment_are_ignored(void **state)
{
	const struct weir_driver *table;

	(void)state;
	copy(0, "good", "weir-driver-a.so");
	fake_config_set_from(&t.config, "drivers.path", t.folder, "environment");
	weir_find_set_elevated(1);
	open_runtime();
	assert_int_equal(weir_runtime_load(t.runtime, "GoodChannel", &table, &t.err), WEIR_ENOTFOUND);
	assert_non_null(strstr(t.err.text, "raised privileges"));
}

static void with_raised_privileges_paths_of_the_environment_are_ignored(void **state)
{
	const struct weir_driver *table;

	(void)state;
	fake_config_set_from(&t.config, "drivers.kinds.GoodChannel", fixture("good"), "environment");
	weir_find_set_elevated(1);
	open_runtime();
	assert_int_equal(weir_runtime_load(t.runtime, "GoodChannel", &table, NULL), WEIR_ENOTFOUND);
}

static void with_raised_privileges_the_environment_cannot_allow_unsafe_paths(void **state)
{
	(void)state;
	copy(0, "good", "weir-driver-good.so");
	chmod(t.paths[0], 0666);
	fake_config_set_from(&t.config, "drivers.allowUnsafePath", "true", "environment");
	weir_find_set_elevated(1);
	refused(t.paths[0], WEIR_ENOPERM, "writable for everybody");
}

/* ---- what is loaded ------------------------------------------------------- */

static void a_good_driver_serves_a_channel(void **state)
{
	weir_channel *channel;
	weir_event event = { .record.body = { "x", 1 } };

	(void)state;
	fake_config_set(&t.config, "drivers.kinds.GoodChannel", fixture("good"));
	open_runtime();
	assert_int_equal(weir_channel_open(t.runtime, "ns", "name", "GoodChannel", &channel, &t.err), WEIR_OK);
	assert_int_equal(
	    weir_channel_publish_wait(channel, &event, weir_clock_after_ms(weir_clock_now_ns(), 10000), &t.err),
	    WEIR_OK);
}

static void a_driver_is_initialised_once_in_a_process(void **state)
{
	const struct weir_driver *first, *second;

	(void)state;
	fake_config_set(&t.config, "drivers.kinds.GoodChannel", fixture("good"));
	open_runtime();
	assert_int_equal(weir_runtime_load(t.runtime, "GoodChannel", &first, NULL), WEIR_OK);
	close_runtime();
	open_runtime();
	assert_int_equal(weir_runtime_load(t.runtime, "GoodChannel", &second, NULL), WEIR_OK);
	assert_ptr_equal(first, second);
}

static void a_driver_of_a_later_minor_version_is_loaded(void **state)
{
	(void)state;
	assert_int_equal(load_named(fixture("newer-minor")), WEIR_OK);
}

static void a_driver_with_a_shorter_table_is_loaded_and_its_tail_filled(void **state)
{
	struct weir_health health = { .size = sizeof health };
	const struct weir_driver *table;

	(void)state;
	assert_int_equal(load_named(fixture("short-table")), WEIR_OK);
	assert_int_equal(weir_runtime_load(t.runtime, "GoodChannel", &table, NULL), WEIR_OK);
	assert_int_equal(table->health(NULL, &health), WEIR_ENOTSUP);
	assert_int_equal(table->topic_delete(NULL, "ns", "name", 0, NULL), WEIR_ENOTSUP);
}

/* ---- what is refused ------------------------------------------------------ */

static void a_file_without_a_note_is_no_driver(void **state)
{
	(void)state;
	refused_fixture("no-note", WEIR_EINVAL, "no note");
}

static void a_driver_without_its_symbol_is_refused(void **state)
{
	(void)state;
	refused_fixture("no-symbol", WEIR_EINVAL, "does not export weir_driver_no_symbol_init");
}

static void another_major_version_in_the_note_is_refused_before_loading(void **state)
{
	(void)state;
	refused_fixture("wrong-major", WEIR_EVERSION, "driver ABI 2.0");
}

static void another_major_version_in_the_table_is_refused(void **state)
{
	(void)state;
	refused_fixture("table-major", WEIR_EVERSION, "driver ABI 2.0");
}

static void a_table_longer_than_there_is_room_is_refused(void **state)
{
	(void)state;
	refused_fixture("long-table", WEIR_EVERSION, "filled more of the table");
}

static void a_missing_required_operation_is_named(void **state)
{
	(void)state;
	refused_fixture("missing-operation", WEIR_EINVAL, "no operation settle");
}

static void what_init_says_is_told(void **state)
{
	(void)state;
	refused_fixture("init-fails", WEIR_ELIMIT, "the licence has run out");
}

static void an_unknown_code_and_unterminated_text_of_init_do_no_harm(void **state)
{
	(void)state;
	refused_fixture("init-garbage", WEIR_EUNKNOWN, "its init failed: xxx");
}

static void another_name_in_the_table_than_in_the_note_is_refused(void **state)
{
	(void)state;
	refused_fixture("other-name", WEIR_EINVAL, "its note says name other-name");
}

static void another_kind_in_the_table_than_in_the_note_is_refused(void **state)
{
	(void)state;
	refused_fixture("other-kind", WEIR_EINVAL, "its note says kind GoodChannel");
}

static void a_bad_option_row_is_refused(void **state)
{
	(void)state;
	refused_fixture("bad-options", WEIR_EINVAL, "row 1 of its option table");
}

static void an_unresolved_symbol_is_named(void **state)
{
	(void)state;
	refused_fixture("unresolved", WEIR_EINVAL, "weir_fixture_symbol_that_nobody_has");
}

static void an_entry_function_of_another_library_is_refused(void **state)
{
	(void)state;
	refused_fixture("borrowed", WEIR_EINVAL, "libfixture-elsewhere.so");
}

static void a_driver_for_another_kind_than_asked_for_is_refused(void **state)
{
	(void)state;
	refused_fixture("good-two", WEIR_EINVAL, "is for kind GoodTwoChannel, but drivers.kinds.GoodChannel names it");
}

static void a_missing_file_is_refused(void **state)
{
	(void)state;
	refused(in_folder(0, "weir-driver-good.so"), WEIR_ENOTFOUND, "No such file");
}

static void a_text_file_is_refused(void **state)
{
	(void)state;
	write_file(in_folder(0, "weir-driver-good.so"), "#!/bin/sh\nexit 0\n", 17);
	refused(t.paths[0], WEIR_EINVAL, "not an ELF file");
}

static void a_folder_in_place_of_a_file_is_refused(void **state)
{
	(void)state;
	refused(t.folder, WEIR_EINVAL, "not a regular file");
}

static void a_pipe_is_refused_and_not_waited_for(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(in_folder(0, "weir-driver-good.so"), 0600), 0);
	refused(t.paths[0], WEIR_EINVAL, "not a regular file");
}

static void a_file_for_another_machine_is_refused(void **state)
{
	char *bytes;
	size_t size = read_file(fixture("good"), &bytes);

	(void)state;
	bytes[18] = 0x16; /* e_machine: S/390 */
	bytes[19] = 0;
	write_file(in_folder(0, "weir-driver-good.so"), bytes, size);
	free(bytes);
	refused(t.paths[0], WEIR_EINVAL, "another kind of machine");
}

static void a_truncated_file_is_refused_wherever_it_ends(void **state)
{
	static const size_t sizes[] = { 1, 3, 4, 63, 64, 100, 500, 700, 4096 };
	char *bytes;
	size_t size = read_file(fixture("good"), &bytes);

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		char file[32];

		snprintf(file, sizeof file, "weir-driver-%zu.so", sizes[i]);
		assert_true(sizes[i] < size);
		write_file(in_folder(0, file), bytes, sizes[i]);
		refused(t.paths[0], WEIR_EINVAL, sizes[i] < 4 ? "not an ELF file" : "truncated");
	}
	free(bytes);
}

static void a_relative_path_is_refused(void **state)
{
	(void)state;
	refused("weir-driver-good.so", WEIR_EINVAL, "must be absolute");
}

static void a_symbolic_link_is_refused(void **state)
{
	(void)state;
	assert_int_equal(symlink(fixture("good"), in_folder(0, "weir-driver-good.so")), 0);
	refused(t.paths[0], WEIR_ENOPERM, "symbolic link");
}

static void a_file_that_everybody_may_write_is_refused(void **state)
{
	(void)state;
	copy(0, "good", "weir-driver-good.so");
	chmod(t.paths[0], 0666);
	refused(t.paths[0], WEIR_ENOPERM, "the file is writable for everybody");
}

static void a_folder_that_everybody_may_write_is_refused(void **state)
{
	(void)state;
	copy(0, "good", "weir-driver-good.so");
	chmod(t.folder, 0777);
	refused(t.paths[0], WEIR_ENOPERM, "its folder is writable for everybody");
}

static void a_folder_further_up_that_everybody_may_write_is_refused(void **state)
{
	char folder[128], path[192];
	char *bytes;
	size_t size = read_file(fixture("good"), &bytes);

	(void)state;
	snprintf(folder, sizeof folder, "%s/inner", t.folder);
	snprintf(path, sizeof path, "%s/weir-driver-good.so", folder);
	assert_int_equal(mkdir(folder, 0755), 0);
	write_file(path, bytes, size);
	free(bytes);
	chmod(t.folder, 0777);
	refused(path, WEIR_ENOPERM, "is writable for everybody");
	unlink(path);
	rmdir(folder);
}

static void a_file_of_another_user_is_refused(void **state)
{
	(void)state;
	copy(0, "good", "weir-driver-good.so");
	if (chown(t.paths[0], 12345, (gid_t)-1) != 0)
		skip();
	refused(t.paths[0], WEIR_ENOPERM, "belongs to user 12345");
}

static void an_unsafe_path_is_taken_if_the_configuration_says_so(void **state)
{
	(void)state;
	copy(0, "good", "weir-driver-good.so");
	chmod(t.paths[0], 0666);
	chmod(t.folder, 0777);
	assert_int_equal(symlink(t.paths[0], in_folder(1, "weir-driver-link.so")), 0);
	fake_config_set(&t.config, "drivers.allowUnsafePath", "true");
	assert_int_equal(load_named(t.paths[1]), WEIR_OK);
}

static void a_file_that_was_replaced_since_it_was_listed_is_refused(void **state)
{
	const struct weir_driver *table;

	(void)state;
	copy(0, "good", "weir-driver-good.so");
	fake_config_set(&t.config, "drivers.path", t.folder);
	open_runtime();
	copy(0, "newer-minor", "weir-driver-good.so");
	assert_int_equal(weir_runtime_load(t.runtime, "GoodChannel", &table, &t.err), WEIR_EVERSION);
	assert_non_null(strstr(t.err.text, "was replaced"));
}

/* ---- hostile notes -------------------------------------------------------- */

static void no_change_to_the_head_of_a_file_harms_the_reader(void **state)
{
	char *bytes;
	size_t size = read_file(fixture("good"), &bytes);
	const char *path = copy(0, "good", "weir-driver-good.so");
	int fd = open(path, O_RDWR | O_CLOEXEC);
	unsigned refusals = 0;

	(void)state;
	assert_true(size > 1024);
	srand(1);
	for (int round = 0; round < 20000; round++) {
		off_t at = rand() % 1024;
		char byte = (char)(rand() % 3 ? rand() : -1);
		struct weir_note note = { 0 };

		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		if (weir_note_read(fd, path, &note, &t.err))
			refusals++;
		else
			assert_true(memchr(note.kind, '\0', sizeof note.kind) != NULL);
		if (round % 4 == 3)
			assert_int_equal(pwrite(fd, bytes, 1024, 0), 1024);
	}
	close(fd);
	free(bytes);
	assert_true(refusals > 1000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_folder_is_listed_with_names_kinds_and_problems),
		CASE(a_driver_that_the_configuration_names_is_listed),
		CASE(a_driver_that_the_configuration_names_goes_before_those_in_folders),
		CASE(listing_a_folder_loads_nothing),
		CASE(of_two_drivers_for_one_kind_the_first_is_used),
		CASE(a_missing_kind_names_the_kinds_found_and_the_folders_searched),
		CASE(a_missing_kind_names_the_file_that_cannot_be_used),
		CASE(with_raised_privileges_folders_of_the_environment_are_ignored),
		CASE(with_raised_privileges_paths_of_the_environment_are_ignored),
		CASE(with_raised_privileges_the_environment_cannot_allow_unsafe_paths),
		CASE(a_good_driver_serves_a_channel),
		CASE(a_driver_is_initialised_once_in_a_process),
		CASE(a_driver_of_a_later_minor_version_is_loaded),
		CASE(a_driver_with_a_shorter_table_is_loaded_and_its_tail_filled),
		CASE(a_file_without_a_note_is_no_driver),
		CASE(a_driver_without_its_symbol_is_refused),
		CASE(another_major_version_in_the_note_is_refused_before_loading),
		CASE(another_major_version_in_the_table_is_refused),
		CASE(a_table_longer_than_there_is_room_is_refused),
		CASE(a_missing_required_operation_is_named),
		CASE(what_init_says_is_told),
		CASE(an_unknown_code_and_unterminated_text_of_init_do_no_harm),
		CASE(another_name_in_the_table_than_in_the_note_is_refused),
		CASE(another_kind_in_the_table_than_in_the_note_is_refused),
		CASE(a_bad_option_row_is_refused),
		CASE(an_unresolved_symbol_is_named),
		CASE(an_entry_function_of_another_library_is_refused),
		CASE(a_driver_for_another_kind_than_asked_for_is_refused),
		CASE(a_missing_file_is_refused),
		CASE(a_text_file_is_refused),
		CASE(a_folder_in_place_of_a_file_is_refused),
		CASE(a_pipe_is_refused_and_not_waited_for),
		CASE(a_file_for_another_machine_is_refused),
		CASE(a_truncated_file_is_refused_wherever_it_ends),
		CASE(a_relative_path_is_refused),
		CASE(a_symbolic_link_is_refused),
		CASE(a_file_that_everybody_may_write_is_refused),
		CASE(a_folder_that_everybody_may_write_is_refused),
		CASE(a_folder_further_up_that_everybody_may_write_is_refused),
		CASE(a_file_of_another_user_is_refused),
		CASE(an_unsafe_path_is_taken_if_the_configuration_says_so),
		CASE(a_file_that_was_replaced_since_it_was_listed_is_refused),
		CASE(no_change_to_the_head_of_a_file_harms_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
