/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/status.h"

const struct weir_status *weir_status_of_code(int code)
{
	static const struct weir_status invalid = { 400, "invalid-event", "this is not a valid CloudEvent" };
	static const struct weir_status media = { 415, "unsupported-media-type",
						  "the content type is no event format that is accepted here" };
	static const struct weir_status too_big = { 413, "too-large", "the event is larger than the channel takes" };
	static const struct weir_status full = { 429, "full", "the channel's queue is full, send again later" };
	static const struct weir_status unknown_channel = { 404, "unknown-channel", "there is no such channel" };
	static const struct weir_status storage = { 503, "storage-exhausted", "the channel has no room left" };
	static const struct weir_status late = { 503, "outcome-unknown",
						 "the event may or may not be stored, send it again" };
	static const struct weir_status unavailable = { 503, "unavailable",
							"the event was not stored, send it again later" };

	switch (code) {
	case WEIR_EINVAL:
		return &invalid;
	case WEIR_EMEDIATYPE:
		return &media;
	case WEIR_ETOOBIG:
		return &too_big;
	case WEIR_EAGAIN:
		return &full;
	case WEIR_ENOTFOUND:
		return &unknown_channel;
	case WEIR_ELIMIT:
		return &storage;
	case WEIR_ETIMEDOUT:
	case WEIR_EUNKNOWN:
		return &late;
	default:
		return &unavailable;
	}
}
