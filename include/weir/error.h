/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir/error.h: errors are values.
 *
 * Every function that can fail returns an `int`: 0 (WEIR_OK) or one of the
 * codes below. Where the caller wants more than the code it passes a
 * `struct weir_error` as the last parameter; NULL is allowed everywhere and
 * means that only the code is wanted.
 *
 * A weir_error is flat and belongs to the caller. Nothing in it points
 * anywhere, so it may be copied, kept after the driver that filled it is gone,
 * and passed between threads. It never needs to be freed.
 *
 * Programs decide by `code`, `retry` and `scope`. `text` is for people: it says
 * what failed, on what, and what to do. Nothing in Weir ever parses it, and
 * neither should you. It never contains a secret.
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Name, number, meaning. Numbers are frozen: they cross the driver boundary
 * and are never reused. New codes are only appended.
 */
#define WEIR_CODE_MAP(X)                                                       \
	X(OK, 0, "ok")                                                         \
	X(EUNKNOWN, 1, "unclassified failure")                                 \
	X(ENOTSUP, 2, "not supported by this driver")                          \
	X(EINVAL, 3, "invalid argument, configuration or event")               \
	X(ENOTFOUND, 4, "no such channel, subscription or kind")               \
	X(EEXIST, 5, "exists already with another shape")                      \
	X(EAUTH, 6, "credentials refused")                                     \
	X(ENOPERM, 7, "not permitted")                                         \
	X(ETLS, 8, "TLS could not be established")                             \
	X(EUNAVAIL, 9, "backend not reachable")                                \
	X(ETIMEDOUT, 10, "deadline passed")                                    \
	X(ECANCELED, 11, "cancelled")                                          \
	X(EAGAIN, 12, "queue or window full, try again")                       \
	X(ELIMIT, 13, "quota or storage exhausted")                            \
	X(ETOOBIG, 14, "larger than the limit")                                \
	X(ESTALE, 15, "delivery token is of an earlier epoch")                 \
	X(EFENCED, 16, "another member took this identity")                    \
	X(EBUSY, 17, "in use by another process or member")                    \
	X(ECLOSED, 18, "closed")                                               \
	X(EFORKED, 19, "called in a forked child")                             \
	X(ECORRUPT, 20, "stored data is damaged")                              \
	X(EVERSION, 21, "version not understood")                              \
	X(ENOMEM, 22, "out of memory")                                         \
	X(EINTERNAL, 23, "a rule of the contract was broken")                  \
	X(EFATAL, 24, "the instance is dead and must be reopened")             \
	X(EMEDIATYPE, 25, "media type not supported")                          \
	X(EIO, 26, "input or output failed")

enum weir_code {
#define WEIR_CODE_ENUM(name, number, text) WEIR_##name = number,
	WEIR_CODE_MAP(WEIR_CODE_ENUM)
#undef WEIR_CODE_ENUM
};

/* May the same call be made again? */
enum weir_retry {
	WEIR_RETRY_NEVER = 0,        /* it will fail again until something changes */
	WEIR_RETRY_SAFE = 1,         /* nothing was done: a retry makes no duplicate */
	WEIR_RETRY_MAY_DUP = 2,      /* it may have been done: a retry may duplicate */
	WEIR_RETRY_AFTER_REOPEN = 3, /* only after the instance was reopened */
};

/* How much is affected? */
enum weir_scope {
	WEIR_SCOPE_CALL = 0,         /* this call or message only */
	WEIR_SCOPE_SUBSCRIPTION = 1, /* this subscription or topic */
	WEIR_SCOPE_INSTANCE = 2,     /* everything on this driver instance */
};

struct weir_error {
	uint32_t size;           /* sizeof(struct weir_error) of whoever made it */
	uint16_t code;           /* enum weir_code */
	uint8_t retry;           /* enum weir_retry */
	uint8_t scope;           /* enum weir_scope */
	uint32_t retry_after_ms; /* 0: no advice */
	int32_t native;          /* the library's or system's own code, 0: none */
	char domain[16];         /* whose code `native` is: "errno", ... */
	char text[480];          /* for people; NUL-terminated; no newline */
};

#define WEIR_ERROR_INIT                                                        \
	{ (uint32_t)sizeof(struct weir_error), 0, 0, 0, 0, 0, { 0 }, { 0 } }

/*
 * The functions below are inline so that a driver can use them without
 * importing any symbol of its host.
 */

/* The name of a code ("EINVAL"); "?" for a number that is none. Static text. */
static inline const char *weir_code_name(int code)
{
	switch (code) {
#define WEIR_CODE_NAME(name, number, text)                                     \
	case number:                                                           \
		return #name;
		WEIR_CODE_MAP(WEIR_CODE_NAME)
#undef WEIR_CODE_NAME
	default:
		return "?";
	}
}

/* What a code means, in a few words. Static text. */
static inline const char *weir_code_text(int code)
{
	switch (code) {
#define WEIR_CODE_TEXT(name, number, text)                                     \
	case number:                                                           \
		return text;
		WEIR_CODE_MAP(WEIR_CODE_TEXT)
#undef WEIR_CODE_TEXT
	default:
		return "not a Weir code";
	}
}

/* The retry class that a code has unless whoever reports it knows better. */
static inline enum weir_retry weir_code_retry(int code)
{
	switch (code) {
	case WEIR_EUNAVAIL:
	case WEIR_EAGAIN:
	case WEIR_ELIMIT:
	case WEIR_EBUSY:
	case WEIR_ENOMEM:
	case WEIR_ECANCELED:
		return WEIR_RETRY_SAFE;
	case WEIR_EUNKNOWN:
	case WEIR_ETIMEDOUT:
	case WEIR_EIO:
		return WEIR_RETRY_MAY_DUP;
	case WEIR_EFATAL:
	case WEIR_EFENCED:
		return WEIR_RETRY_AFTER_REOPEN;
	default:
		return WEIR_RETRY_NEVER;
	}
}

/*
 * Fills `err` (may be NULL) and returns `code`, so that a failing function can
 * end with `return weir_fail(err, WEIR_EINVAL, "...")`. Class and scope get
 * their defaults; set the fields afterwards where more is known. Text that
 * does not fit is cut. printf rules.
 */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static inline int weir_fail(struct weir_error *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	memset(err, 0, sizeof *err);
	err->size = (uint32_t)sizeof *err;
	err->code = (uint16_t)code;
	err->retry = (uint8_t)weir_code_retry(code);
	va_start(args, format);
	vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	return code;
}

/* Adds the library's or system's own code to an error; `err` may be NULL. */
static inline void weir_error_native(struct weir_error *err, const char *domain, int native)
{
	if (!err)
		return;
	snprintf(err->domain, sizeof err->domain, "%s", domain);
	err->native = native;
}

#ifdef __cplusplus
}
#endif
#endif
