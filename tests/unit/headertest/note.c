/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver writes at file scope, as C11 and as C++17. Compiled, never run. */
#include <weir/driver.h>

WEIR_DRIVER_NOTE("header-test", "HeaderTestChannel");

#ifdef __cplusplus
extern "C" {
#endif
WEIR_DRIVER_EXPORT weir_driver_init_fn weir_driver_header_test_init;
#ifdef __cplusplus
}
#endif

int weir_driver_header_test_init(uint32_t host_major, uint32_t host_minor, struct weir_driver *out,
				 struct weir_error *err)
{
	struct weir_error inner = WEIR_ERROR_INIT;

	(void)host_minor;
	if (host_major != WEIR_ABI_MAJOR || out->size < WEIR_DRIVER_SIZE_1_0)
		return weir_fail(err ? err : &inner, WEIR_EVERSION, "%s", weir_code_text(WEIR_EVERSION));
	return (WEIR_CAP_BIT(WEIR_CAP_DURABLE) & 1) ? WEIR_OK : WEIR_EINTERNAL;
}
