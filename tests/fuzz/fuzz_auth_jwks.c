/* SPDX-License-Identifier: Apache-2.0 */
/* A key set: refused with a text, or a set of at least one key and at most as many as may be. */
#include <stdint.h>
#include <stdlib.h>

#include "auth/jwks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_jwks *set = NULL;
	int code = weir_jwks_parse((struct weir_buf){ data, size }, &set, &err);

	if (code ? !err.text[0] || set : !weir_jwks_count(set) || weir_jwks_count(set) > WEIR_JWKS_MAX_KEYS)
		abort();
	weir_jwks_unref(set);
	return 0;
}
