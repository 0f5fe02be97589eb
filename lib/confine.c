#include "confine.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

int
confine(struct err *e)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return fail(e, ERR_INTERNAL, "no new privileges: %s",
		    strerrordesc_np(errno));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return fail(e, ERR_INTERNAL, "not dumpable: %s",
		    strerrordesc_np(errno));
	return 0;
}
