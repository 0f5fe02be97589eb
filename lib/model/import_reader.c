#include "model/import_reader.h"

#include <stdlib.h>
#include <string.h>

#include "json_tree.h"
#include "model/import_event.h"
#include "model/textclean.h"

#define NAMES_ARENA ((size_t)64 * 1024 * 1024)
#define KEY_TREE_MAX ((size_t)1024 * 1024)
#define NO_DETAILS "legacy usage export does not contain request details"

/* Members of an object: name as text, in the order of their bytes. */
struct import_names {
	struct import_name {
		struct str name, value;
		size_t at;
	} * list;
	size_t n;
};

const char *
import_format_name(enum import_format f)
{
	switch (f) {
	case IMPORT_LINES:
		return "usage_service_jsonl";
	case IMPORT_LEGACY_EXPORT:
		return "legacy_usage_export";
	case IMPORT_LEGACY_PAYLOAD:
		return "legacy_usage_payload";
	case IMPORT_NONE:
		break;
	}
	return "";
}

static bool
is_object(struct str v)
{
	return v.n > 0 && *v.p == '{';
}

/* ---- members ------------------------------------------------------------- */

/* A JSON text decoded, in a; false when it is none. */
static bool
decode_text(struct str quoted, struct arena *a, struct str *out)
{
	const struct json_tree *v;

	/* nearly every key holds no escape */
	if (quoted.n >= 2 && memchr(quoted.p, '\\', quoted.n) == NULL) {
		*out = (struct str){ quoted.p + 1, quoted.n - 2 };
		if (utf8_valid(*out))
			return true;
	}
	if ((v = json_tree_parse(quoted, a, NULL)) == NULL ||
	    v->type != TREE_TEXT)
		return false;
	*out = v->text;
	return true;
}

/* The value of a member, the last of several; empty when there is none. */
static struct str
member(struct str object, const char *name)
{
	struct str key, value, text, found = { NULL, 0 };
	struct json_scan s;
	struct arena a;

	if (!is_object(object))
		return found;
	arena_init(&a, KEY_TREE_MAX);
	json_scan_init(&s, object);
	while (json_scan_member(&s, &key, &value) == JSON_SCAN_PART) {
		if (decode_text(key, &a, &text) && str_eq(text, str_of(name)))
			found = value;
		arena_reset(&a);
	}
	arena_free(&a);
	return found;
}

static bool
is_empty(struct str object)
{
	struct str key, value;
	struct json_scan s;

	json_scan_init(&s, object);
	return json_scan_member(&s, &key, &value) != JSON_SCAN_PART;
}

/* By name; of equal ones the last one first. */
static int
by_name(const void *a, const void *b)
{
	const struct import_name *x = a, *y = b;
	int c = str_cmp(x->name, y->name);

	return c != 0 ? c : (x->at < y->at) - (x->at > y->at);
}

/* The members of an object, sorted, in a; NULL when a is full. */
static struct import_names *
sorted_names(struct str object, struct arena *a)
{
	struct import_names *out = arena_alloc(a, sizeof *out);
	struct str key, value;
	struct json_scan s;
	size_t n = 0, kept = 0;

	if (out == NULL)
		return NULL;
	json_scan_init(&s, object);
	while (json_scan_member(&s, &key, &value) == JSON_SCAN_PART)
		n++;
	if ((out->list = arena_array(a, n + 1, sizeof *out->list)) == NULL)
		return NULL;
	json_scan_init(&s, object);
	for (size_t i = 0; i < n; i++) {
		struct import_name *to = &out->list[i];

		if (json_scan_member(&s, &key, &value) != JSON_SCAN_PART)
			break;
		*to = (struct import_name){ .value = value, .at = i };
		/* one that is no JSON still names what stands there */
		if (!decode_text(key, a, &to->name))
			to->name = repair_text(key, a);
	}
	qsort(out->list, n, sizeof *out->list, by_name);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !str_eq(out->list[i].name, out->list[i - 1].name))
			out->list[kept++] = out->list[i];
	out->n = kept;
	return out;
}

/* ---- what it is ---------------------------------------------------------- */

static int
no_details(struct err *e)
{
	return fail(e, ERR_INPUT, NO_DETAILS);
}

