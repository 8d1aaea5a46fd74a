/* SPDX-License-Identifier: Apache-2.0 */
/* nats/login: the settings that say where the server is and who we are, and the library's options made of them. */
#include "login.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- reading them ------------------------------------------------------------------ */

const char *weir_nats_setting(const struct weir_setting *settings, size_t count, const char *key)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(settings[i].key, key) == 0)
			return settings[i].value ? settings[i].value : "";
	return "";
}

static int no_memory(const struct weir_nats_login *login, struct weir_error *err)
{
	return weir_fail(err, WEIR_ENOMEM, "%s: no memory for the settings", login->driver);
}

static void secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void weir_nats_login_fini(struct weir_nats_login *login)
{
	int i;

	for (i = 0; i < login->server_count; i++) {
		free(login->servers[i].url);
		free(login->servers[i].host);
	}
	free(login->username);
	secret_free(login->password);
	secret_free(login->token);
	free(login->credentials);
	free(login->nkey);
	free(login->nkey_seed);
	free(login->ca_file);
	free(login->certificate_file);
	free(login->key_file);
	free(login->tls_hostname);
	memset(login, 0, sizeof *login);
}

static bool copy(char **to, const struct weir_setting *settings, size_t count, const char *key)
{
	const char *value = weir_nats_setting(settings, count, key);

	if (*value)
		*to = strdup(value);
	return !*value || *to;
}

