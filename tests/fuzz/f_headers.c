/*
 * An answer's headers, and the text of a failure, to what is kept of them.  An
 * input is an object of headers in JSON, or lines "name: value" and, after an
 * empty one, the failure's text.  What is kept is JSON of known bounds, agrees
 * with itself, holds no key, and comes out the same when it comes in again.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json_out.h"
#include "model/metadata_impl.h"
#include "model/normalise.h"
#include "tests/lib/test_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE_MS INT64_C(1777075200123)
#define INPUT_MAX ((size_t)64 * 1024)
#define TEXT_MAX (1024 + 3)
/* each text in the longest escapes, and its key */
#define KEPT_MAX ((size_t)META__MAX * (6 * TEXT_MAX + 64))
#define EXACT 9007199254740992.0 /* 2^53: more is no whole number in JSON */

static void
check(bool holds)
{
	if (!holds)
		abort();
}

/* ---- input to payload ---------------------------------------------------- */

static bool
take_line(struct str *s, struct str *line)
{
	const char *end;

	if (s->n == 0)
		return false;
	end = memchr(s->p, '\n', s->n);
	*line = *s;
	if (end != NULL)
		line->n = (size_t)(end - s->p);
	s->p += line->n + (end != NULL);
	s->n -= line->n + (end != NULL);
	return true;
}

/* Headers as a member of the object that is open; s becomes what follows. */
static void
put_headers(struct str *s, struct json_out *o)
{
	struct str line, name;
	const char *colon;

	json_out_key(o, "response_headers");
	json_out_object(o);
	while (take_line(s, &line) && line.n > 0) {
		colon = memchr(line.p, ':', line.n);
		name = line;
		if (colon != NULL)
			name.n = (size_t)(colon - line.p);
		json_out_key_str(o, name);
		json_out_array(o);
		if (colon != NULL)
			json_out_str(
			    o, (struct str){ colon + 1, line.n - name.n - 1 });
		json_out_array_end(o);
	}
	json_out_object_end(o);
}

/* The payload of a failure that can say all that is ever kept, in a. */
static struct str
payload_of(struct str input, struct str metadata, struct arena *a)
{
	const struct json_tree *v = json_tree_parse(input, a, NULL);
	struct json_out o;
	struct buf b;
	char *copy;
	size_t n;

	buf_init(&b, 8 * (INPUT_MAX + KEPT_MAX));
	json_out_init(&o, &b, NULL, NULL);
	json_out_object(&o);
	json_out_kint(&o, "timestamp", BASE_MS);
	json_out_kz(&o, "provider", "xai");
	if (metadata.n > 0) {
		json_out_key(&o, "response_metadata");
		json_out_raw(&o, metadata);
	}
	if (v != NULL) {
		json_out_key(&o, "response_headers");
		json_out_raw(&o, input);
	} else if (input.n > 0) {
		put_headers(&input, &o);
		json_out_key(&o, "fail");
		json_out_object(&o);
		json_out_kint(&o, "status_code", 429);
		json_out_kstr(&o, "body", input);
		json_out_object_end(&o);
	}
	json_out_object_end(&o);
	check(!o.failed);
	copy = arena_strdup(a, buf_view(&b));
	n = b.n;
	buf_free(&b);
	check(copy != NULL);
	return (struct str){ copy, n };
}

/* What is kept of a payload's metadata and headers. */
static struct str
keep(struct str input, struct str metadata, struct arena *a)
{
	struct usage_event ev;
	struct err e;

	/* headers nested deeply, or of nothing but members, are refused */
	if (normalise(payload_of(input, metadata, a), 0, a, &ev, &e) !=
	    PAYLOAD_EVENT) {
		check(input.n > 0 && metadata.n == 0);
		return (struct str){ NULL, 0 };
	}
	check(ev.ts_ms == BASE_MS);
	return ev.response_metadata_json;
}

/* ---- what is kept -------------------------------------------------------- */

/* Objects, texts and numbers, in bounds; true when a number is not exact. */
static bool
check_values(const struct json_tree *v)
{
	bool inexact = false;

	switch (v->type) {
	case TREE_OBJECT:
		check(v->n > 0); /* empty groups are left out */
		for (v = v->first; v != NULL; v = v->next)
			inexact |= check_values(v);
		return inexact;
	case TREE_TEXT:
		check(v->text.n > 0 && v->text.n <= TEXT_MAX);
		check(utf8_valid(v->text) && !has_key(v->text));
		return false;
	case TREE_NUMBER:
		return fabs(v->number) >= EXACT;
	default:
		check(v->type == TREE_TRUE || v->type == TREE_FALSE);
		return false;
	}
}

/* The columns that readers want are what the windows and errors say. */
static void
check_columns(struct str kept, const struct json_tree *v, struct arena *a)
{
	static const char *const kinds[] = { "auth", "identity", "rate_limit" };
	static const char *const windows[] = { "primary", "secondary" };
	const struct json_tree *quota = json_tree_get(v, STR("quota")), *used;
	struct header_columns h;
	bool known = false, equal = false;

	event_header_columns(kept, a, &h);
	for (size_t i = 0; i < 3; i++)
		known |= str_eq(h.error_kind, str_of(kinds[i]));
	check(known == (h.error_kind.n > 0) && known == (h.error_code.n > 0));
	check(!h.quota_recover_at_ms.set || h.quota_recover_at_ms.v > 0);
	known = false;
	for (size_t i = 0; i < 2; i++) {
		used = json_tree_get(json_tree_get(quota, str_of(windows[i])),
		    STR("used_percent"));
		if (used == NULL)
			continue;
		known = true;
		check(used->number <= h.quota_used_percent);
		equal |= used->number >= h.quota_used_percent;
	}
	check(known == h.has_quota_used_percent && known == equal);
}

static bool
is_aggregate(struct str kept, struct arena *a)
{
	const struct json_tree *v = json_tree_parse(kept, a, NULL);

	return str_eq(
	    json_tree_text(json_tree_get(
		json_tree_get(v, STR("quota")), STR("summary_window_source"))),
	    STR("aggregate"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = { (const char *)data, size };
	struct str kept, again;
	const struct json_tree *v;
	struct arena a;
	struct err e;

	if (size > INPUT_MAX)
		return 0;
	arena_init(&a, (size_t)64 * 1024 * 1024);
	kept = keep(input, (struct str){ NULL, 0 }, &a);
	if (kept.n == 0)
		goto out;
	check(kept.n <= KEPT_MAX && utf8_valid(kept));
	check((v = json_tree_parse(kept, &a, &e)) != NULL);
	check(v->type == TREE_OBJECT);
	check_columns(kept, v, &a);
	again = keep((struct str){ NULL, 0 }, kept, &a);
	/*
	 * Numbers that JSON cannot hold change, and a recovery without a
	 * window to it is told to be an aggregate's: once, then never more.
	 */
	if (!check_values(v) && !is_aggregate(again, &a)) {
		check(str_eq(again, kept));
		check(str_eq(keep(input, kept, &a), kept));
	}
	check(str_eq(keep((struct str){ NULL, 0 }, again, &a), again));
out:
	arena_free(&a);
	return 0;
}
