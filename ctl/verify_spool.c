/*
 * Can the spool be read back?  Looks at it with collectord's own reader and
 * changes nothing; what the records hold is never shown, since they carry
 * keys.
 */
#include "ctl/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector_state.h"
#include "collectord/spool_impl.h"

/*
 * Records from the head to the end of the file.  *sound is where the sound
 * ones end; *torn, whether what follows is the beginning of one that was
 * never finished.
 */
static int
walk(int fd, int64_t size, int64_t *sound, bool *torn, struct err *e)
{
	struct record_head h;
	int64_t at = SEGMENT_HEAD, left;
	int rc;

	while ((rc = record_at(fd, at, size, true, &h, e)) == 1)
		at += RECORD_HEAD + h.length;
	*sound = at;
	*torn = false;
	left = size - at;
	if (rc < 0 || left <= 0)
		return rc;
	if (left < RECORD_HEAD)
		*torn = true;
	else if ((rc = read_exactly(fd, at, &h, sizeof h, e)) < 0)
		return -1;
	else
		*torn = rc == 1 && h.type >= RECORD_INTENT &&
			h.type <= RECORD_END && h.length <= RECORD_MAX &&
			RECORD_HEAD + h.length > left;
	return 0;
}

/*
 * Check one segment.  The end of the newest may be torn: a daemon that was
 * killed leaves it so and settles it at its next start.  While one runs, the
 * end of the newest is where it writes.
 */
static int
check_segment(struct verify *v, const struct spool *s, int64_t segment,
    bool newest, bool alive, struct err *e)
{
	struct segment_head head;
	int64_t size, sound;
	char path[4096];
	bool torn;
	int fd, rc;

	segment_path(s, segment, path, sizeof path);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) == -1) {
		/* collectord removes what it has stored */
		if (errno != ENOENT)
			verify_found(v, "spool segment %s: %s", path,
			    strerrordesc_np(errno));
		return 0;
	}
	size = lseek(fd, 0, SEEK_END);
	rc = read_exactly(fd, 0, &head, sizeof head, e);
	if (rc == 0 && !newest)
		verify_found(v, "spool segment %s is cut short", path);
	if (rc <= 0)
		goto out;
	if (memcmp(head.magic, SEGMENT_MAGIC, sizeof head.magic) != 0 ||
	    head.segment != segment) {
		verify_found(v, "spool segment %s has a damaged head", path);
		goto out;
	}
	if ((rc = walk(fd, size, &sound, &torn, e)) == 0 && sound < size &&
	    !(newest && (torn || alive)))
		verify_found(v,
		    "spool segment %s is damaged at byte %" PRId64
		    " of %" PRId64,
		    path, sound, size);
out:
	close(fd);
	return rc < 0 ? -1 : 0;
}

int
verify_spool(struct verify *v, struct err *e)
{
	static struct spool s; /* only for the name of its directory */
	int64_t *list = NULL;
	int n, rc = 0;
	bool alive;

	if (access(v->cfg->spool_dir, F_OK) == -1 && errno == ENOENT)
		return 0; /* collectord has never run here */
	text_set(s.dir, sizeof s.dir, v->cfg->spool_dir);
	/* before the list: a daemon that starts now makes a newer segment */
	alive = daemon_alive(v->cfg->lock_path);
	if ((n = segment_list(&s, &list, e)) < 0)
		return -1;
	for (int i = 0; i < n && rc == 0; i++) {
		rc = check_segment(v, &s, list[i], i == n - 1, alive, e);
		verify_progress(v, i + 1, n);
	}
	free(list);
	return rc;
}
