/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch/status: what a sender is told when an event could not be accepted.
 *
 * A fault of the event or request gets a 4xx that Knative's senders do not retry
 * (none of 404, 408, 409, 429 but for what they mean); whatever may go well later
 * gets 429 or 503.
 */
#ifndef WEIR_DISPATCH_STATUS_H
#define WEIR_DISPATCH_STATUS_H

#include <weir/driver.h>
#include <weir/error.h>

struct weir_status {
	int status;
	const char *code;   /* the member "code" of the answer */
	const char *reason; /* "reason": fixed text, never of the input */
};

/* For a weir_code that is not WEIR_OK. Static. */
const struct weir_status *weir_status_of_code(int code);

#endif
