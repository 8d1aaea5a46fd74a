/* SPDX-License-Identifier: Apache-2.0 */
/* http/client_errors: libcurl's results in Weir's words. */
#include "http/client_internal.h"

#include <errno.h>

static const struct {
	CURLcode result;
	struct weir_http_failure failure;
} table[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, { WEIR_EUNAVAIL, "the host's name could not be resolved" } },
	{ CURLE_OPERATION_TIMEDOUT, { WEIR_ETIMEDOUT, "no connection within the time for connecting" } },
	{ CURLE_ABORTED_BY_CALLBACK, { WEIR_ECANCELED, "given up" } },
	{ CURLE_GOT_NOTHING, { WEIR_EIO, "the connection was closed without an answer" } },
	{ CURLE_SEND_ERROR, { WEIR_EIO, "the connection broke while sending" } },
	{ CURLE_RECV_ERROR, { WEIR_EIO, "the connection broke while receiving" } },
	{ CURLE_PARTIAL_FILE, { WEIR_EIO, "the connection was closed in the middle of the answer" } },
	{ CURLE_WEIRD_SERVER_REPLY, { WEIR_EIO, "the answer is not valid HTTP" } },
	{ CURLE_UNSUPPORTED_PROTOCOL, { WEIR_EIO, "the answer is not HTTP/1.1" } },
	{ CURLE_BAD_CONTENT_ENCODING, { WEIR_EIO, "the answer's coding is malformed" } },
	{ CURLE_HTTP2, { WEIR_EIO, "the answer is not valid HTTP/2" } },
	{ CURLE_HTTP2_STREAM, { WEIR_EIO, "the answer's HTTP/2 stream was broken off" } },
	/* libcurl also says this of a header line longer than it takes. */
	{ CURLE_OUT_OF_MEMORY, { WEIR_EIO, "out of memory, or a header line of the answer is too long" } },
	{ CURLE_SSL_CONNECT_ERROR, { WEIR_ETLS, "TLS could not be established" } },
	{ CURLE_PEER_FAILED_VERIFICATION, { WEIR_ETLS, "the server's certificate is not valid for the host" } },
	{ CURLE_SSL_CACERT_BADFILE, { WEIR_ETLS, "the file of trusted certificates cannot be read" } },
	{ CURLE_SSL_CERTPROBLEM, { WEIR_ETLS, "TLS could not be established: certificate" } },
	{ CURLE_SSL_CIPHER, { WEIR_ETLS, "TLS could not be established: no common cipher" } },
	{ CURLE_SSL_ISSUER_ERROR, { WEIR_ETLS, "the server's certificate is of an unknown issuer" } },
	{ CURLE_SSL_INVALIDCERTSTATUS, { WEIR_ETLS, "the server's certificate is revoked or its status unknown" } },
	{ CURLE_SSL_SHUTDOWN_FAILED, { WEIR_ETLS, "TLS was not shut down cleanly" } },
	{ CURLE_SSL_ENGINE_INITFAILED, { WEIR_ETLS, "TLS could not be started" } },
	{ CURLE_SSL_CLIENTCERT, { WEIR_ETLS, "the server asks for a client certificate" } },
};

/* Why no connection came about, as the system says of the last address that was tried. */
static const char *connect_text(const struct weir_http_easy *easy)
{
	long number = 0;

	curl_easy_getinfo(easy->handle, CURLINFO_OS_ERRNO, &number);
	if (number == ECONNREFUSED)
		return "the connection was refused: nothing listens there";
	if (number == ENETUNREACH || number == EHOSTUNREACH)
		return "there is no route to the host";
	return "no connection could be made";
}

struct weir_http_failure weir_http_failure_of(const struct weir_http_easy *easy, CURLcode result)
{
	if (result == CURLE_OK)
		return (struct weir_http_failure){ WEIR_OK, NULL };
	if (result == CURLE_COULDNT_CONNECT && easy->refused && !easy->opened)
		return (struct weir_http_failure){
			WEIR_ENOPERM, "the host's name resolved only to addresses that may not be posted to"
		};
	if (result == CURLE_COULDNT_CONNECT)
		return (struct weir_http_failure){ WEIR_EUNAVAIL, connect_text(easy) };
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (table[i].result == result)
			return table[i].failure;
	}
	return (struct weir_http_failure){ WEIR_EIO, "the exchange failed" };
}
