/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber's URL of any bytes. Oracle: what is accepted is of http or https,
 * has no user info, and if its host is a number in whatever notation then one
 * that may be posted to; what libcurl takes for the host is what we judged.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http/address_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { URL_BYTES = 512 };

static const struct weir_http_address_rules rules = { false, false };

static void must(bool right)
{
	if (!right)
		abort();
}

static void judge_host(const char *url)
{
	CURLU *parsed = curl_url();
	char *host = NULL, *user = NULL;
	struct sockaddr_in in = { .sin_family = AF_INET };

	must(parsed && curl_url_set(parsed, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK);
	must(curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK);
	must(curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_NO_USER);
	if (inet_aton(host, &in.sin_addr))
		must(weir_http_address_allowed(&rules, (const struct sockaddr *)&in));
	curl_free(host);
	curl_url_cleanup(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_http_url url;
	char text[URL_BYTES + 1];

	if (size > URL_BYTES)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (weir_http_url_init(&url, text, &rules, NULL) != WEIR_OK)
		return 0;
	must(strncasecmp(text, url.tls ? "https://" : "http://", url.tls ? 8 : 7) == 0);
	must(url.authority[0] != '\0' && url.target[0] == '/');
	must(strpbrk(url.authority, "@ \r\n") == NULL && strpbrk(url.target, " \r\n#") == NULL);
	judge_host(text);
	weir_http_url_fini(&url);
	return 0;
}
