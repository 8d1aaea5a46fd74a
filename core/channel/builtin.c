/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/builtin.h"

#include <stdatomic.h>

static _Atomic(struct weir_builtin *) first;

void weir_builtin_add(struct weir_builtin *builtin)
{
	struct weir_builtin *head = atomic_load(&first);

	do
		builtin->next = head;
	while (!atomic_compare_exchange_weak(&first, &head, builtin));
}

const struct weir_builtin *weir_builtin_first(void)
{
	return atomic_load(&first);
}
