/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/identity.h"

#include <time.h>

#include "base/log.h"

enum { DAY_S = 86400, WARN_DAYS = 30 };

void weir_identity_warn(const struct weir_tls *tls, const weir_config *config)
{
	const char *path = weir_config_get(config, "dispatcher.tls.certificateFile");
	int64_t left = tls ? weir_tls_expiry(tls) - (int64_t)time(NULL) : INT64_MAX;

	if (left < 0)
		weir_log(WEIR_LOG_ERROR, "the certificate \"%s\" has ended; clients will refuse it", path);
	else if (left < (int64_t)WARN_DAYS * DAY_S)
		weir_log(WEIR_LOG_WARNING, "the certificate \"%s\" ends in %lld days", path, (long long)(left / DAY_S));
}

int weir_identity_load(const weir_config *config, struct weir_tls **ret, struct weir_error *err)
{
	const struct weir_tls_files files = {
		.certificate = weir_config_get(config, "dispatcher.tls.certificateFile"),
		.key = weir_config_get(config, "dispatcher.tls.keyFile"),
		.client_ca = weir_config_get(config, "dispatcher.tls.clientCaFile"),
	};
	const char *listen = weir_config_get(config, "dispatcher.tls.listen");
	struct weir_error why = WEIR_ERROR_INIT;
	int code;

	*ret = NULL;
	if (!listen || !*listen)
		return WEIR_OK;
	if (!files.certificate || !files.key)
		return weir_fail(
		    err, WEIR_EINVAL,
		    "dispatcher.tls.listen: needs dispatcher.tls.certificateFile and dispatcher.tls.keyFile");
	code = weir_tls_new(&files, ret, &why);
	if (code)
		return weir_fail(err, code, "dispatcher.tls: %s", why.text);
	return WEIR_OK;
}
