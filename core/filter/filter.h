/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter/filter: does an event pass a subscription's filters?
 *
 * A filter is a short program, made once from the configuration (build.h) and
 * never changed again, so that any thread may use it. It looks at the event's
 * attributes where they are: nothing of the event is copied, and nothing is
 * allocated. The program has no loops, and each evaluation a budget, so that it
 * ends however long the attributes are.
 *
 * An error while a CESQL expression is evaluated (an attribute that is missing,
 * a text that is no number) makes that expression false, as the CloudEvents
 * Subscriptions API and CESQL 1.0, section 1.2, ask for. What stands around it
 * goes on: `not` of an expression that failed is true.
 */
#ifndef WEIR_FILTER_FILTER_H
#define WEIR_FILTER_FILTER_H

#include <stdbool.h>

#include <weir/event.h>

struct weir_filter;

/* How an expression failed. By the names of CESQL 1.0, section 3.3. */
enum weir_filter_fault {
	WEIR_FILTER_NO_FAULT = 0,
	WEIR_FILTER_CAST,     /* CastError */
	WEIR_FILTER_MATH,     /* MathError: by zero, or beyond 32 bits */
	WEIR_FILTER_MISSING,  /* MissingAttributeError */
	WEIR_FILTER_FUNCTION, /* FunctionEvaluationError */
	WEIR_FILTER_BUDGET,   /* GenericError: it took too long, or its texts grew too large */
};

/* Where texts are put together. One for each thread that evaluates. */
struct weir_filter_scratch;

/* WEIR_ENOMEM. */
int weir_filter_scratch_new(struct weir_filter_scratch **ret);
/* NULL is allowed. */
void weir_filter_scratch_free(struct weir_filter_scratch *scratch);

/* True: the event passes. *fault is the first of this evaluation. */
bool weir_filter_match(const struct weir_filter *filter, const weir_event *event, struct weir_filter_scratch *scratch,
		       enum weir_filter_fault *fault);

enum weir_filter_type { WEIR_FILTER_BOOLEAN, WEIR_FILTER_INTEGER, WEIR_FILTER_STRING };

struct weir_filter_value {
	enum weir_filter_type type;
	int32_t number;       /* INTEGER; BOOLEAN: 0 or 1 */
	struct weir_buf text; /* STRING: of the event, the filter or the scratch; ptr never NULL */
};

/*
 * What an expression gives, for a filter that is one expression only. With a
 * fault: the zero value of its type. *ret is valid until the scratch is used again.
 */
enum weir_filter_fault weir_filter_value(const struct weir_filter *filter, const weir_event *event,
					 struct weir_filter_scratch *scratch, struct weir_filter_value *ret);

#endif