static int settings_copy(struct weir_nats_login *login, const struct weir_setting *settings, size_t count,
			 struct weir_error *err)
{
	const struct {
		const char *key;
		char **to;
	} rows[] = {
		{ "username", &login->username }, { "password", &login->password },
		{ "token", &login->token },       { "credentials", &login->credentials },
		{ "nkey", &login->nkey },         { "nkeySeed", &login->nkey_seed },
		{ "caFile", &login->ca_file },    { "certificateFile", &login->certificate_file },
		{ "keyFile", &login->key_file },  { "tlsHostname", &login->tls_hostname },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (!copy(rows[i].to, settings, count, rows[i].key))
			return no_memory(login, err);
	login->tls = strcmp(weir_nats_setting(settings, count, "tls"), "true") == 0 || login->ca_file ||
		     login->certificate_file || login->tls_hostname;
	return WEIR_OK;
}

/* ---- the URLs ---------------------------------------------------------------------- */

/* "%41" becomes "A": what is in front of the '@' of a URL may be written so. */
static char *unescape(const char *text, size_t len)
{
	char *ret = malloc(len + 1), hex[3] = { 0 };
	size_t i, used = 0;

	if (!ret)
		return NULL;
	for (i = 0; i < len; i++) {
		if (text[i] == '%' && i + 2 < len && isxdigit((unsigned char)text[i + 1]) &&
		    isxdigit((unsigned char)text[i + 2])) {
			hex[0] = text[i + 1];
			hex[1] = text[i + 2];
			ret[used++] = (char)strtol(hex, NULL, 16);
			i += 2;
		} else {
			ret[used++] = text[i];
		}
	}
	ret[used] = '\0';
	return ret;
}

/* USER:PASSWORD or TOKEN in a URL. What was set by itself counts more. */
static int userinfo_take(struct weir_nats_login *login, const char *text, size_t len, struct weir_error *err)
{
	const char *colon = memchr(text, ':', len);
	char **first = colon ? &login->username : &login->token;
	size_t first_len = colon ? (size_t)(colon - text) : len;

	if (login->username || login->password || login->token || login->credentials || login->nkey)
		return WEIR_OK;
	*first = unescape(text, first_len);
	if (colon)
		login->password = unescape(colon + 1, len - first_len - 1);
	return !*first || (colon && !login->password) ? no_memory(login, err) : WEIR_OK;
}

/* The host in HOST:PORT or [V6]:PORT. The port is checked. */
static bool host_of(const char *text, size_t len, const char **host, size_t *host_len, bool *has_port)
{
	const char *end = text + len, *at = text, *close;

	*has_port = false;
	if (len && *text == '[') {
		close = memchr(text, ']', len);
		if (!close)
			return false;
		*host = text + 1;
		*host_len = (size_t)(close - text - 1);
		at = close + 1;
	} else {
		while (at < end && *at != ':')
			at++;
		*host = text;
		*host_len = (size_t)(at - text);
	}
	if (at == end)
		return *host_len > 0;
	*has_port = true;
	if (*at++ != ':' || at == end || end - at > 5)
		return false;
	for (close = at; close < end; close++)
		if (!isdigit((unsigned char)*close))
			return false;
	return *host_len > 0 && atoi(at) > 0 && atoi(at) < 65536;
}

static int server_add(struct weir_nats_login *login, const char *text, size_t len, struct weir_error *err)
{
	struct weir_nats_server *server = &login->servers[login->server_count];
	const char *scheme_end = memmem(text, len, "://", 3), *at, *host;
	size_t host_len, used = strlen(login->shown), i;
	bool tls = false, has_port;
	int code;

	if (login->server_count == WEIR_NATS_MAX_SERVERS)
		return weir_fail(err, WEIR_EINVAL, "%s.url: at most %d servers are allowed", login->driver,
				 WEIR_NATS_MAX_SERVERS);
	if (scheme_end) {
		tls = scheme_end - text == 3 && strncmp(text, "tls", 3) == 0;
		if (!tls && (scheme_end - text != 4 || strncmp(text, "nats", 4) != 0))
			return weir_fail(err, WEIR_EINVAL, "%s.url: allowed are nats://HOST:PORT and tls://HOST:PORT",
					 login->driver);
		len -= (size_t)(scheme_end + 3 - text);
		text = scheme_end + 3;
	}
	at = memrchr(text, '@', len);
	if (at) {
		code = userinfo_take(login, text, (size_t)(at - text), err);
		if (code)
			return code;
		len -= (size_t)(at + 1 - text);
		text = at + 1;
	}
	while (len && text[len - 1] == '/')
		len--;
	for (i = 0; i < len; i++)
		if (!isgraph((unsigned char)text[i]) || strchr("/?#\\\"'", text[i]))
			len = 0;
	if (!len || !host_of(text, len, &host, &host_len, &has_port))
		return weir_fail(err, WEIR_EINVAL, "%s.url: server %d is no nats://HOST:PORT", login->driver,
				 login->server_count + 1);
	login->tls |= tls;
	server->host = strndup(host, host_len);
	if (asprintf(&server->url, "nats://%.*s%s", (int)len, text, has_port ? "" : ":4222") < 0)
		server->url = NULL;
	login->server_count++;
	if (!server->url || !server->host)
		return no_memory(login, err);
	snprintf(login->shown + used, sizeof login->shown - used, "%s%s", used ? "," : "", server->url);
	return WEIR_OK;
}

static int servers_read(struct weir_nats_login *login, const char *urls, struct weir_error *err)
{
	int code = WEIR_OK;

	while (!code && *urls) {
		size_t len = strcspn(urls, ", ");

		if (len)
			code = server_add(login, urls, len, err);
		urls += len;
		urls += strspn(urls, ", ");
	}
	if (!code && !login->server_count)
		code = weir_fail(err, WEIR_EINVAL, "%s.url: is empty; set nats://HOST:PORT", login->driver);
	return code;
}

/* ---- checking them ------------------------------------------------------------------ */

static int file_check(const struct weir_nats_login *login, const char *key, const char *path, struct weir_error *err)
{
	if (!path || access(path, R_OK) == 0)
		return WEIR_OK;
	return weir_fail(err, WEIR_EINVAL, "%s.%s: the file %.200s cannot be read", login->driver, key, path);
}

static int identity_check(const struct weir_nats_login *login, struct weir_error *err)
{
	int ways = !!login->username + !!login->token + !!login->credentials + !!(login->nkey || login->nkey_seed);

	if (!login->username != !login->password)
		return weir_fail(err, WEIR_EINVAL, "%s.%s: there is a %s, but no %s", login->driver,
				 login->username ? "password" : "username", login->username ? "user name" : "password",
				 login->username ? "password" : "user name");
	if (!login->nkey != !login->nkey_seed)
		return weir_fail(err, WEIR_EINVAL, "%s.%s: nkey and nkeySeed are needed together", login->driver,
				 login->nkey ? "nkeySeed" : "nkey");
	if (ways > 1)
		return weir_fail(err, WEIR_EINVAL,
				 "%s: set one of username and password, token, credentials, nkey; not several",
				 login->driver);
	return WEIR_OK;
}

static int files_check(const struct weir_nats_login *login, struct weir_error *err)
{
	int code = file_check(login, "credentials", login->credentials, err);

	code = code ? code : file_check(login, "nkeySeed", login->nkey_seed, err);
	code = code ? code : file_check(login, "caFile", login->ca_file, err);
	code = code ? code : file_check(login, "certificateFile", login->certificate_file, err);
	code = code ? code : file_check(login, "keyFile", login->key_file, err);
	if (!code && !login->certificate_file != !login->key_file)
		code = weir_fail(err, WEIR_EINVAL, "%s.%s: certificateFile and keyFile are needed together",
				 login->driver, login->key_file ? "certificateFile" : "keyFile");
	return code;
}

int weir_nats_login_init(struct weir_nats_login *login, const char *driver, const struct weir_setting *settings,
			 size_t count, struct weir_error *err)
{
	int code;

	memset(login, 0, sizeof *login);
	login->driver = driver;
	code = settings_copy(login, settings, count, err);
	code = code ? code : servers_read(login, weir_nats_setting(settings, count, "url"), err);
	code = code ? code : identity_check(login, err);
	code = code ? code : files_check(login, err);
	if (code)
		weir_nats_login_fini(login);
	return code;
}

/* ---- the library's options ------------------------------------------------------------- */

static natsStatus servers_set(const struct weir_nats_login *login, int server, natsOptions *options)
{
	const char *urls[WEIR_NATS_MAX_SERVERS];
	int i;

	if (server >= 0)
		return natsOptions_SetURL(options, login->servers[server].url);
	for (i = 0; i < login->server_count; i++)
		urls[i] = login->servers[i].url;
	return natsOptions_SetServers(options, urls, login->server_count);
}

static natsStatus identity_set(const struct weir_nats_login *login, natsOptions *options)
{
	if (login->username)
		return natsOptions_SetUserInfo(options, login->username, login->password);
	if (login->token)
		return natsOptions_SetToken(options, login->token);
	if (login->credentials)
		return natsOptions_SetUserCredentialsFromFiles(options, login->credentials, NULL);
	if (login->nkey)
		return natsOptions_SetNKeyFromSeed(options, login->nkey, login->nkey_seed);
	return NATS_OK;
}

/* `file` is the one that is being read, for the error. */
static natsStatus trust_set(const struct weir_nats_login *login, int server, natsOptions *options, const char **file)
{
	const char *name = login->tls_hostname ? login->tls_hostname : login->servers[server < 0 ? 0 : server].host;
	natsStatus status;

	if (!login->tls)
		return NATS_OK;
	status = natsOptions_SetSecure(options, true);
	*file = "caFile";
	if (status == NATS_OK && login->ca_file)
		status = natsOptions_LoadCATrustedCertificates(options, login->ca_file);
	if (status != NATS_OK)
		return status;
	*file = "certificateFile";
	if (login->certificate_file)
		status = natsOptions_LoadCertificatesChain(options, login->certificate_file, login->key_file);
	if (status == NATS_OK)
		status = natsOptions_SetExpectedHostname(options, name);
	return status;
}

static natsStatus manners_set(const char *name, natsOptions *options)
{
	natsStatus status = natsOptions_SetName(options, name);

	status = status ? status : natsOptions_SetTimeout(options, WEIR_NATS_CONNECT_MS);
	status = status ? status : natsOptions_SetWriteDeadline(options, WEIR_NATS_WRITE_DEADLINE_MS);
	status = status ? status : natsOptions_SetAllowReconnect(options, false);
	return status ? status : natsOptions_SetReconnectBufSize(options, 0);
}

int weir_nats_options(const struct weir_nats_login *login, int server, const char *name, natsOptions **ret,
		      struct weir_error *err)
{
	natsOptions *options = NULL;
	const char *file = NULL;
	natsStatus status = natsOptions_Create(&options);
	int code = WEIR_OK;

	*ret = NULL;
	status = status ? status : servers_set(login, server, options);
	status = status ? status : identity_set(login, options);
	status = status ? status : manners_set(name, options);
	if (status)
		code = weir_nats_fail(err, login->driver, status, "preparing a connection to %.200s", login->shown);
	if (!code && (status = trust_set(login, server, options, &file)))
		code = weir_nats_fail(err, login->driver, status == NATS_NO_MEMORY ? status : NATS_SSL_ERROR,
				      "%s.%s cannot be used", login->driver, file ? file : "tls");
	if (code)
		natsOptions_Destroy(options);
	else
		*ret = options;
	return code;
}
