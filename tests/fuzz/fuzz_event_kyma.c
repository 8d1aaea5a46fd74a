/* SPDX-License-Identifier: Apache-2.0 */
/* A request in Kyma's older format: refused with its fault, or a CloudEvent that comes back the same from both modes.
 */
#include "event/kyma.h"
#include "event_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_kyma_fault fault;
	weir_event *event = fuzz_event();
	int code =
	    weir_event_from_kyma(event, (struct weir_buf){ data, size }, WEIR_STR("s"), WEIR_STR("i"), &fault, &err);

	if (code) {
		fuzz_check_refusal(event, code, &err);
		fuzz_check(!fault.missing || fault.field, "what is missing has a name");
	} else {
		fuzz_check(weir_event_data(event).len > 0, "data");
		fuzz_check_http(event, WEIR_MODE_STRUCTURED);
		fuzz_check_http(event, WEIR_MODE_BINARY);
	}
	weir_event_free(event);
	return 0;
}
