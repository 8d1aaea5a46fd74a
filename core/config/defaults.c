/* SPDX-License-Identifier: Apache-2.0 */
/* config/defaults: defaults that depend on where Weir was installed and started. */
#include "config/internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/dynbuf.h"
#include "base/str.h"

enum { PATHS_MAX = 16384 };

static const char *keep(weir_config *config, struct weir_dynbuf *text)
{
	const char *kept = text->failed ? NULL : weir_arena_text(&config->arena, weir_dynbuf_view(text));

	config->no_memory |= !kept;
	weir_dynbuf_fini(text);
	return kept;
}

/* The folder of the running program; len 0: not known, or one that a list cannot hold. */
static struct weir_buf program_folder(char path[4096])
{
	ssize_t len = readlink("/proc/self/exe", path, 4096);
	struct weir_buf none = { path, 0 };

	if (len <= 0 || len >= 4000 || memchr(path, ',', (size_t)len))
		return none;
	while (len > 1 && path[len - 1] != '/')
		len--;
	return (struct weir_buf){ path, (size_t)len - 1 };
}

/*
 * Beside the program's own folder as `cmake --install` lays it out, wherever that
 * is; where it was configured to be installed; and as it is in a build folder.
 */
static const char *driver_folders(weir_config *config)
{
	static const char installed[] = "/" WEIR_LIBDIR "/weir/drivers", in_bin[] = "/bin";
	char path[4096];
	struct weir_buf program = program_folder(path), prefix = program;
	struct weir_dynbuf text;

	weir_dynbuf_init(&text, PATHS_MAX);
	if (program.len > strlen(in_bin)) {
		prefix.len -= strlen(in_bin);
		if (memcmp(path + prefix.len, in_bin, strlen(in_bin)) == 0) {
			weir_dynbuf_add_buf(&text, prefix);
			weir_dynbuf_add_text(&text, installed);
		}
	}
	if (!weir_str_equal(weir_dynbuf_view(&text), WEIR_STR(WEIR_PREFIX "/" WEIR_LIBDIR "/weir/drivers")))
		weir_dynbuf_addf(&text, "%s%s%s", text.len ? "," : "", WEIR_PREFIX, installed);
	if (program.len) {
		weir_dynbuf_add_char(&text, ',');
		weir_dynbuf_add_buf(&text, program);
		weir_dynbuf_add_text(&text, "/drivers");
	}
	return keep(config, &text);
}

static const char *quarantine_folder(weir_config *config)
{
	struct weir_dynbuf text;

	weir_dynbuf_init(&text, PATHS_MAX);
	weir_dynbuf_addf(&text, "%s/quarantine", config->state_directory ? config->state_directory : "./weir-data");
	return keep(config, &text);
}

const char *weir_config_default(weir_config *config, const struct weir_field *row)
{
	if (strcmp(row->option.key, "drivers.path") == 0)
		return driver_folders(config);
	if (strcmp(row->option.key, "dispatcher.quarantine.path") == 0)
		return quarantine_folder(config);
	return row->option.fallback;
}
