/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OAUTHBEARER: tokens for librdkafka, which asks for one when it connects and
 * again when four fifths of its life are over. Debian's librdkafka cannot fetch
 * tokens itself. One token serves all clients of an instance. It is fetched on
 * librdkafka's background thread, so nothing that moves records waits for it.
 */
#include "kafka.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "oauth.h"

enum {
	MIN_LIFE_S = 5, /* a token that ends sooner is of no use */
	MAX_EXTENSIONS = 16,
};

/* ---- what is asked of whom ------------------------------------------------------------- */

static const char *setting_or(const struct settings *settings, const char *key, const char *variable)
{
	const char *value = weir_kafka_setting(settings, key);
	const char *other = *value ? NULL : getenv(variable);

	return other ? other : value;
}

/* The resource of Event Hubs is the host that one connects to. */
static void resource_of(const struct settings *settings, char *ret, size_t size)
{
	const char *brokers = weir_kafka_setting(settings, "brokers");

	snprintf(ret, size, "https://%.*s", (int)strcspn(brokers, ":,"), brokers);
}

static int url_token(const struct settings *settings, char *ret, size_t size, struct weir_error *err)
{
	const char *url = weir_kafka_setting(settings, "oauthTokenUrl");
	const char *authority = setting_or(settings, "", "AZURE_AUTHORITY_HOST");
	const char *tenant = setting_or(settings, "oauthTenant", "AZURE_TENANT_ID");
	size_t len;

	if (*url) {
		snprintf(ret, size, "%s", url);
		return WEIR_OK;
	}
	if (!*tenant)
		return weir_fail(
		    err, WEIR_EINVAL,
		    "kafka.oauthTokenUrl: where tokens come from; for Entra ID set kafka.oauthTenant instead");
	authority = *authority ? authority : "https://login.microsoftonline.com/";
	len = strlen(authority);
	snprintf(ret, size, "%s%s%s/oauth2/v2.0/token", authority, authority[len - 1] == '/' ? "" : "/", tenant);
	return WEIR_OK;
}

/* Secrets in plain text only to this machine, or to the link-local address of a cloud's metadata service. */
static int url_check(const char *url, struct weir_error *err)
{
	static const char *const local[] = { "http://127.0.0.1:", "http://127.0.0.1/",       "http://localhost:",
					     "http://localhost/", "http://169.254.169.254/", NULL };
	size_t i;

	if (strncmp(url, "https://", 8) == 0)
		return WEIR_OK;
	for (i = 0; local[i]; i++)
		if (strncmp(url, local[i], strlen(local[i])) == 0)
			return WEIR_OK;
	return weir_fail(err, WEIR_EINVAL, "kafka.oauthTokenUrl: must begin with https://");
}

static int managed_init(struct weir_kafka_token_request *request, const struct settings *settings,
			struct weir_error *err)
{
	const char *url = weir_kafka_setting(settings, "oauthTokenUrl"),
		   *scope = weir_kafka_setting(settings, "oauthScope");
	const char *client = setting_or(settings, "oauthClientId", "AZURE_CLIENT_ID");
	char resource[300];

	resource_of(settings, resource, sizeof resource);
	request->metadata = true;
	weir_kafka_token_url(request, *url ? url : "http://169.254.169.254/metadata/identity/oauth2/token");
	weir_kafka_token_field(request, "api-version", "2018-02-01");
	weir_kafka_token_field(request, "resource", *scope ? scope : resource);
	if (*client)
		weir_kafka_token_field(request, "client_id", client);
	return url_check(request->url, err);
}

static int client_init(struct weir_kafka_token_request *request, const struct settings *settings, const char *method,
		       struct weir_error *err)
{
	const char *client = setting_or(settings, "oauthClientId", "AZURE_CLIENT_ID");
	const char *secret = weir_kafka_setting(settings, "oauthClientSecret");
	const char *file = setting_or(settings, "oauthTokenFile", "AZURE_FEDERATED_TOKEN_FILE");
	const char *scope = weir_kafka_setting(settings, "oauthScope");
	char url[1024], resource[320];
	int code = url_token(settings, url, sizeof url, err);