/* A snapshot, which the object is the whole of. */
static int
open_snapshot(
    struct import_reader *r, struct str apis, struct str behind, struct err *e)
{
	r->legacy = true;
	if (str_trim(behind).n > 0)
		return fail(e, ERR_INPUT,
		    "usage import payload contains multiple JSON values");
	if ((r->endpoints = sorted_names(apis, &r->names)) == NULL)
		return fail(e, ERR_TOO_LARGE, "too many endpoints");
	r->way = IMPORT_BY_DETAIL;
	return 0;
}

static bool
has_hash(struct str object)
{
	struct str hash = member(object, "event_hash"), text;
	struct arena a;
	bool has;

	if (hash.n == 0)
		hash = member(object, "eventHash");
	if (hash.n == 0 || str_eq(hash, STR("null")))
		return false;
	if (*hash.p != '"')
		return true;
	arena_init(&a, KEY_TREE_MAX);
	has = decode_text(hash, &a, &text) && str_trim(text).n > 0;
	arena_free(&a);
	return has;
}

/* The first object that is one record begins lines of them. */
static int
open_lines(
    struct import_reader *r, struct str text, struct str first, struct err *e)
{
	const struct json_tree *v;
	struct arena a;

	r->format = IMPORT_LINES;
	r->rest = text;
	if (first.n > IMPORT_LINE_MAX)
		return 0;
	arena_init(&a, first.n * 40 + KEY_TREE_MAX);
	v = json_tree_parse(first, &a, e);
	arena_free(&a);
	return v != NULL ? 0 : -1;
}

static int
open_object(struct import_reader *r, struct str text, struct err *e)
{
	struct str first, usage, apis, behind;

	if (json_scan_value(text, &first) != JSON_SCAN_PART) {
		r->format = IMPORT_LINES;
		return fail(e, ERR_INPUT, "unexpected EOF");
	}
	behind = (struct str){ first.p + first.n,
		(size_t)(text.p + text.n - first.p) - first.n };
	if (has_hash(first))
		return open_lines(r, text, first, e);
	usage = member(first, "usage");
	if (usage.n > 0) {
		r->format = IMPORT_LINES;
		if (!is_object(usage))
			return no_details(e);
		r->format = IMPORT_LEGACY_EXPORT;
		apis = member(usage, "apis");
		if (is_object(apis) && !is_empty(apis))
			return open_snapshot(r, apis, behind, e);
		r->counts.unsupported = 1;
		return no_details(e);
	}
	r->format = IMPORT_LEGACY_PAYLOAD;
	apis = member(first, "apis");
	if (is_object(apis) && !is_empty(apis))
		return open_snapshot(r, apis, behind, e);
	if (member(first, "total_requests").n > 0 ||
	    member(first, "success_count").n > 0 ||
	    member(first, "failure_count").n > 0) {
		r->counts.unsupported = 1;
		return no_details(e);
	}
	return open_lines(r, text, first, e);
}

int
import_reader_open(struct import_reader *r, struct str text, struct err *e)
{
	*r = (struct import_reader){ .way = IMPORT_BY_LINE };
	arena_init(&r->names, NAMES_ARENA);
	/* some editors put a byte order mark there */
	if (str_starts(text, STR("\xef\xbb\xbf"))) {
		text.p += 3;
		text.n -= 3;
	}
	while (text.n > 0 && memchr(" \t\r\n", *text.p, 4) != NULL) {
		text.p++;
		text.n--;
	}
	if (text.n == 0)
		return fail(e, ERR_INPUT, "empty usage import payload");
	if (*text.p == '{')
		return open_object(r, text, e);
	r->format = IMPORT_LINES;
	if (*text.p == '[') {
		r->way = IMPORT_BY_ELEMENT;
		json_scan_init(&r->list, text);
	}
	r->rest = text;
	return 0;
}

void
import_reader_close(struct import_reader *r)
{
	arena_free(&r->names);
}

/* ---- records ------------------------------------------------------------- */

/*
 * The text of the next record.  An object may end within a line when it is
 * the first one of all: what follows it begins a line of its own.
 */
static int
next_line(struct import_reader *r, struct str *record)
{
	while (r->rest.n > 0) {
		const char *end = memchr(r->rest.p, '\n', r->rest.n);
		size_t n =
		    end != NULL ? (size_t)(end - r->rest.p) + 1 : r->rest.n;
		struct str line = { r->rest.p, n };

		if (r->records == 0 && *r->rest.p == '{' &&
		    json_scan_value(r->rest, &line) == JSON_SCAN_PART)
			n = line.n;
		r->rest.p += n;
		r->rest.n -= n;
		*record = str_trim(line);
		if (record->n > 0)
			return 1;
	}
	return 0;
}

