/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/weir_cmocka.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "dispatch/quarantine.h"

enum { JOBS = 5 };

struct fixture {
	char root[64];
	char folder[96];
	struct weir_loop *loop;
	struct weir_quarantine_job jobs[JOBS];
	int waiting;
};

static struct fixture *current;

static void on_written(struct weir_task *task)
{
	(void)task;
	if (--current->waiting == 0)
		weir_loop_stop(current->loop);
}

static int make(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);

	snprintf(fixture->root, sizeof fixture->root, "/tmp/weir-quarantine-XXXXXX");
	if (!mkdtemp(fixture->root) || weir_loop_new(&fixture->loop, NULL))
		return -1;
	snprintf(fixture->folder, sizeof fixture->folder, "%s/deep/er", fixture->root);
	for (int i = 0; i < JOBS; i++) {
		fixture->jobs[i].text = WEIR_STR("{\"event\":1}\n");
		fixture->jobs[i].loop = fixture->loop;
		fixture->jobs[i].task.run = on_written;
	}
	current = fixture;
	*state = fixture;
	return 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int unmake(void **state)
{
	struct fixture *fixture = *state;

	weir_loop_free(fixture->loop);
	if (nftw(fixture->root, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0)
		return -1;
	free(fixture);
	return 0;
}

static void write_jobs(struct fixture *fixture, struct weir_quarantine *quarantine, int count)
{
	fixture->waiting = count;
	for (int i = 0; i < count; i++)
		weir_quarantine_write(quarantine, &fixture->jobs[i]);
	assert_int_equal(weir_loop_run(fixture->loop, NULL), WEIR_OK);
}

static int count_entries(const struct fixture *fixture, char *name, size_t size)
{
	DIR *dir = opendir(fixture->folder);
	const struct dirent *entry;
	int count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		count++;
		if (name)
			snprintf(name, size, "%s/%s", fixture->folder, entry->d_name);
	}
	closedir(dir);
	return count;
}

static struct weir_quarantine *make_quarantine(const struct fixture *fixture, uint64_t max_files)
{
	struct weir_quarantine *quarantine = NULL;

	assert_int_equal(weir_quarantine_new(fixture->folder, max_files, &quarantine, NULL), WEIR_OK);
	return quarantine;
}

static void nothing_is_made_before_the_first_event(void **state)
{
	struct fixture *fixture = *state;

	weir_quarantine_free(make_quarantine(fixture, 10));
	assert_int_equal(access(fixture->folder, F_OK), -1);
}

static void an_event_is_a_private_file_with_the_whole_text(void **state)
{
	struct fixture *fixture = *state;
	struct weir_quarantine *quarantine = make_quarantine(fixture, 10);
	char path[512], text[64] = "";
	struct stat info;
	int fd;

	write_jobs(fixture, quarantine, 1);
	assert_int_equal(fixture->jobs[0].error.code, WEIR_OK);
	assert_int_equal(count_entries(fixture, path, sizeof path), 1);
	assert_non_null(strstr(path, ".json"));
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof text - 1), (ssize_t)fixture->jobs[0].text.len);
	assert_string_equal(text, "{\"event\":1}\n");
	close(fd);
	weir_quarantine_free(quarantine);
}

static void each_event_gets_a_file_of_its_own(void **state)
{
	struct fixture *fixture = *state;
	struct weir_quarantine *quarantine = make_quarantine(fixture, 10);

	write_jobs(fixture, quarantine, JOBS);
	assert_int_equal(count_entries(fixture, NULL, 0), JOBS);
	weir_quarantine_free(quarantine);
}

static void beyond_the_maximum_is_refused_and_says_what_to_do(void **state)
{
	struct fixture *fixture = *state;
	struct weir_quarantine *quarantine = make_quarantine(fixture, 2);

	write_jobs(fixture, quarantine, 3);
	assert_int_equal(fixture->jobs[1].error.code, WEIR_OK);
	assert_int_equal(fixture->jobs[2].error.code, WEIR_ELIMIT);
	assert_non_null(strstr(fixture->jobs[2].error.text, "dispatcher.quarantine.maxEvents"));
	assert_int_equal(count_entries(fixture, NULL, 0), 2);
	weir_quarantine_free(quarantine);
}