	code = code ? code : url_check(url, err);
	if (code)
		return code;
	if (!*client)
		return weir_fail(err, WEIR_EINVAL, "kafka.oauthClientId: is empty");
	resource_of(settings, resource, sizeof resource - 16);
	strncat(resource, "/.default", sizeof resource - strlen(resource) - 1);
	weir_kafka_token_url(request, url);
	weir_kafka_token_field(request, "grant_type", "client_credentials");
	weir_kafka_token_field(request, "client_id", client);
	if (*scope || settings->provider->username)
		weir_kafka_token_field(request, "scope", *scope ? scope : resource);
	if (strcmp(method, "client-secret") == 0) {
		if (!*secret)
			return weir_fail(err, WEIR_EINVAL, "kafka.oauthClientSecret: is empty");
		weir_kafka_token_field(request, "client_secret", secret);
		return WEIR_OK;
	}
	if (!*file)
		return weir_fail(err, WEIR_EINVAL, "kafka.oauthTokenFile: where the workload's own token is");
	weir_kafka_token_field(request, "client_assertion_type",
			       "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
	/* Read at every fetch: the file changes while we run. */
	return weir_kafka_token_file(request, "client_assertion", file)
		   ? WEIR_OK
		   : weir_fail(err, WEIR_ENOMEM, "kafka: no memory");
}

int weir_kafka_oauth_init(struct oauth *oauth, const struct settings *settings, const atomic_bool *stop,
			  struct weir_error *err)
{
	const char *method = weir_kafka_setting(settings, "oauth");
	int code;

	memset(oauth, 0, sizeof *oauth);
	pthread_mutex_init(&oauth->lock, NULL);
	oauth->on = *method && strcmp(method, "off") != 0;
	oauth->principal = setting_or(settings, "oauthClientId", "AZURE_CLIENT_ID");
	oauth->principal = *oauth->principal ? oauth->principal : "weir";
	oauth->extensions = weir_kafka_setting(settings, "oauthExtensions");
	if (!oauth->on)
		return WEIR_OK;
	oauth->request.stop = stop;
	oauth->request.ca_file = weir_kafka_setting(settings, "oauthCaFile");
	code = strcmp(method, "managed-identity") == 0 ? managed_init(&oauth->request, settings, err)
						       : client_init(&oauth->request, settings, method, err);
	if (!code && oauth->request.failed)
		code = weir_fail(err, WEIR_EINVAL, "kafka.oauth: the settings are too long");
	return code;
}

void weir_kafka_oauth_fini(struct oauth *oauth)
{
	weir_kafka_token_fini(&oauth->token);
	weir_kafka_token_request_fini(&oauth->request);
	pthread_mutex_destroy(&oauth->lock);
}

/* ---- handing it over -------------------------------------------------------------------------- */

/* "a=b,c=d" in place, as names and values in turn. */
static size_t extensions_split(char *text, const char **ret)
{
	size_t count = 0;
	char *at = text, *name;

	while (at && *at && count + 2 <= 2 * MAX_EXTENSIONS) {
		name = strsep(&at, ",");
		ret[count++] = strsep(&name, "=");
		ret[count++] = name ? name : "";
	}
	return count;
}

static void token_set(const struct oauth *oauth, rd_kafka_t *rk)
{
	const char *extensions[2 * MAX_EXTENSIONS];
	char why[256], *copy = strdup(oauth->extensions);
	size_t count = copy ? extensions_split(copy, extensions) : 0;

	if (rd_kafka_oauthbearer_set_token(rk, oauth->token.value, oauth->token.end_s * 1000, oauth->principal,
					   extensions, count, why, sizeof why))
		rd_kafka_oauthbearer_set_token_failure(rk, why);
	free(copy);
}

/* Of several clients that ask at once the first one fetches, and the others get the same token. */
static bool token_fresh(const struct oauth *oauth)
{
	time_t now = time(NULL);

	return oauth->token.value && oauth->token.end_s - now > MIN_LIFE_S &&
	       (oauth->token.end_s - now) * 2 > oauth->token.end_s - oauth->token.begin_s;
}

void weir_kafka_oauth_refresh(struct weir_inst *inst, rd_kafka_t *rk)
{
	struct oauth *oauth = &inst->oauth;
	char why[256] = "";

	pthread_mutex_lock(&oauth->lock);
	if (!token_fresh(oauth) && !weir_kafka_token_fetch(&oauth->request, &oauth->token, why, sizeof why)) {
		weir_kafka_log(inst, 1, "kafka: no token: %s", why);
		rd_kafka_oauthbearer_set_token_failure(rk, why);
	} else {
		token_set(oauth, rk);
	}
	pthread_mutex_unlock(&oauth->lock);
}
