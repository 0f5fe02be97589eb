#include "ctl/event_put.h"

#include <unistd.h>

#include "event_json.h"

#define LINE_MAX_BYTES ((size_t)16 * 1024 * 1024)

void
event_put_init(struct event_put *p, enum ctl_format format)
{
	*p = (struct event_put){ .format = format,
		.terminal = isatty(STDOUT_FILENO) == 1 };
	buf_init(&p->line, LINE_MAX_BYTES);
}

void
event_put_free(struct event_put *p)
{
	buf_free(&p->line);
}

struct str
first_of(struct str a, struct str b, struct str c)
{
	return a.n > 0 ? a : b.n > 0 ? b : c;
}

struct str
api_key_hash_text(const struct usage_event *ev, char out[API_KEY_HASH_TEXT])
{
	out[0] = '\0';
	if (ev->has_api_key_hash)
		hex_encode(ev->api_key_hash, SHA256_BYTES, out);
	return str_of(out);
}

void
event_put_heading(struct event_put *p)
{
	if (!p->headed && p->format == FORMAT_TABLE)
		event_put_table_heading(p);
	else if (!p->headed && p->format == FORMAT_CSV)
		event_put_csv_heading();
	p->headed = true;
}

/* JSON may have as it is what a terminal obeys; an escape says the same. */
static void
put_escaped(struct str line)
{
	while (line.n > 0) {
		uint32_t code = 0;
		int n = utf8_next(line, &code);

		n = n < 1 ? 1 : n;
		if (code != '\n' && ctl_steers(code))
			printf("\\u%04x", (unsigned)code);
		else
			fwrite(line.p, (size_t)n, 1, stdout);
		line.p += n;
		line.n -= (size_t)n;
	}
}

static int
put_json(struct event_put *p, const struct event_row *row, struct err *e)
{
	struct json_out o;

	buf_clear(&p->line);
	json_out_init(&o, &p->line, NULL, NULL);
	event_json(&o, row, true);
	if (json_out_done(&o) != 0)
		return fail(e, ERR_TOO_LARGE, "event %lld is too large",
		    (long long)row->id);
	if (p->terminal)
		put_escaped(buf_view(&p->line));
	else
		fwrite(p->line.p, 1, p->line.n, stdout);
	return 0;
}

int
event_put(struct event_put *p, const struct event_row *row, struct err *e)
{
	event_put_heading(p);
	switch (p->format) {
	case FORMAT_TABLE:
		event_put_table(p, &row->ev);
		break;
	case FORMAT_CSV:
		event_put_csv(p, &row->ev);
		break;
	case FORMAT_JSON:
		return put_json(p, row, e);
	}
	return 0;
}
