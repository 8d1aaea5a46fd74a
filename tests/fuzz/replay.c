/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target on files instead of under libFuzzer: with any compiler and
 * sanitizer, what the fuzzer once found stays found.
 *
 *   fuzz_NAME FILE|FOLDER...
 *
 * Fails if it found no file: a corpus that vanished must not look like success.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed;

static _Noreturn void die(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(2);
}

/* The input is in memory of just its size, so that the address sanitizer sees one byte too many. */
static void replay_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);
	FILE *file = fopen(path, "rb");

	if (!data || !file || fread(data, 1, size, file) != size)
		die(path);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	replayed++;
}

/* Regular files only: a corpus is flat. */
static void replay_folder(const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort);

	if (count < 0)
		die(folder);
	for (int i = 0; i < count; i++) {
		char path[4096];
		struct stat info;

		snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
		if (stat(path, &info) < 0)
			die(path);
		if (S_ISREG(info.st_mode))
			replay_file(path, (size_t)info.st_size);
		free(entries[i]);
	}
	free(entries);
}

static void replay(const char *path)
{
	struct stat info;

	if (stat(path, &info) < 0)
		die(path);
	if (S_ISDIR(info.st_mode))
		replay_folder(path);
	else
		replay_file(path, (size_t)info.st_size);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%zu inputs\n", replayed);
	return replayed ? 0 : 1;
}
