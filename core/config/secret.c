/* SPDX-License-Identifier: Apache-2.0 */
#include "config/secret.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/internal.h"

enum { SECRET_MAX = 65536 };

static const char *secret_problem(const char *text, size_t len, unsigned mode)
{
	if (mode & 022)
		return "names a file that others may write to; allowed: a file that only its owner may write to";
	if (!len)
		return "names a file that is empty";
	return memchr(text, '\0', len) ? "names a file with a NUL character in it" : NULL;
}

/* Without the line's end that an editor or `echo` puts there. */
static size_t stripped(const char *text, size_t len)
{
	if (len && text[len - 1] == '\n')
		len--;
	return len && text[len - 1] == '\r' ? len - 1 : len;
}

static int take(const char *text, size_t len, unsigned mode, struct weir_arena *arena, const char **ret,
		char why[WEIR_WHY_SIZE])
{
	const char *wrong = secret_problem(text, len, mode);

	if (wrong) {
		snprintf(why, WEIR_WHY_SIZE, "%s", wrong);
		return WEIR_EINVAL;
	}
	*ret = weir_arena_text(arena, (struct weir_buf){ text, len });
	return *ret ? WEIR_OK : WEIR_ENOMEM;
}

int weir_secret_read(const char *path, struct weir_arena *arena, const char **ret, const char **warning,
		     char why[WEIR_WHY_SIZE])
{
	char reason[WEIR_WHY_SIZE], *text = NULL;
	unsigned mode = 0;
	size_t len = 0;
	int code = weir_source_read(path, SECRET_MAX, &text, &len, &mode, reason);

	if (code == WEIR_EINVAL)
		snprintf(why, WEIR_WHY_SIZE, "the file that it names %.400s", reason);
	if (code)
		return code;
	code = take(text, stripped(text, len), mode, arena, ret, why);
	*warning = !code && mode & 04 ? "names a file that everybody may read" : NULL;
	explicit_bzero(text, len);
	weir_mem_free(text);
	return code;
}

bool weir_secret_sounds_like(const char *key)
{
	static const char *const words[] = { "password", "passwd", "passphrase", "secret",  "token",
					     "jaas",     "oauth",  "credential", "private", "key.pem" };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcasestr(key, words[i]))
			return true;
	}
	return false;
}

bool weir_config_holds_secrets(const weir_config *config)
{
	for (size_t i = 0; i < config->value_count; i++) {
		const struct weir_value *value = &config->values[i];

		if (value->text && (value->row ? strcmp(value->key, "dispatcher.tls.keyFile") == 0
					       : weir_secret_sounds_like(value->key)))
			return true;
	}
	return false;
}