static void files_of_an_earlier_run_count(void **state)
{
	struct fixture *fixture = *state;
	struct weir_quarantine *quarantine = make_quarantine(fixture, 2);

	write_jobs(fixture, quarantine, 2);
	weir_quarantine_free(quarantine);
	quarantine = make_quarantine(fixture, 2);
	write_jobs(fixture, quarantine, 1);
	assert_int_equal(fixture->jobs[0].error.code, WEIR_ELIMIT);
	weir_quarantine_free(quarantine);
}

static void room_made_by_hand_is_noticed(void **state)
{
	struct fixture *fixture = *state;
	struct weir_quarantine *quarantine = make_quarantine(fixture, 1);
	char path[512];

	write_jobs(fixture, quarantine, 1);
	count_entries(fixture, path, sizeof path);
	assert_int_equal(unlink(path), 0);
	write_jobs(fixture, quarantine, 1);
	assert_int_equal(fixture->jobs[0].error.code, WEIR_OK);
	weir_quarantine_free(quarantine);
}

static void a_folder_that_cannot_be_made_is_an_error_and_tried_again_later(void **state)
{
	struct fixture *fixture = *state;
	struct weir_quarantine *quarantine;
	char blocker[96];
	int fd;

	snprintf(blocker, sizeof blocker, "%s/deep", fixture->root);
	fd = open(blocker, O_WRONLY | O_CREAT, 0600); /* a file where a folder has to be */
	close(fd);
	quarantine = make_quarantine(fixture, 10);
	write_jobs(fixture, quarantine, 1);
	assert_int_equal(fixture->jobs[0].error.code, WEIR_EIO);
	assert_non_null(strstr(fixture->jobs[0].error.text, fixture->folder));
	unlink(blocker);
	write_jobs(fixture, quarantine, 1);
	assert_int_equal(fixture->jobs[0].error.code, WEIR_OK);
	weir_quarantine_free(quarantine);
}

static void a_folder_that_is_removed_is_made_again(void **state)
{
	struct fixture *fixture = *state;
	struct weir_quarantine *quarantine = make_quarantine(fixture, 1);
	char name[512];

	write_jobs(fixture, quarantine, 1);
	assert_int_equal(count_entries(fixture, name, sizeof name), 1);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(rmdir(fixture->folder), 0);
	write_jobs(fixture, quarantine, 1);
	assert_int_equal(fixture->jobs[0].error.code, WEIR_OK);
	assert_int_equal(count_entries(fixture, NULL, 0), 1);
	weir_quarantine_free(quarantine);
}

static void a_folder_that_is_moved_away_is_not_written_to(void **state)
{
	struct fixture *fixture = *state;
	struct weir_quarantine *quarantine = make_quarantine(fixture, 1);
	char away[128];

	snprintf(away, sizeof away, "%s/away", fixture->root);
	write_jobs(fixture, quarantine, 1);
	assert_int_equal(rename(fixture->folder, away), 0);
	write_jobs(fixture, quarantine, 1);
	assert_int_equal(fixture->jobs[0].error.code, WEIR_OK);
	assert_int_equal(count_entries(fixture, NULL, 0), 1);
	weir_quarantine_free(quarantine);
}

/* Replicas in containers share a folder, and all have the same pid. */
static void processes_with_one_pid_do_not_overwrite_each_other(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 20; i++) {
		struct weir_quarantine *quarantine = make_quarantine(fixture, 100);

		write_jobs(fixture, quarantine, 1);
		weir_quarantine_free(quarantine);
	}
	assert_int_equal(count_entries(fixture, NULL, 0), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_made_before_the_first_event, make, unmake),
		cmocka_unit_test_setup_teardown(an_event_is_a_private_file_with_the_whole_text, make, unmake),
		cmocka_unit_test_setup_teardown(each_event_gets_a_file_of_its_own, make, unmake),
		cmocka_unit_test_setup_teardown(beyond_the_maximum_is_refused_and_says_what_to_do, make, unmake),
		cmocka_unit_test_setup_teardown(files_of_an_earlier_run_count, make, unmake),
		cmocka_unit_test_setup_teardown(room_made_by_hand_is_noticed, make, unmake),
		cmocka_unit_test_setup_teardown(a_folder_that_is_removed_is_made_again, make, unmake),
		cmocka_unit_test_setup_teardown(a_folder_that_is_moved_away_is_not_written_to, make, unmake),
		cmocka_unit_test_setup_teardown(processes_with_one_pid_do_not_overwrite_each_other, make, unmake),
		cmocka_unit_test_setup_teardown(a_folder_that_cannot_be_made_is_an_error_and_tried_again_later, make,
						unmake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
