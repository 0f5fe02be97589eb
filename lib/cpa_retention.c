/*
 * How long CPA keeps its queue, raised in its own configuration file, of which
 * one line changes and all else stays as it is, byte for byte.
 */
#include <stdlib.h>
#include <string.h>

#include "cpa.h"
#include "cpa_impl.h"

#define NAME "redis-usage-queue-retention-seconds"
#define LINE NAME ": 3600"
#define YAML_MAX ((size_t)8 * 1024 * 1024)
#define CODE "raise_cpa_retention_failed"

/* The line of a top-level key within yaml, without its end; none: p NULL. */
static struct str
find_line(struct str yaml, struct str name)
{
	while (yaml.n > 0) {
		const char *end = memchr(yaml.p, '\n', yaml.n);
		size_t n = end != NULL ? (size_t)(end - yaml.p) : yaml.n;
		struct str line = { yaml.p, n }, rest;

		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (str_starts(line, name)) {
			rest = str_trim(
			    (struct str){ line.p + name.n, line.n - name.n });
			if (rest.n > 0 && *rest.p == ':')
				return line;
		}
		n += end != NULL;
		yaml.p += n;
		yaml.n -= n;
	}
	return (struct str){ NULL, 0 };
}

void
cpa_retention_yaml(struct str yaml, struct buf *out)
{
	struct str line = find_line(yaml, STR(NAME));
	const char *comment;

	if (line.p == NULL) {
		buf_str(out, yaml);
		if (yaml.n > 0 && yaml.p[yaml.n - 1] != '\n')
			buf_char(out, '\n');
		buf_z(out, LINE "\n");
		return;
	}
	buf_add(out, yaml.p, (size_t)(line.p - yaml.p));
	buf_z(out, LINE);
	/* what a person has written beside it stays */
	if ((comment = memmem(line.p, line.n, " #", 2)) != NULL)
		buf_add(out, comment, (size_t)(line.p + line.n - comment));
	line.p += line.n;
	buf_add(out, line.p, (size_t)(yaml.p + yaml.n - line.p));
}

static int
refused(const struct http_answer *answer, const char *what, struct err *e)
{
	char line[96];

	http_status_line(answer, line, sizeof line);
	return fail_code(e, ERR_UPSTREAM, CODE,
	    "raising CPA's retention failed: %s: %s", what, line);
}

int
cpa_raise_retention(
    struct http *h, const char *base, const char *key, struct err *e)
{
	struct http_call get = { .method = "GET",
		.bearer = key,
		.total_ms = CPA_CALL_MS,
		.body_limit_bytes = YAML_MAX,
		.follow = true };
	struct http_call put = { .method = "PUT",
		.bearer = key,
		.body_type = "application/yaml",
		.total_ms = CPA_CALL_MS,
		.follow = true };
	struct http_answer old, answer = { .status = 0 };
	struct buf yaml;
	int rc = -1;

	buf_init(&yaml, YAML_MAX + 1024);
	buf_init(&answer.body, 0);
	if (cpa_call(h, base, "/v0/management/config.yaml", &get, &old, e) != 0)
		goto out;
	if (old.status / 100 != 2 || old.body.n == 0) {
		refused(&old, "config.yaml was not read", e);
		goto out;
	}
	cpa_retention_yaml(buf_view(&old.body), &yaml);
	if (yaml.failed) {
		fail(e, ERR_UNAVAILABLE, "out of memory");
		goto out;
	}
	put.body = buf_view(&yaml);
	if (cpa_call(h, base, "/v0/management/config.yaml", &put, &answer, e) !=
	    0)
		goto out;
	rc = answer.status / 100 == 2 ?
		 0 :
		 refused(&answer, "config.yaml was not taken", e);
out:
	/* CPA's configuration holds the keys of its clients */
	buf_wipe(&old.body);
	buf_wipe(&yaml);
	buf_wipe(&answer.body);
	return rc;
}
