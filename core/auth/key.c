/* SPDX-License-Identifier: Apache-2.0 */
/* auth/key: one public key, of RSA or of the curve P-256. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#include "auth/jwks.h"

enum { COORDINATE = 32, POINT = 1 + 2 * COORDINATE, MAX_DER = 80, MAX_RSA_BYTES = 2048 };

static EVP_PKEY *make(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *context = params ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;
	EVP_PKEY *key = NULL;

	if (context && EVP_PKEY_fromdata_init(context) == 1 &&
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(params);
	return key;
}

static BIGNUM *number(struct weir_buf bytes)
{
	return bytes.len <= MAX_RSA_BYTES ? BN_bin2bn(bytes.ptr, (int)bytes.len, NULL) : NULL;
}

static EVP_PKEY *new_rsa(struct weir_buf modulus, struct weir_buf exponent)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *n = number(modulus), *e = number(exponent);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key;

	if (builder && n && e && BN_num_bits(n) >= WEIR_JWKS_MIN_RSA_BITS && BN_is_odd(e) && BN_num_bits(e) > 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e))
		params = OSSL_PARAM_BLD_to_param(builder);
	key = make("RSA", params);
	OSSL_PARAM_BLD_free(builder);
	BN_free(n);
	BN_free(e);
	return key;
}

/* A point that is not on the curve is refused when it is made a key. */
static EVP_PKEY *new_ec(struct weir_buf x, struct weir_buf y)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	unsigned char point[POINT] = { 4 };
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key;

	if (x.len == COORDINATE && y.len == COORDINATE) {
		memcpy(point + 1, x.ptr, COORDINATE);
		memcpy(point + 1 + COORDINATE, y.ptr, COORDINATE);
		if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
		    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point))
			params = OSSL_PARAM_BLD_to_param(builder);
	}
	key = make("EC", params);
	OSSL_PARAM_BLD_free(builder);
	return key;
}

EVP_PKEY *weir_key_new(const struct weir_key_parts *parts)
{
	EVP_PKEY *key =
	    parts->algorithm == WEIR_JWT_RS256 ? new_rsa(parts->modulus, parts->exponent) : new_ec(parts->x, parts->y);

	ERR_clear_error();
	return key;
}

void weir_key_free(EVP_PKEY *key)
{
	EVP_PKEY_free(key);
}

/* JSON has the two numbers one behind the other, OpenSSL wants them in DER. 0: it is no such signature. */
static size_t to_der(struct weir_buf signature, unsigned char out[MAX_DER])
{
	const unsigned char *bytes = signature.ptr;
	ECDSA_SIG *numbers = signature.len == (size_t)2 * COORDINATE ? ECDSA_SIG_new() : NULL;
	BIGNUM *r = numbers ? BN_bin2bn(bytes, COORDINATE, NULL) : NULL;
	BIGNUM *s = numbers ? BN_bin2bn(bytes + COORDINATE, COORDINATE, NULL) : NULL;
	int len = 0;

	if (r && s && ECDSA_SIG_set0(numbers, r, s)) {
		r = s = NULL;
		if (i2d_ECDSA_SIG(numbers, NULL) <= MAX_DER)
			len = i2d_ECDSA_SIG(numbers, &out);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(numbers);
	return len > 0 ? (size_t)len : 0;
}

int weir_key_verify(EVP_PKEY *key, enum weir_jwt_algorithm algorithm, struct weir_buf text, struct weir_buf signature)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char der[MAX_DER];
	int code = context ? WEIR_EAUTH : WEIR_ENOMEM;

	if (algorithm == WEIR_JWT_ES256)
		signature = (struct weir_buf){ der, to_der(signature, der) };
	if (context && signature.len && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestVerify(context, signature.ptr, signature.len, text.ptr, text.len) == 1)
		code = WEIR_OK;
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return code;
}
