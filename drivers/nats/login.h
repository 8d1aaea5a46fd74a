/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nats/login: how the two NATS drivers get to a server. Where it is, who we
 * are, whom we trust; and what the client library's codes mean to Weir.
 *
 * Both drivers compile these files into themselves. Nothing here starts a
 * thread or keeps anything outside of what it is given.
 */
#ifndef WEIR_DRIVER_NATS_LOGIN_H
#define WEIR_DRIVER_NATS_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

#include <nats/nats.h>

#include <weir/driver.h>

enum {
	WEIR_NATS_MAX_SERVERS = 16,
	WEIR_NATS_CONNECT_MS = 2000,       /* one attempt at one server */
	WEIR_NATS_WRITE_DEADLINE_MS = 500, /* a server that takes nothing does not hold us longer */
};

#define WEIR_NATS_ROW(key, type, flags, fallback, help)                                                                \
	{                                                                                                              \
		key, type, flags, fallback, 0, 0, NULL, help                                                           \
	}

/* Rows of an option table that both drivers have; `url` is the default. */
/* clang-format off */
#define WEIR_NATS_LOGIN_OPTIONS(url)                                                                                   \
	WEIR_NATS_ROW("url", WEIR_OPT_STRING, 0, url,                                                                  \
		      "Servers to begin with: nats://HOST:PORT or tls://HOST:PORT, separated by commas."),             \
	WEIR_NATS_ROW("username", WEIR_OPT_STRING, 0, NULL, "User; needs a password."),                                \
	WEIR_NATS_ROW("password", WEIR_OPT_STRING, WEIR_OPTION_SECRET, NULL, "Password of the user."),                 \
	WEIR_NATS_ROW("token", WEIR_OPT_STRING, WEIR_OPTION_SECRET, NULL,                                              \
		      "Token, for servers that ask for one instead of a user."),                                       \
	WEIR_NATS_ROW("credentials", WEIR_OPT_STRING, 0, NULL,                                                         \
		      "Path of a credentials file: a user's JWT and NKey seed. Read anew at each connect."),           \
	WEIR_NATS_ROW("nkey", WEIR_OPT_STRING, 0, NULL,                                                                \
		      "Public NKey of the user (it begins with U); needs nkeySeed."),                                  \
	WEIR_NATS_ROW("nkeySeed", WEIR_OPT_STRING, 0, NULL,                                                            \
		      "Path of the file with the NKey's seed. Read anew at each connect."),                            \
	WEIR_NATS_ROW("tls", WEIR_OPT_BOOL, 0, "false",                                                                \
		      "Whether connections must be TLS; tls:// in the URL and the settings below imply it."),          \
	WEIR_NATS_ROW("caFile", WEIR_OPT_STRING, 0, NULL, "Certificates to trust, PEM; default: the system's."),       \
	WEIR_NATS_ROW("certificateFile", WEIR_OPT_STRING, 0, NULL, "Client certificate, PEM."),                        \
	WEIR_NATS_ROW("keyFile", WEIR_OPT_STRING, 0, NULL, "Key of the client certificate, PEM."),                     \
	WEIR_NATS_ROW("tlsHostname", WEIR_OPT_STRING, 0, NULL,                                                         \
		      "Name that the server's certificate must have; default: the host in the URL.")
/* clang-format on */

/* One server, as the library wants it: no user and no password in it. */
struct weir_nats_server {
	char *url;
	char *host;
};

/* Copies of the settings above, checked. Strings are NULL where not set. */
struct weir_nats_login {
	const char *driver; /* "jetstream": begins every text; static */
	struct weir_nats_server servers[WEIR_NATS_MAX_SERVERS];
	int server_count;
	char *username, *password, *token;
	char *credentials, *nkey, *nkey_seed;
	bool tls;
	char *ca_file, *certificate_file, *key_file, *tls_hostname;
	char shown[256]; /* the servers, for people: without secrets */
};

/*
 * Takes the rows of WEIR_NATS_LOGIN_OPTIONS out of `settings` and checks them
 * together. A user and password in the URL are taken as if they had been set
 * by themselves. `driver` is static. WEIR_EINVAL names the key; WEIR_ENOMEM.
 * After an error nothing is to be freed.
 */
int weir_nats_login_init(struct weir_nats_login *login, const char *driver, const struct weir_setting *settings,
			 size_t count, struct weir_error *err);
/* Secrets are overwritten. */
void weir_nats_login_fini(struct weir_nats_login *login);

/*
 * Options for one attempt to connect: servers, identity, trust (host names are
 * always checked), `name` as the connection's name, time to connect, write
 * deadline; the library's own reconnecting is off. The caller sets the rest
 * and destroys them. May be called again for each connection, so that files
 * that were replaced count. WEIR_EINVAL or WEIR_ETLS names the file.
 *
 * The library takes one name for all servers; so with several TLS servers and
 * no tlsHostname, `server` chooses one (0..server_count-1); with -1 all are
 * given, which only works without TLS or with a tlsHostname.
 */
int weir_nats_options(const struct weir_nats_login *login, int server, const char *name, natsOptions **ret,
		      struct weir_error *err);

/* A natsStatus as one of Weir's codes. NATS_OK: WEIR_OK. */
int weir_nats_code(natsStatus status);

/*
 * Fills `err` for a code of the library: "DRIVER: WHAT: its text". Where the
 * library has more to say about its last failure in this thread, that is told
 * too. printf rules.
 */
int weir_nats_fail(struct weir_error *err, const char *driver, natsStatus status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same for a failed attempt to connect: says to which servers, and what to do about it. */
int weir_nats_connect_fail(struct weir_error *err, const struct weir_nats_login *login, natsStatus status);

/* "1.0, libnats 3.4.1". Static text. */
const char *weir_nats_version(void);

/* A setting's value or "" . */
const char *weir_nats_setting(const struct weir_setting *settings, size_t count, const char *key);

#endif
