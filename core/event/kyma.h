/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event/kyma: the events of Kyma's older interface, /v1/events, as CloudEvents.
 *
 *	{ "event-type": "order.created", "event-type-version": "v1",
 *	  "event-id": "31109198-4d69-4ae0-972d-76117f3748c8",
 *	  "event-time": "2020-09-28T14:47:16.491Z", "data": {"orderCode": "3211213"} }
 *
 *	event-type          type
 *	event-type-version  extension eventtypeversion
 *	event-id            id; one is made up if there is none
 *	event-time          time
 *	data                data, as it is written; datacontenttype is application/json
 *
 * The source is the receiver's to say. Members of other names are not looked at,
 * as Kyma did not.
 */
#ifndef WEIR_EVENT_KYMA_H
#define WEIR_EVENT_KYMA_H

#include <weir/event.h>

#include "base/uuid.h"

/* What is wrong, in Kyma's words. */
struct weir_kyma_fault {
	const char *field; /* static; NULL: it is no such JSON object at all */
	bool missing;      /* else the value is wrong */
};

/*
 * Decodes and validates; the event borrows `json`, `source` and `made_up`, an id
 * for an event that has none. WEIR_EINVAL fills *fault.
 */
int weir_event_from_kyma(weir_event *event, struct weir_buf json, struct weir_buf source, struct weir_buf made_up,
			 struct weir_kyma_fault *fault, struct weir_error *err);

#endif
