/* SPDX-License-Identifier: Apache-2.0 */
#include "http/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem.h"
#include "http/tls_int.h"

static const unsigned char protocol[] = "\x08http/1.1";

/* A client that offers protocols, and not ours, is told so in the handshake. */
static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *len, const unsigned char *offered,
			   unsigned offered_len, void *ctx)
{
	unsigned char *found;

	(void)ssl;
	(void)ctx;
	if (SSL_select_next_proto(&found, len, protocol, sizeof protocol - 1, offered, offered_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*chosen = found;
	return SSL_TLSEXT_ERR_OK;
}

static int set_rules(SSL_CTX *context)
{
	static const unsigned char session_id[] = "weir";

	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 1);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	if (!SSL_CTX_set_session_id_context(context, session_id, sizeof session_id - 1) ||
	    !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"))
		return WEIR_ENOMEM;
	return WEIR_OK;
}

/* ---- files ---------------------------------------------------------------- */

/* What OpenSSL says is about its own code; what people need is which file, and what may be wrong with it. */
static int refuse(struct weir_error *err, const char *what, const char *path, const char *how)
{
	unsigned long number = ERR_peek_last_error();
	const char *reason = number ? ERR_reason_error_string(number) : NULL;
	int code = weir_fail(err, WEIR_EINVAL, "%s \"%s\" %s%s%s%s", what, path, how, reason ? " (" : "",
			     reason ? reason : "", reason ? ")" : "");

	ERR_clear_error();
	return code;
}

static int check_file(const char *what, const char *path, bool secret, struct weir_error *err)
{
	struct stat status;

	ERR_clear_error();
	if (stat(path, &status) != 0)
		return weir_fail(err, WEIR_EINVAL, "%s \"%s\": %s", what, path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return weir_fail(err, WEIR_EINVAL, "%s \"%s\" is not a file", what, path);
	if (secret && status.st_mode & 022)
		return weir_fail(err, WEIR_EINVAL,
				 "%s \"%s\" may be written to by others; allowed: a file that only its owner may write "
				 "to",
				 what, path);
	return WEIR_OK;
}

/* Nobody is there to type one in. */
static int no_password(char *text, int size, int for_writing, void *ctx)
{
	(void)text;
	(void)size;
	(void)for_writing;
	(void)ctx;
	return 0;
}

static int load_certificate(SSL_CTX *context, const char *path, struct weir_error *err)
{
	int code = check_file("certificate", path, false, err);

	if (!code && SSL_CTX_use_certificate_chain_file(context, path) != 1)
		code = refuse(err, "certificate", path, "is not a certificate in PEM");
	return code;
}

static int load_key(SSL_CTX *context, const char *path, struct weir_error *err)
{
	int code = check_file("key", path, true, err);

	SSL_CTX_set_default_passwd_cb(context, no_password);
	if (!code && SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1)
		code =
		    refuse(err, "key", path, "is not a key in PEM without a password, or not that of the certificate");
	if (!code && SSL_CTX_check_private_key(context) != 1)
		code = refuse(err, "key", path, "is not that of the certificate");
	return code;
}

static int load_clients(SSL_CTX *context, const char *path, struct weir_error *err)
{
	STACK_OF(X509_NAME) * names;
	int code;

	if (!path)
		return WEIR_OK;
	code = check_file("certificates of clients' authorities", path, false, err);
	if (code)
		return code;
	names = SSL_load_client_CA_file(path);
	if (!names || SSL_CTX_load_verify_file(context, path) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return refuse(err, "certificates of clients' authorities", path, "are not certificates in PEM");
	}
	SSL_CTX_set_client_CA_list(context, names);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return WEIR_OK;
}

static int64_t expiry_of(SSL_CTX *context)
{
	struct tm when = { 0 };

	if (!ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(context)), &when))
		return 0;
	return (int64_t)timegm(&when);
}

/* ---- identities ----------------------------------------------------------- */

static int fill(struct weir_tls *tls, const struct weir_tls_files *files, struct weir_error *err)
{
	int code;

	tls->context = SSL_CTX_new(TLS_server_method());
	tls->socket = weir_tls_socket_method();
	if (!tls->context || !tls->socket || set_rules(tls->context))
		return weir_fail(err, WEIR_ENOMEM, "no memory for TLS");
	code = load_certificate(tls->context, files->certificate, err);
	if (!code)
		code = load_key(tls->context, files->key, err);
	if (!code)
		code = load_clients(tls->context, files->client_ca, err);
	if (!code)
		tls->expiry = expiry_of(tls->context);
	return code;
}

int weir_tls_new(const struct weir_tls_files *files, struct weir_tls **ret, struct weir_error *err)
{
	struct weir_tls *tls = weir_mem_zalloc(1, sizeof *tls);
	int code;

	if (!tls)
		return weir_fail(err, WEIR_ENOMEM, "no memory for TLS");
	atomic_init(&tls->refs, 1);
	code = fill(tls, files, err);
	if (code)
		weir_tls_unref(tls);
	else
		*ret = tls;
	return code;
}

struct weir_tls *weir_tls_ref(struct weir_tls *tls)
{
	if (tls)
		atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
	return tls;
}

void weir_tls_unref(struct weir_tls *tls)
{
	if (!tls || atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) != 1)
		return;
	SSL_CTX_free(tls->context);
	BIO_meth_free(tls->socket);
	weir_mem_free(tls);
}

int64_t weir_tls_expiry(const struct weir_tls *tls)
{
	return tls->expiry;
}

/* ---- slots ---------------------------------------------------------------- */

void weir_tls_slot_init(struct weir_tls_slot *slot)
{
	pthread_mutex_init(&slot->lock, NULL);
	slot->current = NULL;
}

void weir_tls_slot_fini(struct weir_tls_slot *slot)
{
	weir_tls_unref(slot->current);
	slot->current = NULL;
	pthread_mutex_destroy(&slot->lock);
}

void weir_tls_slot_put(struct weir_tls_slot *slot, struct weir_tls *tls)
{
	struct weir_tls *former;

	pthread_mutex_lock(&slot->lock);
	former = slot->current;
	slot->current = tls;
	pthread_mutex_unlock(&slot->lock);
	weir_tls_unref(former);
}

struct weir_tls *weir_tls_slot_get(struct weir_tls_slot *slot)
{
	struct weir_tls *tls;

	pthread_mutex_lock(&slot->lock);
	tls = weir_tls_ref(slot->current);
	pthread_mutex_unlock(&slot->lock);
	return tls;
}

uint64_t weir_tls_slot_expiry(struct weir_tls_slot *slot)
{
	struct weir_tls *tls = weir_tls_slot_get(slot);
	int64_t expiry = tls ? tls->expiry : 0;

	weir_tls_unref(tls);
	return expiry > 0 ? (uint64_t)expiry : 0;
}
