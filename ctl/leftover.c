#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "ctl/ctl.h"

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };

static char leftover[PATH_MAX];

static void
remove_it(int sig)
{
	unlink(leftover);
	raise(sig); /* once more, now with its usual effect */
}

void
ctl_leftover(const char *path)
{
	struct sigaction act = { .sa_flags = (int)SA_RESETHAND };

	act.sa_handler = path != NULL ? remove_it : SIG_DFL;
	sigemptyset(&act.sa_mask);
	if (path != NULL)
		(void)snprintf(leftover, sizeof leftover, "%s", path);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		struct sigaction now;

		/* what nohup has us ignore stays so */
		if (sigaction(signals[i], NULL, &now) == 0 &&
		    now.sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &act, NULL);
	}
}
