/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http/problem: why a request is refused, as it is told to the client. The text
 * is fixed: nothing that the client sent is ever sent back.
 */
#ifndef WEIR_HTTP_PROBLEM_H
#define WEIR_HTTP_PROBLEM_H

struct weir_http_problem {
	int status;
	const char *code;
	const char *reason;
};

/* Defines a problem for one file. */
#define WEIR_HTTP_PROBLEM(name, status, code, reason)                                                                  \
	static const struct weir_http_problem name = { status, code, reason }

#endif