static int
next_element(struct import_reader *r, struct str *record, struct err *e)
{
	struct str behind;

	switch (json_scan_element(&r->list, record)) {
	case JSON_SCAN_PART:
		return 1;
	case JSON_SCAN_CUT:
		return fail(e, ERR_INPUT, "EOF");
	case JSON_SCAN_BAD:
		return fail(e, ERR_INPUT,
		    "the list is not JSON after its element %lld",
		    (long long)r->records);
	case JSON_SCAN_END:
		break;
	}
	behind = (struct str){ r->list.p, (size_t)(r->list.end - r->list.p) };
	if (str_trim(behind).n > 0)
		return fail(e, ERR_INPUT,
		    "usage import payload contains multiple JSON values");
	return 0;
}

/* To the details of the next model that has some; false at the end. */
static bool
to_details(struct import_reader *r)
{
	for (;;) {
		struct str details;

		if (r->models != NULL && r->model < r->models->n) {
			struct str value = r->models->list[r->model++].value;

			details = member(value, "details");
			if (!is_object(value)) {
				r->counts.failed++;
			} else if (details.n == 0 || *details.p != '[') {
				r->counts.unsupported++;
			} else {
				json_scan_init(&r->list, details);
				r->detail = 0;
				r->in_details = true;
				return true;
			}
			continue;
		}
		if (r->endpoint == r->endpoints->n)
			return false;
		details =
		    member(r->endpoints->list[r->endpoint++].value, "models");
		r->models = NULL;
		r->model = 0;
		/* more models than there is memory for are none */
		if (!is_object(details) ||
		    (r->models = sorted_names(details, &r->names)) == NULL)
			r->counts.failed++;
	}
}

/* What cannot be read of a list of details is passed over with the rest. */
static int
next_detail(struct import_reader *r, struct str *record)
{
	while (r->in_details || to_details(r)) {
		enum json_scan_result rc = json_scan_element(&r->list, record);

		if (rc == JSON_SCAN_PART) {
			r->detail++;
			return 1;
		}
		if (rc != JSON_SCAN_END)
			r->counts.failed++;
		else if (r->detail == 0)
			r->counts.unsupported++;
		r->in_details = false;
	}
	return 0;
}

static int
next_record(struct import_reader *r, struct str *record, struct err *e)
{
	switch (r->way) {
	case IMPORT_BY_LINE:
		return next_line(r, record);
	case IMPORT_BY_ELEMENT:
		return next_element(r, record, e);
	case IMPORT_BY_DETAIL:
		break;
	}
	return next_detail(r, record);
}

static int
read_record(struct import_reader *r, struct str record, int64_t now_ms,
    struct arena *a, struct usage_event *ev, struct err *e)
{
	struct legacy_place at;

	if (record.n > IMPORT_LINE_MAX)
		return fail(e, ERR_INPUT, "a record is larger than 10 MiB");
	if (r->way != IMPORT_BY_DETAIL)
		return import_record(record, now_ms, a, ev, e);
	at = (struct legacy_place){
		.endpoint = r->endpoints->list[r->endpoint - 1].name,
		.model = r->models->list[r->model - 1].name,
		.endpoint_no = r->endpoint,
		.model_no = r->model,
		.detail_no = r->detail - 1,
	};
	return import_legacy_detail(&at, record, now_ms, a, ev, e);
}

int
import_reader_next(struct import_reader *r, int64_t now_ms, struct arena *a,
    struct usage_event *ev, struct err *e)
{
	struct import_reader before;
	struct str record;
	struct err why;
	int rc;

	for (;;) {
		before = *r;
		if ((rc = next_record(r, &record, e)) <= 0)
			return rc;
		r->records++;
		if (read_record(r, record, now_ms, a, ev, &why) == 0)
			return 1;
		if (why.kind == ERR_TOO_LARGE && a->used_bytes > 0) {
			/* there was too little room left for this one */
			before.names = r->names;
			*r = before;
			return fail(e, ERR_TOO_LARGE, "%s", why.text);
		}
		r->counts.failed++;
	}
}

void
import_reader_skip(struct import_reader *r, int64_t records)
{
	struct str record;

	while (r->records < records && next_record(r, &record, NULL) == 1)
		r->records++;
}
